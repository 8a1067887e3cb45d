"""A child process that tells its progress as JSON lines. In: a module and its arguments. Out: its events, as they come.

Children run in their own session, so that Ctrl-C reaches them through us and in order, and die with us (Linux): a killed
sweep leaves nobody writing into its folder. Their stderr goes to a log file, whose end explains a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

GRACE_S = 8.0  # a trainer saves its state in this time; the whole sweep ends within 10 s of a Ctrl-C
_LAUNCH = (
    "import ctypes, os, signal, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
# The kernel ties a child to the *thread* that started it, so one thread that never ends starts them all.
_SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="engine-spawner")


class Child:
    """One running `python -m MODULE ARGUMENT...`."""

    def __init__(self, module: str, *arguments: str, log: Path, environment: Mapping[str, str] | None = None) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._stream = log.open("ab")
        command = [sys.executable, "-c", _LAUNCH, sys.executable, "-W", "ignore", "-m", module, *arguments]
        self._process = _SPAWNER.submit(
            subprocess.Popen,
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stream,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            text=True,
        ).result()

    def events(self) -> Iterator[dict[str, Any]]:
        """Its events until it closes its output. A line that is no event is ignored: it is a library's chatter."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    yield event
        self._process.stdout.close()

    def send(self, body: Mapping[str, Any]) -> None:
        """Give it one JSON line. A dead child takes nothing; its end is seen in `events`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(body) + "\n")
            self._process.stdin.flush()

    def finish(self) -> int:
        """Close its input and wait for its end; returns the exit code. The caller is its reader, or has none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        code = self._process.wait()
        self._process.stdout.close()
        self._stream.close()
        return code

    def stop(self) -> None:
        """Ask it to save and end; after the grace, kill it and all it started."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._stream.close()

    def last_words(self, limit: int = 600) -> str:
        """The end of its log, for the reason of a failure."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return "\n".join(lines[-5:])[-limit:]

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
