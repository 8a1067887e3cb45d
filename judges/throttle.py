"""How many calls are in flight, and when nobody may call. One owner for a whole event loop.

A 429 pauses every call until the moment the server named, and halves the number in flight; each success gives one
place back after as many successes as there are places. The rule is TCP's additive increase, multiplicative decrease.
"""

from __future__ import annotations

import asyncio
import logging
import time

log = logging.getLogger("judges")


class Throttle:
    """Places for calls in flight. Made inside the loop that uses it."""

    def __init__(self, max_concurrent: int) -> None:
        self._max = max_concurrent
        self._places = float(max_concurrent)
        self._in_flight = 0
        self._open_at_s = 0.0
        self._changed = asyncio.Condition()

    async def enter(self) -> None:
        """Wait for a place and for the end of any pause, and take the place."""
        while True:
            async with self._changed:
                while self._in_flight >= max(1, int(self._places)):
                    await self._changed.wait()
                pause_s = self._open_at_s - time.monotonic()
                if pause_s <= 0:
                    self._in_flight += 1
                    return
            await asyncio.sleep(pause_s)

    async def leave(self, *, succeeded: bool) -> None:
        """Give the place back."""
        async with self._changed:
            self._in_flight -= 1
            if succeeded:
                self._places = min(self._max, self._places + 1 / self._places)
            self._changed.notify_all()

    async def slow_down(self, wait_s: float) -> None:
        """The server said 429: nobody calls for `wait_s` seconds, and then half as many at a time."""
        async with self._changed:
            now_s = time.monotonic()
            if now_s >= self._open_at_s:  # the answers of one burst halve it once
                self._places = max(1.0, self._places / 2)
            self._open_at_s = max(self._open_at_s, now_s + wait_s)
            log.warning("rate limit: all calls pause for %.1f s, then %d at a time", wait_s, int(self._places))
