"""The gate's verdicts, and everything on which it fails closed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.baseline import bless, read_baseline
from harness.core import UserError
from harness.gate import run_gate
from harness.gate_policy import (
    Check,
    Floor,
    Margin,
    MaxRatio,
    Policy,
    TaskPolicy,
    load_policy,
    single_check_policy,
)
from harness.gate_render import as_text
from harness.items import ItemSet
from tests.gate.material import VERSIONS, blessed, evaluator, item, item_set

MOSTLY_RIGHT = ["right"] * 350 + ["wrong"] * 50


@pytest.mark.parametrize(
    ("candidate", "decision", "exit_code"),
    [
        (MOSTLY_RIGHT, "PASS", 0),
        (["right"] * 250 + ["unparsed"] * 100 + ["wrong"] * 50, "FAIL", 1),
        (["right"] * 343 + ["wrong"] * 57, "INCONCLUSIVE", 2),
    ],
)
def test_the_interval_of_the_drop_decides(tmp_path: Path, candidate: list[str], decision: str, exit_code: int) -> None:
    verdict = run_gate("new", blessed(tmp_path, MOSTLY_RIGHT), evaluator(item_set(candidate)))
    assert (verdict.decision, verdict.exit_code, verdict.problems) == (decision, exit_code, ())
    numbers = verdict.checks[0].measured
    assert numbers.estimate == pytest.approx((350 - candidate.count("right")) / 400)
    assert (numbers.high < 0.02, numbers.low > 0.02) == (decision == "PASS", decision == "FAIL")
    assert (verdict.further_items is not None) == (decision == "INCONCLUSIVE")


def test_ten_identical_items_are_inconclusive_with_the_items_needed(tmp_path: Path) -> None:
    verdict = run_gate("new", blessed(tmp_path, ["right"] * 10), evaluator(item_set(["right"] * 10)))
    assert verdict.decision == "INCONCLUSIVE"
    assert verdict.further_items is not None
    assert verdict.further_items > 100


def test_few_clusters_say_little_about_new_ones_and_more_about_themselves(tmp_path: Path) -> None:
    same = item_set([], items=tuple(item(n, cluster=f"db{n % 8}") for n in range(400)))
    path = bless(same, tmp_path / "sql.json")
    about_new = run_gate("new", single_check_policy("sql", path, 0.02), evaluator(same))
    about_these = run_gate("new", single_check_policy("sql", path, 0.02, generalise_to="items"), evaluator(same))
    assert (about_new.decision, about_these.decision) == ("INCONCLUSIVE", "PASS")
    assert "more clusters" in as_text(about_new)
    assert "not new ones" in about_these.error_rule


def test_seconds_of_two_devices_do_not_compare(tmp_path: Path) -> None:
    def timed(device: str, jitter: float = 0.0) -> ItemSet:
        items = tuple(item(n, latency_s=1.0 + n % 7 + jitter * (n % 3)) for n in range(60))
        return item_set([], items=items, setting={"device": device})

    path = bless(timed("cpu (x86_64)"), tmp_path / "sql.json")
    policy = policy_of(path, Check(metric="latency", limit=MaxRatio(value=1.2)))
    verdict = run_gate("new", policy, evaluator(timed("cuda (x86_64)")))
    assert (verdict.decision, "seconds do not compare" in verdict.problems[0]) == ("CANNOT_COMPARE", True)
    assert run_gate("new", policy, evaluator(timed("cpu (x86_64)", 0.01))).decision == "PASS"


def damaged(**changes: Any) -> ItemSet:
    return replace(item_set(MOSTLY_RIGHT), **changes)


@pytest.mark.parametrize("part", list(VERSIONS))
def test_a_changed_version_cannot_be_compared(tmp_path: Path, part: str) -> None:
    candidate = damaged(versions={**VERSIONS, part: "other"})
    verdict = run_gate("new", blessed(tmp_path, MOSTLY_RIGHT), evaluator(candidate))
    assert (verdict.decision, verdict.exit_code) == ("CANNOT_COMPARE", 3)
    assert f"the {part} version changed" in verdict.problems[0]


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (damaged(versions={}), "version of the candidate is unknown"),
        (damaged(versions={**VERSIONS, "judge": "j1"}), "judge version of the baseline is unknown"),
        (damaged(items=item_set(MOSTLY_RIGHT).items[:370]), "370 of 400 asked items came back"),
        (damaged(items=()), "0 of 400 asked items came back"),
        (item_set(["unscored"] * 5 + MOSTLY_RIGHT[5:]), "5 of 400 items of the candidate are unscored"),
        (damaged(scorer="string_match"), "scorer is 'execution', the candidate's 'string_match'"),
        (damaged(split="validation"), "split"),
        (damaged(task="math"), "task"),
    ],
)
def test_what_cannot_be_compared_is_not_pass_and_is_named(tmp_path: Path, candidate: ItemSet, reason: str) -> None:
    verdict = run_gate("new", blessed(tmp_path, MOSTLY_RIGHT), evaluator(candidate))
    assert verdict.decision == "CANNOT_COMPARE"
    assert any(reason in problem for problem in verdict.problems), verdict.problems


def test_a_corrupt_checkpoint_cannot_be_compared(tmp_path: Path) -> None:
    def evaluate(checkpoint: str, baseline: ItemSet, item_ids: Sequence[str]) -> ItemSet:
        raise OSError("header of adapter_model.safetensors is too large")

    verdict = run_gate("new", blessed(tmp_path, MOSTLY_RIGHT), evaluate)
    assert verdict.decision == "CANNOT_COMPARE"
    assert "adapter_model.safetensors" in verdict.problems[0]


def test_a_missing_baseline_cannot_be_compared_and_says_how_to_write_one(tmp_path: Path) -> None:
    policy = single_check_policy("sql", tmp_path / "none.json", 0.02)
    verdict = run_gate("new", policy, evaluator(item_set(MOSTLY_RIGHT)))
    assert verdict.decision == "CANNOT_COMPARE"
    assert "harness bless" in verdict.problems[0]


def test_a_baseline_of_another_task_cannot_be_compared(tmp_path: Path) -> None:
    blessed(tmp_path, MOSTLY_RIGHT)
    policy = single_check_policy("math", tmp_path / "sql.json", 0.02)
    verdict = run_gate("new", policy, evaluator(item_set(MOSTLY_RIGHT)))
    assert "is of task 'sql'" in verdict.problems[0]


def edited(text: str) -> str:
    return text.replace('"value": 1.0', '"value": 0.0', 1)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (edited, "edited or damaged"),
        (lambda text: text[:-20], "not JSON"),
        (lambda text: text.replace("baseline/1", "baseline/9"), "format"),
        (lambda text: "[]", "format"),
        (lambda text: text.replace('"e1"', '"e2"'), "edited or damaged"),
    ],
)
def test_a_baseline_that_blessing_did_not_write_is_refused(tmp_path: Path, edit: Any, reason: str) -> None:
    policy = blessed(tmp_path, MOSTLY_RIGHT)
    path = tmp_path / "sql.json"
    path.write_text(edit(path.read_text()))
    verdict = run_gate("new", policy, evaluator(item_set(MOSTLY_RIGHT)))
    assert verdict.decision == "CANNOT_COMPARE"
    assert reason in verdict.problems[0]


def test_blessing_and_reading_give_the_same_items_without_answers(tmp_path: Path) -> None:
    items = (item(1, "right", cluster="db", tags=("hard",), latency_s=0.5), item(2, "unparsed", answer="\x1b[2J"))
    written = item_set([], items=items)
    read = read_baseline(bless(written, tmp_path / "deep" / "sql.json"))
    assert read.items == (items[0], replace(items[1], answer=""))
    assert read.versions == VERSIONS
    assert (tmp_path / "deep" / "sql.json").read_text().isascii()


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        (item_set(["right"]), "at least 2"),
        (item_set(["right"] * 50, versions={"task": "t"}), "data, prompts, scorers, engine"),
        (item_set(["right"] * 50 + ["unscored"]), "unscored"),
    ],
)
def test_what_cannot_serve_as_a_baseline_is_not_blessed(tmp_path: Path, items: ItemSet, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        bless(items, tmp_path / "sql.json")
    assert list(tmp_path.iterdir()) == []


def test_a_baseline_is_replaced_only_when_asked(tmp_path: Path) -> None:
    blessed(tmp_path, MOSTLY_RIGHT)
    with pytest.raises(UserError, match="--replace"):
        blessed(tmp_path, MOSTLY_RIGHT)
    bless(item_set(["right"] * 5), tmp_path / "sql.json", replace=True)
    assert len(read_baseline(tmp_path / "sql.json").items) == 5


def policy_of(path: Path, *checks: Check) -> Policy:
    return Policy(tasks=(TaskPolicy(task="sql", baseline=path, checks=checks),))


def test_format_failures_and_truncation_are_checked_beside_the_score(tmp_path: Path) -> None:
    path = bless(item_set(["right"] * 200 + ["wrong"] * 200), tmp_path / "sql.json")
    policy = policy_of(
        path,
        Check(metric="score", limit=Margin(value=0.02)),
        Check(metric="format_failures", limit=Margin(value=0.02)),
        Check(metric="truncation", limit=Margin(value=0.02)),
    )
    verdict = run_gate("new", policy, evaluator(item_set(["right"] * 200 + ["unparsed"] * 100 + ["wrong"] * 100)))
    assert [result.decision for result in verdict.checks] == ["PASS", "FAIL", "PASS"]
    assert verdict.decision == "FAIL"


def test_holm_keeps_a_claim_that_would_hold_alone_from_holding_among_many(tmp_path: Path) -> None:
    outcomes = ["right"] * 200
    path = bless(item_set(outcomes), tmp_path / "sql.json")
    alone = policy_of(path, Check(metric="score", limit=Margin(value=0.02)))
    assert run_gate("new", alone, evaluator(item_set(outcomes))).decision == "PASS"
    both = policy_of(path, *(Check(metric="score", limit=Margin(value=value)) for value in (0.02, 0.0199, 0.0201)))
    verdict = run_gate("new", both, evaluator(item_set(outcomes)))
    assert verdict.decision == "INCONCLUSIVE"
    assert verdict.checks[0].p_pass == pytest.approx(3 * verdict.checks[1].measured.p_pass, rel=0.1)


def test_latency_is_judged_as_a_ratio(tmp_path: Path) -> None:
    def timed(factor: float) -> ItemSet:
        # seconds that vary from item to item, and a factor that varies a little too
        seconds = [(1.0 + n % 7) * factor * (1.0 + 0.01 * (n % 3) * (factor > 1.0)) for n in range(60)]
        return item_set([], items=tuple(item(n, latency_s=value) for n, value in enumerate(seconds)))

    path = bless(timed(1.0), tmp_path / "sql.json")
    policy = policy_of(path, Check(metric="latency", limit=MaxRatio(value=1.2)))
    assert run_gate("new", policy, evaluator(timed(1.05))).decision == "PASS"
    slow = run_gate("new", policy, evaluator(timed(2.0)))
    assert slow.decision == "FAIL"
    assert slow.checks[0].measured.estimate == pytest.approx(2.02, abs=0.01)
    silent = run_gate("new", policy, evaluator(item_set(["right"] * 60)))
    assert (silent.decision, "no latency_s" in silent.problems[0]) == ("CANNOT_COMPARE", True)


def test_a_slice_has_its_own_floor(tmp_path: Path) -> None:
    def tagged(hard_right: int) -> ItemSet:
        hard = [item(n, "right" if n < hard_right else "wrong", tags=("hard",)) for n in range(80)]
        return item_set([], items=(*hard, *(item(n, tags=("easy",)) for n in range(80, 300))))

    path = bless(tagged(60), tmp_path / "sql.json")
    policy = policy_of(path, Check(metric="score", slice="hard", limit=Floor(value=0.5)))
    assert run_gate("new", policy, evaluator(tagged(60))).decision == "PASS"
    assert run_gate("new", policy, evaluator(tagged(20))).decision == "FAIL"
    assert run_gate("new", policy, evaluator(tagged(42))).decision == "INCONCLUSIVE"
    nowhere = policy_of(path, Check(metric="score", slice="nowhere", limit=Floor(value=0.5)))
    assert run_gate("new", nowhere, evaluator(tagged(60))).decision == "CANNOT_COMPARE"


def test_a_proven_fail_outranks_what_cannot_be_compared(tmp_path: Path) -> None:
    path = bless(item_set(MOSTLY_RIGHT), tmp_path / "sql.json")
    check = (Check(metric="score", limit=Margin(value=0.02)),)
    policy = Policy(
        tasks=(
            TaskPolicy(task="sql", baseline=path, checks=check),
            TaskPolicy(task="math", baseline=tmp_path / "none.json", checks=check),
        )
    )
    bad = run_gate("new", policy, evaluator(item_set(["wrong"] * 400)))
    good = run_gate("new", policy, evaluator(item_set(MOSTLY_RIGHT)))
    assert (bad.decision, good.decision) == ("FAIL", "CANNOT_COMPARE")
    assert len(bad.problems) == len(good.problems) == 1


def test_until_decided_stops_early_on_a_clear_case_and_asks_no_item_twice(tmp_path: Path) -> None:
    asked: list[str] = []
    worse = item_set(["wrong"] * 1000)

    def evaluate(checkpoint: str, baseline: ItemSet, item_ids: Sequence[str]) -> ItemSet:
        asked.extend(item_ids)
        return evaluator(worse)(checkpoint, baseline, item_ids)

    policy = blessed(tmp_path, ["right"] * 1000)
    verdict = run_gate("new", policy, evaluate, until_decided=True)
    assert (verdict.decision, verdict.look) == ("FAIL", 1)
    assert verdict.num_looks > 2
    assert len(asked) == len(set(asked)) < 200


def test_until_decided_spends_its_error_once_over_all_looks(tmp_path: Path) -> None:
    from harness.gate import _looks

    policy = blessed(tmp_path, MOSTLY_RIGHT)
    plan = _looks(policy, {"sql": item_set(MOSTLY_RIGHT)}, until_decided=True)
    sizes = [look["sql"] for look in plan]
    assert sizes == [50, 100, 200, 400]
    verdict = run_gate("new", policy, evaluator(item_set(["right"] * 343 + ["wrong"] * 57)), until_decided=True)
    assert (verdict.decision, verdict.look, verdict.level) == ("INCONCLUSIVE", 4, pytest.approx(0.025 / 2))


POLICY = """
confidence: 0.9
tasks:
  sql:
    baseline: results/baselines/sql.json
    num_items: 200
    checks:
      - {metric: score, margin: 0.02}
      - {metric: latency, max_ratio: 1.2}
      - {metric: score, slice: "difficulty:hard", floor: 0.5}
