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
from tests.judges.server import Fault, Say, completion, stream_bytes, verdict

SECRET = "sk-verysecret1234567890"


def wire(*parts: str, then: str = "close") -> Fault:
    """What a server writes, byte by byte, before it closes or resets the connection."""
    return Fault(kind=f"wire_then_{then}", body="".join(parts).encode())


OK, TYPED = "HTTP/1.1 200 OK\r\n", "content-type: application/json\r\n"
CHUNKED, EVENTS = "transfer-encoding: chunked\r\n", "content-type: text/event-stream\r\n"
BODY = json.dumps(completion(verdict("correct")))
EVENT = stream_bytes(verdict("correct"), chunks=1).decode()
BROKEN_EVENT = 'data: {"error": {"message": "the server is overloaded", "type": "server_error"}}\n\n'

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
    "409": Fault(kind="status", status=409),
    "504 with an HTML page": Fault(kind="status", status=504, body="<html>"),
    "an empty body": Fault(kind="raw", body=b""),
    "a body that claims to be gzip": Fault(kind="raw", body=b"plain", headers={"content-encoding": "gzip"}),
    "closed without a word": wire(""),
    "no HTTP at all": wire("SSH-2.0-OpenSSH\r\n"),
    "closed after the head": wire(OK, TYPED, "content-length: 900\r\n\r\n"),
    "reset after the head": wire(OK, TYPED, "content-length: 900\r\n\r\n", then="reset"),
    "reset in the body": wire(OK, TYPED, "content-length: 900\r\n\r\n", BODY[:60], then="reset"),
    "a chunked body without its end": wire(OK, TYPED, CHUNKED, f"\r\n{len(BODY):x}\r\n", BODY, "\r\n"),
    "a chunk cut in two": wire(OK, TYPED, CHUNKED, f"\r\n{len(BODY):x}\r\n", BODY[:60]),
}
NEVER_BILLED = {name for name in PASSING if name[:3] in ("429", "500", "503", "529", "408", "409", "504")}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_tried_again_and_the_verdict_counts(
    name: str, stream: bool, start: Callable, config: Callable
) -> None:
    server = start(lambda body, number: PASSING[name] if number == 0 else verdict("correct"))
    judge = Judge(config(server, link={"stream": stream}))
    score = judge.grade(items(1))["i0"]
    assert (score.value, score.why) == (1.0, "judged_correct")
    assert len(server.chats) == 2
    assert judge.spend().num_retries == 1
    assert (judge.spend().at_risk_usd > 0) == (name not in NEVER_BILLED)


HALF_SENT = {
    "no end of the stream": wire(OK, EVENTS, "connection: close\r\n\r\n", EVENT),
    "half an event": wire(OK, EVENTS, "connection: close\r\n\r\n", EVENT, EVENT[:40]),
    "a reset in the stream": wire(OK, EVENTS, "connection: close\r\n\r\n", EVENT, then="reset"),
    "a chunk that never comes": wire(OK, EVENTS, CHUNKED, f"\r\n{len(EVENT):x}\r\n", EVENT, "\r\n"),
    "an error event": wire(OK, EVENTS, "connection: close\r\n\r\n", EVENT, BROKEN_EVENT),
    "an event that is no JSON": wire(OK, EVENTS, "connection: close\r\n\r\n", EVENT, "data: {\n\n"),
    "a choice that is a number": wire(OK, EVENTS, "connection: close\r\n\r\n", 'data: {"choices": [3]}\n\n'),
    "an event that is a number": wire(OK, EVENTS, "connection: close\r\n\r\n", "data: 3\n\n"),
    "content that is a list": wire(
        OK, EVENTS, "connection: close\r\n\r\n", 'data: {"choices": [{"delta": {"content": [1]}}]}\n\n'
    ),
}


@pytest.mark.parametrize("name", HALF_SENT)
def test_a_half_sent_stream_is_asked_again_and_may_be_billed(name: str, start: Callable, config: Callable) -> None:
    server = start(lambda body, number: HALF_SENT[name] if number == 0 else verdict("correct"))
    judge = Judge(config(server, link={"stream": True}))
    assert judge.grade(items(1))["i0"].value == 1.0
    assert len(server.chats) == 2
    assert judge.spend().at_risk_usd > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_is_not_there_is_never_billed(stream: bool, start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))
    settings = config(server, link={"stream": stream, "max_attempts": 3})
    server.close()
    judge = Judge(settings)
    score = judge.grade(items(1))["i0"]
    assert (score.value, score.why) == (None, "judge_connection")
    assert "attempt 3 of 3" in score.evidence["votes"][0]["reason"]
    assert judge.spend().at_risk_usd == 0


def test_a_reply_without_a_message_is_kept_for_a_person(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Fault(kind="raw", body={"choices": [], "note": "out of coffee"}))
    settings = config(server, link={"max_attempts": 1})
    Judge(settings).grade(items(1))
    assert "out of coffee" in (settings.cache_dir / "calls.jsonl").read_text()


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_is_an_error_and_neither_key_nor_prompt_follows_it(
    status: int, start: Callable, config: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    other = start(lambda body, number: verdict("correct"))
    away = Fault(kind="status", status=status, headers={"location": f"{other.url}/chat/completions?token={SECRET}"})
    server = start(lambda body, number: away)
    with pytest.raises(UserError, match="redirects to") as caught:
        Judge(config(server, link={"key_variable": "MY_KEY"})).grade(items(1))
    assert SECRET not in str(caught.value)
    assert other.requests == []


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
