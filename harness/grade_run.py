"""What a run answered and nobody graded yet -> its scores.jsonl and done.json. In: a task, examples, a run folder. Out: rows
appended in batches, so that a killed grading is continued; done.json is written last.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from harness.core import Dataset, Example, Split, Task
from harness.grade import grade
from harness.store import Run, append_lines, read_json, split_summary, write_json

ROWS_AT_ONCE = 32


def grade_run(task: Task, dataset: Dataset, run: Run, split: Split, workers: int | None) -> None:
    """Grade one split of a sweep's run; done.json when all its items are graded."""
    examples = dataset.usable(split)
    grade_answers(task, examples, run, split, workers)
    if len(run.scores(split)) == len(examples):
        done = read_json(run.folder / "done.json") or {}
        write_json(run.folder / "done.json", {**done, split: split_summary(run, split, task.primary)})


def grade_answers(task: Task, examples: Sequence[Example], run: Run, split: Split, workers: int | None = None) -> None:
    """Append the scores of the answers to `examples` that have none yet."""
    by_id = {example.id: example for example in examples}
    graded = {row["example_id"] for row in run.scores(split)}
    waiting = [
        (by_id[c.example_id], c) for c in run.completions(split) if c.example_id in by_id and c.example_id not in graded
    ]
    rows = iter(grade(task, waiting, workers=workers))
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        append_lines(run.folder / "scores.jsonl", batch)
