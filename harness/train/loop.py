"""The training loop: a trainee, its updater and the items -> updated weights and one record a step.

One step: the summed nats of the answer tokens of `batch_size` examples, divided by the number of those tokens, whatever
the micro-batches or the number of workers; gradients summed, clipped, applied. Every worker computes the same order and
the same divisor by itself, so the only communication is the sum of gradients and of a number or two (`Shard`).

Every step seeds torch from (seed, step, rank): a step depends on nothing but the weights before it, which is what makes
a resumed run bitwise equal to one never stopped.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor

from harness.core import Training
from harness.train.batches import families_of, micro_batches, pack, steps_of
from harness.train.files import Resumed
from harness.train.interruption import Interrupted, protected
from harness.train.item_index import ItemIndex
from harness.train.job import Item, Options
from harness.train.measure import peak_memory_bytes
from harness.train.optimizer import Updater, learning_rate
from harness.train.trainee import Trainee

FailureKind = Literal["diverged", "nonfinite", "memory", "error"]
DEFAULT_MICRO_BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}
FILLER = Item(id="", prompt_ids=(0,), answer_ids=(0,))  # a pass that only keeps step with the others
SMOOTHED_STEPS = 5  # the loss that is judged is the mean of so many steps


class TrainingError(Exception):
    """The run cannot go on: a recorded failure of this run alone."""

    def __init__(self, kind: FailureKind, step: int, reason: str) -> None:
        super().__init__(reason)
        self.kind: FailureKind = kind
        self.step = step


@dataclass(frozen=True, kw_only=True)
class Shard:
    """This worker's place among the workers of one run, and how they add up.

    `sum_tensors` adds tensors over the workers in place, `sum_number` one number. `gradient_scale` undoes an average
    that a sharding wrapper takes by itself (then `sum_tensors` does nothing). `lockstep`: every worker makes the same
    number of passes, the `largest` of theirs, because each pass communicates.
    """

    rank: int = 0
    world_size: int = 1
    sum_tensors: Callable[[list[Tensor]], None] = lambda tensors: None
    sum_number: Callable[[float], float] = lambda number: number
    largest: Callable[[int], int] = lambda number: number
    gradient_scale: float = 1.0
    lockstep: bool = False


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step: the examples that this worker computes, and the size of the whole in examples and tokens."""

    share: Sequence[Item]
    size: int
    num_tokens: int
    num_answer_tokens: int


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a loop trains: built once, never changed by it. With a `stream` of the items that this worker computes, in
    the order of the steps that are left, `items` need only say how long each is."""

    trainee: Trainee
    updater: Updater
    items: Sequence[Item] | ItemIndex
    training: Training
    seed: int
    options: Options
    device: str
    shard: Shard = field(default_factory=Shard)
    stream: Iterator[Item] | None = None

    def steps(self) -> list[list[int]]:
        """The items of each step, by their place in `items`."""
        training, together = self.training, self.options.group_prefixes
        if isinstance(self.items, ItemIndex):
            return self.items.steps(training, self.seed)
        families = families_of(self.items) if together > 1 else ()
        return steps_of(len(self.items), training.epochs, training.batch_size, self.seed, families, together)


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the loop tells the outside. `record` gets one step; `save` the state after it, when it is due or
    `save_now` says that this worker's machine is about to be taken away."""

    record: Callable[[dict[str, Any]], None]
    save: Callable[[Resumed], None]
    save_now: Callable[[], bool] = lambda: False


@dataclass(kw_only=True)
class Progress:
    """What a run remembers from step to step; JSON types alone, saved with the weights."""

    step: int = 0
    micro_batch: int = 0
    tokens: int = 0
    train_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    peak_memory_bytes: int = 0

    def state(self) -> Resumed:
        """The progress as it is saved."""
        kept = {
            name: getattr(self, name) for name in ("tokens", "train_seconds", "losses", "notes", "peak_memory_bytes")
        }
        return Resumed(step=self.step, micro_batch=self.micro_batch, progress=kept)


def train_steps(setup: Setup, hooks: Hooks, resumed: Resumed | None = None) -> Progress:
    """Run all steps that are left; returns the final progress.

    Raises TrainingError when the loss diverges or is not finite, or one example does not fit in memory;
    `Interrupted` passes through with the last saved state still true.
    """
    progress = _start(setup, resumed)
    try:
        _run(setup, hooks, progress, setup.steps())
    except Interrupted:  # a broken-off step has changed nothing: the weights are those after `progress.step`
        if setup.shard.world_size == 1:  # several workers are not all interrupted at the same step
            with protected():
                hooks.save(progress.state())
        raise
    return progress


def _run(setup: Setup, hooks: Hooks, progress: Progress, steps: Sequence[Sequence[int]]) -> None:
    training = setup.training
    saved_at, save_cost_s = time.monotonic(), 0.0
    for step in range(progress.step, len(steps)):
        started = time.perf_counter()
        rate = learning_rate(step, len(steps), training)
        batch = _batch(setup, steps[step], step)
        loss, norm = _fitting_step(setup, progress, batch, step)
        _check_finite(loss, norm, step)
        with protected():
            setup.updater.step(rate)
            seconds = time.perf_counter() - started
            tokens = batch.num_tokens
            progress.step = step + 1
            progress.tokens += tokens
            progress.train_seconds += seconds
            progress.losses.append(loss)
            progress.peak_memory_bytes = max(progress.peak_memory_bytes, peak_memory_bytes(setup.device))
            hooks.record(
                {
                    "step": step + 1,
                    "steps": len(steps),
                    "loss": loss,
                    "gradient_norm": norm,
                    "learning_rate": rate,
                    "tokens": tokens,
                    "tokens_per_second": tokens / seconds,
                    "peak_memory_bytes": progress.peak_memory_bytes,
                    "micro_batch": progress.micro_batch,
                }
            )
            asked = hooks.save_now()  # asked of every worker at every step: the answer may be agreed on by all
            due = asked or _save_is_due(setup.options, step + 1, time.monotonic() - saved_at, save_cost_s)
            if setup.shard.sum_number(float(due)) > 0:  # clocks differ, and all workers save or none does
                begun = time.monotonic()
                hooks.save(progress.state())
                saved_at = time.monotonic()
                save_cost_s = saved_at - begun
        _check_divergence(progress.losses, step)


