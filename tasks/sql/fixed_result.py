"""Does a gold query say the same whatever the data is? In: schema, query. Out: what it always says, "" when data decides.

Such a gold judges little: a count of counts, or of the rows with one key, is answered by a constant. Seen on generated
databases, which differ in every value that the query does not name. A query that shows a column which it compares with no
value shows the data's own cells and is not tried.
"""

from __future__ import annotations

from sqlglot import exp

from tasks.sql import parse
from tasks.sql.execute import Database, QueryError, Row
from tasks.sql.facts import facts_of
from tasks.sql.instances import generated
from tasks.sql.schema import Schema, built

NUM_DATABASES = 8
LEAST_SEEN = 4  # databases on which gold says something
BUDGET_STEPS = 400_000


def always_says(schema: Schema, sql: str, tree: exp.Expr, own_rows: list[Row]) -> str:
    """The one set of rows of `sql` on its own data and on generated databases; "" when they differ or too few say anything."""
    if _shows_data(tree):
        return ""
    facts = facts_of(schema, tree)
    telling = [own_rows] if _says_something(own_rows) else []
    for number in range(NUM_DATABASES):
        rows = _rows(built(schema, generated(facts, "fixed", number, "main").rows), sql)
        telling += [rows] if _says_something(rows) else []
        if len({frozenset(rows) for rows in telling}) > 1:
            return ""
    return ", ".join(map(str, dict.fromkeys(telling[0]))) if len(telling) >= LEAST_SEEN else ""


def _shows_data(tree: exp.Expr) -> bool:
    compared = {
        parse.text(column)
        for literal in tree.find_all(exp.Literal)
        if literal.parent is not None
        for column in literal.parent.find_all(exp.Column)
    }
    shown = [select.unalias() for select in tree.selects] if isinstance(tree, exp.Query) else []
    return any(
        isinstance(cell, exp.Star) or (isinstance(cell, exp.Column) and parse.text(cell) not in compared)
        for cell in shown
    )


def _says_something(rows: list[Row]) -> bool:
    return any(cell is not None for row in rows for cell in row)


def _rows(database: Database, sql: str) -> list[Row]:
    try:
        return database.run(sql, budget_steps=BUDGET_STEPS).rows
    except QueryError:
        return []
    finally:
        database.close()
