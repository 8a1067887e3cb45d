"""A reply that commits to nothing in so many words -> the value it ends up with, or why there is none.

A short reply that is no sentence is its own answer. Else the last sentence that is no check must hold a value: its last
formula, what follows its last "=", the number its verb leads to, or the word its "is" leads to. Patterns are linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tasks.math.commitments import MAX_ANSWER, Rule
from tasks.math.phrases import (
    ASIDE,
    ASIDE_SENTENCE,
    BROKEN_OFF,
    CHECK,
    CHECKED,
    CONCLUSION,
    CONTRAST,
    COPULA,
    COUNTED,
    DISPLAY,
    EMPHASIS,
    FORMULA_ASIDE,
    GIVEN_REASON,
    HEDGE,
    HEDGE_BEHIND,
    INLINE,
    LEADING_REASON,
    LEADING_VALUE,
    LIST_TAIL,
    NEGATION,
    POINT,
    PREPOSITION,
    RANGE_BEFORE,
    RESULT,
    SENTENCE_END,
    SOLVED_FOR,
    TASK_SENTENCE,
    VALUE,
    VERB,
)
from tasks.math.trim import clause, is_cut, is_weakened, says_something, trimmed
from tasks.math.words import date_words, number_run

Reason = Literal["found", "no_answer", "hedge", "negation", "truncated_answer", "too_long"]
Span = tuple[int, int]
_MATH_WORDS = re.compile(
    r"\\(?:text|mbox|mathrm)\s*\{[^{}]*\}|\\(?:begin|end)\s*\{[^{}]*\}(?:\{[clr|\s]*\})?|\\[A-Za-z]+|"
    r"\b(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|pi|inf|infinity|and|or|union|base|to)\b"
)
_FORMULA = re.compile(
    r"(?:\\\[|\$\$)?\s*\\begin\s*\{[a-zA-Z]*matrix\}[^$]{0,900}\\end\s*\{[a-zA-Z]*matrix\}\s*(?:\\\]|\$\$)?\.?"
)
_TOLD = re.compile(r"\b(?:is|are|was|were|has|have|left|so|equals?|makes?|gives?|out\s+of)\b")
_NOT_BEFORE = re.compile(
    r"\b(?:not|isn't|wasn't|(?:cannot|can't|couldn't|won't)\s+be|rul(?:e|es|ed|ing)\s+out)\s+\$?\s*$", re.I
)
_NOT_BEHIND = re.compile(r"\s*\$?\s+(?:is|was)\s+(?:impossible|wrong|incorrect|false|not)\b", re.I)
_OPERATOR_END = re.compile(r"[=+*/-]\s*$")
_A_OR_B = re.compile(r"\d\s+or\s+\$?\d")
_BETWEEN_FORMULAS = re.compile(r"\s*(?:,|,?\s*(?:and|or))\s*")
_BETWEEN_NUMBERS = re.compile(r",\s*|,?\s*\b(?:and|or)\s*")
_THAT_IS = re.compile(r",?\s+i\.e\.")
_MONEY = re.compile(r"\s*\d[\d.,]*\s+[a-z]{2,}")
_PART_OF = re.compile(r"\b(?:out\s+of|of\s+the)\s+\$?$", re.I)


@dataclass(frozen=True, slots=True)
class Extraction:
    """`answer` is text[start:end], less quotes and the like; `rule` says which kind of commitment it was."""

    answer: str
    start: int
    end: int
    rule: Rule
    reason: Reason


def nothing(reason: Reason) -> Extraction:
    """No answer, and why."""
    return Extraction("", 0, 0, "none", reason)


def last_value(body: str, *, allow_bare: bool) -> Extraction:
    """The value that `body` is or ends up with."""
    stripped = body.strip()
    if not stripped:
        return nothing("no_answer")
    start = body.index(stripped[0])
    one_line = stripped.replace("\n", " ") if _FORMULA.fullmatch(stripped[:1000]) else stripped
    reason = GIVEN_REASON.search(one_line)
    if reason and "\n" not in one_line and len(one_line[: reason.start()].split()) <= 3:
        one_line = one_line[: reason.start()]  # "Friday, because 3 + 2 = 5"
    if allow_bare and "\n" not in one_line and len(one_line) <= MAX_ANSWER and not _is_prose(one_line):
        return _bare(one_line, (start, start + len(stripped)))
    return _from_sentences(EMPHASIS.sub(lambda mark: " " * len(mark[0]), body))


def _in_one_line(display: re.Match[str]) -> str:
    """$$ ... $$ or \\[ ... \\] of several lines as one of the same length; lines of an alignment are sentences of their own."""
    inner = display[1] or display[2]
    return display[0] if "\\begin{a" in inner else f"\\[{inner}\\]".replace("\n", " ")


def _bare(stripped: str, span: Span) -> Extraction:
    text = trimmed(stripped)
    if not text:
        return nothing("no_answer")
    if is_weakened(text):
        return Extraction(text, *span, "bare", "hedge")
    aside, contrast = ASIDE.match(text), CONTRAST.search(text) or _THAT_IS.search(text)
    text = aside[1] if aside and aside[1] else text[: contrast.start()] if contrast and contrast.start() else text
    if NEGATION.match(text):
        return Extraction(text, *span, "bare", "negation")
    if is_cut(text):
        return Extraction("", *span, "bare", "truncated_answer")
    return Extraction(text, *span, "bare", "found")


def _is_prose(text: str) -> bool:
    """A sentence, as opposed to an answer: several words that are no unit behind one number."""
    bare = _MATH_WORDS.sub(" ", text)
    words = re.findall(r"(?<![\w\\])[A-Za-z]{2,}", bare)
    if len(words) > 6:
        return True
    if COPULA.match(text):
        return True
    if re.search(r"\d|\$|\\\(", bare) is None:
        run = number_run(text)
        return len(words) >= 2 and run is not None and run[0] > 0
    told = _TOLD.search(bare) is not None
    starts_with_number = re.match(r"\W*\d", bare) is not None
    return len(words) >= 2 and (told or not starts_with_number) and date_words(text) is None


def _from_sentences(body: str) -> Extraction:
    base = max(0, len(body) - 50_000)
    tail = DISPLAY.sub(_in_one_line, body[base:])
    spans: list[Span] = []
    position = 0
    for match in SENTENCE_END.finditer(tail):
        spans.append((position, match.start()))
        position = match.end()
    spans.append((position, len(tail)))
    checks_from = next(
        (k for k, (a, b) in enumerate(spans) if CHECK.match(tail[a:b]) and _has_value(tail[:a])), len(spans)
    )
    cut_off = checks_from == len(spans) and BROKEN_OFF.search(tail) is not None
    spans = [(max(a, b - MAX_ANSWER), b) for a, b in spans[:checks_from][-40:]]  # what a longer sentence ends up with
    if cut_off:
        return nothing("truncated_answer")
    spans = [(a, b) for a, b in spans if not tail[a:b].rstrip().endswith("?") and not _is_the_task(tail[a:b])]
    spans = [(a + reason.end() if (reason := LEADING_REASON.match(tail[a:b])) else a, b) for a, b in spans]
    told = [(a, b) for a, b in spans if not (CHECKED.search(tail[a:b]) or ASIDE_SENTENCE.match(tail[a:b]))] or spans
    for value_of, places in ((_value_span, told), (_word_span, spans)):
        for start, end in reversed(places):
            sentence = tail[start:end]
            span = value_of(sentence)
            if span is not None:
                return _judged(sentence, span, base + start)
    return nothing("no_answer")


def _is_the_task(sentence: str) -> bool:
    """It says what is asked for, and no result."""
    return TASK_SENTENCE.match(sentence) is not None and RESULT.search(sentence) is None


def _judged(sentence: str, span: Span, base: int) -> Extraction:
    """The value at `span`, unless the sentence hedges, denies or breaks off."""
    a, b = span
    text, place = trimmed(sentence[a:b]), (base + a, base + b)
    behind = HEDGE_BEHIND.match(sentence[b : b + 30].lstrip(" ,"))
    if (
        _is_hedged(sentence, a)
        or behind
        or _A_OR_B.search(sentence)
        or RANGE_BEFORE.search(sentence[max(0, a - 60) : a])
    ):
        return Extraction(text, *place, "last_sentence", "hedge")
    if _NOT_BEFORE.search(sentence[:a]) or _NOT_BEHIND.match(sentence, b) or NEGATION.match(text):
        return Extraction(text, *place, "last_sentence", "negation")
    if is_cut(text) or _OPERATOR_END.search(sentence):
        return Extraction("", *place, "last_sentence", "truncated_answer")
    return Extraction(text, *place, "last_sentence", "found")


def _is_hedged(sentence: str, place: int) -> bool:
    """Whether a hedge leads to the value at `place`; "over two months she saw 104" has none."""
    hedge = HEDGE.search(sentence, max(0, place - 30), place)
    if hedge is None:
        return False
    between = sentence[hedge.end() : place]
    far = "," in between or len(between.split()) > 1
    return not re.search(r"\d", between) and not (far and hedge[0].lower() in ("over", "under", "above", "below"))


def _has_value(text: str) -> bool:
    return any(letter.isdigit() for letter in text) or "$" in text or "\\(" in text or "\\[" in text


# ---- the value of one sentence ------------------------------------------------------------------------------


def _word_span(sentence: str) -> Span | None:
    """Without digits: a number in words, or what "is" leads to."""
    run = number_run(sentence)
    if run is not None:
        return run
    copula = COPULA.match(sentence)
    if copula is None:
        return None
    return copula.span("said") if says_something(copula["said"]) else copula.span("subject")  # "A is correct"


def _value_span(sentence: str) -> Span | None:
    """The span of the value a sentence ends up with: its last formula, else what follows "=", else a number."""
    if not _has_value(sentence):
        return None
    contrast = CONTRAST.search(sentence)
    if contrast and _has_value(sentence[: contrast.start()]):
        sentence = sentence[: contrast.start()]
    for conclusion in reversed(list(CONCLUSION.finditer(sentence))):
        if _has_value(sentence[conclusion.end() :]):
            span = _value_span(sentence[conclusion.end() :])
            return None if span is None else (conclusion.end() + span[0], conclusion.end() + span[1])
    counted = COUNTED.search(sentence)
    if counted:
        return counted.span(1)
    formulas = _formulas(sentence)
    told = _told(sentence, formulas)
    if formulas and not told and re.search(r"\d", sentence[: formulas[0].start()]):
        sentence = sentence[: formulas[0].start()]  # "the maximum is 6, attained at $x = 2$"
    elif formulas:
        return _formula_span(sentence, told or formulas)
    solved = SOLVED_FOR.search(sentence)
    if solved:
        return solved.span(1)
    equals = sentence.rfind("=")
    if equals >= 0:
        after = sentence[equals + 1 :]
        said = clause(after)
        leading = LEADING_VALUE.match(said)
        if leading:
            return equals + 1 + leading.start(1), equals + 1 + leading.end(1)
        return (equals + 1, equals + 1 + len(said)) if said.strip() else (equals, len(sentence))
    points = list(POINT.finditer(sentence))
    if points:
        return points[-1].span()
    return _number_span(sentence)


def _formulas(sentence: str) -> list[re.Match[str]]:
    return [
        m
        for m in INLINE.finditer(sentence)
        if re.search(r"[\d\\^=a-zA-Z]", m[1] or m[2] or m[3])
        and not _MONEY.match(m[1] or "")
        and not re.search(r"[=+*/-]$", m[1] or "")
    ]


def _told(sentence: str, formulas: list[re.Match[str]]) -> list[re.Match[str]]:
    """The formulas that are not told by the way ("at $x = 2$"), nor joined to one that is ("at $x = 2$ and $x = 3$")."""
    told: list[re.Match[str]] = []
    aside, end = False, 0
    for formula in formulas:
        joined = _BETWEEN_FORMULAS.fullmatch(sentence[end : formula.start()]) is not None
        aside = (joined and aside) or FORMULA_ASIDE.search(
            sentence[max(0, formula.start() - 40) : formula.start()]
        ) is not None
        end = formula.end()
        if not aside:
            told.append(formula)
    return told


def _formula_span(sentence: str, chosen: list[re.Match[str]]) -> Span:
    """The last formula; formulas joined by a comma, "and" or "or" are one list."""
    first = last = len(chosen) - 1
    while first and _BETWEEN_FORMULAS.fullmatch(sentence[chosen[first - 1].end() : chosen[first].start()]):
        first -= 1
    return (chosen[first].start(), chosen[last].end()) if first < last else _inside(chosen[last])


def _inside(formula: re.Match[str]) -> Span:
    return formula.span(1 if formula[1] else 2 if formula[2] else 3)


def _number_span(sentence: str) -> Span | None:
    """The number after the last verb that leads to one; numbers behind a preposition, or told by the way, give way."""
    for pattern in (GIVEN_REASON, LIST_TAIL):
        tail = pattern.search(sentence)
        if tail and re.search(r"\d", sentence[: tail.start()]):
            sentence = sentence[: tail.start()]
    numbers = [m for m in VALUE.finditer(sentence) if any(letter.isdigit() for letter in m[0])]
    numbers = [m for m in numbers if not _PART_OF.search(sentence[max(0, m.start() - 16) : m.start()])] or numbers
    numbers = [m for m in numbers if not PREPOSITION.search(sentence[max(0, m.start() - 24) : m.start()])] or numbers
    if not numbers:
        return None
    verbs = list(VERB.finditer(sentence)) if len(numbers) > 1 else []
    place = verbs[-1].end() if verbs else len(sentence)
    return _with_list(sentence, numbers, next((m for m in numbers if m.end() > place), numbers[-1]))


def _with_list(sentence: str, numbers: list[re.Match[str]], chosen: re.Match[str]) -> Span:
    """The span of `chosen` and of the numbers that a comma, "and" or "or" alone joins to it: "2, 3, and 5"."""
    first = last = numbers.index(chosen)
    while first and _BETWEEN_NUMBERS.fullmatch(sentence[numbers[first - 1].end() : numbers[first].start()]):
        first -= 1
    while last + 1 < len(numbers) and _BETWEEN_NUMBERS.fullmatch(
        sentence[numbers[last].end() : numbers[last + 1].start()]
    ):
        last += 1
    return numbers[first].start(), numbers[last].end()
