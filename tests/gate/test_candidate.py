"""Runs read from a results folder: gate, bless and compare take their items from there."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from harness.baseline import bless
from harness.candidate import evaluate, run_items
from harness.compare_formats import load_items
from harness.core import Base, Full, RunSpec, Training, UserError, to_json
from harness.gate import run_gate
from harness.gate_policy import single_check_policy
from harness.store import Run, append_lines, write_json
from tests.gate.material import VERSIONS, item_set

SPECS = {
    "base": RunSpec(task="sql", data="builtin", model="m", method=Base(), training=None),
    "full": RunSpec(task="sql", data="builtin", model="m", method=Full(), training=Training(learning_rate=1e-5)),
}


def sweep(folder: Path, outcomes: dict[str, list[str]]) -> Path:
    """A sweep folder with validation and test scores by two scorers."""
    write_json(folder / "sweep.json", {"runs": list(outcomes), "scorer": "execution", "versions": VERSIONS})
    for name, classes in outcomes.items():
        write_json(folder / name / "spec.json", {"spec": to_json(SPECS[name])})
        if name != "base":
            write_json(folder / name / "trained.json", {"trainable_parameters": 9, "checkpoint_bytes": 9})
        rows = []
        for split in ("validation", "test"):
            for number, outcome in enumerate(classes):
                value = None if outcome == "unscored" else float(outcome == "right")
                scores = {
                    "execution": {"value": value, "why": outcome, "answer": "SELECT 1", "evidence": {}},
                    "strict": {"value": 0.0, "why": "strict", "answer": "SELECT 1", "evidence": {}},
                }
                row = {"split": split, "example_id": f"{split}-{number}", "outcome": outcome, "finish": "stop"}
                rows.append({**row, "scores": scores})
        append_lines(folder / name / "scores.jsonl", rows)
        write_json(folder / name / "done.json", {})
    return folder


GOOD, BAD = ["right"] * 280 + ["wrong"] * 20, ["right"] * 100 + ["unparsed"] * 200


def test_a_run_is_blessed_and_gates_another_run_of_a_later_sweep(tmp_path: Path) -> None:
    old = sweep(tmp_path / "old", {"full": GOOD})
    new = sweep(tmp_path / "new", {"full": BAD, "base": GOOD})
    path = bless(run_items(old / "full"), tmp_path / "sql.json")
    policy = single_check_policy("sql", path, 0.02)
    assert run_gate(str(new / "full"), policy, evaluate).decision == "FAIL"
    assert run_gate(str(new / "base"), policy, evaluate).decision == "PASS"


def test_test_items_come_before_validation_items_and_a_split_can_be_named(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s", {"full": GOOD})
    assert run_items(folder / "full").split == "test"
    assert run_items(folder / "full", split="validation").items[0].id == "validation-0"


def test_by_another_scorer_an_item_is_right_by_that_scorer(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s", {"full": ["right", "unparsed", "wrong"]})
    found = run_items(folder / "full", scorer="strict")
    assert [item.outcome for item in found.items] == ["wrong", "unparsed", "wrong"]


def test_a_failed_run_a_missing_scorer_and_another_task_are_errors(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s", {"full": GOOD})
    with pytest.raises(UserError, match="no other scores"):
        run_items(folder / "full", scorer="other")
    with pytest.raises(UserError, match="is of task 'sql'"):
        evaluate(str(folder / "full"), item_set([], task="math"), ["test-0"])
    write_json(folder / "full" / "failure.json", {"stage": "train", "reason": "loss is not finite"})
    with pytest.raises(UserError, match="loss is not finite"):
        run_items(folder / "full")


def test_a_sweep_is_compared_by_its_recommended_run(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s", {"base": BAD, "full": GOOD})
    assert load_items(folder).name == "full"
    assert load_items(folder / "base" / "scores.jsonl").name == "base"


def test_any_other_checkpoint_is_sampled_by_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("harness.checkpoint")
    asked = SimpleNamespace(ids=())

    def evaluate_checkpoint(checkpoint: str, baseline: object, item_ids: list[str], **places: object) -> object:
        asked.ids = tuple(item_ids)
        return item_set(["right"], name=checkpoint)

    module.evaluate_checkpoint = evaluate_checkpoint  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "harness.checkpoint", module)
    assert evaluate(str(tmp_path), item_set(["right"]), ["q0"]).name == str(tmp_path)
    assert asked.ids == ("q0",)


def test_what_a_run_has_not_answered_its_checkpoint_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sweep(tmp_path / "s", {"full": GOOD})
    asked: list[str] = []
    module = ModuleType("harness.checkpoint")

    def evaluate_checkpoint(checkpoint: str, baseline: object, item_ids: list[str], **places: object) -> object:
        asked.append(checkpoint)
        return item_set(["right"])

    module.evaluate_checkpoint = evaluate_checkpoint  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "harness.checkpoint", module)
    (folder / "full" / "checkpoint").mkdir()
    evaluate(str(folder / "full"), item_set(["right"]), ["test-0", "test-1"])
    assert asked == [], "it has answered these"
    evaluate(str(folder / "full"), item_set(["right"]), ["test-0", "another"])
    evaluate(str(folder / "full"), item_set([], task="math"), ["math-0"])
    assert asked == [str(folder / "full" / "checkpoint")] * 2


def test_scores_by_a_judge_carry_the_judges_version(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s", {"full": ["right", "wrong"]})
    rows = [
        {**row, "scores": {**row["scores"], "judge:m": row["scores"]["strict"]}}
        for row in Run(folder / "full").scores()
    ]
    (folder / "full" / "scores.jsonl").unlink()
    append_lines(folder / "full" / "scores.jsonl", rows)
    assert run_items(folder / "full", scorer="judge:m").versions["judge"] == "", "unknown, so no gate can pass on it"
    judge = {"rubric": "correct@2", "when": "always", "snapshots": ["m-2026-01"]}
    write_json(folder / "hosted.json", {"roles": {"judge": judge}})
    assert run_items(folder / "full", scorer="judge:m").versions["judge"] == "judge:m correct@2 always m-2026-01"
    assert "judge" not in run_items(folder / "full").versions
