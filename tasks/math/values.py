"""What an answer can be: the typed values that `read.py` makes from text and `equal.py` compares.

An `Expression` is a tree of exact numbers, constants, variables and operations; a `Value` is an expression or
something built from expressions (a point, a set, an interval union, a matrix, an equation) or text. Nothing here
computes. The limits hold while reading, before any arithmetic: a value that breaks one is never built.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

MAX_CHARACTERS = 2000  # the longest MATH answer has 156
MAX_TOKENS = 600
MAX_DEPTH = 40
MAX_DIGITS = 400
MAX_ITEMS = 200


class UnreadableError(Exception):
    """The text is no answer of the grammar, or breaks a limit; the message says why."""


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Constant:
    """pi, e, i or infinity."""

    name: Literal["pi", "e", "i", "infinity"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A letter, Greek letter or letter with subscript; case matters."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Product:
    factors: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Power:
    base: Expression
    exponent: Expression


@dataclass(frozen=True, slots=True)
class Apply:
    """A named function (sin, log, abs, factorial, binomial, floor, ...) of its arguments."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class PlusMinus:
    """`operand` with both signs; `flipped` is the minus-plus sign."""

    operand: Expression
    flipped: bool


Expression = Number | Constant | Variable | Sum | Product | Power | Apply | PlusMinus


@dataclass(frozen=True, slots=True)
class Bracketed:
    """A tuple, point or interval: ordered items between brackets whose type counts."""

    items: tuple[Value, ...]
    opening: str
    closing: str


@dataclass(frozen=True, slots=True)
class Collection:
    """A set in braces, or a bare comma list: unordered and complete."""

    kind: Literal["set", "list"]
    items: tuple[Value, ...]
    joined_by_or: bool = False


@dataclass(frozen=True, slots=True)
class UnionOf:
    """A union of intervals and sets."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """`left op right`; op is one of = != < <= > >= in."""

    op: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Chain:
    """Several relations that hold together, as in 1 < x < 2."""

    relations: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class Based:
    """Digits with a base subscript: 52_8 is neither 52 nor 52_9."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """3:2, or a time of day written 3:45; `meridiem` is "am", "pm" or empty."""

    parts: tuple[Expression, ...]
    meridiem: str = ""
    clock: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Words; lower case, single spaces."""

    words: str


Value = (
    Number | Constant | Variable | Sum | Product | Power | Apply | PlusMinus
    | Bracketed | Collection | UnionOf | Matrix | Relation | Chain | Based | Ratio | Text
)  # fmt: skip
EXPRESSION_TYPES = (Number, Constant, Variable, Sum, Product, Power, Apply, PlusMinus)


def is_expression(value: Value) -> bool:
    """True for a tree that stands for one number or one formula."""
    return isinstance(value, EXPRESSION_TYPES)


def kind_of(value: Value) -> str:
    """The name of a value's type, for reasons and evidence."""
    if isinstance(value, Number):
        return "number"
    if is_expression(value):
        return "expression"
    return type(value).__name__.lower()
