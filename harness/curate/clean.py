"""A cleaned copy of a data set. In: a task, its data, removals. Out: a folder that `--data jsonl --data-path` reads.

    OUT/clean/train.jsonl validation.jsonl test.jsonl      lines of `Task.row`; validation and test are copied whole
    OUT/removed.jsonl                                      every training item that was left out, and why

The log shows no text whole: it is an excerpt with secrets masked. The copy itself is data and is not masked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from harness.core import SPLITS, Dataset, Task, UserError
from harness.curate.finding import excerpt
from harness.store import write_lines


def write_clean_copy(
    task: Task, dataset: Dataset, removals: Mapping[str, str], folder: Path
) -> tuple[Path, Counter[str]]:
    """(the folder of the copy, rows written by split). Raises UserError when the task cannot write rows."""
    if task.row is None:
        raise UserError(
            f"task {task.name!r} has no source 'jsonl' to read a cleaned copy back: give its Task a `row` function "
            "(example -> line), or use the axis curation, which needs no copy"
        )
    copy = folder / "clean"
    written: Counter[str] = Counter()
    for split in SPLITS:
        left_out = removals if split == "train" else {}
        rows = [task.row(example) for example in dataset.split(split) if example.id not in left_out]
        written[split] = len(rows)
        write_lines(copy / f"{split}.jsonl", rows)
    log = [
        {"id": excerpt(example.id, 100), "split": "train", "why": excerpt(removals[example.id]),
         "input": excerpt(task.anatomy(example).text), "gold": excerpt(example.gold)}
        for example in dataset.train
        if example.id in removals
    ]  # fmt: skip
    write_lines(folder / "removed.jsonl", log)
    assert written["train"] + len(log) == len(dataset.train), "every training item is written or logged"
    return copy, written
