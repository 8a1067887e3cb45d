"""An item in another dialect than SQLite's: which executor judges it. Queries and oracles in, agreement or a reason out.

A query of another dialect is translated twice, to SQLite and to DuckDB, and runs on the same rows in both. Only when both
give the same result wherever SQLite's is fixed, and there is at least one such place, may SQLite judge it: a translation is
then shown to agree with itself, not trusted. LIKE is an example of what this finds: it minds letter case in PostgreSQL and
DuckDB, and not in SQLite. Where they disagree, or SQLite cannot say the query, DuckDB judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.sql import compare
from tasks.sql.dialect import DialectError, translated
from tasks.sql.duck import DuckDatabase
from tasks.sql.execute import Database, QueryError
from tasks.sql.oracle import Oracle
from tasks.sql.schema import Schema

_BUDGET_STEPS = 400_000
_MOST_MIRRORS = 6


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """One oracle's database, in DuckDB as well."""

    oracle: Oracle
    duck: DuckDatabase


def mirrors_of(oracles: Sequence[Oracle], schema: Schema) -> list[Mirror]:
    """Copies of the first few databases whose every row fits DuckDB's types and on which gold is fixed."""
    found: list[Mirror] = []
    for oracle in oracles:
        if len(found) >= _MOST_MIRRORS:
            break
        if not oracle.decisive or not isinstance(oracle.database, Database):
            continue
        duck = DuckDatabase(oracle.database, schema)
        if duck.num_refused:
            duck.close()
            continue
        found.append(Mirror(oracle=oracle, duck=duck))
    return found


def disagreement(mirrors: Sequence[Mirror], in_sqlite: str, in_duckdb: str) -> str | None:
    """Why the two translations of one query are not shown to mean the same; None when they are."""
    if not mirrors:
        return "no database holds its rows in both executors"
    for mirror in mirrors:
        database = mirror.oracle.database
        budget = mirror.oracle.budget_steps
        try:
            ours = database.run(in_sqlite, budget_steps=budget)
            again = database.run(in_sqlite, budget_steps=budget, reverse=True)
        except QueryError as error:
            return f"SQLite does not run its translation: {error.detail or error.why}"
        try:
            theirs = mirror.duck.run(in_duckdb, budget_steps=_BUDGET_STEPS)
        except QueryError as error:
            return f"DuckDB does not run its translation: {error.detail or error.why}"
        fixed = compare.same_default(ours.rows, None, again.rows)
        if fixed and not compare.same_default(ours.rows, None, _dates_alike(ours.rows, theirs.rows)):
            return "SQLite and DuckDB give different results on the same rows"
    return None


def in_duckdb(sql: str, dialect: str) -> str | None:
    """`sql` as DuckDB text; None when sqlglot cannot say it."""
    if dialect == "duckdb":
        return sql
    try:
        return translated(sql, dialect, "duckdb")
    except DialectError:
        return None


def _dates_alike(ours: Sequence[tuple[object, ...]], theirs: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """`theirs` with midnights cut off where SQLite, which has no type for dates, has the day alone."""
    days = {cell for row in ours for cell in row if isinstance(cell, str)}
    midnight = " 00:00:00"
    return [
        tuple(cell.removesuffix(midnight) if isinstance(cell, str) and cell not in days else cell for cell in row)
        for row in theirs
    ]
