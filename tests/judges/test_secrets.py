"""A key that a server echoes, wherever it puts it, reaches no file, no log, no exception text and no traceback."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from harness.core import UserError
from judges.grader import Judge
from tests.judges.conftest import items
from tests.judges.server import Fault, FaultServer, Say, send, verdict

KEYS = ("sk-verysecret1234567890", "Plain/Team+Key=42")  # one of OpenAI's shape, one of no known shape


def body(key: str) -> dict[str, Any]:
    return {"error": {"message": f"Incorrect API key provided: {key}.", "code": key, "param": key}}


def wire(head: str, key: str) -> Fault:
    event = f'data: {{"error": {{"message": "no {key}"}}}}\n\n'
    return Fault(kind="wire_then_close", body=f"{head}content-type: text/event-stream\r\n\r\n{event}".encode())


OK = "HTTP/1.1 200 OK\r\nconnection: close\r\n"
ECHOES: dict[str, Callable[[str], Say | Fault]] = {
    "the body of a 500": lambda key: Fault(kind="status", status=500, body=body(key)),
    "the body of a 400": lambda key: Fault(kind="status", status=400, body=body(key)),
    "the body of a 401": lambda key: Fault(kind="status", status=401, body=body(key)),
    "the body of a 404": lambda key: Fault(kind="status", status=404, body=body(key)),
    "the body of a 429 for the quota": lambda key: Fault(
        kind="status", status=429, body={"error": {"message": key, "code": "insufficient_quota"}}
    ),
    "a body that quotes the header": lambda key: Fault(
        kind="status", status=500, body={"error": {"message": f"Authorization: Bearer {key}"}}
    ),
    "a body with the key in a URL": lambda key: Fault(
        kind="status", status=500, body={"error": {"message": f"POST /v1?api-key={quote(key, safe='')} failed"}}
    ),
    "a page of HTML": lambda key: Fault(kind="status", status=502, body=f"<html>{key}</html>"),
    "a reply without a message": lambda key: Fault(kind="raw", body={"choices": [], "debug": {"key": key}}),
    "a reply that is no JSON": lambda key: Fault(kind="raw", body=f"{{{key}".encode()),
    "headers": lambda key: Fault(
        kind="status", status=429, headers={"retry-after": key, "x-request-id": key, "openai-organization": key}
    ),
    "a redirect": lambda key: Fault(kind="status", status=307, headers={"location": f"https://elsewhere.org/?k={key}"}),
    "a broken status line": lambda key: Fault(kind="wire_then_close", body=f"HTTP/1.1 {key}\r\n\r\n".encode()),
    "an event of the stream": lambda key: wire(OK, key),
    "the reason": lambda key: verdict("correct", f"your key is {key}"),
    "a refusal": lambda key: Say(text=None, refusal=f"I will not, {key}"),
    "prose": lambda key: Say(text=f"Grading with {key}"),
    "an unknown verdict": lambda key: verdict(key),
    "the snapshot's name": lambda key: replace(verdict("correct"), model=key),
    "the token counts": lambda key: replace(verdict("correct"), usage={"prompt_tokens": key, "completion_tokens": 1}),
}


def everything_shown(judge: Judge, folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    """What grading left behind, anywhere."""
    shown = [repr(judge.caller.place), repr(judge.config)]
    try:
        shown.append(repr(judge.grade(items(2))))
    except UserError as error:
        shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
    shown += [path.read_text() for path in folder.rglob("*") if path.is_file()]
    return "\n".join([*shown, caplog.text, repr(judge.spend())])


@pytest.mark.parametrize(("key", "stream"), [(KEYS[0], True), (KEYS[1], False)])
@pytest.mark.parametrize("name", ECHOES)
def test_a_key_that_the_server_echoes_is_shown_nowhere(
    name: str,
    key: str,
    stream: bool,
    start: Callable,
    config: Callable,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    server = start(lambda request, number: ECHOES[name](key))
    link = {"key_variable": "MY_KEY", "max_concurrent": 1, "max_attempts": 2, "stream": stream}
    with caplog.at_level(logging.INFO):
        shown = everything_shown(Judge(config(server, link=link)), tmp_path, caplog)
    assert server.requests[0][2]["authorization"] == f"Bearer {key}"
    assert key not in shown
    assert quote(key, safe="") not in shown


def refused_upload(server: FaultServer, key: str) -> None:
    server.upload = lambda handler, raw: send(handler, 400, body(key))  # type: ignore[method-assign]


def failed_batch(server: FaultServer, key: str) -> None:
    errors = {"data": [{"code": "x", "message": f"no access with {key}", "line": None}]}
    server.advance = lambda name: {**server.batches[name], "status": "failed", "errors": errors}  # type: ignore[method-assign]


def failed_lines(server: FaultServer, key: str) -> None:
    row = {"response": {"status_code": 401, "body": body(key)}, "error": {"message": key}}

    def advance(name: str) -> dict[str, Any]:
        batch = server.batches[name]
        asked = [json.loads(line) for line in server.files[batch["input_file_id"]].splitlines()]
        server.files["errors"] = b"\n".join(
            json.dumps({**row, "custom_id": one["custom_id"]}).encode() for one in asked
        )
        return {**batch, "status": "completed", "error_file_id": "errors"}

    server.advance = advance  # type: ignore[method-assign]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("echo", [refused_upload, failed_batch, failed_lines])
def test_a_key_that_the_batch_api_echoes_is_shown_nowhere(
    echo: Callable[[FaultServer, str], None],
    key: str,
    start: Callable,
    config: Callable,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    server = start(lambda request, number: verdict("correct"))
    echo(server, key)
    judge = Judge(config(server, batch=True, batch_poll_s=0.02, link={"key_variable": "MY_KEY"}))
    with caplog.at_level(logging.INFO):
        assert key not in everything_shown(judge, tmp_path, caplog)
