"""The real data sets in the folder of TUNEBENCH_DATA: counts, splits, and golds that score 1."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core import SPLITS, DataRequest, Dataset, Example
from tasks.sql import task


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path))


def loaded(name: str, folder: str, sizes: tuple[int | None, int | None, int | None]) -> Dataset:
    root = os.environ.get("TUNEBENCH_DATA", "")
    if not root or not (Path(root) / folder).is_dir():
        pytest.skip(f"TUNEBENCH_DATA has no {folder}/")
    train, validation, test = sizes
    return task.load(DataRequest(name=name, train_size=train, validation_size=validation, test_size=test, offline=True))


def wrong_golds(examples: tuple[Example, ...]) -> Iterator[tuple[str, str, str]]:
    for example in examples:
        score = task.score(example, example.gold)["execution"]
        if score.value != 1.0:
            yield example.id, score.why, example.gold


def test_spider_loads_whole_with_databases_apart() -> None:
    data = loaded("spider", "spider", (0, 0, 40))
    assert not data.broken
    assert len(data.test) == 40
    everything = loaded("spider", "spider", (400, 150, 40))
    groups = [{e.cluster for e in everything.split(split)} for split in SPLITS]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert all(everything.unusable.values())


def test_spider_golds_score_one_on_a_sample() -> None:
    assert list(wrong_golds(loaded("spider", "spider", (0, 0, 40)).usable("test"))) == []


def test_create_context_golds_score_one_on_a_sample() -> None:
    data = loaded("create-context", "sql_create_context", (0, 0, 25))
    assert len(data.usable("test")) >= 20
    assert list(wrong_golds(data.usable("test"))) == []


@pytest.mark.slow
def test_every_usable_spider_dev_gold_scores_one() -> None:
    data = loaded("spider", "spider", (0, 0, None))
    assert len(data.test) == 1034
    assert list(wrong_golds(data.usable("test"))) == []


@pytest.mark.slow
def test_every_missing_or_empty_spider_database_is_reported() -> None:
    data = loaded("spider", "spider", (None, None, 0))
    missing = {e.cluster for e in (*data.train, *data.validation) if "missing" in data.unusable.get(e.id, "")}
    assert {"soccer_1", "chinook_1", "store_1"} <= missing


@pytest.mark.slow
def test_no_create_context_schema_is_in_two_splits() -> None:
    from tasks.sql.sources_context import _groups

    data = loaded("create-context", "sql_create_context", (300, 300, 300))
    assert not data.broken
    groups = [{group for e in data.split(split) for group in _groups(e)} for split in SPLITS]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
