"""The parts of an answer with brackets of their own: functions, roots, parentheses, sets, matrices. Part of grammar.py.

Goes in: a `Reader` whose last token opened the part. Comes out: its value, the reader behind it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tasks.math.build import as_expression, scaled
from tasks.math.values import (
    Apply,
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
    UnreadableError,
    Value,
)

if TYPE_CHECKING:
    from tasks.math.grammar import Reader

_MATRICES = frozenset({"pmatrix", "bmatrix", "matrix", "vmatrix", "Bmatrix", "smallmatrix", "array"})
_MINUS_ONE = (Number(Fraction(-1)), Product((Number(Fraction(-1)), Number(Fraction(1)))))
_CLOSERS = {"(": ")", "[": "]"}


def root(reader: Reader, name: str) -> Value:
    degree: Expression = Number(Fraction(3 if name == "cbrt" else 2))
    if reader.take("["):
        degree = as_expression(reader.sum())
        reader.expect("]")
    inside = as_expression(reader.argument())
    return Power(inside, Power(degree, Number(Fraction(-1))))


def function(reader: Reader, name: str) -> Value:
    base: Expression | None = None
    power: Expression | None = None
    while reader.peek() in ("_", "^"):
        if reader.take("_"):
            base = as_expression(reader.argument())
        else:
            reader.place += 1
            power = reader.exponent()
    if power in _MINUS_ONE and name in ("sin", "cos", "tan"):
        name, power = f"a{name}", None
    start = reader.place
    arguments = function_arguments(reader)
    if name in ("sin", "cos", "tan", "cot", "sec", "csc"):
        arguments = angle(reader, arguments, start)
    if name == "exp":
        value: Expression = Power(Constant("e"), arguments[0])
    elif base is not None:
        value = Apply(name, (arguments[0], base))
    else:
        value = Apply(name, arguments)
    return value if power is None else Power(value, power)


def angle(reader: Reader, arguments: tuple[Expression, ...], start: int) -> tuple[Expression, ...]:
    """Degrees inside a sine count: \\sin 30^\\circ is not the sine of 30."""
    marked = any(t.text == "circ" for t in reader.found[start : reader.place + 3]) and _degree_follows(reader, start)
    if not marked:
        return arguments
    return tuple(Product((a, Constant("pi"), Number(Fraction(1, 180)))) for a in arguments)


def _degree_follows(reader: Reader, start: int) -> bool:
    while reader.peek() == "^" and reader.peek(1) == "circ":
        reader.place += 2
    return any(t.text == "circ" for t in reader.found[start : reader.place])


def function_arguments(reader: Reader) -> tuple[Expression, ...]:
    if reader.peek() in ("(", "{"):
        closing = ")" if reader.peek() == "(" else "}"
        reader.place += 1
        items, _ = reader.items()
        reader.expect(closing)
        return tuple(as_expression(item) for item in items)
    if reader.peek() in ("-",):
        return (as_expression(reader.signed_power()),)
    value: Value = reader.power()
    while True:  # \\sin 2x, but not \\sin x \\cos x
        token = reader.token()
        simple = token is not None and (token.kind == "letter" or token.text in ("pi", "frac", "sqrt"))
        if not simple:
            return (as_expression(value),)
        value = scaled(value, reader.power())


def bracket(reader: Reader, sign: str) -> Value:
    if sign == "{":
        value = reader.statement_list("}")
        reader.expect("}")
        return value
    if sign == "\\{":
        return braces(reader)
    if sign in ("(", "["):
        return parentheses(reader, sign)
    if sign == "|":
        reader.bars += 1
        inner = as_expression(reader.sum())
        reader.bars -= 1
        reader.expect("|")
        return Apply("abs", (inner,))
    if sign == "<" and any(t.text == ">" for t in reader.found[reader.place :]):
        reader.in_angles = True
        items, _ = reader.items()
        reader.in_angles = False
        reader.expect(">")
        return Bracketed(tuple(items), "<", ">")
    raise UnreadableError(f"cannot read {sign[:20]!r} here")


def braces(reader: Reader) -> Value:
    if reader.take("\\}"):
        return Collection("set", ())
    bars, reader.bars = reader.bars, 1  # the bar of {x | x > 2} is no absolute value, its colon no ratio
    in_braces, reader.in_braces = reader.in_braces, True
    items, _ = reader.items(("and",))
    reader.bars, reader.in_braces = bars, in_braces
    if reader.peek() in ("|", ":") and len(items) == 1:
        reader.place += 1
        condition, _ = reader.items(("and",))
        reader.expect("\\}")
        if len(condition) == 1:
            return Collection("set", (condition[0],))
        if all(isinstance(part, Relation) for part in condition):
            return Collection("set", (Chain(tuple(part for part in condition if isinstance(part, Relation))),))
        raise UnreadableError("a set described by more than relations")
    reader.expect("\\}")
    if len(items) == 1 and isinstance(items[0], Ratio):
        raise UnreadableError("a set described by words")
    return Collection("set", tuple(items))


def parentheses(reader: Reader, opening: str) -> Value:
    bars, reader.bars = reader.bars, 0
    items, _ = reader.items()
    reader.bars = bars
    closing = reader.peek()
    if closing not in (")", "]"):
        raise UnreadableError(f"the bracket {opening!r} is not closed")
    reader.place += 1
    if len(items) == 1 and closing == _CLOSERS[opening]:
        return items[0]
    return Bracketed(tuple(items), opening, closing)


def matrix(reader: Reader, name: str) -> Value:
    if name not in _MATRICES:
        raise UnreadableError(f"the environment {name[:20]} is not read")
    reader.deeper()
    rows: list[tuple[Expression, ...]] = []
    row: list[Expression] = []
    while True:
        token = reader.token()
        if token is None:
            raise UnreadableError("the matrix is not closed")
        if token.kind == "end":
            reader.place += 1
            break
        if reader.take("&"):
            continue
        if reader.take("\\\\"):
            rows.append(tuple(row))
            row = []
            continue
        row.append(as_expression(reader.sum()))
    reader.depth -= 1
    if row:
        rows.append(tuple(row))
    if not rows or len({len(r) for r in rows}) != 1:
        raise UnreadableError("the rows of the matrix differ in length")
    if name == "vmatrix":
        raise UnreadableError("a determinant is not read")
    return Matrix(tuple(rows))
