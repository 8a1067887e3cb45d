"""What the sweep and the engine process say to each other: one JSON object a line.

In (stdin): {"run", "checkpoint", "method", "split", "requests": [{"id", "prompt_ids"}], "out", "probes", "references",
"max_new_tokens", "end_id", "num_alone", "fresh"}, one job a line; the end of input ends the process.
Out (stdout): {"event": "ready" | "progress" | "sampled" | "unproven" | "failed", "run", ...}. A cluster's engine has no pipe:
it calls `answer` with its own `tell` and `keep`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

FLUSH_S = 2.0  # at most this much sampling is lost by a kill


@dataclass(frozen=True, kw_only=True)
class SampleJob:
    """Prompts of one run and split. `probes` are token-id sequences whose log-probabilities prove the weights.

    `num_alone` prompts are also answered one by one, to see whether the batch matters. `fresh`: the engine was started
    on the checkpoint itself and cannot serve the base.
    """

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
    num_alone: int = 0
    fresh: bool = False


class Engine(Protocol):
    """What a sampling engine offers. `activate` returns the route by which it serves the checkpoint."""

    name: str
    max_model_len: int
    base_measured: dict[str, list[list[float]]]

    def activate(self, job: SampleJob) -> str:
        """Make the job's checkpoint the one that answers."""

    def forget_prefixes(self) -> None:
        """Drop whatever was kept of earlier prompts, so that the next answers are computed anew."""

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
    """Answer jobs from stdin until it ends; rows go to the job's file. A job that fails does not take the others along."""
    from harness.store import append_lines, read_lines

    for line in sys.stdin:
        job = SampleJob(**json.loads(line))
        out = Path(job.out)
        done = {row["example_id"] for row in read_lines(out) if row["split"] == job.split}
        tell(events, **answer(engine, job, decode, partial(tell, events), partial(append_lines, out), done))


def answer(
    engine: Engine,
    job: SampleJob,
    decode: Callable[[list[int]], str],
    tell: Callable[..., None],
    keep: Callable[[list[dict[str, Any]]], None],
    done: Collection[str] = (),
) -> dict[str, Any]:
    """Answer what is not `done`: rows go to `keep` as they come, and the event that ends the job is returned."""
    try:
        return _answered(engine, job, decode, tell, keep, done)
    except Exception as error:  # becomes the run's recorded failure
        reason = f"{type(error).__name__}: {error}"[:1000]
        return {"event": "failed", "run": job.run, "split": job.split, "reason": reason}


def _base_measured(engine: Engine, job: SampleJob) -> list[list[float]] | None:
    """What this engine says of the probes with the base model's weights, measured once and kept with the engine."""
    if job.fresh or not job.probes:
        return None
    key = json.dumps(job.probes)
    if key not in engine.base_measured:
        engine.activate(replace(job, method="base", checkpoint=None))
        engine.base_measured[key] = engine.log_probabilities(job.probes)
    return engine.base_measured[key]


def _answered(
    engine: Engine,
    job: SampleJob,
    decode: Callable[[list[int]], str],
    tell: Callable[..., None],
    keep: Callable[[list[dict[str, Any]]], None],
    done: Collection[str],
) -> dict[str, Any]:
    from harness.sample.batches import TOKENS_ALONE, agreement
    from harness.sample.proof import Probes, proof

    base = _base_measured(engine, job)
    shared: dict[str, Any] = {"run": job.run, "split": job.split, "route": engine.activate(job), "check": {}}
    if job.probes:
        shared["check"] = proof(
            job.run,
            engine.log_probabilities(job.probes),
            Probes(references=job.references, base_measured=base),
            trained=job.method != "base" or job.fresh,
        )
        if not shared["check"]["proven"]:
            return {"event": "unproven", **shared}
    lengths = {request["id"]: len(request["prompt_ids"]) for request in job.requests}
    waiting = [request for request in job.requests if request["id"] not in done]
    too_long = [r for r in waiting if lengths[r["id"]] + job.max_new_tokens > engine.max_model_len]
    rows = [_row(job, r["id"], "", "error", (lengths[r["id"]], 0), "prompt_too_long") for r in too_long]
    fitting = [r for r in waiting if lengths[r["id"]] + job.max_new_tokens <= engine.max_model_len]
    one_by_one = [[request] for request in fitting[: job.num_alone]] if len(fitting) > job.num_alone else []
    short = replace(job, max_new_tokens=min(job.max_new_tokens, TOKENS_ALONE))
    alone = {id: ids for only in one_by_one for id, ids, *_ in engine.generate(short, only)}
    together: dict[str, list[int]] = {}
    engine.forget_prefixes()
    started = flushed = time.monotonic()
    tokens, finished = 0, len(done)
    for id, ids, finish, latency_s in engine.generate(job, fitting):
        if id in alone:
            together[id] = ids
        tokens += len(ids)
        finished += 1
        row = _row(job, id, decode(ids), finish, (lengths[id], len(ids)), "")
        rows.append({**row, "latency_s": round(latency_s, 4)})
        if time.monotonic() - flushed > FLUSH_S:
            keep(rows)
            rows, flushed = [], time.monotonic()
            rate = tokens / (flushed - started)
            tell("progress", run=job.run, done=finished, total=len(lengths), tokens_per_second=rate)
    keep(rows)
    seconds = time.monotonic() - started
    counts = {"seconds": seconds, "tokens": tokens, "num_sampled": len(waiting)}
    shared["batch"] = agreement(alone, together, len(fitting)) if alone else None
    return {"event": "sampled", **shared, **counts, "tokens_per_second": tokens / seconds if tokens else None}


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
