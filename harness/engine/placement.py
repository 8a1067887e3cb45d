"""What a run or an engine asks of a cluster: devices and memory from the memory model, and how prompts are shared out. No Ray.

A run gets one device where it fits; full fine-tuning that does not is split over the fewest devices on which it does.
LoRA keeps its frozen weights whole on each device, so more devices make it faster, not smaller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.train.memory import Plan
from harness.train.planning import Question, planned

MOST_WORKERS = 64
SMALLEST_SHARE = 16  # prompts: below that, making the checkpoint active costs more than a second engine saves (assumed)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One run's place: so many devices, each holding `plan.estimate`."""

    workers: int
    plan: Plan


def placement(question: Question, device_bytes: int, workers: int | None = None) -> Placement:
    """The smallest number of devices on which the run fits, or `workers`. Where none is enough: one, and the plan's
    `shortage` says why (the trainer then refuses it with the same words, or tries it when the model may be wrong)."""
    single = planned(question, device_bytes)
    if workers is not None:
        return Placement(workers=workers, plan=planned(replace(question, workers=workers), device_bytes))
    count = 2
    while single.shortage is not None and count <= MOST_WORKERS:
        plan = planned(replace(question, workers=count), device_bytes)
        if plan.shortage is None:
            return Placement(workers=count, plan=plan)
        count *= 2
    return Placement(workers=1, plan=single)


def shares(jobs: Sequence[Mapping[str, Any]], engines: int) -> list[dict[str, Any]]:
    """The sampling jobs cut so that every engine has work: contiguous runs of sorted prompts, which share prefixes.

    Each carries "parts", the number of pieces its job was cut into.
    """
    if not jobs:
        return []
    wanted = math.ceil(engines / len(jobs))
    found = []
    for job in jobs:
        ordered = sorted(job["requests"], key=lambda request: list(request["prompt_ids"]))
        parts = max(1, min(wanted, len(ordered) // SMALLEST_SHARE))
        size = math.ceil(len(ordered) / parts) or 1
        pieces = [ordered[start : start + size] for start in range(0, len(ordered), size)] or [[]]
        found += [{**job, "requests": piece, "parts": len(pieces)} for piece in pieces]
    return found


def joined(endings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The events that ended the shares of one job as the event that ends the job: failed or unproven if any share was."""
    for kind in ("failed", "unproven"):
        for ending in endings:
            if ending["event"] == kind:
                return dict(ending)
    seconds, tokens, sampled = (sum(e[key] for e in endings) for key in ("seconds", "tokens", "num_sampled"))
    rate = tokens / seconds if tokens else None
    counts = {"seconds": seconds, "tokens": tokens, "num_sampled": sampled, "tokens_per_second": rate}
    return {**endings[0], **counts}