def _batch(setup: Setup, step_items: Sequence[int], step: int) -> Batch:
    shard = setup.shard
    lengths = [setup.items[index] for index in step_items]
    share = lengths[shard.rank :: shard.world_size]
    if setup.stream is not None:
        wanted = [item.num_tokens for item in share]
        share = list(islice(setup.stream, len(wanted)))
        if [item.num_tokens for item in share] != wanted:
            raise TrainingError("error", step + 1, "the stream of training items is not in the order of the steps")
    return Batch(
        share=[item for item in share if isinstance(item, Item)],
        size=len(lengths),
        num_tokens=sum(item.num_tokens for item in lengths),
        num_answer_tokens=sum(item.num_answer_tokens for item in lengths),
    )


def _start(setup: Setup, resumed: Resumed | None) -> Progress:
    if resumed is not None:
        size = min(resumed.micro_batch, setup.options.micro_batch or resumed.micro_batch)
        return Progress(step=resumed.step, micro_batch=size, **resumed.progress)
    share = math.ceil(setup.training.batch_size / setup.shard.world_size)
    longest = max(item.num_tokens for item in setup.items)
    by_memory = max(1, _max_tokens(setup) // longest)
    return Progress(micro_batch=setup.options.micro_batch or min(share, max(by_memory, 1)))


def _max_tokens(setup: Setup) -> int:
    return setup.options.micro_batch_tokens or DEFAULT_MICRO_BATCH_TOKENS[setup.device.split(":")[0]]


def _save_is_due(options: Options, step: int, since_s: float, cost_s: float) -> bool:
    """Every N steps, or every T seconds, but saving never takes more than about a twentieth of the time."""
    if options.save_every_steps is not None and step % options.save_every_steps == 0:
        return True
    return since_s >= max(options.save_every_s, 20 * cost_s)


def _fitting_step(setup: Setup, progress: Progress, batch: Batch, step: int) -> tuple[float, float]:
    """(loss, gradient norm) of one step, with a smaller micro-batch after each time the memory was not enough."""
    while True:
        try:
            return _gradients(setup, progress.micro_batch, batch, step)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            setup.updater.forget_gradients()
            if setup.shard.world_size > 1:  # the other workers wait in a sum: only a restart of all can shrink it
                raise TrainingError(
                    "memory", step + 1, f"out of memory with micro-batch {progress.micro_batch}"
                ) from error
            smaller = min(progress.micro_batch, batch.size) // 2
            if smaller < 1:
                reason = f"out of memory with one example at a time: {str(error)[:200]}"
                raise TrainingError("memory", step + 1, reason) from error
        if setup.device.startswith("cuda"):
            torch.cuda.empty_cache()
        progress.micro_batch = smaller
        progress.notes.append(f"out of memory at step {step + 1}: micro-batch halved to {smaller}")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out: CUDA's own class, Python's, or the text of torch's CPU allocator."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _gradients(setup: Setup, size: int, batch: Batch, step: int) -> tuple[float, float]:
    shard = setup.shard
    torch.manual_seed(_step_seed(setup.seed, step, shard.rank))
    weight = shard.gradient_scale / batch.num_answer_tokens
    total = 0.0
    for group, group_weight in _passes(setup, size, batch, weight):
        packed = pack(group, share_prefixes=setup.options.share_prefixes)
        loss = setup.trainee.objective(packed, group_weight)
        loss.backward()
        total += float(loss.detach())
    gradients = setup.updater.gradients()
    shard.sum_tensors(gradients)
    loss_value = shard.sum_number(total / shard.gradient_scale)
    return loss_value, setup.updater.clip()


def _passes(setup: Setup, size: int, batch: Batch, weight: float) -> list[tuple[list[Item], float]]:
    """(examples, weight) of each pass of this worker; in lockstep, passes of weight 0 fill up to the longest worker."""
    passes = [(group, weight) for group in micro_batches(batch.share, size, _max_tokens(setup))]
    if setup.shard.lockstep:
        passes += [([FILLER], 0.0)] * (setup.shard.largest(len(passes)) - len(passes))
    return passes


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{step}:{rank}".encode()).digest()[:7], "big")


def _check_finite(loss: float, norm: float, step: int) -> None:
    for name, value in (("loss", loss), ("gradient norm", norm)):
        if not math.isfinite(value):
            raise TrainingError(
                "nonfinite", step + 1, f"the {name} is {value} at step {step + 1}; lower the learning rate"
            )


def _check_divergence(losses: Sequence[float], step: int) -> None:
    """A run has diverged when its smoothed loss is 1 nat above twice where it began. Raises TrainingError then.

    The bound is a choice, not measured: it lets a warm-up spike pass and ends a run that forgot the language.
    """
    if len(losses) < 2 * SMOOTHED_STEPS:
        return
    first = sum(losses[:SMOOTHED_STEPS]) / SMOOTHED_STEPS
    last = sum(losses[-SMOOTHED_STEPS:]) / SMOOTHED_STEPS
    if last > 2 * first + 1:
        raise TrainingError(
            "diverged",
            step + 1,
            f"the loss rose from {first:.2f} to {last:.2f} nats a token by step {step + 1}; lower the learning rate",
        )
