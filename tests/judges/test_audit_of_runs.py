"""`harness audit-judge` on a sweep's answers: truth by exact scorers and by people, and what the report says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.audit import answers_of_runs, as_form, audit_estimate, audit_judge, keep_audit, labelled, sampled
from harness.core import UserError
from harness.hosted import HostedRequest
from harness.registry import load_task
from harness.report.data import load_report_data
from harness.report.finding_hosted import hosted_models
from tests.judges.server import FaultServer, Say, Script, field_text, verdict
from tests.judges.test_wired import answered, golds, judged, right

HOSTED = HostedRequest(judges=("gpt-4o",))
TEXTS, VALUES = [*golds(8), *(["nonsense"] * 8)], [1.0] * 8 + [0.0] * 6 + [None] * 2


@pytest.fixture
def serve(
    start: Callable[[Script], FaultServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    def serve(script: Script) -> FaultServer:
        server = start(script)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "cache"))
        return server

    return serve


def generous(body: dict[str, Any], number: int) -> Say:
    """A judge that likes everything, and whatever stands first."""
    return verdict("A") if field_text(body, "first") else verdict("correct")


def careful(body: dict[str, Any], number: int) -> Say:
    return verdict("A") if field_text(body, "first") else right(body, number)


def test_a_generous_judge_is_not_fit_and_the_report_says_so(serve: Callable, tmp_path: Path) -> None:
    serve(generous)
    answered(tmp_path / "s", TEXTS, VALUES)
    task = load_task("functional")
    items = answers_of_runs(task, [tmp_path / "s"], None)
    assert len(items) == 16
    audit = audit_judge(task, items, HOSTED, 0.6, None)
    assert audit.fitness == "not fit"
    assert (audit.confusion.right_accepted, audit.confusion.wrong_accepted) == (8, 6)
    assert audit.overall.leniency_points == pytest.approx(100 * 6 / 14)
    assert audit.corrected is not None
    assert audit.corrected.num_unlabelled == 2
    assert audit.corrected.judged_mean == 1.0
    assert audit.corrected.low < 6 / 14
    assert "Verdict: gpt-4o is not fit" in as_form(audit, "text")
    assert json.loads(as_form(audit, "json"))["fitness"] == "not fit"
    assert as_form(audit, "markdown").startswith("## Judge gpt-4o: not fit")
    assert keep_audit([tmp_path / "s" / "base-1"], audit) is not None
    finding = hosted_models(load_report_data(tmp_path / "s"))
    assert finding is not None
    assert "judge:gpt-4o is not fit" in finding.verdict
    assert finding.tone == "warning"


def test_a_person_is_believed_before_the_exact_scorer(serve: Callable, tmp_path: Path) -> None:
    serve(careful)
    answered(tmp_path / "s", TEXTS, VALUES)
    task = load_task("functional")
    path = tmp_path / "labels.jsonl"
    rows = [{"id": "q0", "label": "incorrect"}, {"id": "base-1/q15", "label": 0}, {"id": "nobody", "label": 1}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "torn")
    items, problems = labelled(answers_of_runs(task, [tmp_path / "s"], "validation"), path)
    assert ["not JSON" in problems[0], "no audited answer" in problems[1]] == [True, True]
    audit = audit_judge(task, items, HOSTED, 0.6, None)
    assert audit.num_human == 2
    assert (audit.confusion.wrong_accepted, audit.confusion.wrong_rejected) == (1, 7)


def test_a_dry_run_of_an_audit_counts_controls_and_pairs_and_sends_nothing(serve: Callable, tmp_path: Path) -> None:
    server = serve(careful)
    answered(tmp_path / "s", TEXTS, VALUES)
    task = load_task("functional")
    items = sampled(answers_of_runs(task, [tmp_path / "s"], None), 10)
    words = audit_estimate(task, items, HOSTED)
    assert server.chats == []
    audit = audit_judge(task, items, HOSTED, 0.6, None)
    assert f"judge:gpt-4o: {len(server.chats)} calls" in words
    assert audit.spend.num_calls == len(server.chats)


def test_runs_of_another_task_are_refused(tmp_path: Path) -> None:
    answered(tmp_path / "s", TEXTS, VALUES)
    with pytest.raises(UserError, match="holds answers to 'functional'"):
        answers_of_runs(load_task("math"), [tmp_path / "s"], None)
    with pytest.raises(UserError, match="neither a sweep's folder nor one of its runs"):
        answers_of_runs(load_task("functional"), [tmp_path / "s" / "nope"], None)


def test_an_answer_that_kept_its_exact_verdict_is_no_agreement(serve: Callable, tmp_path: Path) -> None:
    serve(generous)
    prepared, run = answered(tmp_path / "s", TEXTS, VALUES)
    judged(prepared, run, when="undecided")
    info = json.loads((tmp_path / "s" / "sweep.json").read_text())
    (tmp_path / "s" / "sweep.json").write_text(json.dumps({**info, "scorers": ["judge:judge"]}))
    finding = hosted_models(load_report_data(tmp_path / "s"))
    assert finding is not None
    text = " ".join(finding.sentences)
    assert "judge:judge was asked about 2 answers; 14 kept the exact verdict" in text
    assert "share no answer that both decided" in text
    assert "was not audited" in finding.verdict


def test_a_judge_that_seldom_comes_to_a_verdict_is_not_fit_and_the_remedy_is_named(
    serve: Callable, tmp_path: Path
) -> None:
    serve(lambda body, number: Say(text='{"reason": "and then', finish="length") if number else verdict("correct"))
    prepared, run = answered(tmp_path / "s", TEXTS, VALUES)
    judged(prepared, run)
    info = json.loads((tmp_path / "s" / "sweep.json").read_text())
    (tmp_path / "s" / "sweep.json").write_text(json.dumps({**info, "scorers": ["judge:judge"]}))
    finding = hosted_models(load_report_data(tmp_path / "s"))
    assert finding is not None
    assert "judge:judge is not fit" in finding.verdict
    assert "no verdict on 93.8 % of the answers" in finding.sentences[0]
    assert "--judge-tokens" in finding.sentences[1]


def test_a_judge_of_its_own_answers_is_named(serve: Callable, tmp_path: Path) -> None:
    serve(right)
    prepared, run = answered(tmp_path / "s", TEXTS, VALUES)
    judged(prepared, run)
    info = json.loads((tmp_path / "s" / "sweep.json").read_text())
    (tmp_path / "s" / "sweep.json").write_text(json.dumps({**info, "scorers": ["judge:judge"]}))
    spec = run.folder / "spec.json"
    spec.write_text(spec.read_text().replace('"model": "m"', '"model": "openai:judge"'))
    finding = hosted_models(load_report_data(tmp_path / "s"))
    assert finding is not None
    assert "judge:judge judges its own answers in judge: it may favour them." in finding.sentences
