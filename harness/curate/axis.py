"""What runs on clean data leave out, for the axis `curation: [raw, clean]`. In: a task and its data. Out: id -> why.

The answer is kept in the cache under everything it depends on, so a sweep that goes on, or one planned first and run
later, leaves out the same items without looking again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.core import SPLITS, Dataset, Task, digest
from harness.curate.examine import RULES, cleaning
from harness.parts import scorers_hash
from harness.sources import cache_dir
from harness.store import read_json, write_json


def removals(task: Task, dataset: Dataset) -> dict[str, str]:
    """Training item -> why runs on clean data leave it out."""
    splits = [[[e.id, e.inputs, e.gold, e.meta] for e in dataset.split(split)] for split in SPLITS]
    key = digest([RULES, task.name, scorers_hash(task), splits, dataset.unusable], 24)
    path = cache_dir() / f"curation-{key}.json"
    known: dict[str, str] | None = read_json(path)
    if known is None:
        known = cleaning(task, dataset)
        write_json(path, known)
    return known


def summary(dataset: Dataset, sizes: Sequence[int | None] = ()) -> dict[str, object]:
    """What a sweep's report says of it: how many usable training items are left out, by reason, and how many of the first
    ones that a raw run of each size trains on. Where that is none, raw and clean runs train on the same items."""
    usable = [example.id for example in dataset.usable("train")]
    why = {id: dataset.removed[id] for id in usable if id in dataset.removed}
    among = {str(size): sum(id in why for id in usable[:size]) for size in sizes if size is not None}
    return {"removed": len(why), "reasons": dict(reasons(why).most_common(8)), "among_first": among}


def reasons(removed: Mapping[str, str]) -> Counter[str]:
    """The removals counted by reason, without where the other item stands or what was seen."""
    return Counter(
        why.split(": ")[0].split(" train ")[0].split(" test ")[0].split(" validation ")[0] for why in removed.values()
    )
