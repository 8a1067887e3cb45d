"""A verdict does not depend on workers, order, repetition or the process that gives it; a witness is small."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.grade import grade_pairs
from tasks.sql import score as scoring
from tasks.sql import task
from tasks.sql.score import pair, score
from tests.sql_scorer.corpus import hand_pairs


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path))


def graded(rows: list[dict[str, str]], folder: Path, workers: int) -> dict[str, Any]:
    path = folder / f"pairs-{workers}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {str(line["id"]): line for line in grade_pairs(task, path, workers=workers)}


@pytest.mark.slow
def test_workers_order_and_an_empty_cache_change_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [each.row(with_data=number % 2 == 0) for number, each in enumerate(hand_pairs()) if number % 37 == 0]
    first = graded(rows, tmp_path, workers=1)
    random.Random(3).shuffle(rows)
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "another"))
    assert graded(rows, tmp_path, workers=3) == first
    assert len(first) == len(rows) > 10


def test_every_thread_has_a_child_of_its_own() -> None:
    both = threading.Barrier(2, timeout=60)

    def child_of(number: int) -> int:
        item = pair({"id": str(number), "gold": "SELECT a FROM t", "schema": "CREATE TABLE t (a INTEGER)"})
        assert score(item, "SELECT a FROM t")["execution"].value == 1.0
        both.wait()
        child = scoring._worker()._child
        assert child is not None
        return child.pid

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(child_of, range(2)))) == 2


def test_a_witness_from_the_data_sets_own_rows_is_shrunk_and_leaves_the_file_alone(tmp_path: Path) -> None:
    database = tmp_path / "shop.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute(
            "CREATE TABLE sale (id INTEGER PRIMARY KEY, shop INTEGER REFERENCES shop(id), amount INTEGER)"
        )
        connection.executemany("INSERT INTO shop VALUES (?, ?)", [(n, f"shop {n}") for n in range(40)])
        connection.executemany("INSERT INTO sale VALUES (?, ?, ?)", [(n, n % 40, n * 7 % 1000) for n in range(900)])
    connection.close()
    before = database.read_bytes()
    item = pair({"id": "x", "gold": "SELECT amount FROM sale", "database": str(database)})
    # no generated instance has a sale of exactly this kind, so only the item's own rows refute
    wrong = "SELECT amount FROM sale WHERE NOT (id = 777 AND shop = 17 AND amount = 439)"
    verdict = score(item, wrong)["execution"]
    tables = verdict.evidence["witness"]["tables"]
    assert (verdict.why, verdict.evidence["refuted_on"]) == ("refuted", ["data"])
    assert {name: len(table["rows"]) for name, table in tables.items()} == {"shop": 1, "sale": 1}
    assert tables["sale"]["rows"] == [[777, 17, 439]]
    assert database.read_bytes() == before
