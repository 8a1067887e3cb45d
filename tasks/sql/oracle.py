"""Gold's result on one database, and whether a prediction agrees with it there.

A gold query does not always define its result: a LIMIT that cuts through ties, a bare column beside GROUP BY. So gold
runs again with SQLite's scan order reversed, and in the variants of `variants.py`, which settle otherwise what the query
leaves open. An oracle is `decisive` when all agree (ties of ORDER BY free); on any other it can only refute a prediction
by its number of rows. A prediction runs twice as well: one that is right only in one scan order is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.sql import compare
from tasks.sql.execute import Executor, QueryError, Result, Row
from tasks.sql.parse import Dialect, Ordering

# data: the item's own rows. main: generated, every declared and inferred constraint holds. loose: only the declared
# ones hold. adversarial: NULLs where they are allowed, and empty tables.
Tier = Literal["data", "main", "loose", "adversarial"]
Disagreement = Literal["rows", "order", "superset", "scan_order", "row_count"]
_BUDGET_FACTOR = 60


@dataclass(frozen=True, kw_only=True)
class Gold:
    """A gold query: its text, how it orders, and the text with DISTINCT removed that the test suite compares."""

    sql: str
    ordering: Ordering | None
    cut: Ordering | None
    without_distinct: str
    variants: tuple[str, ...] = ()
    dialect: Dialect = "sqlite"  # of these texts, and so the executor that runs them


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What one oracle says of a prediction; `disagreement` is None when it found none."""

    disagreement: Disagreement | None
    result: Result
    decisive: bool
    strict: bool


