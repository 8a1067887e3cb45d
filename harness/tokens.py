"""A run's items: the messages of its prompts, few-shot turns included, and their token ids. In: task, data set, run spec.
Out: what trains the run and what the engine is handed, from the one rendering of `chat`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.chat import ChatFormat, TokenizedExample
from harness.core import Dataset, Example, Message, RunSpec, Split, Task, UserError


def messages(task: Task, spec: RunSpec, example: Example, shots: Sequence[Example] = ()) -> tuple[Message, ...]:
    """The turns that a model sees for one example: its prompt, after the solved prompts of `shots`."""
    if spec.prompt_style not in task.prompts:
        known = ", ".join(task.prompts)
        raise UserError(f"task {task.name!r} has no prompt style {spec.prompt_style!r}; it has: {known}")
    prompt = task.prompts[spec.prompt_style]
    turns = list(prompt(example.inputs))
    solved: list[Message] = []
    for shot in shots:
        solved += [message for message in prompt(shot.inputs) if message.role != "system"]
        solved.append(Message(role="assistant", content=shot.gold))
    start = 1 if turns and turns[0].role == "system" else 0
    return (*turns[:start], *solved, *turns[start:])


def shots_of(dataset: Dataset, spec: RunSpec) -> tuple[Example, ...]:
    """The solved examples of a few-shot prompt: the first usable ones of the training split."""
    shots = dataset.usable("train")[: spec.few_shot]
    if len(shots) < spec.few_shot:
        raise UserError(f"few_shot={spec.few_shot} needs as many training items, {dataset.name} has {len(shots)}")
    return shots


def training_items(
    task: Task, dataset: Dataset, spec: RunSpec, chat: ChatFormat
) -> tuple[list[TokenizedExample], list[str]]:
    """The run's training items in order, and notes on what was left out: nothing is cut, too long items are left out.

    A clean run takes its first `train_size` from what curation leaves, so raw and clean runs of one size are as large.
    Shots are the same for both: curation changes what is trained on, never what is asked.
    """
    assert spec.training is not None
    shots = shots_of(dataset, spec)
    removed = dataset.removed if spec.curation == "clean" else {}
    usable = [example for example in dataset.usable("train") if example not in shots and example.id not in removed]
    chosen = usable[: spec.train_size] if spec.train_size is not None else usable
    items = [chat.example(example.id, messages(task, spec, example, shots), example.gold) for example in chosen]
    limit = spec.training.max_length
    kept = [item for item in items if len(item.prompt_ids) + len(item.answer_ids) <= limit]
    if not kept:
        raise UserError(f"no training item of {dataset.name} fits max_length={limit} tokens; raise it")
    left_out = len(items) - len(kept)
    return kept, [f"{left_out} training items over {limit} tokens left out"] if left_out else []


def requests(task: Task, dataset: Dataset, spec: RunSpec, chat: ChatFormat, split: Split) -> list[dict[str, Any]]:
    """What the engine is handed for one split: {"id", "prompt_ids"} for each usable example."""
    shots = shots_of(dataset, spec)
    return [
        {"id": example.id, "prompt_ids": list(chat.prompt_ids(messages(task, spec, example, shots)))}
        for example in dataset.usable(split)
    ]
