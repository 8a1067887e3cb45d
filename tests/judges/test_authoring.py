"""What a hosted author writes is kept only when the task accepts it, is labelled, and changes the data's revision."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.authoring import author, author_estimate, with_synthetic, write_authored
from harness.core import Dataset, Example, UserError
from harness.hosted import HostedRequest
from harness.registry import load_task
from harness.store import append_lines
from tests.judges.server import FaultServer, Say, Script

SCHEMA = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, age INTEGER); "
    "CREATE TABLE pets (owner INTEGER REFERENCES people(id), kind TEXT);"
)
QUERY = Example(
    id="sql1",
    inputs={"question": "Who is older than 30?", "schema": SCHEMA},
    gold="SELECT name FROM people WHERE age > 30",
    meta={"schema": SCHEMA, "dialect": "sqlite"},
)
TEXT = Example(id="f1", inputs={"text": "Portal is a puzzle game."}, gold="inform(name[Portal], genres[puzzle])")
HOSTED = HostedRequest(judges=("gpt-4o",))


@pytest.fixture
def serve(
    start: Callable[[Script], FaultServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    def serve(body: Any) -> FaultServer:
        server = start(lambda request, number: Say(text=json.dumps(body)))
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "cache"))
        return server

    return serve


def dataset(**splits: tuple[Example, ...]) -> Dataset:
    parts: dict[str, Any] = {"train": (), "validation": (), "test": (), **splits}
    return Dataset(name="d", revision="r1", licence="", split_rule="", **parts)


def tables(people: list[list[Any]], pets: list[list[Any]]) -> dict[str, Any]:
    return {"tables": [{"name": "people", "rows": people}, {"name": "pets", "rows": pets}]}


GOOD = tables([[1, "Ann", 30], [2, "Bo", 31], [3, "bo", 44]], [[1, "cat"]])


def test_written_rows_become_one_more_instance_and_their_kill_rate_is_told(serve: Callable, tmp_path: Path) -> None:
    serve(GOOD)
    task = load_task("sql")
    written = author(task, "tables", [QUERY], "test", HOSTED)
    assert written.refused == ()
    assert [line.partition(":")[0] for line in written.told] == [
        "the written rows", "one generated instance", "all generated instances", "author",
    ]  # fmt: skip
    assert "wrong queries told from gold" in written.told[0]
    write_authored(written, tmp_path / "tables.jsonl")
    grown = with_synthetic(dataset(test=(QUERY,)), tmp_path / "tables.jsonl")
    (item,) = grown.test
    assert item.meta["mock_tables"]["people"][1] == [2, "Bo", 31]
    assert item.tags == ("mock tables",)
    assert grown.revision.startswith("r1+tables-")
    before = task.score(QUERY, QUERY.gold)["execution"].evidence["instances"]
    assert task.score(item, QUERY.gold)["execution"].evidence["instances"] == before + 1


BAD_ROWS = {
    "a broken key": (tables([[1, "Ann", 40], [1, "Bo", 50]], [[1, "cat"]]), "UNIQUE"),
    "a foreign key to nobody": (tables([[1, "Ann", 40]], [[9, "cat"]]), "points to no row"),
    "rows on which gold is empty": (tables([[1, "Ann", 4]], [[1, "cat"]]), "empty"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_that_the_task_cannot_use_are_refused_with_the_reason(name: str, serve: Callable) -> None:
    body, why = BAD_ROWS[name]
    serve(body)
    written = author(load_task("sql"), "tables", [QUERY], "train", HOSTED)
    assert written.rows == ()
    assert why in written.refused[0][1]


def test_a_paraphrase_stands_behind_its_origin_labelled_under_another_revision(serve: Callable, tmp_path: Path) -> None:
    serve({"texts": ["A puzzle game is what Portal is."]})
    written = author(load_task("functional"), "paraphrases", [TEXT], "train", HOSTED)
    path = tmp_path / "texts.jsonl"
    write_authored(written, path)
    other = replace(TEXT, id="f2", inputs={"text": "Another one."})
    grown = with_synthetic(dataset(train=(TEXT, other)), path)
    assert [example.id for example in grown.train] == ["f1", "f1~paraphrase0", "f2"]
    assert "synthetic" in grown.train[1].tags
    assert grown.revision.startswith("r1+synthetic-")
    assert with_synthetic(dataset(train=(TEXT,), test=(other,)), path).test == (other,)


def test_the_test_split_takes_no_synthetic_item(serve: Callable, tmp_path: Path) -> None:
    server = serve({"texts": ["A puzzle game is what Portal is."]})
    task = load_task("functional")
    with pytest.raises(UserError, match="test split"):
        author(task, "paraphrases", [TEXT], "test", HOSTED)
    assert server.chats == []
    rows = author(task, "paraphrases", [TEXT], "train", HOSTED).rows
    append_lines(tmp_path / "forged.jsonl", [{**row, "split": "test"} for row in rows])
    with pytest.raises(UserError, match="test split"):
        with_synthetic(dataset(test=(TEXT,)), tmp_path / "forged.jsonl")
    append_lines(tmp_path / "leak.jsonl", rows)
    with pytest.raises(UserError, match="leak"):
        with_synthetic(dataset(test=(TEXT,)), tmp_path / "leak.jsonl")


@pytest.mark.parametrize(("kind", "task"), [("tables", "sql"), ("paraphrases", "functional"), ("cases", "functional")])
def test_a_dry_run_says_calls_and_dollars_and_sends_nothing(kind: Any, task: str, serve: Callable) -> None:
    server = serve(GOOD)
    example = QUERY if task == "sql" else TEXT
    words = author_estimate(load_task(task), kind, [example], "train", HOSTED)
    assert words.startswith("author gpt-4o: 1 calls, 0 more from the cache; about $")
    assert server.chats == []


def test_a_file_for_other_items_is_refused(tmp_path: Path) -> None:
    append_lines(tmp_path / "x.jsonl", [{"kind": "tables", "origin": "elsewhere", "split": "train", "tables": {}}])
    with pytest.raises(UserError, match="'elsewhere' is not among the items loaded"):
        with_synthetic(dataset(train=(TEXT,)), tmp_path / "x.jsonl")


def test_a_task_without_tables_says_what_it_can_have() -> None:
    with pytest.raises(UserError, match="paraphrases and cases"):
        author(load_task("math"), "tables", [TEXT], "train", HOSTED)
