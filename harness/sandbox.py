"""Run a function on hostile input in a child process that is killed on time or memory.

Goes in: the name of a function ("module:function", JSON value -> JSON value) and payloads. Comes out: its replies, or
`Killed` with a reason. The child is a fresh interpreter, never a fork of ours, so it holds no lock, descriptor or
secret of the parent. It reads length-prefixed JSON and is never sent, nor believed with, a pickle.

Limits: wall clock by the parent (SIGKILL to the child's process group), address space by RLIMIT_AS, written file size
by RLIMIT_FSIZE, no core dumps, and the child dies with its parent (PR_SET_PDEATHSIG, Linux). macOS enforces neither
RLIMIT_AS nor the last one: there only the wall clock holds. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

KillReason = Literal["timeout", "memory", "crash", "oversized"]
DEFAULT_MEMORY_BYTES = 2 << 30
MAX_REPLY_BYTES = 64 << 20
STARTUP_S = 120.0  # importing a task on a loaded 2-core machine took up to 9 s
_HEADER = struct.Struct(">Q")
# PR_SET_PDEATHSIG fires when the *thread* that started the child ends, so one thread that never ends starts them all.
_SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="sandbox-spawner")


def _renew_spawner() -> None:
    """A forked process inherits the executor but not its thread: without a new one its first spawn waits for ever."""
    global _SPAWNER
    _SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="sandbox-spawner")


os.register_at_fork(after_in_child=_renew_spawner)


class Killed(Exception):
    """The child did not answer: it ran out of time or memory, crashed, or answered too much."""

    def __init__(self, reason: KillReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: KillReason = reason
        self.detail = detail


class RemoteError(Exception):
    """The function raised in the child: the text is the exception's class and message (our bug, not a kill)."""


class Worker:
    """One child process that answers calls in turn. It is started at the first call, and again after a kill.

    Safe to share between threads: calls wait for each other.
    """

    def __init__(
        self,
        target: str,
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        max_file_bytes: int | None = 0,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._argv = [target, str(memory_bytes), "none" if max_file_bytes is None else str(max_file_bytes)]
        self._max_reply_bytes = max_reply_bytes
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def call(self, payload: Any, timeout_s: float) -> Any:
        """The function's reply to `payload`, both JSON values.

        Raises Killed when the child did not answer within `timeout_s` seconds (starting it is not counted), broke its
        limits or died; RemoteError when the function raised.
        """
        with self._lock:
            child = self._running_child()
            body = json.dumps(payload).encode()
            deadline = time.monotonic() + timeout_s
            try:
                _write_frame(child, body, deadline)
                reply = json.loads(self._read_frame(child, deadline))
            except Killed:
                self._kill()
                raise
            except (OSError, EOFError, ValueError) as error:
                code = self._kill()
                raise Killed("crash", f"child ended with {code}: {error}") from None
        if "value" in reply:
            return reply["value"]
        if reply.get("killed") == "memory":
            self.close()  # an interpreter that ran out of memory once is not trusted again
            raise Killed("memory", str(reply.get("detail", "")))
        raise RemoteError(str(reply.get("error", "no reply")))

    def start(self) -> None:
        """Start the child now, so that a first call need not wait for its imports."""
        with self._lock:
            self._running_child()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._kill()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._kill()

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._kill()
            self._child = _SPAWNER.submit(_spawn, self._argv).result()
            try:
                ready = self._read_frame(self._child, time.monotonic() + STARTUP_S)
            except (OSError, EOFError) as error:
                code = self._kill()
                raise Killed("crash", f"child could not start, ended with {code}: {error}") from None
            if ready != b'"ready"':
                self._kill()
                raise RemoteError(f"sandbox could not load {self._argv[0]}: {ready.decode(errors='replace')}")
        return self._child

    def _read_frame(self, child: subprocess.Popen[bytes], deadline: float) -> bytes:
        assert child.stdout is not None
        (length,) = _HEADER.unpack(_read_exactly(child.stdout.fileno(), _HEADER.size, deadline))
        if length > self._max_reply_bytes:
            raise Killed("oversized", f"a reply of {length} bytes")
        return _read_exactly(child.stdout.fileno(), length, deadline)

    def _kill(self) -> int | None:
        child, self._child = self._child, None
        if child is None:
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        return child.wait()


def run_all(
    target: str,
    payloads: Iterable[Any],
    *,
    workers: int = 1,
    timeout_s: float = 30.0,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    max_file_bytes: int | None = 0,
) -> Iterator[Any | Killed | RemoteError]:
    """Replies in the order of `payloads`; a killed or raising call yields its exception instead and harms no other.

    At most `workers * 4` payloads are under way, so an endless iterable and slow readers are fine.
    """
    local = threading.local()
    started: list[Worker] = []

    def answer(payload: Any) -> Any | Killed | RemoteError:
        worker: Worker | None = getattr(local, "worker", None)
        if worker is None:
            worker = Worker(target, memory_bytes=memory_bytes, max_file_bytes=max_file_bytes)
            local.worker = worker
            started.append(worker)
        try:
            return worker.call(payload, timeout_s)
        except (Killed, RemoteError) as error:
            return error

    pool = ThreadPoolExecutor(workers, thread_name_prefix="sandbox")
    pending: list[Any] = []
    try:
        for payload in payloads:
            pending.append(pool.submit(answer, payload))
            if len(pending) >= workers * 4:
                yield pending.pop(0).result()
        while pending:
            yield pending.pop(0).result()
    finally:
        for future in pending:
            future.cancel()
        for worker in started:
            worker.close()
        pool.shutdown(wait=True)


def _spawn(argv: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p) or ".", "OMP_NUM_THREADS": "1"}
    for secret in [name for name in environment if "KEY" in name or "TOKEN" in name or "SECRET" in name]:
        del environment[secret]
    return subprocess.Popen(
        [sys.executable, "-c", "from harness.sandbox import serve; serve()", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
        bufsize=0,
    )


def _write_frame(child: subprocess.Popen[bytes], body: bytes, deadline: float) -> None:
    assert child.stdin is not None
    descriptor = child.stdin.fileno()
    os.set_blocking(descriptor, False)
    view = memoryview(_HEADER.pack(len(body)) + body)
    while view:
        _, writable, _ = select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))
        if not writable:
            raise Killed("timeout", "the child did not read its input")
        view = view[os.write(descriptor, view) :]


