"""Equations up to scaling, and inequalities as the intervals they describe. Goes in: relations. Comes out:
polynomials, regions.
"""

from __future__ import annotations

from fractions import Fraction

from tasks.math.algebra import Algebra, Monomial, Polynomial, TooLargeError, UndefinedError
from tasks.math.signs import letters
from tasks.math.values import (
    Apply,
    Bracketed,
    Chain,
    Collection,
    Constant,
    Expression,
    Number,
    Product,
    Relation,
    UnionOf,
    Value,
    Variable,
    is_expression,
)

FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!=", "in": "in"}


def side_gap(algebra: Algebra, relation: Relation) -> Polynomial:
    gap = algebra.plus(algebra.ratio(relation.left), algebra.ratio(relation.right), factor=-1)  # type: ignore[arg-type]
    if len(gap.denominator) == 1 and () in gap.denominator and gap.denominator[()] < 0:
        return {monomial: -value for monomial, value in gap.numerator.items()}
    return gap.numerator


def proportion(algebra: Algebra, left: Polynomial, right: Polynomial) -> int | None:
    """The sign of the constant c with right = c * left, or None when there is none."""
    first, second = _by_variables(left), _by_variables(right)
    if not first or not second:
        return 1 if not first and not second else None
    if set(first) != set(second):
        return None
    anchor = sorted(first)[-1]
    for name in first:
        if algebra.multiply(first[anchor], second[name]) != algebra.multiply(second[anchor], first[name]):
            return None
    a, b = _constant_value(first[anchor]), _constant_value(second[anchor])
    return None if a is None or b is None else (1 if a * b > 0 else -1)


def _by_variables(polynomial: Polynomial) -> dict[Monomial, Polynomial]:
    """The polynomial as coefficients (in constants) of monomials in the variables and unknown atoms."""
    grouped: dict[Monomial, Polynomial] = {}
    for monomial, value in polynomial.items():
        outer = tuple(pair for pair in monomial if not (pair[0].startswith("p:") or pair[0] in ("i", "c:pi", "c:e")))
        inner = tuple(pair for pair in monomial if pair not in outer)
        grouped.setdefault(outer, {})[inner] = value
    return grouped


def _constant_value(polynomial: Polynomial) -> float | None:
    total = 0.0
    for monomial, value in polynomial.items():
        term = float(value)
        for atom, power in monomial:
            base = {"c:pi": 3.141592653589793, "c:e": 2.718281828459045}.get(atom) or float(atom[2:] or "nan")
            term *= base ** float(power)
        total += term
    return total


def solved_region(value: Relation | Chain | Collection) -> Value | None:
    """The interval or union that inequalities in one letter describe, when each is letter against number."""
    if isinstance(value, Collection):
        regions = [solved_region(item) if isinstance(item, Relation | Chain) else None for item in value.items]
        if any(region is None for region in regions):
            return None
        return UnionOf(tuple(region for region in regions if region is not None))
    relations = value.relations if isinstance(value, Chain) else (value,)
    names = set().union(*(letters(side) for relation in relations for side in (relation.left, relation.right)))
    if len(names) != 1:
        return None
    lower: tuple[Expression, bool] | None = None
    upper: tuple[Expression, bool] | None = None
    for relation in relations:
        solved = _solved(relation)
        if solved is None:
            return None
        op, bound = solved
        if op == "!=":
            return _punctured(bound) if len(relations) == 1 else None
        if op.startswith(">"):
            lower = (bound, op == ">=")
        else:
            upper = (bound, op == "<=")
    infinity = Constant("infinity")
    low, low_closed = lower or (Product((Number(Fraction(-1)), infinity)), False)
    high, high_closed = upper or (infinity, False)
    return Bracketed((low, high), "[" if low_closed else "(", "]" if high_closed else ")")


def without_bars(value: Value) -> Value:
    """|A| < c as -c < A < c, and |A| > c as A < -c or A > c, for a number c."""
    if not isinstance(value, Relation):
        return value
    if isinstance(value.right, Apply) and value.right.name == "abs" and value.op in FLIPPED:
        value = Relation(FLIPPED[value.op], value.right, value.left)
    inner = value.left.arguments[0] if isinstance(value.left, Apply) and value.left.name == "abs" else None
    if inner is None or value.op not in ("<", "<=", ">", ">=") or not isinstance(value.right, Number):
        return value
    low, high = Relation(FLIPPED[value.op], inner, Number(-value.right.value)), Relation(value.op, inner, value.right)
    return Chain((low, high)) if value.op.startswith("<") else Collection("list", (low, high), joined_by_or=True)


def _punctured(bound: Expression) -> Value:
    infinity = Constant("infinity")
    minus = Product((Number(Fraction(-1)), infinity))
    return UnionOf((Bracketed((minus, bound), "(", ")"), Bracketed((bound, infinity), "(", ")")))


def _solved(relation: Relation) -> tuple[str, Expression] | None:
    """(op, bound) with the letter on the left, for a x + b against c with numbers a, b, c."""
    if relation.op not in ("<", ">", "<=", ">=", "!=") or not (
        is_expression(relation.left) and is_expression(relation.right)
    ):
        return None
    left, right = relation.left, relation.right
    if isinstance(left, Variable) and not letters(right):
        return relation.op, right  # type: ignore[return-value]
    if isinstance(right, Variable) and not letters(left):
        return FLIPPED[relation.op], left  # type: ignore[return-value]
    try:
        gap = side_gap(Algebra(), relation)
    except (TooLargeError, UndefinedError, RecursionError):
        return None
    linear = {monomial: value for monomial, value in gap.items() if monomial}
    if len(linear) != 1:
        return None
    ((monomial, slope),) = linear.items()
    if len(monomial) != 1 or monomial[0][1] != 1 or not monomial[0][0].startswith("v:"):
        return None
    bound = Number(-gap.get((), Fraction(0)) / slope)
    return (relation.op if slope > 0 else FLIPPED[relation.op]), bound
