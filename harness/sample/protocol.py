"""What the sweep and the engine process say to each other: one JSON object a line.

In (stdin): {"run", "checkpoint", "method", "split", "requests": [{"id", "prompt_ids"}], "out", "probes", "references",
"max_new_tokens", "end_id", "temperature"}, one job a line; the end of input ends the process.
Out (stdout): {"event": "ready" | "progress" | "sampled" | "unproven" | "failed", "run", ...}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

FLUSH_S = 2.0  # at most this much sampling is lost by a kill


@dataclass(frozen=True, kw_only=True)
class SampleJob:
    """Prompts of one run and split. `probes` are token-id sequences whose log-probabilities prove the weights."""

    run: str
    method: str
    checkpoint: str | None
    split: str
    requests: list[dict[str, Any]]
    out: str
    max_new_tokens: int
    end_id: int
    probes: list[list[int]] = field(default_factory=list)
    references: dict[str, list[list[float]]] = field(default_factory=dict)


class Engine(Protocol):
    """What a sampling engine offers. `activate` returns the route by which it serves the checkpoint."""

    name: str
    max_model_len: int

    def activate(self, job: SampleJob) -> str:
        """Make the job's checkpoint the one that answers."""

    def log_probabilities(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each sequence, log p(token) of its second to last token, in nats."""

    def generate(self, job: SampleJob, requests: list[dict[str, Any]]) -> Iterator[tuple[str, list[int], str, float]]:
        """(example id, answer token ids with the end token if generated, "stop" or "length", seconds), as they finish."""


def claim_stdout() -> int:
    """The descriptor for events; from here on, whatever a library prints goes to stderr."""
    events = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


def tell(events: int, event: str, **body: Any) -> None:
    """Write one event line."""
    os.write(events, (json.dumps({"event": event, "time": time.time(), **body}) + "\n").encode())


def serve(engine: Engine, decode: Any, events: int) -> None:
    """Answer jobs from stdin until it ends. A job that fails does not take the others along."""
    for line in sys.stdin:
        job = SampleJob(**json.loads(line))
        try:
            _run_job(engine, job, decode, events)
        except Exception as error:  # becomes the run's recorded failure
            tell(events, "failed", run=job.run, split=job.split, reason=f"{type(error).__name__}: {error}"[:1000])


def _run_job(engine: Engine, job: SampleJob, decode: Any, events: int) -> None:
    from harness.sample.proof import proof
    from harness.store import append_lines, read_lines

    route = engine.activate(job)
    check: dict[str, Any] = {}
    if job.probes:
        check = proof(job.run, engine.log_probabilities(job.probes), job.references)
        if not check["proven"]:
            tell(events, "unproven", run=job.run, split=job.split, route=route, check=check)
            return
    done = {row["example_id"] for row in read_lines(Path(job.out)) if row["split"] == job.split}
    lengths = {request["id"]: len(request["prompt_ids"]) for request in job.requests}
    waiting = [request for request in job.requests if request["id"] not in done]
    too_long = [r for r in waiting if lengths[r["id"]] + job.max_new_tokens > engine.max_model_len]
    rows = [_row(job, r["id"], "", "error", (lengths[r["id"]], 0), "prompt_too_long") for r in too_long]
    fitting = [r for r in waiting if lengths[r["id"]] + job.max_new_tokens <= engine.max_model_len]
    started = flushed = time.monotonic()
    tokens, finished = 0, len(done)
    for id, answer, finish, latency_s in engine.generate(job, fitting):
        tokens += len(answer)
        finished += 1
        row = _row(job, id, decode(answer), finish, (lengths[id], len(answer)), "")
        rows.append({**row, "latency_s": round(latency_s, 4)})
        if time.monotonic() - flushed > FLUSH_S:
            append_lines(Path(job.out), rows)
            rows, flushed = [], time.monotonic()
            rate = tokens / (flushed - started)
            tell(events, "progress", run=job.run, done=finished, total=len(lengths), tokens_per_second=rate)
    append_lines(Path(job.out), rows)
    seconds = time.monotonic() - started
    tell(
        events,
        "sampled",
        run=job.run,
        split=job.split,
        route=route,
        check=check,
        seconds=seconds,
        tokens=tokens,
        num_sampled=len(waiting),
        tokens_per_second=tokens / seconds if tokens else None,
    )


def _row(job: SampleJob, id: str, text: str, finish: str, counts: tuple[int, int], error: str) -> dict[str, Any]:
    return {
        "example_id": id,
        "split": job.split,
        "text": text,
        "finish": finish,
        "num_prompt_tokens": counts[0],
        "num_tokens": counts[1],
        "error": error,
    }
