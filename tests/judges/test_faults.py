"""Every fault an endpoint can show, and what becomes of the call: a verdict after a retry, or an unscored reason."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from harness.core import UserError
from judges.client import retry_after_s
from judges.grader import Judge
from tests.judges.conftest import items
from tests.judges.server import Fault, Say, verdict

PASSING = {
    "429 with retry-after": Fault(kind="status", status=429, headers={"retry-after": "0"}),
    "429 with retry-after-ms": Fault(kind="status", status=429, headers={"retry-after-ms": "20"}),
    "429 without a header": Fault(kind="status", status=429),
    "500": Fault(kind="status", status=500),
    "502 with an HTML page": Fault(kind="raw", body=b"<html>bad gateway</html>", headers={"content-type": "text/html"}),
    "503 with retry-after": Fault(kind="status", status=503, headers={"retry-after": "0.01"}),
    "529 overloaded": Fault(kind="status", status=529),
    "408": Fault(kind="status", status=408),
    "connection reset": Fault(kind="reset"),
    "half a body": Fault(kind="half_body"),
    "no choices": Fault(kind="raw", body={"model": "m", "choices": []}),
    "content is a number": Fault(kind="raw", body={"choices": [{"message": {"content": 3}}]}),
    "a list": Fault(kind="raw", body=[1, 2]),
    "not JSON": Fault(kind="raw", body=b"{broken"),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_tried_again_and_the_verdict_counts(name: str, start: Callable, config: Callable) -> None:
    server = start(lambda body, number: PASSING[name] if number == 0 else verdict("correct"))
    judge = Judge(config(server))
    score = judge.grade(items(1))["i0"]
    assert (score.value, score.why) == (1.0, "judged_correct")
    assert len(server.chats) == 2
    assert judge.spend().num_retries == 1


LASTING = {
    "rate_limited": (Fault(kind="status", status=429, headers={"retry-after": "0"}), 3),
    "server_error": (Fault(kind="status", status=503), 3),
    "connection": (Fault(kind="reset"), 3),
    "half_sent": (Fault(kind="half_body"), 3),
    "unreadable_reply": (Fault(kind="raw", body={"choices": None}), 3),
    "bad_request": (Fault(kind="status", status=400, body={"error": {"message": "context too long"}}), 1),
    "content_filter": (Fault(kind="status", status=400, body={"error": {"code": "content_filter"}}), 1),
}


@pytest.mark.parametrize("reason", LASTING)
def test_a_lasting_fault_is_an_unscored_item_with_its_reason(reason: str, start: Callable, config: Callable) -> None:
    fault, attempts = LASTING[reason]
    server = start(lambda body, number: fault)
    score = Judge(config(server, link={"max_attempts": 3})).grade(items(1))["i0"]
    assert score.value is None
    assert score.why == f"judge_{reason}"
    assert len(server.chats) == attempts


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
def test_a_429_for_the_quota_is_not_retried_and_stops_the_rest(code: str, start: Callable, config: Callable) -> None:
    fault = Fault(kind="status", status=429, body={"error": {"code": code, "type": code, "message": "no money"}})
    server = start(lambda body, number: fault)
    scores = Judge(config(server, link={"max_concurrent": 2})).grade(items(20))
    assert {score.why for score in scores.values()} == {"judge_quota"}
    assert len(server.chats) <= 2


def test_a_call_that_hangs_ends_in_time(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Fault(kind="hang"))
    began = time.monotonic()
    score = Judge(config(server, link={"timeout_s": 0.3, "max_attempts": 2})).grade(items(1))["i0"]
    assert score.why == "judge_timeout"
    assert time.monotonic() - began < 5


def test_a_rate_limit_pauses_every_call_until_the_server_allows(start: Callable, config: Callable) -> None:
    fault = Fault(kind="status", status=429, headers={"retry-after": "0.6"})
    server = start(lambda body, number: fault if number == 0 else verdict("correct"))
    scores = Judge(config(server, link={"max_concurrent": 1})).grade(items(4))
    assert {score.value for score in scores.values()} == {1.0}
    assert server.times[1] - server.times[0] >= 0.55


def test_a_wait_longer_than_the_limit_is_not_waited(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Fault(kind="status", status=429, headers={"retry-after": "3600"}))
    score = Judge(config(server)).grade(items(1))["i0"]
    assert score.why == "judge_rate_limited"
    assert "3600 s" in score.evidence["votes"][0]["reason"]


def test_no_more_calls_are_in_flight_than_the_limit(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Say(text=verdict("correct").text, delay_s=0.03))
    Judge(config(server, link={"max_concurrent": 3})).grade(items(12))
    assert 2 <= server.most_at_once <= 3


@pytest.mark.parametrize(("status", "word"), [(401, "key"), (403, "key"), (404, "model")])
def test_what_no_call_can_survive_is_an_error_for_the_user(
    status: int, word: str, start: Callable, config: Callable
) -> None:
    server = start(lambda body, number: Fault(kind="status", status=status, body={"error": {"message": "nope"}}))
    with pytest.raises(UserError, match=word):
        Judge(config(server)).grade(items(5))


def test_streams_are_put_together_and_a_half_sent_one_is_asked_again(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Fault(kind="half_stream") if number == 0 else verdict("correct"))
    judge = Judge(config(server, link={"stream": True}))
    assert judge.grade(items(1))["i0"].value == 1.0
    assert len(server.chats) == 2
    assert server.chats[0]["stream_options"] == {"include_usage": True}
    assert judge.spend().cost_usd == pytest.approx(0.003)
    assert judge.spend().at_risk_usd > 0  # the half-sent one may have been billed


def test_the_openai_package_never_retries_behind_our_back(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Fault(kind="status", status=500))
    Judge(config(server, link={"max_attempts": 1})).grade(items(1))
    assert len(server.chats) == 1


def test_every_limit_and_fault_is_in_the_log(
    start: Callable, config: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    fault = Fault(kind="status", status=429, headers={"retry-after": "0"})
    server = start(lambda body, number: fault if number == 0 else verdict("correct"))
    with caplog.at_level(logging.INFO, logger="judges"):
        Judge(config(server)).grade(items(1))
    text = caplog.text
    for part in ("8 at a time", "5 s a call", "6 attempts", "budget $5.00", "rate_limited", "all calls pause"):
        assert part in text


def test_retry_after_is_read_as_seconds_milliseconds_or_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after_s({"retry-after": "7"}) == 7
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "1"}) == 0.25
    assert retry_after_s({"retry-after": later}) == pytest.approx(30, abs=3)
    for nonsense in ("", "soon", "nan", "inf", "-3"):
        assert retry_after_s({"retry-after": nonsense}) in (None, 0.0)


SECRET = "sk-verysecret1234567890"


def test_no_secret_reaches_a_file_a_log_or_an_exception(
    start: Callable, config: Callable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def script(body: dict, number: int) -> Say | Fault:
        if number == 0:
            return Fault(kind="status", status=500, body={"error": {"message": f"key {SECRET} failed"}})
        if number == 1:
            return Say(text=json.dumps({"reason": f"your key is {SECRET}", "verdict": "correct"}), model=SECRET)
        return Fault(kind="status", status=401, body={"error": {"message": f"Incorrect API key provided: {SECRET}"}})

    monkeypatch.setenv("MY_KEY", SECRET)
    server = start(script)
    settings = config(server, link={"key_variable": "MY_KEY", "max_concurrent": 1})
    with caplog.at_level(logging.DEBUG):
        judge = Judge(settings)
        with pytest.raises(UserError) as caught:
            judge.grade(items(3))
    assert server.requests[0][2]["authorization"] == f"Bearer {SECRET}"
    written = (settings.cache_dir / "calls.jsonl").read_text()
    for text in (written, caplog.text, str(caught.value), repr(caught.value), repr(judge.caller.place), repr(settings)):
        assert SECRET not in text
