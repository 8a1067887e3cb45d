"""The token ids of several run specs, rendered as training and as the engine sees them. In: task, data, specs, chat format.
Out: the ids, and the items on which the two differ, change between renderings or do not fit.
"""

from __future__ import annotations

from dataclasses import replace

from harness.chat import ChatFormat
from harness.core import Dataset, RunSpec, Split, Task, UserError
from harness.tokens import requests, training_items

FORMAT_ITEMS = 200  # training and test items rendered for each distinct format


class Rendered:
    """What the formats of several specs came to, with the problems seen on the way."""

    def __init__(self) -> None:
        self.prompts: dict[str, tuple[int, ...]] = {}
        self.answers: dict[str, tuple[int, ...]] = {}
        self.compared = 0
        self.different: list[str] = []
        self.unstable: list[str] = []
        self.too_long: list[str] = []
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
        self.left_out += notes
        self.compared += len(items)
        self.different += [f"{i.id} ({key})" for i in items if i.prompt_ids != asked[i.id]]
        self.answers |= {item.id: item.answer_ids for item in items}
        limit = spec.training.max_length
        self.too_long += [i.id for i in items if len(i.prompt_ids) + len(i.answer_ids) > limit]
