"""A refutation made small enough to read: rows are removed while both queries still differ. A database in, rows out.

Declared foreign keys keep holding: a parent that a child needs stays. The loop removes halves, then quarters, then
single rows: the first part of delta debugging (Zeller and Hildebrandt 2002, "Simplifying and isolating
failure-inducing input").
"""

from __future__ import annotations

import sqlite3
from typing import Any

from tasks.sql.compare import UndecidableError
from tasks.sql.execute import Database, QueryError
from tasks.sql.oracle import Gold, Opinion, Oracle, Tier
from tasks.sql.schema import Schema, Table, quoted

_BUDGET_STEPS = 400_000
_MAX_TRIALS = 70


class Shrinker:
    """Removes rows of `database`, in place, as long as `prediction` still disagrees with `gold` there."""

    def __init__(self, database: Database, schema: Schema, gold: Gold, prediction: str, tier: Tier) -> None:
        self.database, self.schema, self.gold, self.prediction, self.tier = database, schema, gold, prediction, tier
        self.trials = 0

    def shrink(self) -> tuple[Oracle, Opinion] | None:
        """Gold and prediction on what is left; None when they no longer differ (which would be our fault)."""
        tables = [(table, self._row_numbers(table)) for table in self.schema.tables]
        filled = sorted((pair for pair in tables if pair[1]), key=lambda pair: -len(pair[1]))
        for part in (1, 2, 4, 0):
            for table, _ in filled:
                numbers = self._row_numbers(table)
                size = max(1, len(numbers) // part) if part else 1
                for start in range(0, len(numbers), size):
                    self._try_without(table, numbers[start : start + size])
        return self._disagreement()

    def rows(self) -> dict[str, Any]:
        """What is left, as a report shows it: table -> {columns, rows}."""
        found: dict[str, Any] = {}
        for table in self.schema.tables:
            cells = self.database.write(f"SELECT * FROM {quoted(table.name)}")
            if cells:
                found[table.name] = {"columns": [c.name for c in table.columns], "rows": [list(row) for row in cells]}
        return found

    def _row_numbers(self, table: Table) -> list[int]:
        try:
            return [int(str(row[0])) for row in self.database.write(f"SELECT rowid FROM {quoted(table.name)}")]
        except sqlite3.Error:
            return []  # a WITHOUT ROWID table is shown whole

    def _try_without(self, table: Table, numbers: list[int]) -> None:
        if self.trials >= _MAX_TRIALS or not numbers:
            return
        self.trials += 1
        self.database.write("SAVEPOINT shrink")
        marks = ",".join(map(str, numbers))
        self.database.write(f"DELETE FROM {quoted(table.name)} WHERE rowid IN ({marks})")
        if self._broken() or self._disagreement() is None:
            self.database.write("ROLLBACK TO shrink")
        self.database.write("RELEASE shrink")

    def _broken(self) -> bool:
        try:
            return bool(self.database.write("PRAGMA foreign_key_check"))
        except sqlite3.Error:
            return False  # a key that points to columns without a unique index: SQLite cannot check it

    def _disagreement(self) -> tuple[Oracle, Opinion] | None:
        try:
            oracle = Oracle(self.database, self.gold, self.tier, min_budget_steps=_BUDGET_STEPS)
            opinion = oracle.opinion(self.prediction)
        except (QueryError, UndecidableError):
            return None
        return (oracle, opinion) if oracle.decisive and opinion.disagreement is not None else None
