"""The Batch API: half the price, and no batch is paid twice, whenever the process dies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from judges.batch import BatchDesk, BatchError
from judges.cache import CallCache
from judges.grader import Judge
from tests.judges.conftest import items
from tests.judges.server import Fault, FaultServer, Say, send, verdict
from tests.judges.test_endpoint import AZURE


def correct(body: dict, number: int) -> Say:
    return verdict("correct")


def input_files(server: FaultServer) -> list[bytes]:
    return [server.files[batch["input_file_id"]] for batch in server.batches.values()]


def batch_config(config: Callable, server: FaultServer, **changes: object) -> object:
    return config(server, batch=True, batch_poll_s=0.02, account="sweep", **changes)


def test_a_batch_is_uploaded_polled_and_collected_at_half_the_price(start: Callable, config: Callable) -> None:
    server = start(correct)
    judge = Judge(batch_config(config, server))
    assert {score.value for score in judge.grade(items(5)).values()} == {1.0}
    assert server.chats == []
    assert len(server.batches) == 1
    assert judge.spend().cost_usd == pytest.approx(5 * 0.003 / 2)
    again = Judge(batch_config(config, server))
    again.grade(items(5))
    assert len(server.batches) == 1
    assert again.spend().num_cached == 5


@pytest.mark.parametrize("keeps_metadata", [True, False])
@pytest.mark.parametrize("step", ["after the plan", "after the submission", "while polling", "while collecting"])
def test_a_killed_batch_is_continued_and_never_paid_twice(
    step: str, keeps_metadata: bool, start: Callable, config: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    server = start(correct)
    server.keeps_metadata = keeps_metadata
    with monkeypatch.context() as patch:
        if step == "after the plan":
            patch.setattr(BatchDesk, "_submit", die)
        elif step == "after the submission":  # the provider has it; its id was never written down
            write = BatchDesk._write
            patch.setattr(
                BatchDesk, "_write", lambda self, record, **c: die() if c.get("batch_id") else write(self, record, **c)
            )
        elif step == "while polling":
            patch.setattr("judges.batch.asyncio.sleep", die)
        else:
            patch.setattr(BatchDesk, "_close", die)
        with pytest.raises(Killed):
            Judge(batch_config(config, server)).grade(items(4))
    judge = Judge(batch_config(config, server))
    assert {score.value for score in judge.grade(items(4)).values()} == {1.0}
    assert len(server.batches) == 1
    bill = judge.caller.cache.bill("sweep")
    assert bill.billed_usd == pytest.approx(4 * 0.0015)
    assert bill.in_flight_usd == 0


def test_a_lost_answer_to_the_submission_does_not_submit_again(start: Callable, config: Callable) -> None:
    server = start(correct)
    server.lose_create_replies = 1
    judge = Judge(batch_config(config, server))
    assert {score.value for score in judge.grade(items(3)).values()} == {1.0}
    assert len(server.batches) == 1


def test_failed_lines_are_unscored_and_asked_again_next_time(start: Callable, config: Callable) -> None:
    state = {"bad": True}
    server = start(lambda b, n: Fault(kind="status", status=500) if n == 1 and state["bad"] else verdict("correct"))
    scores = Judge(batch_config(config, server)).grade(items(3))
    assert sorted(str(score.why) for score in scores.values()) == ["judge_batch_failed", *["judged_correct"] * 2]
    state["bad"] = False
    again = Judge(batch_config(config, server)).grade(items(3))
    assert {score.value for score in again.values()} == {1.0}
    assert len(server.files[server.batches["batch-1"]["input_file_id"]].splitlines()) == 1


def test_a_batch_takes_no_more_than_the_budget(start: Callable, config: Callable) -> None:
    server = start(correct)
    judge = Judge(batch_config(config, server, budget_usd=0.1))
    scores = judge.grade(items(30))
    whys = [score.why for score in scores.values()]
    assert 0 < whys.count("judged_correct") < 30
    assert whys.count("judged_correct") + whys.count("judge_budget") == 30
    assert judge.spend().cost_usd <= 0.1


def test_a_repair_is_a_second_batch(start: Callable, config: Callable) -> None:
    server = start(lambda b, n: Say(text="hm") if len(b["messages"]) == 2 else verdict("incorrect"))
    scores = Judge(batch_config(config, server)).grade(items(2))
    assert {score.value for score in scores.values()} == {0.0}
    assert len(server.batches) == 2


def test_a_panel_puts_each_model_into_a_file_of_its_own(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: replace(verdict("correct"), model=body["model"]))
    scores = Judge(batch_config(config, server, panel=("second",))).grade(items(3))
    assert {score.value for score in scores.values()} == {1.0}
    models = [{json.loads(line)["body"]["model"] for line in file.splitlines()} for file in input_files(server)]
    assert sorted(map(sorted, models)) == [["judge"], ["second"]]


def test_replies_of_an_older_snapshot_are_not_mixed_with_a_batch(start: Callable, config: Callable) -> None:
    state = {"model": "judge-may"}
    server = start(lambda body, number: replace(verdict("correct"), model=state["model"]))
    Judge(batch_config(config, server)).grade(items(3))
    state["model"] = "judge-june"
    scores = Judge(batch_config(config, server)).grade(items(4))
    assert {score.evidence["votes"][0]["snapshot"] for score in scores.values()} == {"judge-june"}
    assert [len(file.splitlines()) for file in input_files(server)] == [3, 1, 3]


def test_a_batch_without_quota_is_not_tried_again(start: Callable, config: Callable) -> None:
    server = start(correct)
    body = {"error": {"message": "no money", "code": "insufficient_quota"}}
    server.upload = lambda handler, raw: send(handler, 429, body)  # type: ignore[method-assign]
    with pytest.raises(BatchError, match="no money"):
        Judge(batch_config(config, server)).grade(items(1))
    assert len(server.requests) == 1


def test_a_batch_that_was_refused_says_why(start: Callable, config: Callable) -> None:
    server = start(correct)
    errors = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None}]}
    server.advance = lambda name: {**server.batches[name], "status": "failed", "errors": errors}  # type: ignore[method-assign]
    score = Judge(batch_config(config, server)).grade(items(1))["i0"]
    assert score.why == "judge_batch_failed"
    assert "Enqueued token limit reached" in score.evidence["votes"][0]["reason"]


def test_progress_is_told_while_a_batch_is_waited_for(start: Callable, config: Callable) -> None:
    seen: list[tuple[int, int, float]] = []
    Judge(batch_config(config, start(correct))).grade(items(3), lambda *told: seen.append(told))
    assert seen[0][:2] == (0, 3)
    assert seen[-1][:2] == (3, 3)


def test_azure_gets_its_own_address_and_time_to_take_the_file_in(
    start: Callable, config: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(correct)
    server.file_polls_needed = 2
    for name, value in {**AZURE, "AZURE_OPENAI_ENDPOINT": server.url.removesuffix("/v1")}.items():
        monkeypatch.setenv(name, value)
    settings = batch_config(config, server)
    settings = replace(settings, connection=replace(settings.connection, base_url=""))
    assert {score.value for score in Judge(settings).grade(items(2)).values()} == {1.0}
    (file,) = input_files(server)
    assert {json.loads(line)["url"] for line in file.splitlines()} == {"/chat/completions"}
    assert server.batches["batch-0"]["endpoint"] == "/chat/completions"
    assert {path.partition("/openai/")[1] for path, _, _ in server.requests} == {"/openai/"}
    assert server.file_polls_needed == 0


def test_another_job_leaves_an_open_batch_for_its_owner(start: Callable, config: Callable) -> None:
    server = start(correct)
    settings = batch_config(config, server)
    Judge(settings).grade(items(2))
    cache = CallCache(settings.cache_dir)
    assert {record["status"] for record in cache.batches().values()} == {"collected"}
    assert Judge(settings).grade([replace(items(1)[0], id="new", question="new")])["new"].value == 1.0


def test_a_batch_api_that_fails_for_good_is_an_error(start: Callable, config: Callable) -> None:
    server = start(correct)
    server.upload = lambda handler, raw: send(handler, 400, {})  # type: ignore[method-assign]
    with pytest.raises(BatchError, match="400"):
        Judge(batch_config(config, server)).grade(items(1))
