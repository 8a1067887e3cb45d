"""Hostile strings: each ends in a typed verdict within its limit, changes nothing, and the next item is unaffected."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from pathlib import Path

import pytest

from harness.core import Example
from tasks.sql import score as scoring
from tasks.sql.score import JUDGE_TIMEOUT_S, MEMORY_BYTES, SCORERS, pair, score
from tests.sql_scorer.hostile import CANARY, WHYS, hostile_strings

GOLD = "SELECT name FROM singer WHERE age > 20"
HOSTILE = hostile_strings()
QUICK = [name for number, name in enumerate(sorted(HOSTILE)) if number % 12 == 0]


@pytest.fixture
def item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Example:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "cache"))
    database = tmp_path / "singers.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE singer (singer_id INTEGER PRIMARY KEY, name TEXT, country TEXT, age INTEGER)")
        rows = [(n, f"name {n}", f"country {n % 9}", 10 + n % 60) for n in range(400)]
        connection.executemany("INSERT INTO singer VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return pair({"id": "x", "gold": GOLD, "database": str(database)})


def digests(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def peak_memory_bytes() -> int:
    """The largest resident size of the scorer's child so far; 0 when it was killed and not started again."""
    worker = scoring._worker()
    if worker._child is None:
        return 0
    status = Path(f"/proc/{worker._child.pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def assert_all_end_typed(item: Example, folder: Path, names: list[str]) -> None:
    right = score(item, GOLD)
    assert right["execution"].value == 1.0
    before, canaries = digests(folder), [name for name in os.listdir("/tmp") if CANARY in name]
    for name in names:
        start = time.monotonic()
        scores = score(item, HOSTILE[name])
        seconds = time.monotonic() - start
        execution = scores["execution"]
        assert set(scores) == set(SCORERS), name
        assert (execution.value, execution.why in WHYS) == (0.0, True), (name, execution)
        assert seconds < JUDGE_TIMEOUT_S + 15, (name, seconds)
        assert peak_memory_bytes() < MEMORY_BYTES, name
        assert score(item, GOLD) == right, name
    assert digests(folder) == before
    assert [name for name in os.listdir("/tmp") if CANARY in name] == canaries


def test_there_are_at_least_150_different_hostile_strings() -> None:
    assert len(set(HOSTILE.values())) >= 150


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc, which only Linux has")
def test_a_sample_of_hostile_strings_ends_typed_and_changes_nothing(item: Example, tmp_path: Path) -> None:
    assert_all_end_typed(item, tmp_path, QUICK)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc, which only Linux has")
def test_every_hostile_string_ends_typed_and_changes_nothing(item: Example, tmp_path: Path) -> None:
    assert_all_end_typed(item, tmp_path, list(HOSTILE))
