"""The sweep in a terminal. Goes in: a Report and a rich Console. Comes out: the headline, the table, the verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.answer import interval
from harness.report.data import is_missing, records
from harness.report.findings import Report
from harness.report.svg import label
from harness.report.table import COLUMNS, SCORES, note_text, ordered, value_text

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = ("label", "validation_score", "test_score", "trainable_parameters", "checkpoint_bytes", "train_seconds",
         "sample_tokens_per_second", "peak_memory_bytes")  # fmt: skip
LONGEST_NOTE = 70


def print_report(report: Report, console: Console) -> None:
    """Print what a person needs after a sweep. Text from outside is printed as text: no markup, no control codes."""
    from rich.text import Text

    for alert in report.alerts:
        console.print(Text(f"NOT CERTIFIED: {label(alert, 400)}", style="bold red"))
    console.print(_table(report))
    console.print(Text(label(report.headline.verdict, 400), style="bold"))
    for sentence in report.headline.sentences:
        console.print(Text(label(sentence, 400)))
    for finding in report.findings:
        style = {"warning": "red", "missing": "dim"}.get(finding.tone, "")
        console.print(
            Text(f"{finding.number:>2}. {finding.question} ").append(label(finding.verdict, 200), style=style)
        )


def _table(report: Report) -> object:
    from rich.table import Table
    from rich.text import Text

    columns = [column for column in COLUMNS if column.name in SHOWN]
    notes = any(note_text(run) for run in records(report.data.runs))
    table = Table(title=Text(label(report.data.info.get("name", ""), 80)), title_justify="left")
    for column in columns:
        table.add_column(column.title, justify="left" if column.unit == "text" else "right")
    if notes:
        table.add_column("Note", max_width=LONGEST_NOTE)
    for run in ordered(report.data.runs):
        cells = [Text(label(value_text(run, column), 60)) for column in columns]
        for cell, column in zip(cells, columns, strict=True):
            split = SCORES.get(column.name)
            if split and not is_missing(run[column.name]):
                cell.append(f"\n{interval(run[f'{split}_low'], run[f'{split}_high'])}", style="dim")
        style = "bold" if run["run"] == report.headline.recommended else "dim" if run["status"] != "done" else ""
        table.add_row(*cells, *([Text(label(note_text(run), 200))] if notes else []), style=style)
    return table
