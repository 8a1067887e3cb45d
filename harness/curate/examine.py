"""The whole examination. In: a task and its data, optionally a chat format. Out: `DataReport`: findings and removals.

`cleaning` makes the same removals without what only a reader needs (lengths, balance, templates): a sweep with the axis
`curation: [raw, clean]` asks for them before it trains. Removals name training items only; validation and test are
reported on and never changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from harness.chat import ChatFormat
from harness.core import SPLITS, Dataset, Example, Score, Split, Task
from harness.curate.balance import balance
from harness.curate.duplicates import exact_duplicates, near_duplicates, normal_words
from harness.curate.finding import DataFinding, Found, Item
from harness.curate.labels import contradictions, loader_findings, suspects
from harness.curate.leakage import leakage
from harness.curate.lengths import length_findings, token_lengths, unmeasured
from harness.curate.texts import text_findings

RULES = "1"  # raise it when another item would be removed: runs on clean data are named by it
ORDER = {"error": 0, "warning": 1, "note": 2, "good": 3}
MOST_THREADS = 8
Tell = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What was found in one data set. `removals` maps a training item's id to why a cleaned copy leaves it out."""

    task: str
    data: str
    revision: str
    licence: str
    split_rule: str
    sizes: Mapping[Split, int]
    findings: tuple[DataFinding, ...]
    removals: Mapping[str, str]

    @property
    def bad(self) -> tuple[DataFinding, ...]:
        """Errors and warnings."""
        return tuple(finding for finding in self.findings if finding.severity in ("error", "warning"))


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What lengths are measured with. `chat` is None with the reason in `model` when there is no tokenizer."""

    chat: ChatFormat | None
    model: str
    style: str = "instruct"
    max_length: int = 1024


def examine(task: Task, dataset: Dataset, measure: Measure, tell: Tell = lambda stage, done: None) -> DataReport:
    """Everything that is looked for, in the reader's order: errors first."""
    items = anatomised(task, dataset, tell)
    found = _removing(task, dataset, items, tell)
    found.add(leakage(items))
    found.add(balance(items))
    if measure.chat is None:
        found.add(unmeasured(measure.model))
    else:
        lengths = token_lengths(items, task, measure.chat, measure.style, lambda done: tell("lengths", done))
        found.add(length_findings(lengths, measure.max_length, task.fitted_to(dataset).max_new_tokens, measure.model))
    return DataReport(
        task=task.name,
        data=dataset.name,
        revision=dataset.revision,
        licence=dataset.licence,
        split_rule=dataset.split_rule,
        sizes={split: len(dataset.split(split)) for split in SPLITS},
        findings=tuple(sorted(found.findings, key=lambda finding: ORDER[finding.severity])),
        removals=found.removals,
    )


def cleaning(task: Task, dataset: Dataset, tell: Tell = lambda stage, done: None) -> dict[str, str]:
    """Training item -> why a cleaned copy leaves it out."""
    return _removing(task, dataset, anatomised(task, dataset, tell), tell).removals


def anatomised(task: Task, dataset: Dataset, tell: Tell = lambda stage, done: None) -> list[Item]:
    """Every item of every split with its anatomy, in the order of the splits."""
    placed: list[tuple[Split, Example]] = [(split, example) for split in SPLITS for example in dataset.split(split)]
    items: list[Item] = []
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        anatomies = pool.map(task.anatomy, [example for _, example in placed])
        for number, ((split, example), anatomy) in enumerate(zip(placed, anatomies, strict=True), start=1):
            usable = example.id not in dataset.unusable
            words = normal_words(anatomy.text)
            items.append(Item(example=example, split=split, anatomy=anatomy, words=words, usable=usable))
            if number % 200 == 0:
                tell("items", number / len(placed))
    return items


def _removing(task: Task, dataset: Dataset, items: Sequence[Item], tell: Tell) -> Found:
    """The checks that removals come from. An item that several of them name keeps the first reason."""
    found = loader_findings(items, dataset)
    tell("contradictions", 0.0)
    found.add(contradictions(items, task, _judge(task), lambda done: tell("contradictions", done)))
    found.add(exact_duplicates(items))
    found.add(near_duplicates(items, lambda done: tell("near duplicates", done)))
    found.add(suspects(items))
    tell("texts", 0.0)
    found.add(text_findings(items))
    return found


def _judge(task: Task) -> Callable[[Sequence[tuple[Example, str]]], Sequence[Mapping[str, Score]]]:
    """The task's scorer in a child process that is killed on time; nothing is started for no pairs."""

    def judge(pairs: Sequence[tuple[Example, str]]) -> Sequence[Mapping[str, Score]]:
        if not pairs:
            return []
        from harness.certify_scores import Referee

        return Referee(task).scores(pairs)

    return judge
