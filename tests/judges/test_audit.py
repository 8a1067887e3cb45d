"""The audit: known judges get the verdict they deserve, with the figures a person can recompute."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core import Score, UserError
from judges.audit import AuditRules, audit
from judges.config import JudgeItem
from judges.controls import controls
from judges.demo import judge_demo
from judges.labels import load_labels, with_labels
from tests.judges.server import Say, field_text, verdict

RULES = AuditRules(num_control_items=10, num_pairs=5)


def sweep_items(count: int = 60) -> list[JudgeItem]:
    """A third right, from two methods; a wrong submission is longer."""
    made = []
    for n in range(count):
        right = n % 3 == 0
        made.append(
            JudgeItem(
                id=f"run{n % 2}:item{n}",
                question=f"question {n}?",
                reference=f"SELECT c{n} FROM t",
                submission=f"SELECT c{n} FROM t" if right else f"SELECT c{n} FROM t WHERE wrong",
                exact=Score(value=float(right), why="correct" if right else "refuted"),
                method=("base", "lora")[n % 2],
            )
        )
    return made


def honest(body: dict, number: int) -> Say:
    if "Submission A" in body["messages"][1]["content"]:
        return verdict("A" if field_text(body, "first") == field_text(body, "reference") else "B")
    return verdict("correct" if field_text(body, "submission") == field_text(body, "reference") else "incorrect")


def yes(body: dict, number: int) -> Say:
    return verdict("A" if "Submission A" in body["messages"][1]["content"] else "correct")


def test_a_judge_that_is_always_right_is_fit(start: Callable, config: Callable) -> None:
    result = audit(sweep_items(), config(start(honest)), rules=RULES)
    assert (result.fitness, result.reasons) == ("fit", ())
    assert result.kappa is not None
    assert result.kappa.kappa == 1.0
    c = result.confusion
    assert (c.right_accepted, c.right_rejected, c.wrong_accepted, c.wrong_rejected) == (20, 0, 0, 40)
    assert result.overall.leniency_points == 0
    assert {r.kind: (r.passed, r.n) for r in result.controls}["master_key"] == (20, 20)
    assert result.position is not None
    assert (result.position.gold_won, result.position.flipped, result.position.first_place) == (5, 0, 5)


def test_a_judge_that_always_says_yes_is_not_fit_for_each_reason(start: Callable, config: Callable) -> None:
    result = audit(sweep_items(), config(start(yes)), rules=RULES)
    assert result.fitness == "not fit"
    text = " ".join(result.reasons)
    for part in ("kappa 0.00", "other_gold", "empty", "master_key", "planted_verdict"):
        assert part in text
    assert result.overall.leniency_points == pytest.approx(100 * 40 / 60)
    assert {group.name: group.n for group in result.by_method} == {"base": 30, "lora": 30}
    assert sum(group.n for group in result.by_length) == 60
    assert result.position is not None
    assert (result.position.flipped, result.position.first_place, result.position.sided) == (5, 10, 10)


CONTROL_FAILS = {
    "master_key": lambda text: len(text) < 60 and not text.startswith("SELECT"),
    "planted_verdict": lambda text: any(mark in text for mark in ("orrect", "verified", "{{reference}}")),
    "empty": lambda text: text == "",
}


@pytest.mark.parametrize("kind", CONTROL_FAILS)
def test_a_judge_with_one_weakness_fails_by_that_control_alone(kind: str, start: Callable, config: Callable) -> None:
    def weak(body: dict, number: int) -> Say:
        text = field_text(body, "submission")
        return (
            verdict("correct")
            if (text and CONTROL_FAILS[kind](text)) or (kind == "empty" and not text)
            else honest(body, number)
        )

    result = audit(sweep_items(), config(start(weak)), rules=replace(RULES, num_pairs=0))
    assert result.fitness == "not fit"
    assert any(kind in reason for reason in result.reasons)
    assert result.kappa is not None
    assert result.kappa.kappa == 1.0  # the items alone would have called it perfect


def test_too_few_items_show_nothing(start: Callable, config: Callable) -> None:
    result = audit(sweep_items(6), config(start(honest)), rules=RULES)
    assert result.fitness == "not shown to be fit"
    assert "its interval starts at" in " ".join(result.reasons)


def test_a_silent_judge_is_not_fit_and_its_silence_is_no_wrong_answer(start: Callable, config: Callable) -> None:
    result = audit(sweep_items(30), config(start(lambda b, n: Say(text="", finish="stop"))), rules=RULES)
    assert result.fitness == "not fit"
    assert result.confusion.wrong_unscored + result.confusion.right_unscored == 30
    assert result.overall.judged_mean is None
    assert dict(result.unscored_reasons) == {"empty_reply": 30}
    assert "no verdict" in result.terminal()


def test_the_judged_mean_is_corrected_and_both_are_printed(start: Callable, config: Callable) -> None:
    def lenient(body: dict, number: int) -> Say:  # passes a fifth of what is wrong
        n = int("".join(filter(str.isdigit, field_text(body, "question"))) or 0)
        return verdict("correct") if n % 5 == 1 else honest(body, number)

    known = sweep_items(200)
    unknown = [replace(item, exact=None) if n % 2 else item for n, item in enumerate(known)]
    result = audit(unknown, config(start(lenient)), rules=replace(RULES, num_pairs=0))
    c = result.corrected
    assert c is not None
    assert (c.num_labelled, c.num_unlabelled) == (100, 100)
    assert c.judged_mean == pytest.approx(1 / 3 + 2 / 3 / 5, abs=0.02)
    assert c.low <= 1 / 3 <= c.high
    assert abs(c.mean - 1 / 3) < abs(c.judged_mean - 1 / 3)
    for text in (result.markdown(), result.terminal()):
        assert f"{c.judged_mean:.3f}" in text
        assert f"{c.mean:.3f}" in text


def test_items_of_one_cluster_widen_the_interval_of_kappa(start: Callable, config: Callable) -> None:
    def half(body: dict, number: int) -> Say:
        n = int("".join(filter(str.isdigit, field_text(body, "question"))) or 0)
        return verdict("correct") if n < 24 else honest(body, number)

    server = start(half)
    alone = audit(sweep_items(120), config(server), rules=RULES)
    grouped = [replace(item, cluster=f"db{n // 12}") for n, item in enumerate(sweep_items(120))]
    together = audit(grouped, config(server), rules=RULES)
    assert alone.kappa is not None
    assert together.kappa is not None
    assert together.kappa.kappa == alone.kappa.kappa
    assert together.kappa.low < alone.kappa.low - 0.05  # type: ignore[operator]


def test_human_labels_win_over_the_exact_scorer(tmp_path: Path, start: Callable, config: Callable) -> None:
    path = tmp_path / "labels.jsonl"
    rows = [{"id": item.id, "label": "incorrect"} for item in sweep_items(12)]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    labels, broken = load_labels(path)
    assert broken == []
    result = audit(with_labels(sweep_items(12), labels), config(start(honest)), rules=RULES)
    assert (result.num_human, result.confusion.wrong_accepted, result.confusion.right_accepted) == (12, 4, 0)


LABELS = {
    '{"id": "a", "label": "correct"}': 1,
    '{"id": "a", "label": " Wrong "}': 0,
    '{"id": "a", "label": 1}': 1,
    '{"id": "a", "label": false}': 0,
    '{"id": "a", "label": 0.5}': None,
    '{"id": "a", "label": "maybe"}': None,
    '{"id": "a"}': None,
    '{"id": 7, "label": 1}': None,
    '{"label": 1}': None,
    "[]": None,
    "{": None,
    "[" * 100_000: None,
}


@pytest.mark.parametrize("line", LABELS, ids=lambda line: line[:40])
def test_a_label_line_is_a_label_or_a_counted_broken_row(line: str, tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text(f"\n{line}\n")
    labels, broken = load_labels(path)
    assert labels.get("a") == LABELS[line]
    assert [row.line for row in broken] == ([2] if LABELS[line] is None else [])


def test_contradicting_labels_leave_the_item_unlabelled(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text('{"id": "a", "label": 1}\n{"id": "a", "label": 0}\n{"id": "b", "label": 1}\n')
    labels, broken = load_labels(path)
    assert labels == {"b": 1}
    assert [row.line for row in broken] == [2]
    with pytest.raises(UserError, match="none of the 1 labels"):
        with_labels(sweep_items(2), labels)


def test_without_any_truth_there_is_no_audit(start: Callable, config: Callable) -> None:
    blind = [replace(item, exact=None) for item in sweep_items(5)]
    server = start(honest)
    with pytest.raises(UserError, match="truth"):
        audit(blind, config(server))
    assert server.chats == []


def test_controls_are_the_same_every_time_and_another_gold_is_another() -> None:
    some = sweep_items(40)
    made = controls(some, 10)
    assert made == controls(list(reversed(some)), 10)
    by_id = {(item.question): item.reference for item in some}
    for control in made:
        if control.kind == "other_gold":
            assert control.item.submission != by_id[control.item.question]
    same = [replace(item, reference="SELECT 1") for item in some]
    assert {control.kind for control in controls(same, 10)} == {"gold", "empty", "master_key"}


def test_hostile_text_is_harmless_in_every_rendering(start: Callable, config: Callable) -> None:
    evil = "<script>alert(1)</script> | a\n\n# title [x](javascript:y) \x1b[2J `rm`"
    bad = [replace(item, submission=evil, id=f"{n}|{evil}") for n, item in enumerate(sweep_items(6))]
    result = audit(bad, config(start(lambda b, n: verdict("correct", evil))), rules=RULES)
    page, screen = result.markdown(), result.terminal()
    assert "<script>" not in page
    assert "\\[x\\](javascript" in page  # a link mark that is escaped is text
    assert "[x](javascript" not in page.replace("\\[x\\](", "")
    assert "\n# title" not in page
    assert "\x1b" not in page + screen
    rows = [line for line in page.splitlines() if line.startswith("| ") and "alert" in line]
    assert rows
    assert {line.replace("\\|", "").count("|") for line in rows} == {6}
    assert json.loads(json.dumps(result.to_json()))["fitness"] == "not fit"


def test_the_demo_prints_the_audit_and_the_verdict(start: Callable, config: Callable, tmp_path: Path) -> None:
    shown: list[str] = []
    server = start(yes)
    result = judge_demo(sweep_items(20), base_url=server.url, model="tiny", cache_dir=tmp_path, show=shown.append)
    assert result.fitness == "not fit"
    assert shown[-1].rstrip().endswith("Verdict: tiny is not fit as a judge for this task.")
    assert "no key" in shown[0]
