"""The certificate's part "engine" from what sampling left behind: each planted fault is named, hosted rows are no fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.certificate import Check
from harness.certify_engine import engine_checks
from harness.core import Base, Lora, Method, RunSpec, Training, to_json
from harness.store import Run, append_lines, write_json

PROOF = {"distance": 0.05, "measured_floor": 0.04, "applied": 0.97, "not_told_from": []}
BATCH = {"compared": 4, "different": [], "batch": 16}
MakeRun = Callable[..., Run]


@pytest.fixture
def make(tmp_path: Path) -> MakeRun:
    """Writes a sampled run: its spec, sampling.json and two validation answers."""

    def write(name: str, *, method: Method | None = None, finish: str = "stop", **sampling: Any) -> Run:
        model, trained = sampling.pop("model", "tiny"), method is not None
        spec = RunSpec(task="sql", data="builtin", model=model, method=method or Base(),
                       training=Training(learning_rate=1e-3) if trained else None)  # fmt: skip
        run = Run(tmp_path / name)
        write_json(run.folder / "spec.json", {"spec": to_json(spec), "versions": {}})
        write_json(run.folder / "sampling.json", {"check": PROOF, "batch": BATCH, **sampling})
        answers = [
            {"example_id": str(i), "split": "validation", "text": "SELECT 1", "finish": finish, "num_prompt_tokens": 3,
             "num_tokens": 2, "error": ""} for i in range(2)
        ]  # fmt: skip
        append_lines(run.folder / "completions.jsonl", answers)
        return run

    return write


LORA = Lora(rank=8, alpha=16)


def by_name(runs: list[Run]) -> dict[str, Check]:
    return {check.name: check for check in engine_checks(runs)}


def test_proven_runs_pass_every_check(make: MakeRun) -> None:
    checks = by_name([make("base"), make("one", method=LORA), make("two", method=LORA)])
    assert {check.status for check in checks.values()} == {"pass"}, checks
    assert "2 of 2 trained checkpoints" in checks["adapters applied"].detail
    assert "1 of 1 pairs" in checks["right checkpoint"].detail


def test_a_sweep_that_sampled_nothing_has_no_engine_part(make: MakeRun) -> None:
    waiting = make("waiting", method=LORA)
    (waiting.folder / "sampling.json").unlink()
    assert engine_checks([waiting]) == []


def test_a_hosted_row_has_no_weights_and_fails_no_check(make: MakeRun) -> None:
    hosted = make("gpt", model="openai:gpt-4o", check=None, batch=None)
    assert engine_checks([hosted]) == []
    checks = by_name([hosted, make("base"), make("one", method=LORA)])
    assert {check.status for check in checks.values()} == {"pass"}, checks


@pytest.mark.parametrize(
    ("fault", "check", "status"),
    [
        ({"check": None}, "weights proven", "fail"),
        ({"check": {**PROOF, "applied": None}}, "adapters applied", "warn"),
        ({"check": {**PROOF, "not_told_from": ["other"]}}, "right checkpoint", "warn"),
        ({"check": {**PROOF, "distance": 0.14}}, "peft, merged, engine", "warn"),
        ({"batch": {**BATCH, "different": ["item 1: token 3"]}}, "batch 1 and batch N", "warn"),
        ({"finish": "length"}, "trained models stop", "warn"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_fault_is_named(make: MakeRun, fault: dict[str, Any], check: str, status: str) -> None:
    other = make("other", method=LORA, batch=None)
    found = by_name([other, make("faulty", method=LORA, **fault)])
    assert found[check].status == status, found
    assert found[check].examples
    assert [name for name, one in found.items() if one.status == "fail"] == (
        ["weights proven"] if status == "fail" else []
    )


def test_a_run_that_was_refused_is_a_warning_with_its_reason(make: MakeRun) -> None:
    refused = make("refused", method=LORA)
    (refused.folder / "sampling.json").unlink()
    refused.fail("sample", "adapter not applied")
    proven = by_name([make("base"), refused])["weights proven"]
    assert proven.status == "warn"
    assert "adapter not applied" in proven.examples[0]


def test_a_batch_that_was_never_compared_is_not_taken_for_agreement(make: MakeRun) -> None:
    check = by_name([make("base", batch=None)])["batch 1 and batch N"]
    assert check.status == "warn"
    assert "not measured" in check.detail