"""


def test_a_policy_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    policy = load_policy(path)
    assert policy.alpha == pytest.approx(0.05)
    assert policy.tasks[0].checks[2] == Check(metric="score", slice="difficulty:hard", limit=Floor(value=0.5))
    assert policy.tasks[0].num_items == 200


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("margin", "margn", "did you mean 'margin'"),
        ("confidence", "confidance", "did you mean 'confidence'"),
        ("score, margin: 0.02", "score", "exactly one of"),
        ("margin: 0.02", "margin: 2", "in \\(0, 1\\)"),
        ("margin: 0.02", "margin: '2 %'", "is a number"),
        ("margin: 0.02", "margin: true", "is a number"),
        ("margin: 0.02", "margin: .nan", "in \\(0, 1\\)"),
        ("metric: latency", "metric: accuracy", "max_ratio|unknown metric"),
        ("max_ratio: 1.2", "margin: 0.1", "max_ratio goes with latency"),
        ("num_items: 200", "num_items: many", "whole number"),
        ("baseline: results/baselines/sql.json", "baseline: 3", "needs `baseline`"),
        ("tasks:", "tusks:", "did you mean 'tasks'"),
        ("confidence: 0.9", "confidence: 95", "confidence is in"),
        ("confidence: 0.9", "generalise_to: databases", "clusters or items"),
        ("  sql:", "  sql: [", "YAML"),
    ],
)
def test_a_wrong_policy_is_refused_with_the_place(tmp_path: Path, before: str, after: str, reason: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.replace(before, after, 1))
    with pytest.raises(UserError, match=reason):
        load_policy(path)


@pytest.mark.parametrize("text", ["", "[]", "tasks: {}", "tasks: {sql: {baseline: b, checks: []}}"])
def test_a_policy_that_checks_nothing_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(UserError):
        load_policy(path)


def test_the_baseline_file_has_one_line_an_item(tmp_path: Path) -> None:
    blessed(tmp_path, MOSTLY_RIGHT)
    lines = (tmp_path / "sql.json").read_text().splitlines()
    assert sum(line.startswith('  {"id"') for line in lines) == 400
    assert json.loads("\n".join(lines))["versions"] == VERSIONS
