"""Functional representation: English text -> `function(slot[value, ...], ...)`. The task is `task`; README.md explains.

Grammar in `grammar`, the reading of replies in `extract`, scores in `scorers`, data in `load`, `viggo` and `builtin`,
prompts in `prompts`, wrong answers made from gold in `mutants`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.core import Example, Task
from tasks.functional.anatomy import anatomy, row
from tasks.functional.load import example_from_row, gold_error, load
from tasks.functional.mutants import mutants
from tasks.functional.prompts import PROMPTS
from tasks.functional.scorers import SCORERS, UNPARSED_REASONS, score


def pair(row: Mapping[str, Any]) -> Example:
    """An example from a line of `harness score` input: `id` and `gold`, optionally `text`, `functions` and `slots`.

    Raises ValueError saying which key is wrong.
    """
    if "id" not in row:
        raise ValueError("key 'id' is missing")
    example = example_from_row({"text": "-", **{key: value for key, value in row.items() if value is not None}})
    if why := gold_error(example.gold):
        raise ValueError(f"key 'gold' cannot judge: {why}")
    return replace(example, id=str(row["id"]))


task = Task(
    name="functional",
    version="1",
    summary="English text to a meaning representation, function(slot[value, ...], ...)",
    sources=("builtin", "builtin-hard", "viggo", "jsonl"),
    load=load,
    prompts=PROMPTS,
    score=score,
    scorers=SCORERS,
    pair=pair,
    mutants=mutants,
    unparsed_reasons=UNPARSED_REASONS,
    max_new_tokens=128,
    judge_context=lambda example: f"Text: {example.inputs.get('text', '')}",
    anatomy=anatomy,
    row=row,
)
