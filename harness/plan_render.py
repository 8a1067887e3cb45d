"""A plan for a person: what `--dry-run` prints. In: a `SweepRequest`. Out: the runs and what they cost, on the console."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from harness.estimate import detectable, estimates
from harness.hosted import spend_estimates
from harness.judging import judge_estimate
from harness.prepare import SweepRequest, prepare
from harness.store import Sweep
from harness.train.planning import device_bytes


def print_plan(request: SweepRequest, console: Console) -> None:
    """Print every run with its tokens, time, memory and disk, whether it fits, and what hosted models would cost."""
    plan = prepare(request)
    size = request.device_bytes or device_bytes(request.device)
    rows = list(estimates(plan, request, size))
    fits = f"fits {size / 2**30:.0f} GiB"
    columns = ("run", "train tokens", "validation tokens", "time, about", "memory", fits, "checkpoint")
    table = Table(*columns, title=f"plan of {request.folder}: {len(rows)} runs")
    for row in rows:
        table.add_row(
            row.label,
            f"{row.train_tokens:,}",
            f"{row.validation_tokens:,}",
            f"{(row.train_s + row.validation_s) / 60:.1f} min",
            _bytes(row.memory_bytes),
            row.fit or "-",
            _bytes(row.disk_bytes),
        )
    console.print(table)
    training, sampling = sum(row.train_s for row in rows) / 60, sum(row.validation_s for row in rows) / 60
    console.print(
        f"in all: {sum(row.train_tokens for row in rows):,} tokens trained, about {training:.1f} min of training and "
        f"{sampling:.1f} min of validation on {request.device}, {_bytes(sum(row.disk_bytes for row in rows))} of "
        "checkpoints; starting engines and the finalists' test come on top",
        highlight=False,
    )
    if seeds := request.axes.finalist_seeds:
        words = ", ".join(map(str, seeds))
        console.print(f"the best setting of each method is then trained again with seed {words}", highlight=False)
    console.print(detectable(plan), highlight=False)
    for sentence in _hosted_plan(plan, request):
        console.print(sentence, highlight=False)


def _hosted_plan(plan: Any, request: SweepRequest) -> list[str]:
    """What hosted models would be asked and cost."""
    sweep = Sweep(request.folder)
    told = list(spend_estimates(plan, request.hosted, sweep))
    return [*told, judge_estimate(plan, request.hosted, sweep)] if request.hosted.judges else told


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
