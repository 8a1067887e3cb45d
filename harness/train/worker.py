"""One worker of a run that several share. In: a job of one run, a process group, a place for states. Out: rank 0 leaves the
files that a single process would: train.jsonl, checkpoint/, trained.json or failure.json.

`torchrun --nproc-per-node=2 -m harness.train.worker JOB.json` trains every run of a job on a folder that all workers
see. Under Ray the states go through Ray Train instead (`Keeper`), so that workers need no common folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist

from harness.core import Full, Lora, UserError
from harness.store import write_json
from harness.train import distributed, files
from harness.train.batches import usable_items
from harness.train.item_index import ItemIndex
from harness.train.job import Item, Job, RunJob, read_items, read_job
from harness.train.loop import Hooks, Progress, Setup, TrainingError, train_steps
from harness.train.measure import reset_peak
from harness.train.planning import device_bytes, question_of, settled
from harness.train.runs import SECONDS_BETWEEN_EVENTS, failure_of, finishing_mark, identity_of
from harness.train.trainee import load_base, weights_digest

Tell = Callable[[dict[str, Any]], None]


class Keeper(Protocol):
    """Where a run's states are kept. Every worker calls every method."""

    def newest(self) -> Path | None:
        """A folder here with the newest whole state."""

    @contextmanager
    def saving(self, step: int) -> Iterator[Path]:
        """A folder here for this worker's part; the state counts once all workers have left the block."""

    def save_now(self) -> bool:
        """Whether this machine is about to be taken away."""


class SharedFolder:
    """States in the run's own folder, which all workers see."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def newest(self) -> Path | None:
        """The newest state on the disk."""
        found = files.newest_resume(self._run_dir)
        dist.barrier()  # nobody may save, and so delete it, before all have seen it
        return found

    @contextmanager
    def saving(self, step: int) -> Iterator[Path]:
        """resume/partial, renamed by rank 0 when all parts are written."""
        if dist.get_rank() == 0:
            files.start_resume(self._run_dir)
        dist.barrier()
        yield self._run_dir / "resume" / "partial"
        dist.barrier()
        if dist.get_rank() == 0:
            files.publish_resume(self._run_dir, step)
        dist.barrier()

    def save_now(self) -> bool:
        """Never: a plain launcher announces nothing."""
        return False


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """Items that do not fit: their lengths, and `rows`, which starts this worker's examples in the order of the steps."""

    index: ItemIndex
    rows: Callable[[], Iterator[Item]]


def train_shared(job: Job, run: RunJob, keeper: Keeper, tell: Tell, streamed: Streamed | None = None) -> None:
    """This worker's part of one run, to its finishing mark. Raises what a restart of all workers may mend (a lost worker,
    memory); a run that diverges, or cannot be trained at all, gets its failure.json."""
    try:
        _train(job, run, keeper, tell, streamed)
    except (TrainingError, UserError) as error:
        if isinstance(error, TrainingError) and error.kind == "memory":
            raise
        if dist.get_rank() == 0:  # every worker meets the same loss, so all are here
            failure = failure_of(error)
            write_json(run.run_dir / "failure.json", failure)
            tell({"event": "failed", "run": run.run_dir.name, **{k: failure[k] for k in ("kind", "reason", "step")}})


