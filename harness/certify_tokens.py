"""The token ids of several run specs, as training, the trainer's batches and the engine see them. In: task, data, specs, chat
format. Out: the ids, and the items on which they differ, change between renderings or do not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.certify_batches import Tokens, batch_problems
from harness.chat import ChatFormat
from harness.core import Dataset, Example, RunSpec, Split, Task, UserError
from harness.tokens import messages, requests, shots_of, training_items
from harness.train.job import Item

FORMAT_ITEMS = 200  # training and test items rendered for each distinct format


class Rendered:
    """What the formats of several specs came to, with the problems seen on the way."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.prompts: dict[str, tuple[int, ...]] = {}
        self.answers: dict[str, tuple[int, ...]] = {}
        self.compared = 0
        self.batched = 0
        self.different: list[str] = []
        self.unstable: list[str] = []
        self.masks: list[str] = []
        self.left_out: list[str] = []
        self.empty: list[str] = []

    def add(self, task: Task, dataset: Dataset, spec: RunSpec, chat: ChatFormat) -> None:
        """Render one spec's requests twice, and its training items beside the requests for the same examples."""
        kept = FORMAT_ITEMS + spec.few_shot
        some = replace(dataset, train=dataset.usable("train")[:kept], test=dataset.usable("test")[:FORMAT_ITEMS])
        key = f"{spec.prompt_style}, {spec.few_shot} shots"
        asked: dict[str, tuple[int, ...]] = {}
        rendered: tuple[Split, ...] = ("train", "test")
        for split in rendered:
            first, again = (requests(task, some, spec, chat, split) for _ in range(2))
            self.unstable += [f"{a['id']} ({key})" for a, b in zip(first, again, strict=True) if a != b]
            asked |= {row["id"]: tuple(row["prompt_ids"]) for row in first}
        self.prompts |= {f"{id} ({key})": ids for id, ids in asked.items()}
        if spec.training is None:
            return
        try:
            items, notes = training_items(task, some, spec, chat)
        except UserError as error:
            self.empty.append(str(error))
            return
        self.left_out += [f"{note} ({key})" for note in notes]
        self.compared += len(items)
        self.different += [f"{i.id} ({key})" for i in items if i.prompt_ids != asked[i.id]]
        self.answers |= {item.id: item.answer_ids for item in items}
        golds = {example.id: example.gold for example in some.train}
        expected = {i.id: (asked[i.id], chat.answer_ids(golds[i.id])) for i in items}
        batch = [Item(id=i.id, prompt_ids=i.prompt_ids, answer_ids=i.answer_ids) for i in items]
        tokens = Tokens(end_id=chat.end_id, bos_id=chat.bos_id)
        count, problems = batch_problems(batch, expected, tokens, spec, self.options)
        self.batched += count
        self.masks += [f"{problem} ({key})" for problem in problems]


def longest_prompts(task: Task, dataset: Dataset, spec: RunSpec, chat: ChatFormat) -> dict[str, int]:
    """Tokens of the prompt of each item that runs are judged on."""
    shots = shots_of(dataset, spec)
    judged: list[Example] = [*dataset.usable("validation"), *dataset.usable("test")]
    return {e.id: len(chat.prompt_ids(messages(task, spec, e, shots))) for e in judged}
