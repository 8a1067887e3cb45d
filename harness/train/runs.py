"""A job -> its runs, trained one after another on one base model. A run that fails is a row and harms no other.

The base is loaded once. After LoRA its adapters are taken off again (the frozen weights were never written to); after
full fine-tuning, or any failure, it is read from the disk anew.
"""

from __future__ import annotations

import gc
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from harness.core import Full, Lora, UserError, digest, to_json
from harness.store import write_json
from harness.train import files
from harness.train.batches import usable_items
from harness.train.interruption import protected
from harness.train.item_index import ItemIndex
from harness.train.job import Item, Job, RunJob, read_items
from harness.train.loop import Hooks, Progress, Setup, TrainingError, is_out_of_memory, train_steps
from harness.train.measure import reset_peak
from harness.train.optimizer import Updater
from harness.train.planning import device_bytes, question_of, settled
from harness.train.trainee import Trainee, attach, detach, load_base, weights_digest

Tell = Callable[[dict[str, Any]], None]
SECONDS_BETWEEN_EVENTS = 0.5


def train_job(job: Job, tell: Tell) -> None:
    """Train every unfinished run of `job`. Raises UserError when the base cannot be loaded."""
    if job.options.threads is not None:
        torch.set_num_threads(job.options.threads)
    if job.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("the job asks for CUDA and torch sees no GPU; use device cpu")
    waiting = [run for run in job.runs if not files.is_finished(run.run_dir)]
    for run in job.runs:
        if run not in waiting:
            tell({"event": "skipped", "run": run.run_dir.name})
    base_digest = weights_digest(job.model) if waiting else ""
    base: Any = None
    for run in waiting:
        if base is None:
            gc.collect()
            base = load_base(job.model, job.device, job.dtype, job.options.quantize)
        base = train_run(job, run, base, base_digest, tell)


def train_run(job: Job, run: RunJob, base: Any, base_digest: str, tell: Tell) -> Any:
    """Train one run to its finishing mark; returns the clean base, or None when it must be loaded again."""
    run.run_dir.mkdir(parents=True, exist_ok=True)
    name = run.run_dir.name
    try:
        trainee = _train(job, run, base, base_digest, tell)
    except Exception as error:  # becomes the run's recorded failure; the next run starts from a fresh base
        failure = failure_of(error)
        with protected():
            write_json(run.run_dir / "failure.json", failure)
            files.drop_resume(run.run_dir)
        tell({"event": "failed", "run": name, **{key: failure[key] for key in ("kind", "reason", "step")}})
        return None
    if isinstance(trainee.method, Full):
        return None
    return detach(trainee)


def _train(job: Job, run: RunJob, base: Any, base_digest: str, tell: Tell) -> Trainee:
    spec = run.spec
    assert spec.training is not None
    assert isinstance(spec.method, Lora | Full)
    items, left_out = usable_items(read_items(run.items), spec.training.max_length)
    plan, planning_notes = settled(question_of(job, run, items), job.device_bytes or device_bytes(job.device))
    job = replace(job, options=plan.options)
    reset_peak(job.device)
    trainee = attach(base, spec.method, spec.seed, job.options)
    updater = Updater(trainee.parameters, spec.training, job.options)
    identity = identity_of(job, run, items, base_digest)
    setup = Setup(
        trainee=trainee,
        updater=updater,
        items=items,
        training=spec.training,
        seed=spec.seed,
        options=job.options,
        device=job.device,
    )
    try:
        progress = _steps(setup, run, identity, tell)
        notes = [*planning_notes, *progress.notes]
        if left_out:
            notes.append(
                f"{len(left_out)} of {len(left_out) + len(items)} examples are longer than max_length: {left_out[:5]}"
            )
        with protected():
            size = files.write_checkpoint(run, trainee)
            mark = finishing_mark(trainee, progress, notes, size, base_digest)
            mark["estimated_memory_bytes"] = plan.estimate.total_bytes
            write_json(run.run_dir / "trained.json", mark)
            files.drop_resume(run.run_dir)
        tell({"event": "finished", "run": run.run_dir.name, **mark})
    finally:
        updater.close()
    return trainee


def _steps(setup: Setup, run: RunJob, identity: str, tell: Tell) -> Progress:
    """The loop with its files: the log, the resume states (one more when a signal comes) and the events."""
    resumed = files.load_resume(run.run_dir, setup.updater, identity, setup.device)
    log = run.run_dir / "train.jsonl"
    files.cut_log(log, resumed.step if resumed else 0)
    tell({"event": "started", "run": run.run_dir.name, "step": resumed.step if resumed else 0})
    told_at = -SECONDS_BETWEEN_EVENTS
    started = time.monotonic()
    first_step = resumed.step if resumed else 0
    with log.open("a", encoding="utf-8") as stream:

        def record(row: dict[str, Any]) -> None:
            nonlocal told_at
            stream.write(json.dumps({key: value for key, value in row.items() if key != "steps"}) + "\n")
            stream.flush()
            now = time.monotonic()
            if now - told_at >= SECONDS_BETWEEN_EVENTS or row["step"] == row["steps"]:
                told_at = now
                eta_s = (now - started) / (row["step"] - first_step) * (row["steps"] - row["step"])
                tell({"event": "step", "run": run.run_dir.name, **row, "eta_s": round(eta_s, 1)})

        def save(state: files.Resumed) -> None:
            files.write_resume(run.run_dir, setup.updater, identity, state)
            folder = files.resume_folder(run.run_dir, state.step)
            tell({"event": "saved", "run": run.run_dir.name, "step": state.step, "folder": str(folder)})

        return train_steps(setup, Hooks(record=record, save=save), resumed)


def identity_of(job: Job, run: RunJob, items: list[Item] | ItemIndex, base_digest: str) -> str:
    """What must be the same for a saved state to be continued."""
    options = {**to_json(job.options)}
    for name in ("save_every_steps", "save_every_s", "micro_batch", "micro_batch_tokens", "threads"):
        options.pop(name)  # these change no more than the order of sums
    tokens: Any
    if isinstance(items, ItemIndex):
        tokens = items.digest
    else:
        tokens = [(item.id, item.prompt_ids, item.answer_ids) for item in items]
    return digest([to_json(run.spec), base_digest, job.device.split(":")[0], job.dtype, options, tokens], length=16)


def finishing_mark(
    trainee: Trainee, progress: Progress, notes: list[str], size: int, base_digest: str
) -> dict[str, Any]:
    """What trained.json says."""
    return {
        "trainable_parameters": trainee.num_trainable,
        "total_parameters": trainee.num_total,
        "checkpoint_bytes": size,
        "train_seconds": progress.train_seconds,
        "tokens": progress.tokens,
        "tokens_per_second": progress.tokens / progress.train_seconds,
        "peak_memory_bytes": progress.peak_memory_bytes,
        "final_loss": progress.losses[-1],
        "steps": progress.step,
        "micro_batch": progress.micro_batch,
        "notes": notes,
        "base_digest": base_digest,
        "torch_version": str(torch.__version__),
    }


def failure_of(error: Exception) -> dict[str, Any]:
    """What failure.json says."""
    kind, step = "error", None
    if isinstance(error, TrainingError):
        kind, step = error.kind, error.step
    elif is_out_of_memory(error):
        kind = "memory"
    reason = str(error) if isinstance(error, TrainingError | UserError) else f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    return {"stage": "train", "kind": kind, "reason": reason, "step": step, "traceback": trace}
