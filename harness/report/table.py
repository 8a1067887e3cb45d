"""The runs as a table, once. Goes in: ReportData. Comes out: runs.csv's columns, the page's cells, the short table.

`runs.csv` keeps every column of the store in its own unit, unrounded; the page and the Markdown print the same values
through `answer.display`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.core import OUTCOMES
from harness.report.answer import MISSING, Unit, display, interval, known
from harness.report.data import ReportData, is_missing
from harness.store import encodable


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the printed table: which value of a run, and its unit."""

    name: str
    title: str
    unit: Unit


COLUMNS = (
    Column(name="label", title="Run", unit="text"),
    Column(name="validation_score", title="Validation", unit="share"),
    Column(name="test_score", title="Test", unit="share"),
    Column(name="rank", title="Rank", unit="count"),
    Column(name="learning_rate", title="Learning rate", unit="rate"),
    Column(name="trainable_parameters", title="Trained parameters", unit="count"),
    Column(name="checkpoint_bytes", title="Checkpoint", unit="bytes"),
    Column(name="peak_memory_bytes", title="Peak memory", unit="bytes"),
    Column(name="train_seconds", title="Training", unit="seconds"),
    Column(name="train_tokens_per_second", title="Training speed", unit="tokens/s"),
    Column(name="sample_tokens_per_second", title="Serving speed", unit="tokens/s"),
    Column(name="sample_route", title="Route", unit="text"),
)
SCORES = {"validation_score": "validation", "test_score": "test"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One printed cell. `sort` is the raw value; `parts` makes it a bar of outcomes, `dot` an interval on 0..100."""

    text: str = ""
    more: str = ""
    sort: str = ""
    name: str = ""
    long: bool = False
    parts: tuple[tuple[str, float], ...] = ()
    low: float = 0.0
    width: float = 0.0
    dot: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run of the page's table."""

    run: str
    classes: str
    cells: tuple[Cell, ...]


def page_titles() -> list[str]:
    """The headings of `page_rows`."""
    titles = [column.title for column in COLUMNS]
    return [titles[0], "Outcomes", "0 \u2013 100 %", *titles[1:], "Note"]


def page_rows(data: ReportData, recommended: str | None) -> list[Row]:
    """Every run, best validation score first; failed and pending ones last, with their reason."""
    rows = []
    for run in ordered(data.runs):
        cells = [Cell(text=value_text(run, column), sort=sort_text(run[column.name]), name=column.name,
                      more=more_text(run, column)) for column in COLUMNS]  # fmt: skip
        note = note_text(run)
        classes = f"{run['status']}{' recommended' if run['run'] == recommended else ''}"
        extra = Cell(text=note, sort=note, long=True)
        rows.append(
            Row(run=str(run["run"]), classes=classes, cells=(cells[0], _bar(run), _range(run), *cells[1:], extra))
        )
    return rows


def ordered(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """The runs as records, best validation score first, missing scores last."""
    if runs.empty:
        return []
    return [
        {str(name): value for name, value in run.items()}
        for run in runs.sort_values("validation_score", ascending=False, na_position="last", kind="stable").to_dict(
            "records"
        )
    ]


def value_text(run: Mapping[str, Any], column: Column) -> str:
    """The cell of one run in one column, without its interval."""
    return display(run.get(column.name), column.unit)


def more_text(run: Mapping[str, Any], column: Column) -> str:
    """The interval and n of a score; nothing for other columns."""
    split = SCORES.get(column.name)
    if split is None or is_missing(run.get(column.name)):
        return ""
    return f"{interval(run[f'{split}_low'], run[f'{split}_high'])} n={int(run[f'{split}_n']):,}"


def note_text(run: Mapping[str, Any]) -> str:
    """Why a run has no score, or what a reader has to know about it."""
    parts = [] if run["status"] == "done" else [f"{run['status']}"]
    parts += [f"in {run['failed_stage']}: {run['failed_reason']}"] if not is_missing(run.get("failed_reason")) else []
    note = run.get("note")
    return " ".join([*parts, str(note)] if not is_missing(note) and note else parts)


def sort_text(value: Any) -> str:
    """`value` for machines: the shortest text that gives the same number back, "" where it is missing."""
    if is_missing(value):
        return ""
    return repr(float(value)) if not isinstance(value, str | bool) and known(value) is not None else str(value)


def runs_table(data: ReportData) -> pd.DataFrame:
    """What runs.csv holds: the store's columns, text made safe for a spreadsheet and for UTF-8."""
    table = data.runs.copy()
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            table[column] = [spreadsheet_safe(value) for value in table[column]]
    return table


def spreadsheet_safe(value: Any) -> Any:
    """`value`; text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV injection)."""
    if not isinstance(value, str):
        return value
    text = encodable(value).replace("\x00", "\\x00")
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _bar(run: Mapping[str, Any]) -> Cell:
    counts = {word: known(run.get(word)) or 0.0 for word in OUTCOMES}
    total = sum(counts.values())
    if not total:
        return Cell(text=MISSING)
    parts = tuple((word, round(100 * n / total, 3)) for word, n in counts.items() if n)
    text = ", ".join(f"{word} {n:.0f}" for word, n in counts.items() if n)
    return Cell(text=text, sort=repr(counts["right"] / total), parts=parts)


def _range(run: Mapping[str, Any]) -> Cell:
    split = "validation" if is_missing(run.get("test_score")) else "test"
    score, low, high = (known(run.get(f"{split}_{part}")) for part in ("score", "low", "high"))
    if score is None or low is None or high is None:
        return Cell(text=MISSING)
    return Cell(
        sort=repr(score), low=round(100 * low, 2), width=round(100 * (high - low), 2), dot=round(100 * score, 2)
    )
