"""A local HTTP server that speaks the chat-completions and Batch API and misbehaves on command.

`script` is called with the parsed request and its number and says what to do: a `Say` (a good reply), a `Fault`, or raw
bytes. Every request is kept. Nothing here reaches the internet.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Say:
    """A chat completion."""

    text: str | None
    finish: str = "stop"
    refusal: str | None = None
    model: str = "judge-2024-08-06"
    usage: dict[str, Any] | None = field(default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 20})
    delay_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A misbehaviour. `kind`: status, reset, hang, half_body, half_stream, raw, and two that write `body` to the wire as
    it is: wire_then_close, wire_then_reset."""

    kind: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


Script = Callable[[dict[str, Any], int], Say | Fault]


def verdict(word: str, reason: str = "because") -> Say:
    return Say(text=json.dumps({"reason": reason, "verdict": word}))


class FaultServer:
    """Runs in a thread. `requests` holds (path, body, headers) in order of arrival."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[tuple[str, Any, dict[str, str]]] = []
        self.times: list[float] = []
        self.most_at_once = 0
        self.at_once = 0
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.batch_polls_needed = 2
        self.file_polls_needed = 0
        self.keeps_metadata = True
        self.lose_create_replies = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.get(self)

            def do_POST(self) -> None:
                outer.post(self)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *args: Any) -> None:
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def chats(self) -> list[dict[str, Any]]:
        return [body for path, body, _ in self.requests if path.endswith("/chat/completions")]

    def post(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        is_json = "json" in handler.headers.get("content-type", "")
        body = json.loads(raw) if is_json else raw
        path = handler.path.split("?")[0]
        with self.lock:
            self.requests.append((path, body, {k.lower(): v for k, v in handler.headers.items()}))
            self.times.append(time.monotonic())
            number = len(self.requests) - 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if path.endswith("/chat/completions"):
                self.chat(handler, body, self.script(body, number))
            elif path.endswith("/files"):
                self.upload(handler, raw)
            elif path.endswith("/batches"):
                self.create_batch(handler, body)
        finally:
            with self.lock:
                self.at_once -= 1

    def chat(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], action: Say | Fault) -> None:
        if isinstance(action, Say):
            time.sleep(action.delay_s)
            if body.get("stream"):
                send(handler, 200, stream_bytes(action), {"content-type": "text/event-stream"})
            else:
                send(handler, 200, completion(action))
        elif action.kind == "status":
            send(handler, action.status, action.body or {"error": {"message": "no"}}, action.headers)
        elif action.kind == "reset":
            reset(handler)
        elif action.kind.startswith("wire"):
            handler.wfile.write(action.body)
            handler.wfile.flush()
            handler.close_connection = True
            if action.kind == "wire_then_reset":
                time.sleep(0.02)  # a reset overtakes what was not read yet
                reset(handler)
        elif action.kind == "hang":
            self.released.wait(30)
            handler.close_connection = True
        elif action.kind == "raw":
            send(handler, 200, action.body, action.headers)
        else:
            half(handler, body, action)

    def upload(self, handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        lines = re.findall(rb'^\{"custom_id".*$', raw, re.MULTILINE)
        name = f"file-{len(self.files)}"
        self.files[name] = b"\n".join(line.strip() for line in lines)
        send(handler, 200, self.file_row(name))

    def file_row(self, name: str) -> dict[str, Any]:
        size = len(self.files[name])
        row = {"id": name, "object": "file", "bytes": size, "created_at": 1, "filename": "x", "purpose": "batch"}
        return {**row, "status": "pending" if self.file_polls_needed else "processed"}

    def create_batch(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        name = f"batch-{len(self.batches)}"
        self.batches[name] = {
            "id": name, "object": "batch", "endpoint": body["endpoint"], "input_file_id": body["input_file_id"],
            "completion_window": "24h", "created_at": 1, "status": "in_progress",
            "metadata": body.get("metadata") if self.keeps_metadata else None, "polls": 0,
        }  # fmt: skip
        if self.lose_create_replies:
            self.lose_create_replies -= 1
            handler.connection.close()
            handler.close_connection = True
            return
        send(handler, 200, self.batches[name])

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.split("?")[0]
        with self.lock:
            self.requests.append((path, None, {}))
            self.times.append(time.monotonic())
        if match := re.search(r"/files/([\w-]+)/content$", path):
            send(handler, 200, self.files[match.group(1)], {"content-type": "application/jsonl"})
        elif match := re.search(r"/files/([\w-]+)$", path):
            self.file_polls_needed -= 1
            send(handler, 200, self.file_row(match.group(1)))
        elif match := re.search(r"/batches/([\w-]+)$", path):
            send(handler, 200, self.advance(match.group(1)))
        else:
            rows = list(self.batches.values())
            send(handler, 200, {"object": "list", "data": rows, "has_more": False})

    def advance(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        batch["polls"] += 1
        if batch["polls"] >= self.batch_polls_needed and batch["status"] == "in_progress":
            good, bad = [], []
            for number, line in enumerate(self.files[batch["input_file_id"]].splitlines()):
                row = json.loads(line)
                action = self.script(row["body"], number)
                if isinstance(action, Say):
                    response = {"status_code": 200, "body": completion(action)}
                    good.append({"custom_id": row["custom_id"], "response": response, "error": None})
                else:
                    response = {"status_code": action.status, "body": {"error": {"message": "no"}}}
                    bad.append({"custom_id": row["custom_id"], "response": response, "error": None})
            for kind, rows in (("output", good), ("error", bad)):
                if rows:
                    file = f"{name}-{kind}"
                    self.files[file] = b"\n".join(json.dumps(row).encode() for row in rows)
                    batch[f"{kind}_file_id"] = file
            batch["status"] = "completed"
        return batch


def completion(say: Say) -> dict[str, Any]:
    message = {"role": "assistant", "content": say.text, "refusal": say.refusal}
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": say.model,
        "choices": [{"index": 0, "message": message, "finish_reason": say.finish}],
        **({"usage": say.usage} if say.usage is not None else {}),
    }  # fmt: skip


def stream_chunks(say: Say) -> list[dict[str, Any]]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": say.model}
    text = say.text or ""
    parts = [text[i : i + 7] for i in range(0, len(text), 7)]
    chunks = [{**head, "choices": [{"index": 0, "delta": {"content": p}, "finish_reason": None}]} for p in parts]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": say.finish}]})
    return [*chunks, {**head, "choices": [], "usage": say.usage}]


def stream_bytes(say: Say, chunks: int | None = None) -> bytes:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in stream_chunks(say)[:chunks]]
    return "".join([*lines, *(["data: [DONE]\n\n"] if chunks is None else [])]).encode()


def half(handler: BaseHTTPRequestHandler, body: dict[str, Any], action: Fault) -> None:
    good = verdict("correct")
    handler.send_response(200)
    handler.close_connection = True
    if action.kind == "half_stream":  # ends cleanly, in the middle of the reply
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(stream_bytes(good, chunks=2))
    else:
        whole = json.dumps(completion(good)).encode()
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(whole)))
        handler.end_headers()
        handler.wfile.write(whole[: len(whole) // 2])
    handler.wfile.flush()
    handler.connection.close()


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def send(handler: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"content-type": "application/json", **(headers or {})}.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    with contextlib.suppress(OSError):
        handler.wfile.write(data)


@contextlib.contextmanager
def serving(script: Script) -> Iterator[FaultServer]:
    server = FaultServer(script)
    try:
        yield server
    finally:
        server.close()


def user_text(body: dict[str, Any]) -> str:
    """The user turn of a request."""
    return str(body["messages"][1]["content"])


def field_text(body: dict[str, Any], name: str) -> str:
    """The text of one framed field, as the judge sees it."""
    match = re.search(rf"\[begin {name} (\w+)\]\n(.*?)\n\[end {name} \1\]", user_text(body), re.DOTALL)
    return match.group(2) if match else ""
