"""The verb `harness data`: load, examine, write the report and, when asked, a cleaned copy. In: the options. Out: files."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.chat import ChatFormat
from harness.core import DataRequest, UserError
from harness.curate.clean import write_clean_copy
from harness.curate.examine import DataReport, Measure, examine
from harness.curate.page import write_data_report
from harness.models import resolve
from harness.progress import Display
from harness.registry import load_task
from harness.sources import listening

# Seconds on two cores for 8,000 SQL items with databases, for the time display only.
EXPECTED_S = {"load": 35.0, "items": 25.0, "contradictions": 10.0, "near duplicates": 8.0, "texts": 4.0, "lengths": 8.0}
STEPS = 1000


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What `harness data` was asked for. `output` of None is results/data-<task>-<data>."""

    task: str
    request: DataRequest
    output: Path | None
    clean: bool
    model: str
    style: str
    max_length: int


def run_data(options: DataOptions, console: Console) -> DataReport:
    """Examine the data and write the files; says what was found and where it stands."""
    task = load_task(options.task)
    if options.request.name not in task.sources:
        known = ", ".join(task.sources)
        raise UserError(f"task {task.name!r} has no data {options.request.name!r}; it has: {known}")
    if options.style not in task.prompts:
        raise UserError(f"task {task.name!r} has no prompt style {options.style!r}; it has: {', '.join(task.prompts)}")
    folder = options.output or Path("results") / f"data-{task.name}-{options.request.name}"
    with Display(console, EXPECTED_S) as display:
        stage = ""

        def tell(name: str, done: float) -> None:
            nonlocal stage
            if name != stage:
                stage = name
                display.stage(name, STEPS)
            display.update(done * STEPS)

        tell("load", 0.0)
        with listening(
            lambda done, total: display.update(STEPS * done / total, f"{done:,} of {total:,} golds checked")
        ):
            dataset = task.load(options.request)
        report = examine(task, dataset, _measure(options), tell)
    page = write_data_report(report, folder, shlex.join(["harness", *sys.argv[1:]]))
    for finding in report.bad:
        console.print(f"{finding.severity:<8} {finding.title}: {finding.detail}", highlight=False, markup=False)
    if options.clean:
        copy, written = write_clean_copy(task, dataset, report.removals, folder)
        console.print(
            f"clean copy: {copy} ({written['train']:,} of {len(dataset.train):,} training items; "
            f"log: {folder / 'removed.jsonl'})", highlight=False, markup=False,
        )  # fmt: skip
        console.print(
            f"train on it: harness sweep {task.name} --data jsonl --data-path {copy}", highlight=False, markup=False
        )
    console.print(f"data report: {page}", highlight=False, markup=False)
    return report


def _measure(options: DataOptions) -> Measure:
    """The chat format that lengths are measured with; a model that cannot be had is said, not fatal."""
    try:
        model = resolve(options.model, offline=options.request.offline)
        chat = ChatFormat(model.folder)
    except UserError as error:
        return Measure(chat=None, model=str(error), style=options.style, max_length=options.max_length)
    return Measure(chat=chat, model=options.model, style=options.style, max_length=options.max_length)
