"""`write_report` reads what the store wrote: a folder with runs of every status, and one without a sweep."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.core import ALL_LINEAR, Base, Example, Lora, RunSpec, Training, UserError, to_json
from harness.report import print_summary, write_report
from harness.store import Sweep, write_json


def make_sweep(folder: Path) -> None:
    """A sweep of a scored base run and two LoRA runs, one failed, one pending."""
    lora = Lora(rank=8, alpha=16, targets=ALL_LINEAR)
    specs = {
        "base-1": RunSpec(task="sql", data="builtin", model="m", method=Base(), training=None),
        "lora-2": RunSpec(task="sql", data="builtin", model="m", method=lora, training=Training(learning_rate=1e-3)),
        "lora-3": RunSpec(task="sql", data="builtin", model="m", method=lora, training=Training(learning_rate=1e-4)),
    }
    info = {"name": "real", "task": "sql", "scorer": "execution", "scorers": ["execution"], "runs": list(specs)}
    write_json(folder / "sweep.json", info)
    examples = [
        Example(id=f"q{at}", inputs={"question": f"{at}?"}, gold="SELECT 1", tags=("easy",)) for at in range(20)
    ]
    Sweep(folder).write_examples([("validation", example) for example in examples])
    for name, spec in specs.items():
        write_json(folder / name / "spec.json", {"spec": to_json(spec)})
    for run in Sweep(folder).run_folders():
        if run.name == "lora-2":
            run.fail("train", "loss is not finite at step 3")
    score = {"value": 1.0, "why": "correct", "answer": "SELECT 1", "evidence": {}}
    lines = [
        {
            "example_id": example.id,
            "split": "validation",
            "outcome": "right",
            "finish": "stop",
            "scores": {"execution": score},
        }
        for example in examples
    ]
    (folder / "base-1" / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json(folder / "base-1" / "done.json", {"finished": "2026-11-24T10:00:00Z"})


def test_a_folder_of_the_store_gets_its_report(tmp_path: Path) -> None:
    make_sweep(tmp_path / "real")
    path = write_report(tmp_path / "real")
    page = path.read_text(encoding="utf-8")
    assert "loss is not finite at step 3" in page
    assert page.count('<tr class="') == 3
    out = StringIO()
    print_summary(tmp_path / "real", Console(file=out, width=160))
    assert "NOT CERTIFIED" in out.getvalue()


def test_an_earlier_sweep_beside_it_is_named(tmp_path: Path) -> None:
    make_sweep(tmp_path / "first")
    make_sweep(tmp_path / "second")
    text = write_report(tmp_path / "second").with_name("report.md").read_text(encoding="utf-8")
    assert "Cannot be told apart from 1 earlier sweep" in text


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sweep"):
        write_report(tmp_path)
