"""A reply -> the places where it commits to an answer, in order: boxes, `####` lines, <answer> tags, "the answer is".

What stands after a new question, in a condition ("if the answer is 5") or in a check is no commitment. Patterns are in
phrases.py, and linear.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, replace
from typing import Literal

from tasks.math.phrases import (
    ASKING,
    BOLD_LINE,
    BOX,
    CHECKING,
    DENIED,
    HASH,
    NEW_TURN,
    PHRASE,
    REPORTED,
    RETRACTION,
    SUBJECT,
    TAG,
)

Rule = Literal["boxed", "hash", "tag", "phrase", "bare", "last_sentence", "none"]
MAX_ANSWER = 2000
MAX_PHRASES = 2000
_NEXT_LINE = re.compile(r"\s*(?:\\\[|\$\$)?\s*([^\n]{1,600})")
_IF_BEFORE = re.compile(r"\bif\b[^.!?\n]*$", re.I)
_BASE_BEHIND = re.compile(r"_(?:\d|\{\d{1,2}\})")  # \\boxed{111}_3
_UNBRACED_BOX = re.compile(r"[^\s$]{1,100}")
_LAYOUT = re.compile(r"[\s$]|\\(?:text|quad|qquad|,|;)|[{}]")
_ASSIGNED = re.compile(r"^(?:\\\)|\\\]|[a-z]=)+|(?:\\\(|\\\[|[a-z]=)+$")
_NEGATED = re.compile(r"\b(?:not|isn't|instead\s+of|rather\s+than)\s*(?:\$|\\\(|\\\[)*\s*$", re.I)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One commitment: body[start:end], and `text`, what it says. `complete` is False for a box never closed."""

    start: int
    end: int
    rule: Rule
    text: str
    complete: bool = True
    conditional: bool = False


def commitments(body: str) -> list[Candidate]:
    """The commitments of `body` before a new question, left to right."""
    found: list[Candidate] = []
    outside: list[Candidate] = []
    if "\\boxed" in body or "\\fbox" in body:
        found += boxes(body)
    if "####" in body:
        found += [Candidate(m.start(), m.end(1), "hash", m[1]) for m in HASH.finditer(body)]
    if "<answer>" in body.lower():
        found += [Candidate(m.start(), m.end(1), "tag", m[1]) for m in TAG.finditer(body)]
    if "**" in body:
        found += [Candidate(m.start(1), m.end(1), "phrase", m[1]) for m in BOLD_LINE.finditer(body)]
    found.sort(key=lambda candidate: candidate.start)
    starts = [candidate.start for candidate in found]
    for phrase in _phrases(body) + _subjects(body):
        before = bisect.bisect(starts, phrase.start) - 1
        if before < 0 or phrase.start >= found[before].end:  # else it is what a box, tag or line says
            outside.append(phrase)
    found = sorted(found + outside, key=lambda candidate: candidate.start)
    found = [candidate for candidate in found if not candidate.conditional]
    denied = [c.rule == "boxed" and _NEGATED.search(body[max(0, c.start - 24) : c.start]) is not None for c in found]
    found = [replace(c, text=f"not {c.text}") if no else c for c, no in zip(found, denied, strict=True)]
    return _before_new_question(body, found)


def _phrases(body: str) -> list[Candidate]:
    found: list[Candidate] = []
    matches = list(PHRASE.finditer(body))
    if len(matches) > MAX_PHRASES:  # a looping reply: its first and its last ones decide
        matches = [*matches[: MAX_PHRASES // 2], *matches[-MAX_PHRASES // 2 :]]
    for match in matches:
        group = "body" if match["body"] is not None else "next"
        said = match[group]
        if "\\boxed" in said or "\\fbox" in said:
            continue  # the box is the commitment
        before = body[max(0, match.start() - 80) : match.start()]
        if match["if"] is None and (_IF_BEFORE.search(before) or REPORTED.search(before)):
            found.append(Candidate(match.start(), match.end(), "phrase", said, conditional=True))
            continue
        if CHECKING.search(body[max(0, match.start() - 24) : match.start()]):
            continue
        start, end = match.span(group)
        if not said.strip(" *:$") or said.strip() == "\\[":
            following = _NEXT_LINE.match(body, match.end() if group == "body" else start)
            said = following[1] if following else ""
            start, end = following.span(1) if following else (match.end(), match.end())
            if "\\boxed" in said:
                continue
        if "####" in said:
            continue
        if DENIED.search(body[max(0, match.start() - 40) : match.start()]):
            said = f"not {said}"
        found.append(Candidate(start, end, "phrase", said, conditional=bool(match["if"])))
    return found


def _subjects(body: str) -> list[Candidate]:
    """Sentences that begin with the value: "24 is the answer because ..."."""
    found = [Candidate(*m.span("said"), "phrase", m["said"]) for m in SUBJECT.finditer(body)]
    return [c for c in found if "\\boxed" not in c.text]


def boxes(body: str) -> list[Candidate]:
    """Boxes with balanced braces; boxes joined by a comma, "and" or "or" are one answer."""
    found: list[Candidate] = []
    position = 0
    for match in BOX.finditer(body):
        if match.start() < position:
            continue  # a box inside a box
        start = match.end()
        if start >= len(body):
            found.append(Candidate(match.start(), len(body), "boxed", "", complete=False))
            continue
        if body[start] != "{":
            end = _UNBRACED_BOX.match(body, start)
            found.append(Candidate(match.start(), end.end() if end else start, "boxed", end[0] if end else ""))
            continue
        close = _closing_brace(body, start)
        if close is None:
            found.append(Candidate(match.start(), len(body), "boxed", "", complete=False))
            break
        position = close
        base = _BASE_BEHIND.match(body, close + 1)
        found.append(Candidate(match.start(), close + 1, "boxed", body[start + 1 : close] + (base[0] if base else "")))
    return _joined(body, found)


def _joined(body: str, found: list[Candidate]) -> list[Candidate]:
    joined: list[Candidate] = []
    for box in found:
        if joined and joined[-1].complete and box.complete:
            between = _ASSIGNED.sub("", _LAYOUT.sub("", body[joined[-1].end : box.start]))
            touching = not between and "\n" not in body[joined[-1].end : box.start]
            if touching or (between.lower() in (",", "and", ",and", "or", ",or") and len(between) < 5):
                link = " \\text{ or } " if "or" in between.lower() else ", "
                joined[-1] = replace(joined[-1], end=box.end, text=joined[-1].text + link + box.text)
                continue
        joined.append(box)
    return joined


def _closing_brace(body: str, start: int) -> int | None:
    depth, place = 0, start
    limit = min(len(body), start + 4 * MAX_ANSWER)
    while place < limit:
        letter = body[place]
        if letter == "\\":
            place += 2
            continue
        if letter == "{":
            depth += 1
        elif letter == "}":
            depth -= 1
            if depth == 0:
                return place
        place += 1
    return None


def _before_new_question(body: str, candidates: list[Candidate]) -> list[Candidate]:
    """Only the commitments before a new question that follows the first one."""
    if len(candidates) < 2:
        return candidates
    first = candidates[0]
    for pattern in (NEW_TURN, ASKING):
        cut = pattern.search(body, first.end)
        while cut is not None and RETRACTION.search(cut[0]):
            cut = pattern.search(body, cut.end())
        if cut is not None:
            candidates = [candidate for candidate in candidates if candidate.start < cut.start()]
    return candidates
