"""Near misses of a query: for each place in its tree the small edits that people and models get wrong. A tree in,
texts out.

The kinds follow the mutation operators for SQL of Tuya, Suarez-Cabal and de la Riva (2007, "Mutating database
queries"), with what text-to-SQL models do besides: a wrong column, a dropped predicate, a lost DISTINCT. Some mutants
mean the same as gold; instances that never tell them apart are why a kill rate below 1 is not a fault by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from tasks.sql import parse
from tasks.sql.schema import Schema

MAX_MUTANTS = 140
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_AGGREGATES = (exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Count)
_SWAPS: dict[type[exp.Expr], tuple[type[exp.Expr], ...]] = {
    exp.EQ: (exp.NEQ, exp.GTE, exp.LTE),
    exp.NEQ: (exp.EQ, exp.GT, exp.LT),
    exp.GT: (exp.GTE, exp.LT, exp.EQ),
    exp.GTE: (exp.GT, exp.LTE, exp.EQ),
    exp.LT: (exp.LTE, exp.GT, exp.EQ),
    exp.LTE: (exp.LT, exp.GTE, exp.EQ),
    exp.Add: (exp.Sub,),
    exp.Sub: (exp.Add,),
    exp.Mul: (exp.Div,),
    exp.Div: (exp.Mul,),
    exp.And: (exp.Or,),
    exp.Or: (exp.And,),
}

Edit = tuple[str, Callable[[], None], Callable[[], None]]  # kind, do, undo


def mutants_of(tree: exp.Expr, schema: Schema, dialect: parse.Dialect = "sqlite") -> list[tuple[str, str]]:
    """(kind, SQL) of each distinct mutant, at most MAX_MUTANTS, spread over the kinds. `tree` is unchanged after."""
    seen = {parse.text(tree, dialect)}
    by_kind: dict[str, list[str]] = {}
    for kind, do, undo in _edits(tree, schema):
        do()
        try:
            text = parse.text(tree, dialect)
        finally:
            undo()
        if text not in seen:
            seen.add(text)
            by_kind.setdefault(kind, []).append(text)
    ordered: list[tuple[str, str]] = []
    depth = 0
    while len(ordered) < MAX_MUTANTS and any(len(texts) > depth for texts in by_kind.values()):
        ordered += [(kind, texts[depth]) for kind, texts in by_kind.items() if len(texts) > depth]
        depth += 1
    return ordered[:MAX_MUTANTS]


def _edits(tree: exp.Expr, schema: Schema) -> Iterator[Edit]:
    for node in list(tree.walk()):
        if type(node) in _SWAPS and node.parent is not None:
            for other in _SWAPS[type(node)]:
                kind = "logic" if isinstance(node, exp.And | exp.Or) else "operator"
                yield _replacement(kind, node, other(this=node.this.copy(), expression=node.expression.copy()))
        if isinstance(node, exp.Where | exp.Having):
            yield from _predicates(node)
        elif isinstance(node, exp.Literal):
            yield from _constants(node)
        elif isinstance(node, _AGGREGATES):
            yield from _aggregates(node)
        elif isinstance(node, exp.Select):
            yield from _select(node, schema)
        elif isinstance(node, exp.Column):
            yield from _columns(node, schema)
        elif isinstance(node, exp.Join):
            yield from _joins(node)
        elif isinstance(node, exp.SetOperation):
            yield from _set_operations(node)
        elif isinstance(node, exp.Ordered):
            yield _setting("order_direction", node, "desc", not node.args.get("desc"))
        elif isinstance(node, exp.Between):
            low, high = node.args["low"], node.args["high"]
            yield _replacement("between", node, exp.GTE(this=node.this.copy(), expression=low.copy()))
            yield _replacement("between", node, exp.LTE(this=node.this.copy(), expression=high.copy()))
            inside = exp.and_(
                exp.GT(this=node.this.copy(), expression=low.copy()),
                exp.LT(this=node.this.copy(), expression=high.copy()),
            )
            yield _replacement("between", node, exp.Paren(this=inside))
        elif isinstance(node, exp.In | exp.Exists | exp.Like | exp.Is):
            yield from _negation(node)
        elif isinstance(node, exp.Coalesce | exp.Cast | exp.Round | exp.Lower | exp.Upper | exp.Trim | exp.Abs):
            yield _replacement("function_dropped", node, node.this.copy())
        elif isinstance(node, exp.If) and isinstance(node.parent, exp.Case):
            yield _replacement("case_branch", node.args["true"], exp.Null())


def _predicates(clause: exp.Expr) -> Iterator[Edit]:
    owner, name = clause.parent, "where" if isinstance(clause, exp.Where) else "having"
    if owner is not None:
        yield _setting(f"{name}_dropped", owner, name, None)
    parts = list(clause.this.flatten()) if isinstance(clause.this, exp.And | exp.Or) else []
    for part in parts:
        rest = [other.copy() for other in parts if other is not part]
        joined = rest[0]
        for other in rest[1:]:
            joined = type(clause.this)(this=joined, expression=other)
        yield _setting("predicate_dropped", clause, "this", joined)


def _constants(literal: exp.Literal) -> Iterator[Edit]:
    if isinstance(literal.parent, exp.Limit | exp.Offset):
        value = int(literal.this) if str(literal.this).isdigit() else 1
        for count in (value + 1, value - 1, value + 2):
            if count > 0:
                yield _replacement("limit", literal, exp.Literal.number(count))
        return
    if literal.is_string:
        text = str(literal.this)
        for other in (text + "x", text[:-1], text.swapcase(), text.strip("%") if "%" in text else "zzz"):
            yield _replacement("string_constant", literal, exp.Literal.string(other))
        if text.startswith("%"):
            yield _replacement("pattern", literal, exp.Literal.string(text[1:]))
        if text.endswith("%"):
            yield _replacement("pattern", literal, exp.Literal.string(text[:-1]))
    else:
        number = float(literal.this)
        for shifted in (number + 1, number - 1):
            shown = int(shifted) if shifted.is_integer() and "." not in str(literal.this) else shifted
            yield _replacement("number_constant", literal, exp.Literal.number(shown))


def _aggregates(node: exp.Expr) -> Iterator[Edit]:
    inner = node.this
    if isinstance(node, exp.Count):
        if isinstance(inner, exp.Distinct):
            yield _replacement("count_distinct", node, exp.Count(this=inner.expressions[0].copy()))
        elif isinstance(inner, exp.Column):
            yield _replacement("count_distinct", node, exp.Count(this=exp.Distinct(expressions=[inner.copy()])))
            yield _replacement("count_star", node, exp.Count(this=exp.Star()))
            yield _replacement("aggregate", node, exp.Sum(this=inner.copy()))
        return
    for other in _AGGREGATES[:4]:
        if not isinstance(node, other):
            yield _replacement("aggregate", node, other(this=inner.copy()))
    yield _replacement("aggregate", node, exp.Count(this=inner.copy()))
    if isinstance(inner, exp.Distinct):
        yield _replacement("aggregate_distinct", node, type(node)(this=inner.expressions[0].copy()))
    elif isinstance(node, exp.Sum | exp.Avg):
        yield _replacement("aggregate_distinct", node, type(node)(this=exp.Distinct(expressions=[inner.copy()])))
    if isinstance(node.parent, exp.Select):
        yield _replacement("aggregate_dropped", node, inner.copy())


def _select(select: exp.Select, schema: Schema) -> Iterator[Edit]:
    yield _setting("distinct", select, "distinct", None if select.args.get("distinct") else exp.Distinct())
    for name in ("order", "limit", "group"):
        if select.args.get(name) is not None:
            yield _setting(f"{name}_dropped", select, name, None)
    if select.args.get("limit") is None and select.args.get("order") is not None:
        yield _setting("limit", select, "limit", exp.Limit(expression=exp.Literal.number(1)))
    projections = select.expressions
    if len(projections) > 1:
        for skipped in projections:
            rest = [p.copy() for p in projections if p is not skipped]
            yield _setting("projection_dropped", select, "expressions", rest)
    for other in _other_columns(select, schema)[:1]:
        yield _setting("projection_added", select, "expressions", [*(p.copy() for p in projections), other])
    group = select.args.get("group")
    if group is not None:
        for other in _other_columns(select, schema)[:2]:
            yield _setting("group_column", group, "expressions", [*(g.copy() for g in group.expressions), other])
            yield _setting("group_column", group, "expressions", [other.copy()])
    order = select.args.get("order")
    if order is not None:
        for other in _other_columns(select, schema)[:1]:
            yield _setting("order_column", order, "expressions", [exp.Ordered(this=other)])
        if len(order.expressions) > 1:
            yield _setting("order_column", order, "expressions", [o.copy() for o in reversed(order.expressions)])
            yield _setting("order_column", order, "expressions", [order.expressions[0].copy()])


def _columns(column: exp.Column, schema: Schema) -> Iterator[Edit]:
    select = column.find_ancestor(exp.Select)
    if select is None or isinstance(column.this, exp.Star):
        return
    for other in _siblings(column, select, schema)[:3]:
        yield _replacement("column", column, other)


def _joins(join: exp.Join) -> Iterator[Edit]:
    side = str(join.args.get("side") or "").upper()
    if join.args.get("on") is not None or join.args.get("using"):
        yield _setting("join_kind", join, "side", None if side else "LEFT")
    on = join.args.get("on")
    if isinstance(on, exp.And):
        yield _setting("join_condition", join, "on", on.this.copy())


def _set_operations(node: exp.SetOperation) -> Iterator[Edit]:
    for other in (exp.Union, exp.Intersect, exp.Except):
        if not isinstance(node, other) and node.parent is not None:
            swapped = other(this=node.this.copy(), expression=node.expression.copy(), distinct=True)
            yield _replacement("set_operation", node, swapped)
        elif not isinstance(node, other):
            yield _retype(node, other)
    if isinstance(node, exp.Union):
        yield _setting("union_all", node, "distinct", not node.args.get("distinct"))
    if isinstance(node, exp.Except):
        yield _pair_swap(node)


def _negation(node: exp.Expr) -> Iterator[Edit]:
    parent = node.parent
    if isinstance(parent, exp.Not):
        yield _replacement("negation", parent, node.copy())
    elif parent is not None:
        yield _replacement("negation", node, exp.Not(this=node.copy()))
    if isinstance(node, exp.In) and len(node.expressions) > 1:
        yield _setting("in_list", node, "expressions", [e.copy() for e in node.expressions[:-1]])
        yield _setting("in_list", node, "expressions", [e.copy() for e in node.expressions[1:]])
    if isinstance(node, exp.Like):
        yield _replacement("pattern", node, exp.EQ(this=node.this.copy(), expression=node.expression.copy()))


def _siblings(column: exp.Column, select: exp.Select, schema: Schema) -> list[exp.Expr]:
    """Other columns that could stand for `column`: first of its own table, then the same name of another source."""
    sources = [s for s in select.find_all(exp.Table) if s.name.lower() in schema.by_name]
    own: list[exp.Expr] = []
    moved: list[exp.Expr] = []
    for source in sources:
        names = schema.by_name[source.name.lower()].by_name
        mine = column.table.lower() == source.alias_or_name.lower() if column.table else column.name.lower() in names
        if mine:
            own += [
                exp.column(exp.to_identifier(c.name, quoted=_needs_quotes(c.name)), table=column.table or None)
                for name, c in names.items()
                if name != column.name.lower()
            ]
        elif column.table and column.name.lower() in names:
            moved.append(exp.column(column.name, table=source.alias_or_name))
    return moved[:1] + own


def _other_columns(select: exp.Select, schema: Schema) -> list[exp.Expr]:
    """Columns of the SELECT's base tables that it does not show."""
    shown = {p.unalias().name.lower() for p in select.expressions if isinstance(p.unalias(), exp.Column)}
    first = select.args.get("from_")
    tables = [s.this for s in ([first] if first else []) + list(select.args.get("joins") or [])]
    several = len(tables) > 1
    return [
        exp.column(
            exp.to_identifier(column.name, quoted=_needs_quotes(column.name)),
            table=table.alias_or_name if several else None,
        )
        for table in tables
        if isinstance(table, exp.Table) and table.name.lower() in schema.by_name
        for column in schema.by_name[table.name.lower()].columns
        if column.name.lower() not in shown
    ]


def _needs_quotes(name: str) -> bool:
    return not name.replace("_", "a").isalnum() or name[:1].isdigit()


def _replacement(kind: str, node: exp.Expr, new: exp.Expr) -> Edit:
    return kind, lambda: _swap(node, new), lambda: _swap(new, node)


def _swap(old: exp.Expr, new: exp.Expr) -> None:
    old.replace(new)


def _setting(kind: str, node: exp.Expr, name: str, value: object) -> Edit:
    before = node.args.get(name)
    return kind, lambda: node.set(name, value), lambda: node.set(name, before)


def _retype(node: exp.SetOperation, other: type[exp.SetOperation]) -> Edit:
    """Change the root's own class, because it has no parent to be replaced in."""
    before = type(node)

    def do() -> None:
        node.__class__ = other

    def undo() -> None:
        node.__class__ = before

    return "set_operation", do, undo


def _pair_swap(node: exp.SetOperation) -> Edit:
    def swap() -> None:
        left, right = node.this, node.expression
        node.set("this", right)
        node.set("expression", left)

    return "except_sides", swap, swap