def _train(job: Job, run: RunJob, keeper: Keeper, tell: Tell, streamed: Streamed | None) -> None:
    spec = run.spec
    assert spec.training is not None
    assert isinstance(spec.method, Lora | Full)
    run.run_dir.mkdir(parents=True, exist_ok=True)
    items: list[Item] | ItemIndex
    if streamed is None:
        items, left_out = usable_items(read_items(run.items), spec.training.max_length)
    else:
        items, left_out = streamed.index, list(streamed.index.left_out)
    asked = question_of(job, run, items, workers=dist.get_world_size())
    plan, notes = settled(asked, job.device_bytes or device_bytes(job.device))
    job = replace(job, options=plan.options)
    reset_peak(job.device)
    full = isinstance(spec.method, Full)
    # Full: float32 weights are read into host memory, and sharding moves each layer's part to the device.
    base = load_base(job.model, "cpu" if full else job.device, "float32" if full else job.dtype, job.options.quantize)
    setup = distributed.prepare(base, spec.method, items, spec.training, spec.seed, job.options)
    digest = weights_digest(job.model)
    progress = _steps(setup, run, keeper, identity_of(job, run, items, digest), tell, streamed)
    if left_out:
        notes.append(
            f"{len(left_out)} of {len(left_out) + len(items)} examples are longer than max_length: {left_out[:5]}"
        )
    notes.append(f"{dist.get_world_size()} workers, {'FSDP2' if full else 'data parallel'}; memory is rank 0's")
    notes += ["training items were streamed"] if streamed else []
    weights = distributed.whole_weights(setup.trainee.parameters, getattr(torch, job.dtype)) if full else None
    if dist.get_rank() == 0:
        size = files.write_checkpoint(run, setup.trainee, weights)
        mark = finishing_mark(setup.trainee, progress, [*notes, *progress.notes], size, digest)
        mark["estimated_memory_bytes"] = plan.estimate.total_bytes
        write_json(run.run_dir / "trained.json", mark)
        tell({"event": "finished", "run": run.run_dir.name, **mark})


def _steps(setup: Setup, run: RunJob, keeper: Keeper, identity: str, tell: Tell, streamed: Streamed | None) -> Progress:
    """The loop; rank 0 keeps the log, and every state carries the log up to its step."""
    first = setup.shard.rank == 0
    log, newest = run.run_dir / "train.jsonl", keeper.newest()
    resumed = distributed.load_state(newest, setup, identity) if newest else None
    begun = resumed.step if resumed else 0
    if streamed is not None:
        done = sum(len(step[setup.shard.rank :: setup.shard.world_size]) for step in setup.steps()[:begun])
        setup = replace(setup, stream=islice(streamed.rows(), done, None))
    rows: list[str] = []
    if resumed and newest and first:
        rows = (newest / "train.jsonl").read_text().splitlines(keepends=True)
    if first:
        log.write_text("".join(rows))
        tell({"event": "started", "run": run.run_dir.name, "step": begun})
    started, told_at = time.monotonic(), -SECONDS_BETWEEN_EVENTS

    def record(row: dict[str, Any]) -> None:
        nonlocal told_at
        if not first:
            return
        rows.append(json.dumps({key: value for key, value in row.items() if key != "steps"}) + "\n")
        with log.open("a") as stream:
            stream.write(rows[-1])
        now = time.monotonic()
        if now - told_at >= SECONDS_BETWEEN_EVENTS or row["step"] == row["steps"]:
            told_at = now
            eta_s = (now - started) / (row["step"] - begun) * (row["steps"] - row["step"])
            tell({"event": "step", "run": run.run_dir.name, **row, "eta_s": round(eta_s, 1)})

    def save(state: files.Resumed) -> None:
        with keeper.saving(state.step) as folder:
            distributed.save_state(folder, setup, identity, state)
            if first:
                (folder / "train.jsonl").write_text("".join(rows))

    return train_steps(setup, Hooks(record=record, save=save, save_now=keeper.save_now), resumed)


def main(arguments: list[str]) -> int:
    """Train the runs of the job named on the command line, under torchrun; returns the exit code."""
    job = read_job(Path(arguments[0]))
    if job.device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if job.device.startswith("cuda") else "gloo")
    if job.options.threads is not None:
        torch.set_num_threads(job.options.threads)
    for run in job.runs:
        if not files.is_finished(run.run_dir):
            train_shared(job, run, SharedFolder(run.run_dir), lambda event: print(json.dumps(event), flush=True))
            dist.barrier()
            if dist.get_rank() == 0:
                files.drop_resume(run.run_dir)
    dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
