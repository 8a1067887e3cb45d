"""Is the prediction's value the gold's value? Three-valued: equal, different, undecided, with the reason.

The policy (README.md, "What counts as correct") in code: exact numbers, no tolerance; bracketed things ordered with
their bracket types, sets and lists unordered and complete, +- expanded; equations up to non-zero scaling; a gold
inequality accepts the interval, a gold interval not the inequality; text ignores case, variables do not. Types are
compared first, then exact arithmetic (algebra.py), then doubles to refute (numeric.py), and only then sympy in a
killed child (symbolic.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tasks.math import symbolic
from tasks.math.algebra import Algebra, TooLargeError, UndefinedError, atoms, is_independent
from tasks.math.build import matrix_from_rows
from tasks.math.numeric import differ, is_huge, real_value
from tasks.math.regions import FLIPPED, proportion, side_gap, solved_region, without_bars
from tasks.math.signs import expanded, letters
from tasks.math.statements import assigned_value, conjunction, is_graph, simplified, stated_value
from tasks.math.values import (
    Based,
    Bracketed,
    Chain,
    Collection,
    Constant,
    Expression,
    Matrix,
    Number,
    Power,
    Product,
    Ratio,
    Relation,
    Text,
    UnionOf,
    Value,
    Variable,
    is_expression,
    kind_of,
)

State = Literal["equal", "different", "undecided"]
MAX_COMPARED_ITEMS = 40  # repeats are looked for in no longer list: every pair is compared
_UNIT_LETTERS = frozenset(["m", "g", "s", "h", "L", "l", "N", "J", "W", "V", "K", "C", "F", "A"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wrong_type` tells a number from a set apart from a wrong number."""

    state: State
    reason: str
    wrong_type: bool = False


EQUAL = Verdict("equal", "same value")


def _different(reason: str, *, wrong_type: bool = False) -> Verdict:
    return Verdict("different", reason, wrong_type)


def compare(gold: Value, prediction: Value) -> Verdict:
    """The verdict on one pair of values. Not symmetric: see the inequality rule."""
    if gold == prediction:
        return EQUAL
    if isinstance(gold, Collection) and len(gold.items) == 1 and isinstance(prediction, Relation | Chain):
        gold = gold.items[0] if isinstance(gold.items[0], Relation | Chain) else gold  # {x | x > 5} says x > 5
    gold, prediction = _described(expanded(gold)), _described(expanded(prediction))
    if isinstance(gold, Text) or isinstance(prediction, Text):
        return _compare_text(gold, prediction)
    if isinstance(gold, Collection) and isinstance(prediction, Bracketed | UnionOf):
        region = solved_region(gold)
        if region is not None:
            return compare(region, prediction)
    if isinstance(gold, Relation | Chain) or isinstance(prediction, Relation | Chain):
        return _compare_relations(gold, prediction)
    if is_expression(gold) and is_expression(prediction):
        return compare_expressions(gold, prediction)  # type: ignore[arg-type]
    if isinstance(gold, Collection) or isinstance(prediction, Collection):
        return _compare_collections(gold, prediction)
    if isinstance(gold, Ratio) or isinstance(prediction, Ratio):
        return _compare_ratios(gold, prediction)
    if isinstance(gold, Matrix) or isinstance(prediction, Matrix):
        return _compare_matrices(gold, prediction)
    if isinstance(gold, UnionOf) and isinstance(prediction, UnionOf):
        return _matched(gold.parts, prediction.parts, compare)
    if isinstance(gold, Bracketed) and isinstance(prediction, Bracketed):
        return _compare_bracketed(gold, prediction)
    if isinstance(gold, Based) and isinstance(prediction, Based):
        same = gold == prediction
        return EQUAL if same else _different("other digits or another base")
    return _wrong_type(gold, prediction)


def _described(value: Value) -> Value:
    """{x | x > 5} as the interval it describes; "x > 1 and x < 5" as the chain 1 < x < 5."""
    value = without_bars(value)
    if isinstance(value, Collection) and value.kind == "list":
        return conjunction(value) or value
    if isinstance(value, Collection) and len(value.items) == 1:
        condition = value.items[0]
        if isinstance(condition, Relation | Chain):
            return solved_region(condition) or value
    return value


