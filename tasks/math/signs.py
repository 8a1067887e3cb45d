"""Plus-minus signs written out, and the letters of a value. Goes in: a value. Comes out: one without +- (or a set of
names).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from tasks.math.values import (
    Apply,
    Bracketed,
    Collection,
    Number,
    PlusMinus,
    Power,
    Product,
    Relation,
    Sum,
    Value,
    Variable,
)

MAX_SIGN_CHOICES = 16


def expanded(value: Value) -> Value:
    """`value` with each +- replaced by its alternatives, as a list (or more members of the set it stands in)."""
    if isinstance(value, Collection):
        items: list[Value] = []
        for item in value.items:
            inner = expanded(item)
            items += inner.items if isinstance(inner, Collection) and inner.kind == "list" else [inner]
        return replace(value, items=tuple(items))
    signs = list(_signs(value))
    if not signs:
        return value
    correlated = any(sign.flipped for sign in signs)
    if not correlated and 2 ** len(signs) > MAX_SIGN_CHOICES:
        return value
    choices: Iterable[tuple[int, ...]]
    if correlated:
        choices = [tuple(1 if not s.flipped else -1 for s in signs), tuple(-1 if not s.flipped else 1 for s in signs)]
    else:
        choices = itertools.product((1, -1), repeat=len(signs))
    return Collection("list", tuple(_with_signs(value, iter(choice)) for choice in choices))


def _signs(value: Value) -> Iterable[PlusMinus]:
    if isinstance(value, PlusMinus):
        yield value
    for part in parts_of(value):
        yield from _signs(part)


def parts_of(value: Value) -> tuple[Value, ...]:
    match value:
        case PlusMinus(operand=operand):
            return (operand,)
        case Sum(terms=parts) | Product(factors=parts) | Apply(arguments=parts) | Bracketed(items=parts):
            return parts
        case Power(base=base, exponent=exponent):
            return (base, exponent)
        case Relation(left=left, right=right):
            return (left, right)
    return ()


def _with_signs(value: Value, signs: Iterable[int]) -> Value:
    match value:
        case PlusMinus(operand=operand):
            sign = next(iter(signs))
            return Product((Number(Fraction(sign)), _with_signs(operand, signs)))  # type: ignore[arg-type]
        case Sum(terms=terms):
            return Sum(tuple(_with_signs(term, signs) for term in terms))  # type: ignore[misc]
        case Product(factors=factors):
            return Product(tuple(_with_signs(factor, signs) for factor in factors))  # type: ignore[misc]
        case Power(base=base, exponent=exponent):
            return Power(_with_signs(base, signs), _with_signs(exponent, signs))  # type: ignore[arg-type]
        case Apply(name=name, arguments=arguments):
            return Apply(name, tuple(_with_signs(part, signs) for part in arguments))  # type: ignore[misc]
        case Bracketed(items=items):
            return replace(value, items=tuple(_with_signs(item, signs) for item in items))
        case Relation(op=op, left=left, right=right):
            return Relation(op, _with_signs(left, signs), _with_signs(right, signs))
    return value


def letters(value: Value) -> set[str]:
    if isinstance(value, Variable):
        return {value.name}
    found: set[str] = set()
    for part in parts_of(value):
        found |= letters(part)
    return found
