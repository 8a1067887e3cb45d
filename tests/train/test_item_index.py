"""Items that are streamed train like items in memory; the index says what reading them whole would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from harness.core import Training, UserError
from harness.train.batches import usable_items
from harness.train.item_index import ItemIndex, index_items, lines_at
from harness.train.job import Item, Options, item_of_line, read_items
from tests.train.conftest import LORA, random_items

torch = pytest.importorskip("torch")
TRAINING = Training(learning_rate=2e-3, epochs=1.5, batch_size=7, max_length=25)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in random_items(40)), encoding="utf-8")
    return file


def test_the_index_says_of_each_usable_item_where_it_is_and_how_long(path: Path) -> None:
    kept, left_out = usable_items(read_items(path), 25)
    index = index_items(path, 25)
    assert [(item.num_tokens, item.num_answer_tokens) for item in index] == [
        (item.num_tokens, item.num_answer_tokens) for item in kept
    ]
    assert list(index.left_out) == left_out != []
    assert [item_of_line(line, "here") for line in lines_at(path, index.offsets)] == kept


def test_an_index_of_nothing_is_refused_as_nothing_in_memory_is(path: Path) -> None:
    with pytest.raises(UserError, match="longer than max_length 2 "):
        index_items(path, 2)
    path.write_text("")
    with pytest.raises(UserError, match="no training item"):
        index_items(path, 25)


def streamed(path: Path, index: ItemIndex) -> Iterator[Item]:
    places = (index.offsets[item] for step in index.steps(TRAINING, 0) for item in step)
    return (item_of_line(line, "the stream") for line in lines_at(path, places))


def losses(model: Path, items: list[Item] | ItemIndex, stream: Iterator[Item] | None) -> list[float]:
    from harness.train.loop import Hooks, Setup, train_steps
    from harness.train.optimizer import Updater
    from harness.train.trainee import attach, load_base

    options = Options(micro_batch=2, threads=1)
    trainee = attach(load_base(model, "cpu", "float32", "none"), LORA, 0, options)
    updater = Updater(trainee.parameters, TRAINING, options)
    setup = Setup(trainee=trainee, updater=updater, items=items, training=TRAINING, seed=0, options=options, device="cpu",
                  stream=stream)  # fmt: skip
    rows: list[dict[str, Any]] = []
    train_steps(setup, Hooks(record=rows.append, save=lambda state: None))
    return [row["loss"] for row in rows]


def test_streamed_items_train_bitwise_like_items_in_memory(path: Path, model_folder: Path) -> None:
    whole, _ = usable_items(read_items(path), TRAINING.max_length)
    index = index_items(path, TRAINING.max_length)
    assert losses(model_folder, index, streamed(path, index)) == losses(model_folder, whole, None)


def test_a_stream_that_is_not_in_the_order_of_the_steps_ends_the_run(path: Path, model_folder: Path) -> None:
    from harness.train.loop import TrainingError

    index = index_items(path, TRAINING.max_length)
    with pytest.raises(TrainingError, match="order of the steps"):
        losses(model_folder, index, islice(streamed(path, index), 1, None))
