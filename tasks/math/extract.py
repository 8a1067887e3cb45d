"""The final answer in a model's text. Goes in: the text. Comes out: the span that was taken, by which rule, or why
none.

The policy (README.md): the last committed answer wins. A commitment is \\boxed{...}, a line `#### ...`,
<answer>...</answer>, "the answer is ...", "Answer: ...". Without one, a short text is its own answer; else the last
sentence that is no check must hold a value. A think block does not count when text follows it. What follows a
commitment as a check, a restatement or a new question is not looked at. Hedges, negations, ranges and cut-off answers
are no answer. Every pattern is linear.
"""

from __future__ import annotations

import re
from dataclasses import replace

from tasks.math.commitments import MAX_ANSWER, Candidate, boxes, commitments
from tasks.math.last_sentence import Extraction, Reason, last_value, nothing
from tasks.math.phrases import (
    ASIDE,
    CALCULATOR,
    CASES,
    INSTEAD,
    NEGATION,
    RETRACTION,
    SENTENCE_END,
    STOP,
    THINK_END,
    THINK_START,
)
from tasks.math.trim import clause, is_cut, is_weakened, says_something, trimmed

MAX_TEXT = 2_000_000
MAX_BODY = 500_000  # without the think block; about 130,000 tokens
MAX_CANDIDATES = 50  # a looping reply commits thousands of times; the last ones decide
_GAP = re.compile(r"[^\S\n]{100,}")  # no sentence goes on behind one; patterns meet no long run of blanks
# "is at least \\boxed{5}"; a solution may end "so we need at least \\boxed{5}".
_WEAKENED_BOX = re.compile(
    r"\b(?:is|are)\s+(?:at\s+(?:least|most)|(?:more|less|fewer|greater|smaller|larger)\s+than|between|either|maybe|perhaps|possibly)"
    r"\s*(?:\$|\\\(|\\\[)*\s*$",
    re.I,
)
_UNSURE = re.compile(r"\b(?:maybe|perhaps|possibly|not\s+sure(?:\s+if)?)\s*$", re.I)


def extract(text: str) -> Extraction:
    """The answer that `text` commits to."""
    if len(text) > MAX_TEXT:
        return nothing("too_long")
    offset = _after_thinking(text)
    if len(text) - offset > MAX_BODY:
        return nothing("too_long")
    body = CALCULATOR.sub(lambda mark: " " * len(mark[0]), text[offset:])
    unfinished = THINK_START.search(text) is not None and THINK_END.search(text) is None
    if offset == 0:  # nothing follows the think block: what it holds is all there is
        for tag in (THINK_START, THINK_END):
            body = tag.sub(lambda mark: " " * len(mark[0]), body)
    body = _GAP.sub(lambda gap: "\n" * len(gap[0]), body)
    stop = STOP.search(body, 1)
    if stop is not None and body[: stop.start()].strip():
        body = body[: stop.start()]
    found = _extracted(body)
    if unfinished and found.rule in ("bare", "last_sentence"):
        return nothing("truncated_answer")  # a thought that was cut off and commits to nothing
    return _moved(found, offset)


def _moved(found: Extraction, offset: int) -> Extraction:
    return replace(found, start=found.start + offset, end=found.end + offset)


def _after_thinking(text: str) -> int:
    """Where the text after a closed think block begins; 0 when nothing follows one."""
    last = None
    for match in THINK_END.finditer(text):
        last = match
    if last is not None and text[last.end() :].strip():
        return last.end()
    return 0


def _extracted(body: str) -> Extraction:
    candidates = commitments(body)
    taken = _verdict(body, candidates) if candidates else None
    if taken is None:
        return last_value(body, allow_bare=True)
    if RETRACTION.search(body[taken.end : taken.end + 200]):
        rest = last_value(body[taken.end :], allow_bare=False)
        if rest.reason == "found":
            return _moved(rest, taken.end)
    return taken


def _verdict(body: str, candidates: list[Candidate]) -> Extraction | None:
    """The last commitment that says something; a truncated or negated one gives way to an earlier one."""
    reason: Reason | None = None
    for candidate in reversed(candidates[-MAX_CANDIDATES:]):
        found = _said(body, candidate)
        if found is None:
            continue
        if found.reason in ("truncated_answer", "negation") and candidate.complete:
            reason = reason or found.reason
            continue
        return found
    if reason is None:
        return None
    last = candidates[-1]
    return Extraction("", last.start, last.end, last.rule, reason)


def _said(body: str, candidate: Candidate) -> Extraction | None:
    """What one commitment says; None when it says nothing ("the answer is correct")."""
    text, start, end = candidate.text, candidate.start, candidate.end
    aside = ASIDE.match(text) if candidate.rule == "hash" else None
    if aside:
        text = aside[1] or aside[2]
    if candidate.rule == "phrase":
        text = clause(text)
        end = start + len(text)
    if candidate.rule == "tag":
        inner = boxes(text)
        text = inner[-1].text if inner else text
    text = trimmed(text)
    if not candidate.complete or not text:
        return Extraction("", start, end, candidate.rule, "truncated_answer")
    if NEGATION.match(text):
        instead = INSTEAD.search(candidate.text)
        if instead is None:
            return Extraction("", start, end, candidate.rule, "negation")
        a, b = (candidate.start + place for place in instead.span(1))  # "not 20 but 18"
        return Extraction(trimmed(instead[1]), a, b, candidate.rule, "found")
    if candidate.rule == "phrase" and not says_something(text):
        return None
    if len(text) > MAX_ANSWER:
        return Extraction("", start, end, candidate.rule, "too_long")
    sentence = SENTENCE_END.split(candidate.text, maxsplit=1)[0] if candidate.rule == "phrase" else text
    before = body[max(0, candidate.start - 40) : candidate.start]
    if is_weakened(text) or CASES.search(sentence) or _UNSURE.search(before) or _WEAKENED_BOX.search(before):
        return Extraction(text, start, end, candidate.rule, "hedge")
    if is_cut(text):
        return Extraction("", start, end, candidate.rule, "truncated_answer")
    return Extraction(text, start, end, candidate.rule, "found")
