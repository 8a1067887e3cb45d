"""Wrong answers made from gold, to prove that the scorers can say no. Goes in: an example. Comes out: mutants.

Each changes the final answer of the gold solution: another number, sign, power of ten, reciprocal, a swapped pair,
another bracket or base, a missing item. A change that leaves the value the same (the reciprocal of 1, the negative of
0) is not made: numbers are compared here as text and as fractions, not by the scorer under test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from harness.core import Example, Mutant

_NUMBER = re.compile(r"\d+")
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")
_FRACTION = re.compile(r"(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")


def mutants(example: Example) -> Iterator[Mutant]:
    """Wrong completions in the format of the gold solution."""
    answer, wanted = str(example.meta["answer"]), str(example.meta.get("format", "hash"))
    seen = {answer}
    for kind, text in _wrong_answers(answer):
        if text not in seen:
            seen.add(text)
            yield Mutant(kind=kind, text=_written(example.gold, answer, text, wanted))
    if wanted != "any":
        yield Mutant(kind="no_answer", text=_cut(example.gold, wanted))


def _written(gold: str, answer: str, wrong: str, wanted: str) -> str:
    if wanted == "hash":
        head, _, _ = gold.rpartition("####")
        return f"{head}#### {wrong}"
    if wanted == "boxed":
        return f"The final answer is \\boxed{{{wrong}}}."
    return wrong


def _cut(gold: str, wanted: str) -> str:
    """The solution up to where the answer would begin."""
    if wanted == "hash":
        return "####"
    return gold[: gold.rfind("\\boxed")] + "\\boxed{"


def _wrong_answers(answer: str) -> Iterator[tuple[str, str]]:
    bare = answer.replace(",", "") if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+", answer) else answer
    if _PLAIN.fullmatch(bare):
        yield from _wrong_numbers(bare)
        return
    fraction = _FRACTION.fullmatch(answer.strip())
    if fraction:
        sign, top, bottom = fraction.groups()
        yield "negated", f"{'' if sign else '-'}\\frac{{{top}}}{{{bottom}}}"
        if top != bottom:
            yield "reciprocal", f"{sign}\\frac{{{bottom}}}{{{top}}}"
        yield "changed_number", f"{sign}\\frac{{{int(top) + 1}}}{{{bottom}}}"
        return
    brackets = re.fullmatch(r"(\\left)?\s*([(\[])(.*?)(\\right)?\s*([)\]])", answer.strip(), re.S)
    if brackets and "cup" not in answer and "," in answer:
        swap = {"(": "[", "[": "(", ")": "]", "]": ")"}
        yield "wrong_bracket", f"{swap[brackets[2]]}{brackets[3]}{brackets[5]}"
        first, _, rest = brackets[3].partition(",")
        if first.strip() != rest.strip() and "," not in rest:
            yield "swapped", f"{brackets[2]}{rest},{first}{brackets[5]}"
    elif re.fullmatch(r"[-\d\s,.]+", answer) and ", " in answer:
        yield "missing_item", answer.rpartition(",")[0]
    number = list(_NUMBER.finditer(answer))
    if number:
        last = number[0] if "text" in answer or "mbox" in answer else number[-1]  # the 2 of cm^2 is a unit's
        yield "changed_number", f"{answer[: last.start()]}{int(last[0]) + 1}{answer[last.end() :]}"
    elif re.fullmatch(r"\\text\{.*\}", answer):
        yield "other_text", "\\text{none of these words}"


def _wrong_numbers(bare: str) -> Iterator[tuple[str, str]]:
    value = Fraction(bare)
    yield "off_by_one", _decimal(value + 1)
    yield "off_by_one", _decimal(value - 1)
    if value:
        yield "negated", _decimal(-value)
        yield "power_of_ten", _decimal(value * 10)
        yield "doubled", _decimal(value * 2)
    if value not in (0, 1, -1):
        yield "reciprocal", f"{value.denominator}/{value.numerator}"
    digits = bare.lstrip("-")
    if digits.isdigit() and len(digits) > 1 and digits[-1] != digits[-2] and digits[-1] != "0":
        yield "swapped", bare[:-2] + digits[-1] + digits[-2]


def _decimal(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    scale = next(k for k in range(1, 400) if (value * 10**k).denominator == 1)
    digits = str(abs(value.numerator) * 10**scale // value.denominator).rjust(scale + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"