def _wrong_type(gold: Value, prediction: Value) -> Verdict:
    return _different(f"gold is a {kind_of(gold)}, the prediction a {kind_of(prediction)}", wrong_type=True)


# ---- expressions --------------------------------------------------------------------------------------------


def compare_expressions(gold: Expression, prediction: Expression) -> Verdict:
    """Exact arithmetic first, doubles to refute, sympy's 50 digits last."""
    prediction = _without_unit_letters(gold, prediction)
    if isinstance(gold, Number) and isinstance(prediction, Number):
        return EQUAL if gold.value == prediction.value else _different("another number")
    algebra = Algebra()
    try:
        left, right = algebra.ratio(gold), algebra.ratio(prediction)
        gap = algebra.plus(left, right, factor=-1)
        if not gap.numerator:
            return EQUAL
        if is_independent(atoms(gap.numerator)):
            return _different("another value")
    except UndefinedError as error:
        return _different(f"undefined: {error}")
    except (TooLargeError, RecursionError):
        pass  # doubles may still refute it
    if (is_huge(prediction) and real_value(gold) is not None) or (is_huge(gold) and real_value(prediction) is not None):
        return _different("far too large")
    refuted = differ(gold, prediction)
    if refuted:
        return _different("another value at a sample point")
    if refuted is None:
        return Verdict("undecided", "too large to evaluate")
    state, reason = symbolic.decide(gold, prediction)
    return Verdict(state, reason)  # type: ignore[arg-type]


def _without_unit_letters(gold: Expression, prediction: Expression) -> Expression:
    """5 m, 25 m/s^2 and 6 sqrt(3) m without their units, when gold has no letters itself; 70k is 70,000."""
    if letters(gold) or not isinstance(prediction, Product):
        return prediction
    factors = [inner for factor in prediction.factors for inner in _factors(factor)]
    units = [factor for factor in factors if _is_unit(factor)]
    rest = tuple(factor for factor in factors if not _is_unit(factor))
    if _is_thousands(gold, prediction):
        return gold
    return Product(rest) if units and rest and not letters(Product(rest)) else prediction


def _factors(factor: Expression) -> tuple[Expression, ...]:
    return factor.factors if isinstance(factor, Product) else (factor,)


def _is_unit(factor: Expression) -> bool:
    while isinstance(factor, Power) and isinstance(factor.exponent, Number) and abs(factor.exponent.value) in (1, 2, 3):
        factor = factor.base
    return isinstance(factor, Variable) and factor.name in _UNIT_LETTERS


def _is_thousands(gold: Expression, prediction: Product) -> bool:
    number, *others = prediction.factors
    kilo = others in ([Variable("k")], [Variable("K")])
    return kilo and isinstance(gold, Number) and isinstance(number, Number) and number.value * 1000 == gold.value


# ---- text ---------------------------------------------------------------------------------------------------


def _compare_text(gold: Value, prediction: Value) -> Verdict:
    if isinstance(gold, Text) and isinstance(prediction, Text):
        return EQUAL if gold.words == prediction.words else _different("other words")
    if isinstance(prediction, Text):
        return _wrong_type(gold, prediction)
    assert isinstance(gold, Text)
    letter = prediction.name if isinstance(prediction, Variable | Constant) else ""
    if len(letter) == 1 and letter.lower() == gold.words:
        return EQUAL
    return _wrong_type(gold, prediction)


# ---- collections, points, intervals, matrices -----------------------------------------------------------------


def _matched(
    gold: tuple[Value, ...], prediction: tuple[Value, ...], same: Callable[[Value, Value], Verdict]
) -> Verdict:
    """Every gold item has its own equal item in the prediction and none is left over."""
    left = list(prediction)
    for item in gold:
        for other in left:
            verdict = same(item, other)
            if verdict.state == "undecided":
                return verdict  # at once: each such pair may have cost the child's whole time
            if verdict.state == "equal":
                left.remove(other)
                break
        else:
            return _different("an item is missing")
    return _different("an item too many") if left else EQUAL


def _in_order(gold: Iterable[Value], prediction: Iterable[Value]) -> Verdict:
    undecided: Verdict | None = None
    for item, other in zip(gold, prediction, strict=True):
        verdict = compare(item, other)
        if verdict.state == "different" or (verdict.state == "undecided" and undecided is not None):
            return verdict
        if verdict.state == "undecided":
            undecided = verdict
    return undecided or EQUAL


