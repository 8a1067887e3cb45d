"""A refutation made small enough to read: rows are removed while both queries still differ. A database in, rows out.

Declared foreign keys keep holding where they held: a parent that a child needs stays. Only a corner case is shown on an
empty database; elsewhere a row stays, because results on nothing convince nobody. The loop removes whole tables, then
halves, quarters and so on down to single rows: the first part of delta debugging (Zeller and Hildebrandt 2002,
"Simplifying and isolating failure-inducing input"). A data set's own database is shrunk in a copy, when it is small enough.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from tasks.sql.compare import UndecidableError
from tasks.sql.execute import Database, QueryError
from tasks.sql.material import DATA_BUDGET_STEPS
from tasks.sql.oracle import Gold, Opinion, Oracle, Tier
from tasks.sql.schema import Schema, Table, quoted

_BUDGET_STEPS = 400_000
_MAX_TRIALS = {"data": 150, "main": 70, "loose": 70, "adversarial": 70}
MAX_SHRUNK_ROWS = 20_000  # of a data set's own database: checking its keys again and again takes too long beyond
MAX_SHOWN_ROWS = 60


class Shrinker:
    """Removes rows of `database`, in place, as long as `prediction` still disagrees with `gold` there."""

    def __init__(self, database: Database, schema: Schema, gold: Gold, prediction: str, tier: Tier) -> None:
        self.database, self.schema, self.gold, self.prediction, self.tier = database, schema, gold, prediction, tier
        self.trials = 0
        self._orphans_before = self._num_orphans()

    def shrink(self) -> tuple[Oracle, Opinion] | None:
        """Gold and prediction on what is left; None when they do not differ even on the whole (our fault, or a budget)."""
        first = self._disagreement()
        if first is None:
            return None
        tables = [(table, len(self._row_numbers(table))) for table in self.schema.tables]
        filled = [table for table, size in sorted(tables, key=lambda pair: -pair[1]) if size]
        parts, largest = 1, max((size for _, size in tables), default=0)
        while self.trials < _MAX_TRIALS[self.tier]:
            for table in filled:
                numbers = self._row_numbers(table)
                size = max(1, -(-len(numbers) // parts))
                for start in range(0, len(numbers), size):
                    self._try_without(table, numbers[start : start + size])
            if parts >= largest:
                break
            parts *= 2
            largest = max(len(self._row_numbers(table)) for table in filled)
        return self._disagreement() or first

    def rows(self) -> dict[str, Any] | None:
        """What is left, as a report shows it: table -> {columns, rows}; None when it is too much to show."""
        found: dict[str, Any] = {}
        for table in self.schema.tables:
            cells = self.database.write(f"SELECT * FROM {quoted(table.name)} LIMIT {MAX_SHOWN_ROWS + 1}")
            if cells:
                shown = [[_shown(cell) for cell in row] for row in cells]
                found[table.name] = {"columns": [c.name for c in table.columns], "rows": shown}
        return found if sum(len(table["rows"]) for table in found.values()) <= MAX_SHOWN_ROWS else None

    def _row_numbers(self, table: Table) -> list[int]:
        try:
            return [int(str(row[0])) for row in self.database.write(f"SELECT rowid FROM {quoted(table.name)}")]
        except sqlite3.Error:
            return []  # a WITHOUT ROWID table is shown whole

    def _try_without(self, table: Table, numbers: list[int]) -> None:
        if self.trials >= _MAX_TRIALS[self.tier] or not numbers:
            return
        self.trials += 1
        self.database.write("SAVEPOINT shrink")
        marks = ",".join(map(str, numbers))
        self.database.write(f"DELETE FROM {quoted(table.name)} WHERE rowid IN ({marks})")
        if self._broken() or self._disagreement() is None:
            self.database.write("ROLLBACK TO shrink")
        self.database.write("RELEASE shrink")

    def _broken(self) -> bool:
        return self._num_orphans() > self._orphans_before or (self.tier != "adversarial" and self._is_empty())

    def _is_empty(self) -> bool:
        return not any(
            self.database.write(f"SELECT 1 FROM {quoted(table.name)} LIMIT 1") for table in self.schema.tables
        )

    def _num_orphans(self) -> int:
        try:
            return len(self.database.write("PRAGMA foreign_key_check"))
        except sqlite3.Error:
            return 0  # a key that points to columns without a unique index: SQLite cannot check it

    def _disagreement(self) -> tuple[Oracle, Opinion] | None:
        try:
            budget_steps = DATA_BUDGET_STEPS if self.tier == "data" else _BUDGET_STEPS
            oracle = Oracle(self.database, self.gold, self.tier, min_budget_steps=budget_steps)
            opinion = oracle.opinion(self.prediction)
        except (QueryError, UndecidableError):
            return None
        fixed = oracle.decisive or oracle.counts
        return (oracle, opinion) if fixed and opinion.disagreement is not None else None


def small_enough(database: Database, schema: Schema) -> bool:
    """Whether a data set's own database may be shrunk."""
    counts = (database.write(f"SELECT count(*) FROM {quoted(table.name)}") for table in schema.tables)
    return sum(int(str(rows[0][0])) for rows in counts) <= MAX_SHRUNK_ROWS


def _shown(cell: object) -> object:
    return "0x" + cell[:50].hex() if isinstance(cell, bytes) else cell[:200] if isinstance(cell, str) else cell
