"""What is running, how far it is, and when it ends. In: stages and steps. Out: a live display, or a line now and then.

On a terminal a rich progress display; otherwise (a log, CI) one line when a stage starts or ends and every ten seconds.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 10.0


class Display:
    """Progress over stages whose rough cost in seconds is known beforehand: {"train": 200, "sample": 90, ...}."""

    def __init__(self, console: Console, expected_s: dict[str, float]) -> None:
        self.console = console
        self._expected = dict(expected_s)
        self._live = console.is_terminal
        self._lock = threading.Lock()
        self._bars: dict[str, TaskID] = {}
        self._stage, self._done, self._total = "", 0.0, 1.0
        self._stage_started = self._started = self._last_line = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=False,
        )

    def __enter__(self) -> Display:
        if self._live:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._progress.stop()

    def stage(self, name: str, total: float) -> None:
        """A new stage with `total` units of work begins."""
        with self._lock:
            self._expected.pop(self._stage, None)
            self._stage, self._done, self._total = name, 0.0, max(total, 1e-9)
            self._stage_started = time.monotonic()
            if self._live:
                self._bars[name] = self._progress.add_task(name, total=int(total), note="")
            else:
                self._line(f"{name}: started{self._ending()}")

    def update(self, done: float, note: str = "") -> None:
        """`done` units of the current stage are finished."""
        with self._lock:
            self._done = done
            if self._live:
                note = f"{note}{self._ending()}"
                self._progress.update(self._bars[self._stage], completed=int(done), note=note)
            elif time.monotonic() - self._last_line > LINE_EVERY_S:
                self._line(f"{self._stage}: {done / self._total:.0%} {note}{self._ending()}")

    def say(self, text: str, **style: Any) -> None:
        """A line that stays."""
        self.console.print(text, highlight=False, **style)

    def remaining_s(self) -> float:
        """Seconds to the end: this stage by its own pace, later ones by what was expected, scaled by the pace so far."""
        spent = time.monotonic() - self._stage_started
        expected = self._expected.get(self._stage, spent)
        fraction = self._done / self._total
        if fraction > 0.05 and spent > 8.0:  # an engine that starts, or a first long answer, is no pace
            total = spent / fraction
            scale = total / expected if expected else 1.0
        else:
            total, scale = expected, 1.0
        later = sum(cost for stage, cost in self._expected.items() if stage != self._stage)
        return max(0.0, total - spent) + later * min(max(scale, 0.3), 5.0)

    def _ending(self) -> str:
        remaining = self.remaining_s()
        clock = time.strftime("%H:%M", time.localtime(time.time() + remaining))
        return f" | about {_duration(remaining)} left, ends {clock}"

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self.console.print(f"[{_duration(self._last_line - self._started)}] {text}", highlight=False, markup=False)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