def _compare_collections(gold: Value, prediction: Value) -> Verdict:
    if isinstance(gold, Collection) and isinstance(prediction, Collection):
        left, right = gold.items, prediction.items
        if gold.kind == "set" or prediction.kind == "set":
            left, right = _distinct(left), _distinct(right)
        if len(left) != len(right):
            return _different(f"{len(right)} items instead of {len(left)}")
        return _matched(left, right, compare)
    if isinstance(prediction, Collection):
        items = _distinct(prediction.items)
        if len(items) == 1:
            return compare(gold, items[0])  # {5}, or one value written twice
        assignments = _assigned(prediction)
        if isinstance(gold, Bracketed) and assignments is not None and len(assignments) == len(gold.items):
            return _compare_bracketed(gold, Bracketed(tuple(assignments), "(", ")"))
        return _wrong_type(gold, prediction)
    assert isinstance(gold, Collection)
    items = _distinct(gold.items)
    assignments = _assigned(gold)
    if isinstance(prediction, Bracketed) and assignments is not None and len(assignments) == len(prediction.items):
        point = Bracketed(tuple(assignments), "(", ")")
        return _compare_bracketed(point, prediction)
    if len(items) == 1 and is_expression(prediction):
        return compare(items[0], prediction)
    return _wrong_type(gold, prediction)


def _distinct(items: tuple[Value, ...]) -> tuple[Value, ...]:
    kept: list[Value] = []
    for item in items if len(items) <= MAX_COMPARED_ITEMS else ():
        states = {compare(item, other).state for other in kept}
        if "undecided" in states:
            return items
        if "equal" not in states:
            kept.append(item)
    return tuple(kept) or items


def _assigned(values: Collection) -> list[Value] | None:
    """x=1, y=2 as the point (1, 2): the right sides in alphabetical order of their letters, when all differ."""
    found: dict[str, Value] = {}
    for item in values.items:
        if not (isinstance(item, Relation) and item.op == "=" and isinstance(item.left, Variable)):
            return None
        found[item.left.name] = item.right
    return [found[name] for name in sorted(found)] if len(found) == len(values.items) else None


def _compare_bracketed(gold: Bracketed, prediction: Bracketed) -> Verdict:
    if (gold.opening, gold.closing) != (prediction.opening, prediction.closing):
        return _different("another type of bracket", wrong_type=True)
    if len(gold.items) != len(prediction.items):
        return _different(f"{len(prediction.items)} coordinates instead of {len(gold.items)}")
    return _in_order(gold.items, prediction.items)


def _compare_matrices(gold: Value, prediction: Value) -> Verdict:
    if isinstance(gold, Matrix) and isinstance(prediction, Matrix):
        if (len(gold.rows), len(gold.rows[0])) != (len(prediction.rows), len(prediction.rows[0])):
            return _different("a matrix of another shape", wrong_type=True)
        return _in_order(itertools.chain(*gold.rows), itertools.chain(*prediction.rows))
    matrix, other = (gold, prediction) if isinstance(gold, Matrix) else (prediction, gold)
    rows = matrix_from_rows(other)
    if rows is not None:
        return _compare_matrices(*((matrix, rows) if matrix is gold else (rows, matrix)))
    column = isinstance(matrix, Matrix) and all(len(row) == 1 for row in matrix.rows)
    if column and isinstance(other, Bracketed) and (other.opening, other.closing) in (("(", ")"), ("<", ">")):
        assert isinstance(matrix, Matrix)
        cells = [row[0] for row in matrix.rows]
        if len(cells) != len(other.items):
            return _different("a vector of another length")
        pairs = (cells, other.items) if matrix is gold else (other.items, cells)
        return _in_order(*pairs)
    return _wrong_type(gold, prediction)


def _twelve_hours(time: Ratio, other: Ratio) -> Ratio:
    """15:30 as 3:30 pm where the other time says am or pm."""
    hour = time.parts[0]
    if other.meridiem and time.clock and not time.meridiem and isinstance(hour, Number) and 13 <= hour.value <= 23:
        return Ratio((Number(hour.value - 12), *time.parts[1:]), "pm", True)
    return time


