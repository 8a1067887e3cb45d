"""What sampling engines of a cluster send to the driver -> the run's completions.jsonl, each item once, and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.store import append_lines, read_lines

Tell = Callable[[dict[str, Any]], None]


def judged(ending: dict[str, Any]) -> dict[str, Any]:
    """An engine that is not proven is a failure of the run's sampling."""
    if ending["event"] != "unproven":
        return ending
    return {**ending, "event": "failed", "reason": f"engine not proven: {ending['check']['reason']}"}


class RowKeeper:
    """Writes the rows that engines send, an item once, and passes everything else on as the events of a local engine."""

    def __init__(self, jobs: Sequence[Mapping[str, Any]], tell: Tell) -> None:
        self._out = {job["run"]: Path(job["out"]) for job in jobs}
        self._tell = tell
        self.known: dict[str, set[str]] = {
            job["run"]: {row["example_id"] for row in read_lines(Path(job["out"])) if row["split"] == job["split"]}
            for job in jobs
        }

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event."""
        if event["event"] == "progress":
            return  # an engine knows of its own share alone
        if event["event"] != "rows":
            self._tell(event)
            return
        known = self.known[event["run"]]
        rows = [row for row in event["rows"] if row["example_id"] not in known]  # an engine that died answers twice
        known.update(row["example_id"] for row in rows)
        append_lines(self._out[event["run"]], rows)
        self._tell({"event": "progress", "run": event["run"], "done": len(known)})
