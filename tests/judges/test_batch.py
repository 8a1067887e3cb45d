"""The Batch API: half the price, and no batch is paid twice, whenever the process dies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from judges.batch import BatchDesk, BatchError
from judges.cache import CallCache
from judges.grader import Judge
from tests.judges.conftest import items
from tests.judges.server import Fault, FaultServer, Say, verdict


def correct(body: dict, number: int) -> Say:
    return verdict("correct")


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


@pytest.mark.parametrize("step", ["after the plan", "after the submission", "while polling", "while collecting"])
def test_a_killed_batch_is_continued_and_never_paid_twice(
    step: str, start: Callable, config: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    server = start(correct)
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


def test_another_job_leaves_an_open_batch_for_its_owner(start: Callable, config: Callable) -> None:
    server = start(correct)
    settings = batch_config(config, server)
    Judge(settings).grade(items(2))
    cache = CallCache(settings.cache_dir)
    assert {record["status"] for record in cache.batches().values()} == {"collected"}
    assert Judge(settings).grade([replace(items(1)[0], id="new", question="new")])["new"].value == 1.0


def test_a_batch_api_that_fails_for_good_is_an_error(start: Callable, config: Callable) -> None:
    server = start(correct)
    server.upload = lambda handler, raw: __import__("tests.judges.server", fromlist=["send"]).send(handler, 400, {})  # type: ignore[method-assign]
    with pytest.raises(BatchError, match="400"):
        Judge(batch_config(config, server)).grade(items(1))
