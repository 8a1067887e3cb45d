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
from dataclasses import dataclass
from typing import Literal

from tasks.math.phrases import (
    ASKING,
    BOX,
    CALCULATOR,
    CHECK,
    CHECKING,
    CLAUSE,
    HASH,
    HEDGE,
    HEDGE_BEHIND,
    INLINE,
    INSTEAD,
    IS_THE_ANSWER,
    LEADING_VALUE,
    NEGATION,
    NEW_TURN,
    PHRASE,
    RETRACTION,
    SENTENCE_END,
    STOP,
    TAG,
    THINK_END,
    THINK_START,
    TO_RANGE,
    VALUE,
)

Reason = Literal["found", "no_answer", "hedge", "negation", "truncated_answer", "too_long"]
Rule = Literal["boxed", "hash", "tag", "phrase", "bare", "last_sentence", "none"]
MAX_TEXT = 2_000_000
MAX_ANSWER = 2000


@dataclass(frozen=True, slots=True)
class Extraction:
    """`answer` is text[start:end], less quotes and the like; `rule` says which kind of commitment it was."""

    answer: str
    start: int
    end: int
    rule: Rule
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Candidate:
    start: int
    end: int
    rule: Rule
    text: str
    complete: bool = True
    conditional: bool = False


def extract(text: str) -> Extraction:
    """The answer that `text` commits to."""
    if len(text) > MAX_TEXT:
        return _none("too_long")
    offset = _after_thinking(text)
    body = CALCULATOR.sub(lambda mark: " " * len(mark[0]), text[offset:])
    if offset == 0:  # nothing follows the think block: what it holds is all there is
        for tag in (THINK_START, THINK_END):
            body = tag.sub(lambda mark: " " * len(mark[0]), body)
    stop = STOP.search(body, 1)
    if stop is not None and body[: stop.start()].strip():
        body = body[: stop.start()]
    found = _extract_from(body)
    return Extraction(found.answer, found.start + offset, found.end + offset, found.rule, found.reason)


def _none(reason: Reason) -> Extraction:
    return Extraction("", 0, 0, "none", reason)


def _after_thinking(text: str) -> int:
    """Where the text after a closed think block begins; 0 when nothing follows one."""
    last = None
    for match in THINK_END.finditer(text):
        last = match
    if last is not None and text[last.end() :].strip():
        return last.end()
    return 0


def _extract_from(body: str) -> Extraction:
    candidates = _committed(body)
    if candidates:
        candidates = _before_new_question(body, candidates)
        last = candidates[-1]
        taken = _verdict(body, candidates)
        if taken is not None and not _is_retracted(body, last):
            return taken
        if taken is not None and _is_retracted(body, last):
            rest = _fallback(body[last.end :], allow_bare=False)
            if rest.reason == "found":
                return Extraction(rest.answer, rest.start + last.end, rest.end + last.end, rest.rule, rest.reason)
            return taken
    return _fallback(body, allow_bare=True)


# ---- commitments ------------------------------------------------------------------------------------------


def _committed(body: str) -> list[_Candidate]:
    found: list[_Candidate] = []
    if "\\boxed" in body or "\\fbox" in body:
        found += _boxes(body)
    if "####" in body:
        found += [_Candidate(m.start(), m.end(1), "hash", m[1]) for m in HASH.finditer(body)]
    if "<answer>" in body.lower():
        found += [_Candidate(m.start(), m.end(1), "tag", m[1]) for m in TAG.finditer(body)]
    for match in PHRASE.finditer(body):
        group = "body" if match["body"] is not None else "next"
        if "\\boxed" in match[group] or "\\fbox" in match[group]:
            continue  # the box is the commitment
        if match["if"] is None and re.search(
            r"\bif\b[^.!?\n]*$", body[max(0, match.start() - 80) : match.start()], re.I
        ):
            found.append(_Candidate(match.start(), match.end(), "phrase", match[group], conditional=True))
            continue
        if CHECKING.search(body[max(0, match.start() - 24) : match.start()]):
            continue
        if group == "body" and not match["body"].strip(" *:"):
            following = re.compile(r"\s*(?:\\\[|\$\$)?\s*([^\n]{1,600})").match(body, match.end())
            text, end = (following[1], following.end(1)) if following else ("", match.end())
            start = following.start(1) if following else match.end()
            if "\\boxed" in text or "####" in text:
                continue
            found.append(_Candidate(start, end, "phrase", text, conditional=bool(match["if"])))
            continue
        if "####" in match[group]:
            continue
        found.append(
            _Candidate(match.start(group), match.end(group), "phrase", match[group], conditional=bool(match["if"]))
        )
    found.sort(key=lambda candidate: candidate.start)
    return [candidate for candidate in found if not candidate.conditional] or found


