"""Which column of which base table a name in a query means, through aliases, derived tables and WITH. A tree in, names
looked up.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from tasks.sql.schema import Schema

ColumnId = tuple[str, str]  # (table, column) in lower case


class Names:
    """The names of one query over a schema."""

    def __init__(self, schema: Schema, tree: exp.Expr) -> None:
        self.schema = schema
        self.ctes = {cte.alias.lower(): cte.this for cte in tree.find_all(exp.CTE)}

    def resolve(self, column: exp.Column, depth: int = 0) -> ColumnId | None:
        """The base table's column that `column` names, through derived tables; None when it has none."""
        select = column.find_ancestor(exp.Select)
        while select is not None and depth < 8:
            for source in _sources(select):
                if column.table and source.alias_or_name.lower() != column.table.lower():
                    continue
                found = self._in_source(source, column.name.lower(), depth)
                if found is not None:
                    return found
            select = select.find_ancestor(exp.Select)
            depth += 1
        return None

    def _in_source(self, source: exp.Expr, name: str, depth: int) -> ColumnId | None:
        inner: exp.Expr | None = source.this if isinstance(source, exp.Subquery) else None
        if isinstance(source, exp.Table):
            table = self.schema.by_name.get(source.name.lower())
            if table is not None and source.name.lower() not in self.ctes:
                return (table.name.lower(), name) if name in table.by_name else None
            inner = self.ctes.get(source.name.lower())
        query = inner.find(exp.Select) if inner is not None else None
        if query is None or depth > 6:
            return None
        for projection in query.expressions:
            bare = projection.unalias()
            if projection.alias_or_name.lower() == name and isinstance(bare, exp.Column):
                return self.resolve(bare, depth + 1)
            if projection.is_star:
                found = [self._in_source(s, name, depth + 1) for s in _sources(query)]
                return next((item for item in found if item), None)
        return None


def _sources(select: exp.Select) -> Iterator[exp.Expr]:
    first = select.args.get("from_")
    if first is not None:
        yield first.this
    for join in select.args.get("joins") or []:
        yield join.this
