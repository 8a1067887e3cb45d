"""Two scores that never execute: exact match of the normalised parse, and component match.

Normalised means: names in lower case, table aliases resolved to their tables, unneeded aliases and qualifiers
dropped, operands of AND, OR, = and <> in a fixed order, > and >= written as < and <=, BETWEEN as it stands, INNER
JOIN as JOIN, ASC dropped, strings kept as they are. Component match is the share of clauses (of those that either
query has) that are equal after normalising: select, from, where, group, having, order, limit, set operation,
keywords.

Sources: the components follow taoyds/spider evaluation.py, without its removal of values.
"""

from __future__ import annotations

import re

from sqlglot import exp

from tasks.sql import parse
from tasks.sql.schema import Schema

_CLAUSES = ("expressions", "from_", "joins", "where", "group", "having", "order", "limit")


def exact_match(gold: exp.Expr | None, pred: exp.Expr | None, gold_sql: str, pred_sql: str) -> bool:
    """Equal after normalising; texts that do not parse are compared word by word."""
    if gold is None or pred is None:
        return _words(gold_sql) == _words(pred_sql)
    return parse.text(gold) == parse.text(pred)


def component_match(gold: exp.Expr | None, pred: exp.Expr | None, gold_sql: str, pred_sql: str) -> float:
    """The share of equal clauses in [0, 1], of trees that are normalised."""
    if gold is None or pred is None:
        return float(_words(gold_sql) == _words(pred_sql))
    left, right = _components(gold), _components(pred)
    names = [name for name in left.keys() | right.keys() if left.get(name) or right.get(name)]
    return sum(left.get(name) == right.get(name) for name in names) / len(names) if names else 1.0


def normalised(tree: exp.Expr | None, schema: Schema) -> exp.Expr | None:
    """A copy of `tree` in the normal form described above."""
    if tree is None:
        return None
    copy = tree.copy()
    for identifier in copy.find_all(exp.Identifier):
        identifier.set("this", identifier.this.lower())
        identifier.set("quoted", False)
    _resolve_aliases(copy, schema)
    for node in list(copy.walk()):
        _rewrite(node)
    return copy


def _resolve_aliases(tree: exp.Expr, schema: Schema) -> None:
    """Write `table.column` for each column of a base table, and `column` alone where its SELECT has one source."""
    selects = list(tree.find_all(exp.Select))
    names = {id(select): _source_names(select) for select in selects}
    for column in list(tree.find_all(exp.Column)):
        owner = column.find_ancestor(exp.Select)
        reach = owner
        while reach is not None and column.table and column.table not in names[id(reach)]:
            reach = reach.find_ancestor(exp.Select)
        if reach is None or owner is None:
            continue
        here = names[id(reach)]
        table = here.get(column.table) or _only_owner(here, column.name, schema)
        alone = reach is owner and len(here) == 1
        if table is not None or alone:
            column.set("table", None if alone else exp.to_identifier(table))
    for select in selects:
        for alias, source in zip(names[id(select)], _sources(select), strict=False):
            if isinstance(source.this, exp.Table):
                name = names[id(select)][alias]
                twin = name != source.this.name
                source.this.set("alias", exp.TableAlias(this=exp.to_identifier(name)) if twin else None)
        for projection in list(select.expressions):
            if isinstance(projection, exp.Alias) and not _used(select, projection.alias):
                projection.replace(projection.this)


def _source_names(select: exp.Select) -> dict[str, str]:
    """For each alias of a SELECT, in order, the name its columns get: the table's, numbered when it comes again."""
    renamed: dict[str, str] = {}
    seen: list[str] = []
    for source in _sources(select):
        name = source.this.name if isinstance(source.this, exp.Table) else source.this.alias_or_name
        seen.append(name)
        renamed[source.this.alias_or_name] = name if seen.count(name) == 1 else f"{name}_{seen.count(name)}"
    return renamed


def _only_owner(names: dict[str, str], column: str, schema: Schema) -> str | None:
    owners = [name for name in names.values() if name in schema.by_name and column in schema.by_name[name].by_name]
    return owners[0] if len(owners) == 1 else None


def _sources(select: exp.Select) -> list[exp.Expr]:
    first = select.args.get("from_")
    return ([first] if first else []) + list(select.args.get("joins") or [])


def _used(select: exp.Select, name: str) -> bool:
    nested = isinstance(select.parent, exp.Subquery | exp.CTE)
    return nested or any(not c.table and c.name == name for c in select.find_all(exp.Column))


def _rewrite(node: exp.Expr) -> None:
    if isinstance(node, exp.GT | exp.GTE):
        kind = exp.LT if isinstance(node, exp.GT) else exp.LTE
        node.replace(kind(this=node.expression, expression=node.this))
    elif isinstance(node, exp.And | exp.Or):
        parts = sorted(node.flatten(), key=parse.text)
        if not isinstance(node.parent, type(node)) and len(parts) > 1:
            joined = parts[0]
            for part in parts[1:]:
                joined = type(node)(this=joined, expression=part)
            node.replace(joined)
    elif isinstance(node, exp.EQ | exp.NEQ):
        left, right = sorted((node.this, node.expression), key=parse.text)
        node.set("this", left)
        node.set("expression", right)
    elif isinstance(node, exp.Join) and str(node.args.get("kind") or "").upper() == "INNER":
        node.set("kind", None)
    elif isinstance(node, exp.Ordered) and not node.args.get("desc"):
        node.set("desc", None)


def _components(tree: exp.Expr) -> dict[str, object]:
    if isinstance(tree, exp.SetOperation):
        sides = [_components(tree.this), _components(tree.expression)]
        merged = {f"left_{name}": value for name, value in sides[0].items()}
        merged |= {f"right_{name}": value for name, value in sides[1].items()}
        rest = {name: parse.text(tree.args[name]) for name in ("order", "limit") if tree.args.get(name)}
        return merged | rest | {"set_operation": (type(tree).__name__, bool(tree.args.get("distinct")))}
    if isinstance(tree, exp.Subquery):
        return _components(tree.this)
    found: dict[str, object] = {}
    for name in _CLAUSES:
        value = tree.args.get(name)
        if isinstance(value, list):
            found[name] = sorted(parse.text(item) for item in value)
        elif value is not None:
            found[name] = parse.text(value)
    found["keywords"] = sorted(_keywords(tree))
    return found


def _keywords(tree: exp.Expr) -> set[str]:
    kinds: tuple[tuple[str, type[exp.Expr]], ...] = (
        ("distinct", exp.Distinct),
        ("or", exp.Or),
        ("not", exp.Not),
        ("in", exp.In),
        ("like", exp.Like),
        ("between", exp.Between),
        ("subquery", exp.Subquery),
        ("join", exp.Join),
    )
    return {name for name, kind in kinds if tree.find(kind) is not None}


def _words(sql: str) -> list[str]:
    return re.findall(r"'(?:[^']|'')*'|\"[^\"]*\"|[^\s\"';]+", re.sub(r"\s+", " ", sql.strip().rstrip(";").lower()))
