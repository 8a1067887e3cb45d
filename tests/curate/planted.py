"""A small clean data set, and the faults that the tests plant in it one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from harness.core import SPLITS, Anatomy, DataRequest, Dataset, Doubt, Example, Message, Mutant, Score, Split, Task
from harness.curate.examine import DataReport, Measure, examine
from harness.curate.finding import DataFinding

PLACES = (
    "Lisbon", "Oslo", "Quito", "Hanoi", "Accra", "Lima", "Riga", "Sofia", "Tunis", "Kyoto", "Perth", "Zagreb", "Dakar",
    "Vienna", "Austin", "Malmo", "Cusco", "Bergen",
)  # fmt: skip
THINGS = ["bridge", "museum", "harbour", "garden", "theatre", "library", "market", "castle"]
SPELLINGS = {"two": "2"}


def example(number: int, **changes: Any) -> Example:
    place, thing = PLACES[number % len(PLACES)], THINGS[number // len(PLACES) % len(THINGS)]
    text = f"How many visitors came to the {thing} of {place} in the {'early' if number % 2 else 'late'} season?"
    made = Example(
        id=f"item-{number}",
        inputs={"question": text},
        gold=f"count {thing} {place}".lower(),
        meta={"schema": f"schema {number // 20}"},
    )
    return replace(made, **changes)


def anatomy(item: Example) -> Anatomy:
    doubts = [Doubt(kind="gold is a guess", seen="maybe", certain=False)] if "maybe" in item.gold else []
    doubts += [Doubt(kind="gold is nonsense", seen="never", certain=True)] if "never" in item.gold else []
    return Anatomy(
        text=str(item.inputs["question"]),
        context=str(item.meta.get("schema", "")),
        answer=item.gold,
        template=item.gold.split()[0],
        meaning=f"{item.meta.get('schema', '')} {item.gold}",
        parts=(("class", item.gold.split()[0]),),
        doubts=tuple(doubts),
    )


def score(item: Example, text: str) -> Mapping[str, Score]:
    """Exact, but for the two spellings that mean the same."""
    same = SPELLINGS.get(text, text) == SPELLINGS.get(item.gold, item.gold)
    return {"exact": Score(value=float(same), why="correct" if same else "wrong_value")}


def mutants(item: Example) -> Iterator[Mutant]:
    yield Mutant(kind="suffix", text=item.gold + "0")


def clean_set(**splits: tuple[Example, ...]) -> Dataset:
    """40 training, 10 validation and 20 test items of their own schemas, with `splits` added at their ends."""
    numbers: dict[Split, range] = {"train": range(40), "validation": range(40, 50), "test": range(60, 80)}
    made = {split: (*map(example, numbers[split]), *splits.get(split, ())) for split in SPLITS}
    return Dataset(name="toy", revision="1", licence="none", split_rule="by number", **made)


TASK = Task(
    name="toy",
    version="1",
    summary="a task that no package registers",
    sources=("toy",),
    load=lambda request: clean_set(),
    prompts={"instruct": lambda inputs: [Message(role="user", content=inputs["question"])]},
    score=score,
    scorers=("exact",),
    pair=lambda row: example(0),
    mutants=mutants,
    anatomy=anatomy,
    row=lambda item: {"id": item.id, "question": item.inputs["question"], "gold": item.gold},
    score_timeout_s=5.0,
)
REQUEST = DataRequest(name="toy")


def report(**splits: tuple[Example, ...]) -> DataReport:
    return examine(TASK, clean_set(**splits), Measure(chat=None, model="no tokenizer here"))


def found(told: DataReport, key: str) -> DataFinding:
    (finding,) = [finding for finding in told.findings if finding.key == key]
    return finding
