"""A model, or a data set, may write half a surrogate pair: every table, file and comparison of a sweep takes it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.baseline import bless, read_baseline
from harness.candidate import run_items
from harness.compare import as_json, as_markdown, as_text, compare
from harness.compare_formats import load_items
from harness.core import Base, Completion, Example, RunSpec, to_json
from harness.report import write_report
from harness.store import Run, Sweep, append_lines, write_json

BAD = "SELECT \ud800 \x00 \udfff"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A finished sweep of one run in which everything that comes from outside has lone surrogates."""
    folder = tmp_path_factory.mktemp("surrogates") / "sweep"
    versions = dict.fromkeys(("task", "data", "prompts", "scorers", "engine"), "1")
    info = {"name": "sweep", "task": "sql", "scorer": "execution", "scorers": ["execution"], "versions": versions}
    write_json(folder / "sweep.json", {**info, "runs": ["base"]})
    spec = RunSpec(task="sql", data="builtin", model="m", method=Base(), training=None)
    run = Run(folder / "base")
    write_json(run.folder / "spec.json", {"spec": to_json(spec)})
    items = [
        Example(id=f"q{n} {BAD}", inputs={"question": BAD}, gold=BAD, cluster=f"c{n} {BAD}", tags=(BAD,))
        for n in range(4)
    ]
    found = Sweep(folder)
    found.write_examples(("validation", item) for item in items)
    found.write_prompts("instruct", {item.id: BAD for item in items})
    shared = {"split": "validation", "finish": "stop"}
    counts = {"num_prompt_tokens": 1, "num_tokens": 2}
    score = {"value": 0.0, "why": BAD, "answer": BAD, "evidence": {"rows": [[BAD]]}}
    for item in items:
        completion = Completion(example_id=item.id, text=BAD, **shared, **counts)  # type: ignore[arg-type]
        append_lines(run.folder / "completions.jsonl", [to_json(completion)])
        row = {**shared, "example_id": item.id, "outcome": "wrong", "scores": {"execution": score}}
        append_lines(run.folder / "scores.jsonl", [row])
    write_json(run.folder / "done.json", {})
    return found


def test_every_table_of_the_store_can_be_made_and_written(sweep: Sweep, tmp_path: Path) -> None:
    for table in (sweep.runs(), sweep.scores(), sweep.examples().drop(columns="meta")):
        assert len(table) > 0
        table.to_parquet(tmp_path / "table.parquet")
        table.to_csv(tmp_path / "table.csv")
    assert sweep.scores()["text"].iloc[0] == "SELECT \\ud800 \x00 \\udfff"
    assert set(sweep.scores()["example_id"]) == set(sweep.examples().index)


def test_the_report_is_written(sweep: Sweep) -> None:
    assert write_report(sweep.folder).read_text(encoding="utf-8").startswith("<!")
    assert len(pd.read_parquet(sweep.folder / "items.parquet")) == 4


def test_a_baseline_and_a_comparison_keep_every_item_and_its_cluster(sweep: Sweep, tmp_path: Path) -> None:
    items = run_items(sweep.folder / "base")
    assert all(item.cluster for item in items.items)
    path = bless(items, tmp_path / "sql.json")
    assert {item.id for item in read_baseline(path).items} == {item.id for item in items.items}
    found = compare(load_items(sweep.folder / "base"), load_items(path))
    for text in (as_text(found), as_json(found), as_markdown(found)):
        assert text.encode("utf-8")