def _boxes(body: str) -> list[_Candidate]:
    """Boxes with balanced braces; boxes joined by a comma, "and" or "or" are one answer."""
    found: list[_Candidate] = []
    position = 0
    for match in BOX.finditer(body):
        if match.start() < position:
            continue  # a box inside a box
        start = match.end()
        if start >= len(body):
            found.append(_Candidate(match.start(), len(body), "boxed", "", complete=False))
            continue
        if body[start] != "{":
            end = re.compile(r"[^\s$]{1,100}").match(body, start)
            found.append(_Candidate(match.start(), end.end() if end else start, "boxed", end[0] if end else ""))
            continue
        close = _closing_brace(body, start)
        if close is None:
            found.append(_Candidate(match.start(), len(body), "boxed", "", complete=False))
            break
        position = close
        found.append(_Candidate(match.start(), close + 1, "boxed", body[start + 1 : close]))
    return _joined_boxes(body, found)


def _joined_boxes(body: str, boxes: list[_Candidate]) -> list[_Candidate]:
    joined: list[_Candidate] = []
    for box in boxes:
        if joined and joined[-1].complete and box.complete:
            between = re.sub(r"[\s$]|\\(?:text|quad|qquad|,|;)|[{}]", "", body[joined[-1].end : box.start])
            between = re.sub(r"^(?:\\\)|\\\]|[a-z]=)+|(?:\\\(|\\\[|[a-z]=)+$", "", between)
            if between.lower() in (",", "and", ",and", "or", ",or") and len(between) < 5:
                link = " \\text{ or } " if "or" in between.lower() else ", "
                text = joined[-1].text + link + box.text
                joined[-1] = _Candidate(joined[-1].start, box.end, "boxed", text)
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


def _before_new_question(body: str, candidates: list[_Candidate]) -> list[_Candidate]:
    """Only the commitments before a new question that follows the first one."""
    first = candidates[0]
    if len(candidates) == 1:
        return candidates
    for pattern in (NEW_TURN, ASKING):
        cut = pattern.search(body, first.end)
        while cut is not None and RETRACTION.search(cut[0]):
            cut = pattern.search(body, cut.end())
        if cut is not None:
            candidates = [candidate for candidate in candidates if candidate.start < cut.start()]
    return candidates


def _verdict(body: str, candidates: list[_Candidate]) -> Extraction | None:
    """The last commitment that says something; a truncated or negated one gives way to an earlier one."""
    reason: Reason | None = None
    for candidate in reversed(candidates):
        text, start, end = candidate.text, candidate.start, candidate.end
        if not candidate.complete:
            return Extraction("", start, end, candidate.rule, "truncated_answer")
        if candidate.rule == "phrase":
            text = _clause(text)
            end = start + len(text)
        if candidate.rule == "tag":
            inner = _boxes(text)
            text = inner[-1].text if inner else text
        text = _trimmed(text)
        if not text:
            reason = reason or "truncated_answer"
            continue
        if NEGATION.match(text):
            instead = INSTEAD.search(candidate.text)
            if instead is not None:  # "not 20 but 18"
                a, b = (candidate.start + place for place in instead.span(1))
                return Extraction(_trimmed(instead[1]), a, b, candidate.rule, "found")
            reason = reason or "negation"
            continue
        if candidate.rule == "phrase" and not _says_something(text):
            continue
        if len(text) > MAX_ANSWER:
            return Extraction("", start, end, candidate.rule, "too_long")
        if _is_hedge(text, body, candidate):
            return Extraction(text, start, end, candidate.rule, "hedge")
        if _is_cut(text):
            reason = reason or "truncated_answer"
            continue
        return Extraction(text, start, end, candidate.rule, "found")
    if reason is not None:
        last = candidates[-1]
        return Extraction("", last.start, last.end, last.rule, reason)
    return None


def _is_retracted(body: str, candidate: _Candidate) -> bool:
    return RETRACTION.search(body[candidate.end : candidate.end + 200]) is not None


def _is_hedge(text: str, body: str, candidate: _Candidate) -> bool:
    before = body[max(0, candidate.start - 40) : candidate.start]
    lead = re.search(r"\b(?:maybe|perhaps|possibly|not\s+sure(?:\s+if)?)\s*$", before, re.I)
    return bool(_weakened(text) or lead)


