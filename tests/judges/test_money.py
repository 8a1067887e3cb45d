"""Cost accounting, the budget, the cache's identity, and what a killed process pays again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core import Message, UserError
from judges.cache import CallCache
from judges.config import Connection, JudgeConfig
from judges.grader import Judge
from judges.prices import Price, most_prompt_tokens, price_of
from tests.judges.conftest import PRICE, items
from tests.judges.server import Fault, Say, field_text, verdict

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 400}}


def correct(body: dict, number: int) -> Say:
    return verdict("correct")


def test_cost_is_counted_from_the_usage_of_every_reply(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: replace(verdict("correct"), usage=USAGE))
    price = Price(input=2.0, output=8.0, cached_input=0.5)
    judge = Judge(config(server, price=price))
    judge.grade(items(3))
    spend = judge.spend()
    assert spend.cost_usd == pytest.approx(3 * (600 * 2.0 + 400 * 0.5 + 50 * 8.0) / 1e6)
    assert (spend.num_calls, spend.prompt_tokens, spend.completion_tokens) == (3, 3000, 150)
    assert spend.snapshots == ("judge-2024-08-06",)


def test_a_reply_without_usage_is_billed_at_its_upper_bound(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: replace(verdict("correct"), usage=None))
    judge = Judge(config(server))
    call = judge._ballot(items(1)[0])[0]
    judge.grade(items(1))
    assert judge.spend().cost_usd == pytest.approx(judge.caller.ledger.most_usd(call))
    assert judge.spend().cost_usd > 0


def test_a_repair_is_paid_and_recorded_like_any_call(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Say(text="It is right.") if number == 0 else verdict("correct"))
    judge = Judge(config(server))
    assert judge.grade(items(1))["i0"].value == 1.0
    assert judge.spend().cost_usd == pytest.approx(0.006)


def test_the_budget_is_never_passed_and_the_rest_is_unscored(start: Callable, config: Callable) -> None:
    server = start(correct)
    judge = Judge(config(server, budget_usd=0.2, link={"max_concurrent": 4}))
    scores = judge.grade(items(200))
    spend = judge.spend()
    whys = [score.why for score in scores.values()]
    assert whys.count("judged_correct") == spend.num_calls == len(server.chats) > 10
    assert whys.count("judge_budget") == 200 - spend.num_calls > 0
    assert spend.cost_usd <= 0.2
    most = judge.caller.ledger.most_usd(judge._ballot(items(1)[0])[0])
    assert spend.cost_usd + most > 0.199  # it stops because one more might pass it, not earlier


def test_a_budget_of_zero_sends_nothing(start: Callable, config: Callable) -> None:
    server = start(correct)
    scores = Judge(config(server, budget_usd=0.0)).grade(items(5))
    assert {score.why for score in scores.values()} == {"judge_budget"}
    assert server.chats == []


def test_a_call_that_may_have_been_billed_counts_against_the_budget(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Fault(kind="half_body"))
    judge = Judge(config(server, budget_usd=0.15, link={"max_attempts": 50}))
    score = judge.grade(items(1))["i0"]
    assert score.why == "judge_budget"
    assert judge.spend().cost_usd == 0
    assert 0.05 < judge.spend().at_risk_usd <= 0.15
    assert len(server.chats) < 50


def test_an_account_remembers_what_earlier_jobs_spent(start: Callable, config: Callable) -> None:
    server = start(correct)
    first = Judge(config(server, account="sweep-1"))
    first.grade(items(10))
    second = Judge(config(server, account="sweep-1", budget_usd=0.03))
    scores = second.grade(items(20))
    assert second.spend().earlier_usd == pytest.approx(0.03)
    assert [score.why for score in scores.values()] == ["judged_correct"] * 10 + ["judge_budget"] * 10
    other = Judge(config(server, account="sweep-2", budget_usd=5.0))
    assert other.spend().earlier_usd == 0


def test_an_unknown_model_needs_a_price_or_no_budget(start: Callable, config: Callable) -> None:
    server = start(correct)
    with pytest.raises(UserError, match="--no-budget"):
        Judge(config(server, model="my-model", price=None))
    judge = Judge(config(server, model="my-model", price=None, budget_usd=None))
    assert judge.grade(items(1))["i0"].value == 1.0
    assert judge.spend().cost_known is False
    assert price_of("gpt-4o", given=None, budget_usd=5.0) == Price(input=2.5, output=10.0, cached_input=1.25)
    assert price_of("gpt-4o-2024-05-13", given=None, budget_usd=5.0) == Price(input=5.0, output=15.0)
    with pytest.raises(UserError):
        price_of("gpt-4o-2031-01-01", given=None, budget_usd=5.0)


def test_the_upper_bound_of_tokens_covers_every_byte() -> None:
    assert most_prompt_tokens((Message(role="user", content="é" * 100),)) >= 200
    assert most_prompt_tokens((Message(role="user", content=""),)) > 0


def test_a_dry_run_sends_nothing_and_bounds_the_bill(start: Callable, config: Callable) -> None:
    server = start(correct)
    judge = Judge(config(server))
    before = judge.estimate(items(5))
    assert server.chats == []
    assert (before.num_calls, before.num_cached) == (5, 0)
    judge.grade(items(2))
    after = judge.estimate(items(5))
    assert (after.num_calls, after.num_cached) == (3, 2)
    assert before.likely_usd is not None
    assert before.most_usd is not None
    assert 0 < before.likely_usd < before.most_usd
    assert judge.spend().cost_usd <= before.most_usd


def test_the_second_run_pays_nothing(start: Callable, config: Callable) -> None:
    server = start(correct)
    first = Judge(config(server)).grade(items(4))
    judge = Judge(config(server))
    second = judge.grade(items(4))
    assert len(server.chats) == 4
    assert [score.value for score in second.values()] == [score.value for score in first.values()]
    assert judge.spend().cost_usd == 0
    assert judge.spend().saved_usd == pytest.approx(0.012)


def test_equal_calls_in_one_run_are_asked_once(start: Callable, config: Callable) -> None:
    server = start(correct)
    same = [replace(items(1)[0], id=f"copy{n}") for n in range(5)]
    assert len(Judge(config(server)).grade(same)) == 5
    assert len(server.chats) == 1


IDENTITY = {
    "the model": {"model": "other"},
    "the rubric": {"rubric": "sql"},
    "the temperature": {"temperature": 0.5},
    "the reply limit": {"max_tokens": 99},
    "the schema": {"reason_max_chars": 100},
    "the output form": {"structured": "json_object"},
}


@pytest.mark.parametrize("what", IDENTITY)
def test_the_cache_tells_apart(what: str, start: Callable, config: Callable) -> None:
    server = start(correct)
    Judge(config(server)).grade(items(1))
    Judge(config(server, **IDENTITY[what])).grade(items(1))
    assert len(server.chats) == 2


@pytest.mark.parametrize("field", ["question", "submission", "reference", "context"])
def test_the_cache_tells_items_apart_by(field: str, start: Callable, config: Callable) -> None:
    server = start(correct)
    Judge(config(server)).grade(items(1))
    Judge(config(server)).grade([replace(items(1)[0], **{field: "changed"})])
    assert len(server.chats) == 2


def test_the_cache_does_not_depend_on_what_the_judge_never_sees(start: Callable, config: Callable) -> None:
    server = start(correct)
    Judge(config(server)).grade(items(1))
    Judge(config(server)).grade([replace(items(1)[0], id="renamed", method="lora", human=1)])
    assert len(server.chats) == 1


def test_votes_are_separate_calls_and_an_added_vote_pays_only_itself(start: Callable, config: Callable) -> None:
    server = start(correct)
    Judge(config(server, votes=2)).grade(items(1))
    Judge(config(server, votes=3)).grade(items(1))
    assert [body["seed"] for body in server.chats] == [0, 1, 2]


def test_another_endpoint_is_another_cache(start: Callable, config: Callable) -> None:
    one, two = start(correct), start(correct)
    Judge(config(one)).grade(items(1))
    Judge(config(two)).grade(items(1))
    assert (len(one.chats), len(two.chats)) == (1, 1)


def test_replies_of_an_older_snapshot_are_not_mixed_with_new_ones(start: Callable, config: Callable) -> None:
    state = {"model": "judge-may"}
    server = start(lambda body, number: replace(verdict("correct"), model=state["model"]))
    Judge(config(server)).grade(items(3))
    state["model"] = "judge-june"
    judge = Judge(config(server))
    scores = judge.grade(items(4))
    assert {score.evidence["votes"][0]["snapshot"] for score in scores.values()} == {"judge-june"}
    assert len(server.chats) == 3 + 4
    Judge(config(server)).grade(items(4))
    assert len(server.chats) == 7  # and the newer ones are kept


def test_a_snapshot_that_changes_in_the_middle_is_reported(
    start: Callable, config: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(lambda body, number: replace(verdict("correct"), model=f"judge-{number // 2}"))
    judge = Judge(config(server, link={"max_concurrent": 1}))
    judge.grade(items(4))
    assert sorted(judge.spend().snapshots) == ["judge-0", "judge-1"]
    assert "changed from judge-0 to judge-1" in caplog.text


def test_a_reply_without_a_verdict_is_recorded_and_not_paid_again(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Say(text="no JSON here"))
    settings = config(server)
    Judge(settings).grade(items(1))
    records = [json.loads(line) for line in (settings.cache_dir / "calls.jsonl").read_text().splitlines()]
    replies = [record for record in records if record["kind"] == "reply"]
    assert [record["text"] for record in replies] == ["no JSON here"] * 2  # the call and its repair
    assert all(record["messages"] and record["cost_usd"] > 0 for record in replies)
    score = Judge(settings).grade(items(1))["i0"]
    assert score.why == "invalid_json"
    assert len(server.chats) == 2


def test_a_torn_last_line_is_dropped_and_closed(start: Callable, config: Callable) -> None:
    server = start(correct)
    settings = config(server)
    Judge(settings).grade(items(3))
    path = settings.cache_dir / "calls.jsonl"
    whole = path.read_bytes()
    for cut in (1, 2, 40, 170):
        path.write_bytes(whole[:-cut])
        judge = Judge(settings)
        assert {score.value for score in judge.grade(items(3)).values()} == {1.0}
        judge = Judge(settings)
        judge.grade(items(3))
        assert judge.spend().num_cached == 3
        assert judge.spend().cache_lines_dropped == (cut > 1)  # a whole line without its end is whole


def test_a_broken_line_in_the_middle_costs_only_itself(start: Callable, config: Callable) -> None:
    server = start(correct)
    settings = config(server)
    Judge(settings).grade(items(3))
    path = settings.cache_dir / "calls.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"\x00\xff{]\n" + b"".join(lines) + b'{"kind": "reply"}\n[]\n"x"\n' + b"[" * 100_000 + b"\n")
    judge = Judge(settings)
    judge.grade(items(3))
    assert len(server.chats) == 3
    assert judge.spend().cache_lines_dropped == 5


def test_two_processes_may_share_the_file(tmp_path: Path) -> None:
    caches = [CallCache(tmp_path) for _ in range(4)]

    def write(cache: CallCache, number: int) -> None:
        for index in range(50):
            cache.append("sent", send=f"{number}-{index}", account="a", upper_usd=1.0, key="k" * 3000)

    threads = [threading.Thread(target=write, args=(cache, number)) for number, cache in enumerate(caches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = CallCache(tmp_path)
    assert fresh.lines_dropped == 0
    assert fresh.bill("a").in_flight_usd == 200


CHILD = """
import sys
from pathlib import Path
from judges.grader import Judge
from judges.config import Connection, JudgeConfig
from judges.prices import Price
from tests.judges.conftest import items
link = Connection(base_url=sys.argv[1], max_concurrent=3)
config = JudgeConfig(model="judge", cache_dir=Path(sys.argv[2]), price=Price(input=10.0, output=100.0),
                     account="sweep", budget_usd=5.0, connection=link)
Judge(config).grade(items(40))
"""


def test_a_killed_process_pays_again_at_most_for_the_calls_in_flight(start: Callable, tmp_path: Path) -> None:
    server = start(lambda body, number: replace(verdict("correct"), delay_s=0.05))
    argv = [sys.executable, "-c", CHILD, server.url, str(tmp_path / "c")]
    for goal in (8, 20):  # killed twice at different points
        child = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        deadline = time.monotonic() + 60
        while len(server.chats) < goal and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
    settings = JudgeConfig(
        model="judge",
        cache_dir=tmp_path / "c",
        price=PRICE,
        account="sweep",
        connection=Connection(base_url=server.url),
    )
    time.sleep(0.2)
    judge = Judge(settings)
    assert judge.caller.cache.bill("sweep").in_flight_usd > 0  # what may have been paid is in the bill
    scores = judge.grade(items(40))
    assert {score.value for score in scores.values()} == {1.0}
    asked = [field_text(body, "question") for body in server.chats]
    assert set(asked) == {f"question {n}?" for n in range(40)}
    assert 40 < len(asked) <= 40 + 2 * 3  # at most the calls in flight at each kill