def _compare_ratios(gold: Value, prediction: Value) -> Verdict:
    if isinstance(gold, Ratio) and isinstance(prediction, Ratio):
        gold, prediction = _twelve_hours(gold, prediction), _twelve_hours(prediction, gold)
        if gold.meridiem and prediction.meridiem and gold.meridiem != prediction.meridiem:
            return _different("another half of the day")
        if len(gold.parts) != len(prediction.parts):
            return _different("a ratio of another length")
        same = _in_order(gold.parts, prediction.parts)
        if same.state != "different" or gold.meridiem or prediction.meridiem:
            return same
        pairs = itertools.combinations(range(len(gold.parts)), 2)
        for a, b in pairs:
            left, right = Product((gold.parts[a], prediction.parts[b])), Product((gold.parts[b], prediction.parts[a]))
            verdict = compare_expressions(left, right)
            if verdict.state != "equal":
                return verdict
        return EQUAL
    ratio, other = (gold, prediction) if isinstance(gold, Ratio) else (prediction, gold)
    if isinstance(ratio, Ratio) and is_expression(other):
        if ratio.clock and ratio.meridiem:
            on_the_hour = ratio.parts[1] == Number(Fraction(0))
            return compare(ratio.parts[0], other) if on_the_hour else _wrong_type(gold, prediction)
        if len(ratio.parts) == 2:
            quotient = Product((ratio.parts[0], Power(ratio.parts[1], Number(Fraction(-1)))))
            return compare_expressions(quotient, other)  # type: ignore[arg-type]
    return _wrong_type(gold, prediction)


# ---- relations ------------------------------------------------------------------------------------------------


def _compare_relations(gold: Value, prediction: Value) -> Verdict:
    gold_membership = isinstance(gold, Relation) and gold.op == "in"
    gold, prediction = simplified(gold), simplified(prediction)
    if not isinstance(gold, Relation | Chain) and not isinstance(prediction, Relation | Chain):
        return compare(gold, prediction)
    if isinstance(gold, Relation | Chain) and isinstance(prediction, Relation | Chain):
        return _compare_two_relations(gold, prediction)
    if isinstance(gold, Relation | Chain):
        right = assigned_value(gold)
        if right is not None:
            return compare(right, prediction)
        region = solved_region(gold)
        if region is not None and isinstance(prediction, Bracketed | UnionOf):
            return compare(region, prediction)
        return _wrong_type(gold, prediction)
    assert isinstance(prediction, Relation | Chain)
    right = stated_value(prediction)
    if right is not None:
        return compare(gold, right)
    if gold_membership:
        region = solved_region(prediction)
        if region is not None:
            return compare(gold, region)
    return _wrong_type(gold, prediction)


def _compare_two_relations(gold: Relation | Chain, prediction: Relation | Chain) -> Verdict:
    if isinstance(gold, Relation) and isinstance(prediction, Relation) and is_graph(gold) and is_graph(prediction):
        return compare(gold.right, prediction.right)
    first = gold.relations if isinstance(gold, Chain) else (gold,)
    second = prediction.relations if isinstance(prediction, Chain) else (prediction,)
    if len(first) != len(second):
        return _different("another number of relations")
    return _matched(first, second, _same_relation)


def _same_relation(gold: Value, prediction: Value) -> Verdict:
    assert isinstance(gold, Relation)
    assert isinstance(prediction, Relation)
    if not all(is_expression(side) for side in (gold.left, gold.right, prediction.left, prediction.right)):
        if gold.op != prediction.op:
            return _different("another relation")
        return _in_order((gold.left, gold.right), (prediction.left, prediction.right))
    algebra = Algebra()
    try:
        left, right = side_gap(algebra, gold), side_gap(algebra, prediction)
        sign = proportion(algebra, left, right)
    except UndefinedError as error:
        return _different(f"undefined: {error}")
    except (TooLargeError, RecursionError):
        return Verdict("undecided", "an equation too large to rearrange")
    if sign is None:
        return _different("another equation")
    if gold.op in ("=", "!="):
        return EQUAL if gold.op == prediction.op else _different("another relation")
    wanted = gold.op if sign > 0 else FLIPPED[gold.op]
    return EQUAL if prediction.op == wanted else _different("another direction or strictness")