def _weakened(text: str) -> bool:
    """At least 5; between 3 and 5; 5 or more; 3 to 5."""
    value = re.search(r"\d|\\frac|\\sqrt|\$", text)
    hedge = HEDGE.search(text)
    before = hedge is not None and value is not None and hedge.start() < value.start()
    return before or HEDGE_BEHIND.search(text) is not None or TO_RANGE.match(text) is not None


def _is_cut(text: str) -> bool:
    """Ends in the middle: open braces, an operator, a bare command that wants an argument."""
    if text.count("{") - text.count("\\{") != text.count("}") - text.count("\\}"):
        return True
    return re.search(r"(?:\\(?:frac|sqrt|dfrac|left|cdot|times|text)|[+*/=^_<\\]|(?<=\s)-)\s*$", text) is not None


def _says_something(text: str) -> bool:
    """A phrase like "the answer is correct" commits to nothing."""
    return (
        re.match(
            r"(?:correct|right|wrong|incorrect|consistent|reasonable|confirmed|verified|obvious|clear|given|the\s+same|found|"
            r"as\s+follows|below|in\s+the|that|therefore|simple|not\s+an?\b|an\s+integer|a\s+whole)\b",
            text,
            re.I,
        )
        is None
    )


def _clause(text: str) -> str:
    """The part of a phrase before the sentence turns elsewhere; a point inside a number or formula does not end it."""
    math = INLINE.match(text.lstrip(" *:"))
    if math and not re.match(r"\s*(?:,|and|or)\s", text.lstrip(" *:")[math.end() :]):
        lead = len(text) - len(text.lstrip(" *:"))
        return text[: lead + math.end()]
    for match in CLAUSE.finditer(text):
        if text[: match.start()].strip(" *:$"):
            return text[: match.start()]
    return text


def _trimmed(text: str) -> str:
    text = text.strip().strip("*_`\"' \t")
    text = re.sub(
        r"^(?:(?:so|hence|thus|therefore|then),?\s+)?(?:is|are|equals?|be|:|=|therefore|thus|so|hence|approximately|about|roughly|exactly|simply|just)\s+",
        "",
        text,
        flags=re.I,
    )
    text = re.sub(r"^(?:[=:≈]|\\approx\b)\s*", "", text)
    text = IS_THE_ANSWER.sub("", text.rstrip(".")) if text.endswith(("answer", "answer.")) else text
    text = re.sub(r"^\\\[|\\\]$|^\\\(|\\\)$", "", text).strip()
    text = re.sub(r"^[A-Za-z][A-Za-z ]{1,40}:\s+(?=[-$\\(\[.\d])", "", text)  # "Total: 6 apples"
    if text.endswith(("\\,", "...")):
        return text
    text = text.rstrip(".,;: ").strip("*` ")
    return text.rstrip("}\"' ") if text.endswith("}") and "{" not in text else text


# ---- without a commitment -----------------------------------------------------------------------------------


def _fallback(body: str, *, allow_bare: bool) -> Extraction:
    stripped = body.strip()
    if not stripped:
        return _none("no_answer")
    start = body.index(stripped[0]) if stripped else 0
    if allow_bare and "\n" not in stripped and len(stripped) <= 300 and not _looks_like_prose(stripped):
        text = _trimmed(stripped)
        if not text:
            return _none("no_answer")
        if _weakened(text):
            return Extraction(text, start, start + len(stripped), "bare", "hedge")
        if NEGATION.match(text):
            return Extraction(text, start, start + len(stripped), "bare", "negation")
        if _is_cut(text):
            return Extraction("", start, start + len(stripped), "bare", "truncated_answer")
        return Extraction(text, start, start + len(stripped), "bare", "found")
    return _from_last_sentence(body)


def _looks_like_prose(text: str) -> bool:
    """A sentence, as opposed to an answer: several words that are no unit behind one number."""
    bare = re.sub(r"\\(?:text|mbox|mathrm)\s*\{[^{}]*\}|\\[A-Za-z]+", " ", text)
    words = re.findall(r"[A-Za-z]{2,}", bare)
    if len(words) > 6:
        return True
    starts_with_number = re.match(r"\W*\d", bare) is not None
    if re.search(r"\d", bare) is None:
        return False
    told = re.search(r"\b(?:is|are|was|were|has|have|left|so)\b", bare) is not None
    return len(words) >= 2 and (told or (len(words) >= 3 and not starts_with_number))


