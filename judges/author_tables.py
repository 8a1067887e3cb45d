"""A hosted model as author of table contents for SQL schemas that have none: one more instance to run a query on.

Goes in: schemas, and the task's own check. Comes out: rows that passed, every refusal with its reason, and how many wrong
queries the rows tell from gold. The model's rows are data: names, counts and lengths are checked here against the schema,
values are only ever bound as parameters by the task that uses them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core import Mutant
from harness.stats import wilson_interval
from judges.author_call import SYNTHETIC, Refusal, Templates, asked, numbered, reply_body
from judges.calls import Failure, Reply, Spend
from judges.config import JudgeConfig

MAX_ROWS = 50
MAX_CELL_CHARS = 200
Cell = str | int | float | None


@dataclass(frozen=True, kw_only=True)
class SchemaRequest:
    """A schema without rows. `tables` maps table -> column -> declared type; `hint` may show queries it will serve."""

    id: str
    tables: Mapping[str, Mapping[str, str]]
    hint: str = ""
    num_rows: int = 8


@dataclass(frozen=True, kw_only=True)
class MockInstance:
    """Rows for every table of one schema, in column order. `source` names the snapshot that wrote them."""

    id: str
    tables: Mapping[str, tuple[tuple[Cell, ...], ...]]
    source: str


@dataclass(frozen=True, kw_only=True)
class Mocked:
    """Instances that passed, refusals, and the bill."""

    kept: tuple[MockInstance, ...]
    refused: tuple[Refusal, ...]
    spend: Spend


@dataclass(frozen=True, kw_only=True)
class KillRate:
    """How many wrong queries of one kind some instance told apart from gold, with Wilson's interval."""

    kind: str
    killed: int
    total: int
    low: float
    high: float


_MOCK = """You write small tables to test SQL queries with. Fill every table of the schema with about {{number}} rows.
Make queries that are almost alike give different results: repeat some values, leave some groups with one row, use ties,
negative numbers, NULL where it is natural, names that differ only in letter case, and keys that match across tables.

{{schema}}

Queries of this kind will run on it:
{{hint}}

Reply with one JSON object: {"tables": [{"name": "<table>", "rows": [[<cell>, ...], ...]}, ...]}, every row with one
cell for each column in the order of the schema."""


def mock_tables(
    requests: Sequence[SchemaRequest], config: JudgeConfig, accept: Callable[[MockInstance], str]
) -> Mocked:
    """Table contents for each schema. `accept` is the task's own check: "" or why an instance cannot be used (its rows
    break a key, gold does not run on it, gold's result is empty)."""
    caller, outcomes = asked(table_templates(requests), config)
    kept: list[MockInstance] = []
    refused: list[Refusal] = []
    for request, outcome in zip(requests, outcomes, strict=True):
        instance = _instance(request, outcome)
        why = instance if isinstance(instance, str) else accept(instance)
        if isinstance(instance, str) or why:
            refused.append(Refusal(id=request.id, why=why))
        else:
            kept.append(instance)
    return Mocked(kept=tuple(kept), refused=tuple(refused), spend=caller.spend())


def kill_rates(
    instances: Sequence[MockInstance],
    mutants: Mapping[str, Sequence[Mutant]],
    kills: Callable[[MockInstance, Mutant], bool],
) -> tuple[KillRate, ...]:
    """For each kind of mutant, and for all: how many some instance of the same id kills. The same figure as the
    built-in generator's when `kills` is the task's own comparison. A schema without an instance kills nothing."""
    by_id: dict[str, list[MockInstance]] = {}
    for instance in instances:
        by_id.setdefault(instance.id, []).append(instance)
    counts: dict[str, list[int]] = {}
    for item_id, wrong in mutants.items():
        for mutant in wrong:
            killed = any(kills(instance, mutant) for instance in by_id.get(item_id, []))
            for kind in (mutant.kind, "all"):
                cell = counts.setdefault(kind, [0, 0])
                cell[0] += killed
                cell[1] += 1
    rates = []
    for kind in sorted(counts, key=lambda name: (name == "all", name)):
        low, high = wilson_interval(counts[kind][0], counts[kind][1])
        rates.append(KillRate(kind=kind, killed=counts[kind][0], total=counts[kind][1], low=low, high=high))
    return tuple(rates)


def table_templates(requests: Sequence[SchemaRequest]) -> Templates:
    """What is asked for table contents: (template, the texts put into it) of each schema."""
    return [(numbered(_MOCK, r.num_rows), {"schema": _schema_text(r), "hint": r.hint or "(any)"}) for r in requests]


def _schema_text(request: SchemaRequest) -> str:
    return "\n".join(
        f"{table}({', '.join(f'{column} {kind}'.strip() for column, kind in columns.items())})"
        for table, columns in request.tables.items()
    )


def _instance(request: SchemaRequest, outcome: Reply | Failure) -> MockInstance | str:
    body = reply_body(outcome)
    if isinstance(body, str):
        return body
    tables = body.get("tables")
    if not isinstance(tables, list):
        return "the reply has no list of tables"
    found: dict[str, tuple[tuple[Cell, ...], ...]] = {}
    for table in tables:
        name, rows = (table.get("name"), table.get("rows")) if isinstance(table, dict) else (None, None)
        if not isinstance(name, str) or name not in request.tables or name in found:
            return f"table {str(name)[:60]!r} is not one of the schema, or comes twice"
        checked = _rows(rows, len(request.tables[name]))
        if isinstance(checked, str):
            return f"table {name!r}: {checked}"
        found[name] = checked
    absent = sorted(set(request.tables) - set(found))
    if absent:
        return f"table {absent[0]!r} has no rows"
    snapshot = outcome.snapshot if isinstance(outcome, Reply) else ""
    return MockInstance(id=request.id, tables=found, source=f"{SYNTHETIC}:{snapshot}")


def _rows(rows: Any, num_columns: int) -> tuple[tuple[Cell, ...], ...] | str:
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        return f"needs 1 to {MAX_ROWS} rows"
    checked = []
    for row in rows:
        if not isinstance(row, list) or len(row) != num_columns:
            return f"a row does not have {num_columns} cells"
        if not all(_is_cell(cell) for cell in row):
            return "a cell is no text, number or null of a reasonable size"
        checked.append(tuple(int(cell) if isinstance(cell, bool) else cell for cell in row))
    return tuple(checked)


def _is_cell(cell: Any) -> bool:
    if isinstance(cell, str):
        return len(cell) <= MAX_CELL_CHARS
    if isinstance(cell, float):
        return math.isfinite(cell)
    return cell is None or (isinstance(cell, int) and abs(cell) < 2**63)
