"""SIGTERM and SIGINT -> the exception `Interrupted`, but never while weights or files are half changed.

A forward or backward pass may be broken off anywhere: it changes nothing that a resumed run reads. An optimizer step
and a write are `protected`: the signal is remembered and raised right after.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

EXIT_CODE = 75  # EX_TEMPFAIL: run it again and it goes on


class Interrupted(BaseException):
    """The process was asked to end. Not an Exception: no handler for failed runs may swallow it."""


class _State:
    depth = 0
    pending = False


def install() -> None:
    """Turn SIGTERM and SIGINT into `Interrupted` from now on (main thread only)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)


@contextlib.contextmanager
def protected() -> Iterator[None]:
    """Hold signals back inside the block."""
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
        if _State.depth == 0 and _State.pending:
            _State.pending = False
            raise Interrupted


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _State.depth:
        _State.pending = True
        return
    raise Interrupted