def _from_last_sentence(body: str) -> Extraction:
    if len(body) > 50_000:
        base = len(body) - 50_000
    else:
        base = 0
    tail = body[base:]
    spans: list[tuple[int, int]] = []
    position = 0
    for match in SENTENCE_END.finditer(tail):
        spans.append((position, match.start()))
        position = match.end()
    spans.append((position, len(tail)))
    checks_from = next(
        (k for k, (a, b) in enumerate(spans) if CHECK.match(tail[a:b]) and _has_value(tail[:a])), len(spans)
    )
    for start, end in reversed(spans[:checks_from][-40:]):
        start = max(start, end - MAX_ANSWER)  # what a longer sentence ends up with
        sentence = tail[start:end]
        if not _has_value(sentence) or sentence.rstrip().endswith("?"):
            continue
        value = _value_of(sentence)
        if value is None:
            continue
        a, b = value
        text = _trimmed(sentence[a:b])
        before = HEDGE.search(sentence, max(0, a - 30), a)
        weak = before is not None and not re.search(r"\d", sentence[before.end() : a])
        if weak or HEDGE_BEHIND.match(sentence[b : b + 30].lstrip(" ,")) or re.search(r"\d\s+or\s+\$?\d", sentence):
            return Extraction(text, base + start + a, base + start + b, "last_sentence", "hedge")
        if re.search(r"\b(?:not|isn't|cannot be)\s+\$?\s*$", sentence[:a]):
            return Extraction(text, base + start + a, base + start + b, "last_sentence", "negation")
        if _is_cut(text) or re.search(r"[=+*/-]\s*$", sentence):
            return Extraction("", base + start + a, base + start + b, "last_sentence", "truncated_answer")
        return Extraction(text, base + start + a, base + start + b, "last_sentence", "found")
    return _none("no_answer")


def _has_value(text: str) -> bool:
    return any(letter.isdigit() for letter in text) or "$" in text or "\\(" in text


def _value_of(sentence: str) -> tuple[int, int] | None:
    """The span of the value a sentence ends up with: its last formula, else what follows "=", else a number."""
    formulas = [
        m
        for m in INLINE.finditer(sentence)
        if re.search(r"[\d\\^=a-zA-Z]", m[1] or m[2] or m[3])
        and not re.match(r"\s*\d[\d.,]*\s+[a-z]{2,}", m[1] or "")
        and not re.search(r"[=+*/-]$", m[1] or "")
    ]
    if formulas:
        last = formulas[-1]
        group = 1 if last[1] else 2 if last[2] else 3
        inner = last[group]
        equals = inner.rfind("=")
        lone = re.match(r"\s*[A-Za-z](?:\([a-z]\))?\s*$", inner[:equals]) if equals >= 0 else None
        start = last.start(group) + (
            equals + 1 if equals >= 0 and not lone and not re.search(r"[<>]|\\[lg]e", inner) else 0
        )
        return start, last.end(group)
    equals = sentence.rfind("=")
    numbers = [m for m in VALUE.finditer(sentence) if any(letter.isdigit() for letter in m[0])]
    parts = [
        m
        for m in numbers
        if not re.search(r"\b(?:out\s+of|of\s+the)\s+\$?$", sentence[max(0, m.start() - 16) : m.start()], re.I)
    ]
    numbers = parts or numbers  # "5 are left out of 12"
    if equals >= 0:
        after = sentence[equals + 1 :]
        clause = _clause(after)
        leading = LEADING_VALUE.match(clause)
        if leading:
            return equals + 1 + leading.start(1), equals + 1 + leading.end(1)
        if clause.strip():
            return equals + 1, equals + 1 + len(clause)
        return (equals, len(sentence))
    if not numbers:
        return None
    verb = list(
        re.finditer(
            r"\b(?:is|are|was|were|equals|totals?|makes?|earns?|needs?|costs?|pays?|has|have|gets?|takes?|spends?|leaves|left\s+with|total\s+of|be|spent|made|earned|paid|walked|ran|ate|sold|bought)\s+(?:\w+\s+){0,3}?(?=-?\$?\d)",
            sentence,
            re.I,
        )
    )
    if len(numbers) > 1 and verb:
        place = verb[-1].end()
        chosen = next((m for m in numbers if m.end() > place), numbers[-1])
    else:
        chosen = numbers[-1]
    return chosen.start(), chosen.end()