def _read_exactly(descriptor: int, size: int, deadline: float) -> bytes:
    chunks, missing = [], size
    while missing:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise Killed("timeout")
        chunk = os.read(descriptor, min(missing, 1 << 20))
        if not chunk:
            raise EOFError("the child closed its output")
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)


# ---- the child's side -------------------------------------------------------------------------------------


def serve() -> None:
    """The child's main loop: limit itself, load the target, answer frames until the input ends."""
    target, memory, file_size = sys.argv[1:4]
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # a library that prints must not corrupt the protocol
    _die_with_parent()
    try:
        module, _, name = target.partition(":")
        function: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
    except Exception as error:  # becomes the parent's RemoteError
        _reply(replies, json.dumps(f"{type(error).__name__}: {error}").encode())
        return
    _limit(int(memory), None if file_size == "none" else int(file_size))
    _reply(replies, b'"ready"')
    while True:
        header = _read_or_end(requests, _HEADER.size)
        if header is None:
            return
        body = _read_or_end(requests, _HEADER.unpack(header)[0])
        if body is None:
            return
        _reply(replies, _answer(function, body))


def _answer(function: Callable[[Any], Any], body: bytes) -> bytes:
    try:
        return json.dumps({"value": function(json.loads(body))}).encode()
    except MemoryError as error:
        return json.dumps({"killed": "memory", "detail": str(error)}).encode()
    except Exception as error:  # becomes the parent's RemoteError, a recorded row there
        return json.dumps({"error": f"{type(error).__name__}: {error}"[:2000]}).encode()


def _limit(memory_bytes: int, file_bytes: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "darwin":
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit is an OSError, not a death
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def _die_with_parent() -> None:
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _reply(descriptor: int, body: bytes) -> None:
    view = memoryview(_HEADER.pack(len(body)) + body)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_or_end(descriptor: int, size: int) -> bytes | None:
    chunks, missing = [], size
    while missing:
        chunk = os.read(descriptor, min(missing, 1 << 20))
        if not chunk:
            return None
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)
