"""Other texts of a query that give its result wherever the query defines one. A tree in, a few texts out.

SQL leaves three things open that SQLite then settles in its own way: the value of a bare column beside GROUP BY, which
of several tied rows an inner LIMIT takes, and the number a tied row gets. A variant settles them otherwise: by the
smallest or largest value of the group, by a tie break in either direction. Where gold and its variants differ, gold does
not define its result, and no prediction may be held to it.

Source: https://sqlite.org/lang_select.html section 2.5 (bare columns; beside one min() or max() they are defined).
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from tasks.sql import parse

_NUMBERING = (exp.RowNumber, exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue)


def variants_of(tree: exp.Expr, dialect: parse.Dialect = "sqlite") -> tuple[str, ...]:
    """The texts of the variants: none for a query that leaves nothing open."""
    found = []
    for aggregate, descending in ((exp.Min, False), (exp.Max, True)):
        copy = tree.copy()
        changed = [_settled_columns(select, aggregate) for select in copy.find_all(exp.Select)]
        changed += [_settled_ties(order, copy, descending=descending) for order in list(copy.find_all(exp.Order))]
        if any(changed):
            found.append(parse.text(copy, dialect))
    return tuple(found)


def _settled_columns(select: exp.Select, aggregate: type[exp.AggFunc]) -> bool:
    """Write `aggregate` around each bare column of an aggregated SELECT; whether there was one."""
    own = [node for node in _clauses(select) for node in _own_nodes(node)]
    aggregates = [node for node in own if isinstance(node, exp.AggFunc)]
    grouped = _group_expressions(select)
    extremes = len(aggregates) == 1 and isinstance(aggregates[0], exp.Min | exp.Max)
    if not (aggregates or grouped) or extremes or _has_star(select):
        return False
    names = {projection.alias.lower() for projection in select.expressions if projection.alias}
    bare = [column for clause in _clauses(select) for column in _bare_columns(clause, grouped, names)]
    for column in bare:
        column.replace(aggregate(this=column.copy()))
    return bool(bare)


def _settled_ties(order: exp.Order, root: exp.Expr, *, descending: bool) -> bool:
    """Add a tie break to an inner ORDER BY with LIMIT, or to a window that numbers rows; whether that was needed."""
    owner = order.parent
    select = owner if isinstance(owner, exp.Select) else order.find_ancestor(exp.Select)
    limited = isinstance(owner, exp.Select) and owner is not root and owner.args.get("limit") is not None
    numbers = isinstance(owner, exp.Window) and isinstance(owner.this, _NUMBERING)
    if select is None or not (limited or numbers):
        return False
    aggregated = any(isinstance(node, exp.AggFunc) for clause in _clauses(select) for node in _own_nodes(clause))
    keys = _group_expressions(select) or ([] if aggregated else [p.unalias() for p in select.expressions])
    breaks = [key for key in keys if isinstance(key, exp.Column) and not key.is_star]
    for key in breaks:
        order.append("expressions", exp.Ordered(this=key.copy(), desc=descending))
    return bool(breaks)


def _clauses(select: exp.Select) -> list[exp.Expr]:
    """Where bare columns may stand: what is shown, HAVING and ORDER BY."""
    return [*select.expressions, *(select.args[name] for name in ("having", "order") if select.args.get(name))]


def _own_nodes(node: exp.Expr) -> Iterator[exp.Expr]:
    """`node` and what is below it, but not inside an inner query, an aggregate or a window."""
    yield node
    if not isinstance(node, exp.Query | exp.AggFunc | exp.Window):
        for child in node.iter_expressions():
            yield from _own_nodes(child)


def _bare_columns(node: exp.Expr, grouped: list[exp.Expr], names: set[str]) -> list[exp.Column]:
    if isinstance(node, exp.Query | exp.AggFunc | exp.Window) or any(_same(node, key) for key in grouped):
        return []
    if isinstance(node, exp.Column):
        return [] if not node.table and node.name.lower() in names else [node]
    return [column for child in node.iter_expressions() for column in _bare_columns(child, grouped, names)]


def _group_expressions(select: exp.Select) -> list[exp.Expr]:
    """What GROUP BY names, with positions and aliases replaced by the expressions they stand for."""
    group = select.args.get("group")
    found: list[exp.Expr] = []
    for key in group.expressions if group is not None else []:
        position = int(key.this) if isinstance(key, exp.Literal) and str(key.this).isdigit() else 0
        named = [p for p in select.expressions if isinstance(key, exp.Column) and p.alias.lower() == key.name.lower()]
        if 0 < position <= len(select.expressions):
            found.append(select.expressions[position - 1].unalias())
        else:
            found += [key, *(projection.unalias() for projection in named)]
    return found


def _same(node: exp.Expr, key: exp.Expr) -> bool:
    if isinstance(node, exp.Column) and isinstance(key, exp.Column):
        tables = {node.table.lower(), key.table.lower()} - {""}
        return node.name.lower() == key.name.lower() and len(tables) < 2
    return node == key


def _has_star(select: exp.Select) -> bool:
    return any(projection.is_star for projection in select.expressions)
