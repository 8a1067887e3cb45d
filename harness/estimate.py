"""A plan -> what each run costs before it starts. In: a prepared sweep and a device. Out: tokens, seconds, bytes, and the
smallest difference that the test split can show. Tokens are counted with the real tokenizer; memory comes from
train/memory.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.core import Base
from harness.prepare import Prepared
from harness.stats import minimum_detectable_difference
from harness.store import label
from harness.tokens import training_items
from harness.train.job import Options
from harness.train.memory import checkpoint_bytes, estimate, training_flops

# Training FLOP/s, prefix sharing counted as if every token were computed. cpu: measured, two AVX512-BF16 cores, 135M model,
# built-in SQL data. cuda: assumed, not measured (a fifth of an H100's dense bf16 rate).
FLOP_PER_S = {"cpu": 3.3e11, "cuda": 2.0e14}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One run's cost. Tokens are those trained on over all epochs."""

    label: str
    num_tokens: int
    seconds: float
    memory_bytes: int
    disk_bytes: int


def estimates(plan: Prepared, device: str) -> Iterator[Estimate]:
    """One estimate a run, in the plan's order; a base run trains nothing."""
    for spec in plan.specs:
        name = label(spec)
        if spec.training is None or isinstance(spec.method, Base):
            yield Estimate(label=name, num_tokens=0, seconds=0.0, memory_bytes=0, disk_bytes=0)
            continue
        items, _ = training_items(plan.task, plan.dataset, spec, plan.chats[spec.model])
        epochs = spec.training.epochs
        answers = int(sum(len(item.answer_ids) for item in items) * epochs)
        tokens = int(sum(len(item.prompt_ids) + len(item.answer_ids) for item in items) * epochs)
        config = plan.models[spec.model].config
        memory = estimate(config, spec.method, spec.training, device, options=Options(), dtype="bfloat16")
        yield Estimate(
            label=name,
            num_tokens=tokens,
            seconds=float(training_flops(config, spec.method, tokens, answers)) / FLOP_PER_S[device.split(":")[0]],
            memory_bytes=int(memory.total_bytes),
            disk_bytes=int(checkpoint_bytes(config, spec.method)),
        )


def detectable(plan: Prepared, discordance: float = 0.2) -> str:
    """A sentence: the smallest paired difference that 80 % of such sweeps would show on test (two-sided 5 %)."""
    n = len(plan.dataset.usable("test"))
    if n < 2:
        return f"test has {n} items: no difference can be shown"
    points = 100 * minimum_detectable_difference(n, discordance)
    return f"test: n={n}; smallest difference shown in 80 % of cases, if {discordance:.0%} of items differ: {points:.1f} points"