class Oracle:
    """One database with gold's result. Building it raises QueryError when gold does not run there."""

    def __init__(self, database: Executor, gold: Gold, tier: Tier, *, min_budget_steps: int) -> None:
        self.database = database
        self.gold = gold
        self.tier: Tier = tier
        first = database.run(gold.sql, budget_steps=min_budget_steps * _BUDGET_FACTOR)
        self.result = first
        self.budget_steps = max(min_budget_steps, first.steps * _BUDGET_FACTOR)
        self.runs = _runs(database, gold, first, self.budget_steps)
        second = database.run(gold.sql, budget_steps=self.budget_steps, reverse=True)
        self.outcomes = [first.rows]
        for rows in (second.rows, *self._variant_rows()):
            if rows != first.rows and not self._same(rows):
                self.outcomes.append(rows)
        self.cuts_ties = self._cuts_ties()

    @property
    def decisive(self) -> bool:
        """Whether gold defines its result here."""
        return len(self.outcomes) == 1 and not self.cuts_ties

    @property
    def counts(self) -> bool:
        """Whether gold's number of rows is fixed though its rows are not: its LIMIT takes some of several tied rows."""
        return self.cuts_ties and self.tier in ("data", "main") and len({len(rows) for rows in self.outcomes}) == 1

    @property
    def informative(self) -> bool:
        """Gold fixes its result, or at least its size, and that says something: not empty, and not only NULLs."""
        fixed = self.decisive or self.counts
        return fixed and any(cell is not None for row in self.result.rows for cell in row)

    @property
    def holds_nothing(self) -> bool:
        """Gold fixes its result as empty, where every constraint holds: an answer that shows something is wrong."""
        return self.tier == "main" and self.decisive and not self.result.rows

    @property
    def num_runs(self) -> int:
        """How many groups of tied rows gold's ORDER BY sets apart; 0 when it does not order."""
        return self.runs[-1] + 1 if self.runs else 0

    def opinion(self, sql: str) -> Opinion:
        """Whether prediction `sql` agrees with gold here. Raises QueryError when it does not run."""
        result = self.database.run(sql, budget_steps=self.budget_steps)
        if not self.decisive:
            disagreement = None if self._possible(result.rows) else self._count_disagreement(result.rows)
            return Opinion(disagreement=disagreement, result=result, decisive=False, strict=True)
        strict = compare.same_strict(self.result.rows, self.runs, result.rows)
        return Opinion(disagreement=self._disagreement(sql, result), result=result, decisive=True, strict=strict)

    def refutes(self, sql: str) -> bool:
        """Whether prediction `sql`, run once, differs from a decisive gold here (used where many are tried)."""
        result = self.database.run(sql, budget_steps=self.budget_steps)
        if not self.decisive:
            return self.counts and len(result.rows) != len(self.result.rows)
        return not self._same(result.rows)

    def _disagreement(self, sql: str, result: Result) -> Disagreement | None:
        if self._same(result.rows):
            second = self.database.run(sql, budget_steps=self.budget_steps, reverse=True)
            return None if second.rows == result.rows or self._same(second.rows) else "scan_order"
        if compare.is_superset(self.result.rows, self.runs, result.rows):
            return "superset"
        if self.runs is not None and compare.same_default(self.result.rows, None, result.rows):
            return "order"
        return "rows"

    def _same(self, rows: Sequence[Row]) -> bool:
        return compare.same_default(self.result.rows, self.runs, rows)

    def _variant_rows(self) -> Iterator[list[Row]]:
        for variant in self.gold.variants:
            try:
                yield self.database.run(variant, budget_steps=self.budget_steps).rows
            except QueryError:
                continue  # the variant is ours, not gold

    def _cuts_ties(self) -> bool:
        """Whether gold's LIMIT takes some of several different rows that its order does not tell apart."""
        cut = self.gold.cut
        if cut is None or cut.unlimited_sql is None or not self.result.rows:
            return False
        try:
            every = self.database.run(cut.unlimited_sql, budget_steps=self.budget_steps * 4)
        except QueryError:
            return False
        width = len(every.columns) - cut.num_keys
        end = len(self.result.rows)
        if len(every.rows) <= end or [row[:width] for row in every.rows[:end]] != self.result.rows:
            return False  # an OFFSET, or nothing was cut
        last = every.rows[end - 1]
        tied = {row[:width] for row in every.rows if row[width:] == last[width:]}
        return every.rows[end][width:] == last[width:] and len(tied) > 1

    def _possible(self, rows: Sequence[Row]) -> bool:
        """Whether `rows` is among the results that gold may give: one seen, or another choice between tied rows."""
        runs = self.runs
        if any(compare.same_default(outcome, runs, rows) for outcome in self.outcomes):
            return True
        return self._cuts_ties_otherwise(rows)

    def _cuts_ties_otherwise(self, rows: Sequence[Row]) -> bool:
        ordering = self.gold.ordering
        if ordering is None or ordering.unlimited_sql is None or len(rows) != len(self.result.rows):
            return False
        try:
            every = self.database.run(ordering.unlimited_sql, budget_steps=self.budget_steps * 4)
        except QueryError:
            return False
        width = len(every.columns) - ordering.num_keys
        allowed: dict[Row, Counter[Row]] = {}
        for row in every.rows:
            allowed.setdefault(row[width:], Counter())[row[:width]] += 1
        keys = [row[width:] for row in every.rows[: len(rows)]]
        used: dict[Row, Counter[Row]] = {}
        for key, row in zip(keys, rows, strict=False):
            used.setdefault(key, Counter())[tuple(row)] += 1
        return all(not bag - allowed[key] for key, bag in used.items())

    def _count_disagreement(self, rows: Sequence[Row]) -> Disagreement | None:
        """Gold leaves its rows open, yet their number may be fixed. Only where the inferred keys hold as well."""
        if self.tier == "loose" or len({len(outcome) for outcome in self.outcomes}) > 1:
            return None
        return "row_count" if len(rows) != len(self.result.rows) else None


def _runs(database: Executor, gold: Gold, result: Result, budget_steps: int) -> list[int] | None:
    """For each row the number of its run of equal ORDER BY keys; None when order is free or cannot be known."""
    if gold.ordering is None or gold.ordering.keyed_sql is None or not result.rows:
        return None
    try:
        keyed = database.run(gold.ordering.keyed_sql, budget_steps=budget_steps * 4)
    except QueryError:
        return None  # the query with its keys beside it is ours, not gold
    width = len(keyed.columns) - gold.ordering.num_keys
    if [row[:width] for row in keyed.rows] != result.rows:
        return None
    runs, previous = [], None
    for row in keyed.rows:
        if previous is not None and row[width:] == previous:
            runs.append(runs[-1])
        else:
            runs.append(runs[-1] + 1 if runs else 0)
        previous = row[width:]
    return runs
