"""Which generated databases only show a corner case: one where an inner query that stands for a value has none. Trees and
an oracle in, a yes or no out.

`x > (SELECT max(y) ...)` and `NOT EXISTS (... y >= x)` ask the same, but for the day when the inner query finds nothing:
one is then true of no row and the other of all. Nobody writes either with that day in mind, so it does not refute.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from tasks.sql import parse
from tasks.sql.execute import QueryError, Row
from tasks.sql.oracle import Oracle

_BUDGET_STEPS = 400_000
_LISTS = (exp.From, exp.Join, exp.CTE, exp.In, exp.Exists)  # where no rows is an ordinary answer


def inner_queries(*trees: exp.Expr | None) -> tuple[str, ...]:
    """The texts of the queries that stand for one value. Those that read an outer row fail when they run alone."""
    found = [
        node
        for tree in trees
        if tree is not None
        for node in tree.find_all(exp.Select)
        if (place := _place(node)) is not None and not isinstance(place, _LISTS)
    ]
    return tuple(dict.fromkeys(parse.text(node) for node in found))


def comes_back_empty(oracle: Oracle, queries: Sequence[str]) -> bool:
    """Whether one of the inner queries has no value on the oracle's database: no rows, or NULLs and zeros."""
    return any(_is_empty(oracle, query) for query in queries)


def says_something(rows: Sequence[Row]) -> bool:
    """Whether any cell is neither NULL nor 0, which is what aggregates give for no rows."""
    return any(cell is not None and cell != 0 for row in rows for cell in row)


def _place(select: exp.Select) -> exp.Expr | None:
    """What `select` stands in, past brackets and set operations; None for the outermost."""
    node: exp.Expr | None = select.parent
    while isinstance(node, exp.Subquery | exp.Paren | exp.SetOperation):
        node = node.parent
    return node


def _is_empty(oracle: Oracle, query: str) -> bool:
    try:
        return not says_something(oracle.database.run(query, budget_steps=_BUDGET_STEPS).rows)
    except QueryError:
        return False  # it reads a row of the query around it, or a WITH table
