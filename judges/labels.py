"""Human labels: a JSON-lines file with `id` and `label` (correct, incorrect, 1, 0, true, false) in, labelled items out.

A line that is no label is a `BrokenRow` with its number. Two labels that contradict each other make the item unlabelled
and are counted as broken: a person must decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.core import BrokenRow, UserError
from judges.config import JudgeItem

_WORDS = {"correct": 1, "incorrect": 0, "right": 1, "wrong": 0}


def load_labels(path: Path) -> tuple[dict[str, int], list[BrokenRow]]:
    """(label by item id, lines that could not be used)."""
    if not path.is_file():
        raise UserError(f'the label file {path} does not exist; it is JSON lines of {{"id": ..., "label": "correct"}}')
    labels: dict[str, int] = {}
    contradicted: set[str] = set()
    broken: list[BrokenRow] = []
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _row(line)
        if isinstance(row, str):
            broken.append(BrokenRow(file=path.name, line=number, why=row))
            continue
        item_id, label = row
        if labels.setdefault(item_id, label) != label:
            contradicted.add(item_id)
            broken.append(BrokenRow(file=path.name, line=number, why=f"a second, other label for {item_id!r}"))
    return {item_id: label for item_id, label in labels.items() if item_id not in contradicted}, broken


def with_labels(items: Sequence[JudgeItem], labels: Mapping[str, int]) -> list[JudgeItem]:
    """`items` with their human labels. Raises UserError when no label names an item: the wrong file was given."""
    if labels and not any(item.id in labels for item in items):
        raise UserError(
            f"none of the {len(labels)} labels names one of the {len(items)} items; the first label is for "
            f"{next(iter(labels))!r}, the first item is {items[0].id if items else '(none)'!r}"
        )
    return [replace(item, human=labels[item.id]) if item.id in labels else item for item in items]


def _row(line: str) -> tuple[str, int] | str:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]:
        return "needs an `id` that is a text"
    label = row.get("label")
    value = _WORDS.get(label.strip().casefold()) if isinstance(label, str) else label
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return row["id"], int(value)
    return f"`label` is correct, incorrect, 1, 0, true or false, got {label!r}"
