"""One run's settings and a device's size -> the options it is trained with, and what they cost in memory. No torch.

The memory model (`memory`) chooses; `ACCURACY` says how far it may be off. So a run whose estimate is too large by less
than that factor is tried with the thriftiest options and a note; one that is further off is refused before it starts.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.core import Full, Lora, Training, UserError
from harness.train.item_index import Lengths, index_items
from harness.train.job import Dtype, Item, Job, Options, RunJob
from harness.train.memory import ACCURACY, Plan, fitting_plan

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
CHOSEN = ("micro_batch", "activation_checkpointing", "update_precision", "optimizer")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be fitted. `longest` is the longest training item in tokens; `workers` share one run."""

    config: Mapping[str, Any]
    method: Lora | Full
    training: Training
    longest: int
    device: str
    dtype: Dtype = "bfloat16"
    options: Options = Options()  # noqa: RUF009, frozen
    workers: int = 1


def asked(job: Job, workers: int = 1) -> Question:
    """What the memory model is asked about the job's one run."""
    (run,) = job.runs
    assert run.spec.training is not None
    return question_of(job, run, index_items(run.items, run.spec.training.max_length), workers)


def question_of(job: Job, run: RunJob, items: Sequence[Item | Lengths], workers: int = 1) -> Question:
    """The same for one of a job's runs and its items."""
    assert run.spec.training is not None
    assert isinstance(run.spec.method, Lora | Full)
    return Question(
        config=json.loads((job.model / "config.json").read_text()),
        method=run.spec.method,
        training=run.spec.training,
        longest=max(item.num_tokens for item in items),
        device=job.device,
        dtype=job.dtype,
        options=job.options,
        workers=workers,
    )


def device_bytes(device: str) -> int:
    """Memory of one device. CPU: physical memory, or this container's limit. CUDA: of the first visible GPU."""
    if device.startswith("cuda"):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        command = ["nvidia-smi", f"--id={visible}", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        try:  # asking torch would open a CUDA context in a process that may need none
            found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
            return int(found.split()[0]) << 20
        except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
            raise UserError(f"the GPU's memory is unknown ({error}); give --device-memory GIB") from error
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [path.read_text().strip() for path in CGROUP_LIMITS if path.is_file()]
    return min([physical, *(int(limit) for limit in limits if limit.isdigit())])


def planned(question: Question, size_bytes: int) -> Plan:
    """The options that fit `size_bytes`, exact ones first; `shortage` says why none do."""
    training = replace(question.training, max_length=min(question.longest, question.training.max_length))
    return fitting_plan(
        question.config,
        question.method,
        training,
        question.device,
        size_bytes,
        question.options,
        dtype=question.dtype,
        workers=question.workers,
    )


def changes(plan: Plan, wanted: Options) -> list[str]:
    """What the plan does to `wanted` so that the run fits, as "name=value"."""
    found = [
        (name, getattr(plan.options, name)) for name in CHOSEN if getattr(plan.options, name) != getattr(wanted, name)
    ]
    return [f"{name}={value}" for name, value in found]


def settled(question: Question, size_bytes: int) -> tuple[Plan, list[str]]:
    """The plan a trainer follows and notes on it. Raises UserError for a run that is too large beyond the model's error."""
    plan = planned(question, size_bytes)
    notes = (
        [f"to fit {size_bytes / 2**30:.1f} GiB: {', '.join(changed)}"]
        if (changed := changes(plan, question.options))
        else []
    )
    if plan.shortage is None:
        return plan, notes
    if plan.estimate.total_bytes > ACCURACY * size_bytes:
        raise UserError(f"the run does not fit one device: {plan.shortage}; {remedy(question)}")
    return plan, [*notes, f"tried although the estimate says: {plan.shortage}"]


def remedy(question: Question) -> str:
    """What to do about a run that does not fit."""
    if isinstance(question.method, Full):
        return "use LoRA, a larger device, or --engine ray, which splits full fine-tuning over several devices"
    return "use QLoRA (quantize=nf4, CUDA), a smaller model, or a larger device"
