"""Item sets, baselines and evaluators written by hand for the gate's tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.baseline import bless
from harness.gate import Evaluate
from harness.gate_policy import Policy, single_check_policy
from harness.items import Item, ItemSet

VERSIONS = {"task": "t1", "data": "d1", "prompts": "p1", "scorers": "s1", "engine": "e1"}


def item(number: int, outcome: str = "right", **more: object) -> Item:
    values = {"right": 1.0, "unscored": None}
    fields = {"id": f"q{number}", "outcome": outcome, "value": values.get(outcome, 0.0), "why": f"because {outcome}"}
    return Item(**(fields | more))  # type: ignore[arg-type]


def item_set(outcomes: Sequence[str], name: str = "baseline run", **more: object) -> ItemSet:
    items = tuple(item(number, outcome) for number, outcome in enumerate(outcomes))
    fields = {"name": name, "task": "sql", "split": "test", "scorer": "execution", "items": items, "versions": VERSIONS}
    return ItemSet(**(fields | more))  # type: ignore[arg-type]


def evaluator(found: ItemSet) -> Evaluate:
    """Answers from `found`, only what is asked."""

    def evaluate(checkpoint: str, baseline: ItemSet, item_ids: Sequence[str]) -> ItemSet:
        wanted = set(item_ids)
        return replace(found, name=checkpoint, items=tuple(item for item in found.items if item.id in wanted))

    return evaluate


def blessed(folder: Path, outcomes: Sequence[str], margin: float = 0.02, **more: object) -> Policy:
    path = bless(item_set(outcomes, **more), folder / "sql.json")
    return single_check_policy("sql", path, margin)
