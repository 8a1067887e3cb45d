"""What data curation compares of a math item, and the item as a line of the source `jsonl`. In: an `Example`. Out: an
`Anatomy`, or a row.

Doubts about gold: a line of the solution whose arithmetic does not hold, exactly computed and allowed to be rounded or
to mean percent, is certain; a final answer that no line of the solution shows is not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from harness.core import Anatomy, Doubt, Example, masked_values
from tasks.math.read import read
from tasks.math.values import UnreadableError

_FINAL = re.compile(r"####.*\Z|\\boxed", re.DOTALL)
_CHAIN = re.compile(r"[\d.$(][\d.,$%+*/()\- ]{2,160}(?:=[\d.,$%+*/()\- ]{1,160})+")
_SIGNS = str.maketrans({"–": "-", "−": "-", "×": "*", "÷": "/", "\t": " "})
_TIMES = re.compile(r"(?<=[\d)%.]) ?[xX] ?(?=[\d($.])")
_QUANTITY = re.compile(r"(?:\d\S* +\S*[a-z]\S* *|[-+*/^_{}\\=<>:x] *)\Z", re.IGNORECASE)
_TOKEN = re.compile(r"\s*(\d[\d,]*(?:\.\d+)?|\.\d+|[-+*/()%])")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
_TWO_SLASHES = re.compile(r"/ *\d+ */ *\d")  # 10 / 2/5: people mean a fraction
_TOLERANCE = Fraction(1, 100)  # a result may be rounded to two digits
_DEEPEST, _MOST_DIGITS = 20, 30


def anatomy(example: Example) -> Anatomy:
    """Question, final answer and solution of `example` in normal forms, with what is doubtful about the solution."""
    tags = tuple((kind, name) for kind, _, name in (tag.partition(":") for tag in example.tags) if name)
    return Anatomy(
        text=str(example.inputs.get("question") or ""),
        answer=_normal_answer(str(example.meta.get("answer") or example.gold)),
        template=masked_values(example.gold),
        parts=tags,
        doubts=tuple(_doubts(example.gold, str(example.meta.get("answer") or ""))),
    )


def row(example: Example) -> dict[str, Any]:
    """`example` as a line that data.py reads back: the same id, question, target and answer."""
    kept = {"id": example.id, "question": example.inputs["question"], "solution": example.gold}
    return {**kept, "answer": example.meta["answer"], "cluster": example.cluster, "tags": list(example.tags)}


def _normal_answer(answer: str) -> str:
    try:
        return repr(read(answer))
    except UnreadableError:
        return " ".join(answer.casefold().split())


def _doubts(solution: str, answer: str) -> Iterator[Doubt]:
    steps = _FINAL.split(solution)[0]
    wrong = next(_wrong_equations(steps), "")
    if wrong:
        yield Doubt(kind="the arithmetic of gold does not hold", seen=wrong[:120], certain=True)
    shown = {number.replace(",", "").strip(".") for number in _NUMBER.findall(steps)}
    final = answer.replace(",", "").strip(" $%.")
    if "####" in solution and shown and _NUMBER.fullmatch(final) and not _shows(final, shown):
        yield Doubt(kind="the final answer is not in the solution's steps", seen=answer[:60])


def _shows(final: str, shown: set[str]) -> bool:
    return any(Fraction(number) == Fraction(final) for number in shown if number and len(number) < _MOST_DIGITS)


def _wrong_equations(text: str) -> Iterator[str]:
    """Each piece `a = b` of pure arithmetic whose sides differ by more than rounding.

    A first side behind a quantity or an operator ("5 boxes 3 + 4 =", "n * 3 =") is only part of one: it is not judged.
    """
    for line in text.translate(_SIGNS).splitlines():
        line = _TIMES.sub(" * ", line[:2000])
        for chain in _CHAIN.finditer(line):
            sides = chain[0].split("=")
            if _QUANTITY.search(line[: chain.start()]) or line[: chain.start()][-1:].isalnum():
                sides = sides[1:]
            if re.match(r"[\w^/\\{]", line[chain.end() :]) and not chain[0].endswith(" "):
                sides = sides[:-1]
            for a, b in itertools.pairwise(sides):
                left, right = _value(a), _value(b)
                if left is not None and right is not None and _computed(a) and not _same(left, right):
                    yield f"{a.strip()} = {b.strip()}"


def _computed(side: str) -> bool:
    return re.search(r"[\d)%]\s*[-+*/]\s*[\d(.$]", side) is not None


def _same(left: Fraction, right: Fraction) -> bool:
    """Whether the sides are equal up to rounding, also where one of them is meant in percent or cents."""
    for scale in (Fraction(1), Fraction(100), Fraction(1, 100)):
        if abs(left * scale - right) <= max(abs(right) * _TOLERANCE, Fraction(1, 200)) or _rounds(left * scale, right):
            return True
    return False


def _rounds(exact: Fraction, told: Fraction) -> bool:
    return told.denominator == 1 and abs(exact - told) < 1


def _value(side: str) -> Fraction | None:
    """The exact value of an arithmetic text, None when it is not one: nothing is ever evaluated as code."""
    text = side.replace("$", "").strip().rstrip(".,")
    if _TWO_SLASHES.search(text):
        return None
    found: list[str] = []
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            return None
        found.append(token[1].replace(",", ""))
        place = token.end()
    if not found or any(len(token) > _MOST_DIGITS for token in found) or found.count("(") > _DEEPEST:
        return None
    try:
        value, rest = _sum(found, 0)
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    return value if rest == len(found) else None


def _sum(tokens: list[str], at: int) -> tuple[Fraction, int]:
    value, at = _product(tokens, at)
    while at < len(tokens) and tokens[at] in "+-":
        other, after = _product(tokens, at + 1)
        value, at = (value + other if tokens[at] == "+" else value - other), after
    return value, at


def _product(tokens: list[str], at: int) -> tuple[Fraction, int]:
    value, at = _factor(tokens, at)
    while at < len(tokens) and tokens[at] in "*/":
        other, after = _factor(tokens, at + 1)
        value, at = (value * other if tokens[at] == "*" else value / other), after
    return value, at


def _factor(tokens: list[str], at: int) -> tuple[Fraction, int]:
    if tokens[at] == "-":
        value, at = _factor(tokens, at + 1)
        return -value, at
    if tokens[at] == "(":
        value, at = _sum(tokens, at + 1)
        if tokens[at] != ")":
            raise ValueError("unbalanced")
        at += 1
    else:
        value, at = Fraction(tokens[at]), at + 1
    if at < len(tokens) and tokens[at] == "%":
        value, at = value / 100, at + 1
    return value, at
