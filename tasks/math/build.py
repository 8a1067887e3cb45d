"""Values made from values while reading: products, sums of matrices, the real line, subscripts. Nothing is evaluated."""

from __future__ import annotations

import itertools
from fractions import Fraction

from tasks.math.values import (
    Based,
    Bracketed,
    Collection,
    Constant,
    Expression,
    Matrix,
    Number,
    Product,
    Ratio,
    Sum,
    UnionOf,
    UnreadableError,
    Value,
    Variable,
    is_expression,
)


def as_expression(value: Value) -> Expression:
    """`value`, where only a number or formula may stand. Raises UnreadableError for anything else."""
    if not is_expression(value):
        raise UnreadableError("a list, interval or matrix where a number is needed")
    return value  # type: ignore[return-value]


def real_line() -> Bracketed:
    """(-infinity, infinity)."""
    minus = Product((Number(Fraction(-1)), Constant("infinity")))
    return Bracketed((minus, Constant("infinity")), "(", ")")


def without_points(line: Value, removed: Value) -> Value:
    """An interval without finitely many rational numbers inside it, as a union of intervals."""
    points = (
        sorted({p.value for p in removed.items if isinstance(p, Number)}) if isinstance(removed, Collection) else []
    )
    if not isinstance(removed, Collection) or len(points) != len(removed.items) or not points:
        raise UnreadableError("a difference of sets that takes away other than some numbers")
    if not isinstance(line, Bracketed) or len(line.items) != 2 or not _between(line, points):
        raise UnreadableError("a difference of sets other than an interval and some numbers inside it")
    ends = [line.items[0], *map(Number, points), line.items[1]]
    opening, closing = [line.opening] + ["("] * len(points), [")"] * len(points) + [line.closing]
    return UnionOf(tuple(map(Bracketed, itertools.pairwise(ends), opening, closing)))


def _between(line: Bracketed, points: list[Fraction]) -> bool:
    low, high = line.items
    after = low == real_line().items[0] or (isinstance(low, Number) and low.value < points[0])
    return after and (high == Constant("infinity") or (isinstance(high, Number) and points[-1] < high.value))


def label(value: Value) -> str:
    """A subscript as text. Raises UnreadableError for one that is no label."""
    if isinstance(value, Number):
        return str(value.value)
    if isinstance(value, Variable | Constant):
        return value.name
    if isinstance(value, Product):
        return "".join(label(factor) for factor in value.factors)
    if isinstance(value, Collection):
        return ",".join(label(item) for item in value.items)
    if isinstance(value, Sum):
        return "+".join(label(term) for term in value.terms)
    raise UnreadableError("a subscript that is no label")


def scaled(left: Value, right: Value) -> Value:
    """left times right; a number times a matrix is elementwise."""
    if isinstance(left, Matrix) != isinstance(right, Matrix):
        matrix, factor = (left, right) if isinstance(left, Matrix) else (right, left)
        assert isinstance(matrix, Matrix)
        if not is_expression(factor):
            raise UnreadableError("a product of a matrix and a list")
        return Matrix(tuple(tuple(Product((factor, cell)) for cell in row) for row in matrix.rows))  # type: ignore[arg-type]
    if isinstance(right, Ratio) and left == Number(Fraction(-1)):
        raise UnreadableError("a negative ratio")
    if isinstance(left, Number) and left.value == -1 and isinstance(right, Number):
        return Number(-right.value)
    if isinstance(right, Based) and left == Number(Fraction(-1)):
        return Based("-" + right.digits, right.base)
    if not (is_expression(left) and is_expression(right)):
        raise UnreadableError("a product with a list or interval")
    left_factors = left.factors if isinstance(left, Product) else (left,)
    return Product((*left_factors, right))  # type: ignore[arg-type]


def matrix_sum(terms: list[Value]) -> Value:
    """The elementwise sum. Raises UnreadableError for shapes that differ."""
    matrices = [term for term in terms if isinstance(term, Matrix)]
    shapes = {(len(m.rows), len(m.rows[0])) for m in matrices}
    if len(matrices) != len(terms) or len(shapes) != 1:
        raise UnreadableError("a sum of matrices of different shapes")
    ((height, width),) = shapes
    return Matrix(tuple(tuple(Sum(tuple(m.rows[r][c] for m in matrices)) for c in range(width)) for r in range(height)))


def matrix_from_rows(value: Value) -> Matrix | None:
    """[[1, 2], [3, 4]] as a matrix."""
    if not (isinstance(value, Bracketed) and value.opening == "[" and value.closing == "]"):
        return None
    rows = [item for item in value.items if isinstance(item, Bracketed) and (item.opening, item.closing) == ("[", "]")]
    numbers = all(is_expression(cell) for row in rows for cell in row.items)
    if len(rows) != len(value.items) or not numbers or len({len(row.items) for row in rows}) != 1:
        return None
    return Matrix(tuple(row.items for row in rows))  # type: ignore[misc]
