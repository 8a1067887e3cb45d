"""A query's text -> its tree, with what execution needs to know from it: is the result ordered, by which keys, cut by
LIMIT.

sqlglot parses; its sqlite dialect reads `name = "Bob"` as a column. SQLite falls back to a string when no column of
that name is in reach (https://sqlite.org/quirks.html section 8), and so does `parsed`. Text that is too long or too
deep for a parser that recurses is not parsed at all: execution does not need a tree, it only loses the extras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tasks.sql.schema import Schema

Dialect = Literal["sqlite", "duckdb"]  # of the two executors
MAX_PARSED_CHARS = 10_000
MAX_PARSED_DEPTH = 40


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """How a query's top level orders its rows.

    `keyed_sql` returns the query's columns and then `num_keys` key columns; `unlimited_sql` the same without LIMIT.
    Both are None when the keys cannot be computed beside the result (then ties cannot be told from order).
    """

    num_keys: int
    keyed_sql: str | None
    unlimited_sql: str | None


def parsed(sql: str, schema: Schema | None, dialect: Dialect = "sqlite") -> exp.Expr | None:
    """The tree of `sql` with double-quoted strings recognised, or None when it cannot be parsed."""
    if not fits_parser(sql):
        return None
    try:
        trees = [tree for tree in sqlglot.parse(sql, read=dialect) if tree is not None]
    except (SqlglotError, RecursionError, ValueError, AttributeError, TypeError, KeyError, IndexError):
        return None  # sqlglot raises its own errors and, on garbage, Python's
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        return None
    tree: exp.Expr = trees[0]
    if schema is not None and dialect == "sqlite":
        tree = with_string_literals(tree, schema)
    return tree


def fits_parser(sql: str) -> bool:
    """Whether `sql` is short and flat enough for a parser that recurses."""
    return len(sql) <= MAX_PARSED_CHARS and _depth(sql) <= MAX_PARSED_DEPTH


def text(tree: exp.Expr, dialect: Dialect = "sqlite") -> str:
    """The tree as the executor's text."""
    return tree.sql(dialect=dialect, comments=False)


def with_string_literals(tree: exp.Expr, schema: Schema) -> exp.Expr:
    """`tree` with each quoted, unqualified name that is no column and no alias in reach turned into a string."""
    quoted = [c for c in tree.find_all(exp.Column) if c.this.args.get("quoted") and not c.table]
    if not quoted:
        return tree
    names = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    for table in tree.find_all(exp.Table):
        known = schema.by_name.get(table.name.lower())
        if known is not None:
            names.update(known.by_name)
    for cte in tree.find_all(exp.TableAlias):
        names.update(column.name.lower() for column in cte.args.get("columns") or ())
    for column in quoted:
        if column.name.lower() not in names:
            column.replace(exp.Literal.string(column.name))
    return tree


def is_ordered(tree: exp.Expr) -> bool:
    """Whether the top level has an ORDER BY."""
    return tree.args.get("order") is not None


def orders_anywhere(tree: exp.Expr) -> bool:
    """Whether any ORDER BY stands outside window functions and aggregates."""
    return any(
        not isinstance(order.parent, exp.Window | exp.GroupConcat | exp.AggFunc) for order in tree.find_all(exp.Order)
    )


def ordering(tree: exp.Expr, dialect: Dialect = "sqlite") -> Ordering | None:
    """The ordering of the top level, None when it has no ORDER BY."""
    order = tree.args.get("order")
    if order is None:
        return None
    keys = [item.this if isinstance(item, exp.Ordered) else item for item in order.expressions]
    copy = tree.copy()
    if not isinstance(copy, exp.Select) or copy.args.get("distinct"):
        keyed = _keyed_by_output(copy, keys)
    else:
        keyed = _keyed_by_expression(copy, keys)
    if keyed is None:
        return Ordering(num_keys=len(keys), keyed_sql=None, unlimited_sql=None)
    unlimited = keyed.copy()
    _drop_limit(unlimited)
    return Ordering(num_keys=len(keys), keyed_sql=text(keyed, dialect), unlimited_sql=text(unlimited, dialect))


def cut(tree: exp.Expr, dialect: Dialect = "sqlite") -> Ordering | None:
    """What a top-level LIMIT chooses from: the ordering, or one without keys; None when there is no LIMIT."""
    if tree.args.get("limit") is None:
        return None
    ordered = ordering(tree, dialect)
    if ordered is not None:
        return ordered
    whole = tree.copy()
    _drop_limit(whole)
    return Ordering(num_keys=0, keyed_sql=None, unlimited_sql=text(whole, dialect))


def _keyed_by_expression(select: exp.Select, keys: list[exp.Expr]) -> exp.Expr | None:
    projections = select.expressions
    for key in keys:
        position = _position(key, projections)
        if position == -1:
            return None
        chosen = projections[position].unalias() if position is not None else key
        select.append("expressions", exp.alias_(chosen.copy(), f"__key{len(select.expressions)}"))
    return select


def _keyed_by_output(query: exp.Expr, keys: list[exp.Expr]) -> exp.Expr | None:
    """A set operation or DISTINCT: its keys must be output columns, so wrap it and repeat them."""
    first = query
    while isinstance(first, exp.SetOperation):
        first = first.this
    if not isinstance(first, exp.Select) or any(p.is_star for p in first.expressions):
        return None
    positions = [_position(key, first.expressions) for key in keys]
    if any(position is None or position < 0 for position in positions):
        return None
    names = [f"c{i}" for i in range(len(first.expressions))]
    inner = exp.CTE(
        this=query.copy(),
        alias=exp.TableAlias(this=exp.to_identifier("__q"), columns=[exp.to_identifier(n) for n in names]),
    )
    outer = exp.select(*names, *(names[p] for p in positions if p is not None)).from_("__q")
    outer.set("with_", exp.With(expressions=[inner]))
    return outer


def _position(key: exp.Expr, projections: list[exp.Expr]) -> int | None:
    """Which output column `key` is, None when it is none of them, -1 when that cannot be told (`*`)."""
    starred = any(p.is_star for p in projections)
    if isinstance(key, exp.Literal) and not key.is_string and str(key.this).isdigit():
        place = int(key.this) - 1
        return -1 if starred or not 0 <= place < len(projections) else place
    if isinstance(key, exp.Column) and not key.table:
        for i, projection in enumerate(projections):
            if projection.alias and projection.alias.lower() == key.name.lower():
                return i
    for i, projection in enumerate(projections):
        if projection.unalias() == key:
            return i
        if isinstance(key, exp.Column) and isinstance(projection, exp.Column) and _same_name(key, projection):
            return i
    return None


def _same_name(left: exp.Column, right: exp.Column) -> bool:
    return left.name.lower() == right.name.lower() and not (left.table and right.table)


def _drop_limit(query: exp.Expr) -> None:
    query.set("limit", None)
    query.set("offset", None)
    for cte in query.find_all(exp.CTE):
        if cte.alias == "__q":
            cte.this.set("limit", None)
            cte.this.set("offset", None)


def _depth(sql: str) -> int:
    deepest = depth = 0
    for character in sql:
        if character in "([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]":
            depth -= 1
    return max(deepest, sql.upper().count("CASE"), sql.upper().count(" NOT NOT "))
