"""A plan -> what each run costs before it starts. In: a prepared sweep and a device. Out: tokens, seconds, bytes, and the
smallest difference that the test split can show. Tokens are counted with the real tokenizer; memory comes from
train/memory.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.core import Base, Full, RunSpec
from harness.engine.placement import placement
from harness.prepare import Prepared, SweepRequest
from harness.stats import minimum_detectable_difference
from harness.store import labels
from harness.tokens import requests, training_items
from harness.train.job import options_from_json
from harness.train.memory import CPU_PROCESS_BYTES, Plan, checkpoint_bytes, num_parameters, training_flops
from harness.train.planning import Question, changes, planned, remedy

# FLOP/s, prefix sharing counted as if every token were computed. cpu: measured, two AVX512-BF16 cores, 135M model, built-in
# SQL data: 3.3e11 for training, 2.8e11 for sampling with vLLM. cuda: assumed, not measured (a fifth of an H100's dense
# bf16 rate).
FLOP_PER_S = {"cpu": 3.0e11, "cuda": 2.0e14}
CACHE_BYTES = 1 << 30  # vLLM's key-value cache on the CPU; on CUDA it takes what the weights leave free


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One run's cost. `train_tokens` are those trained on over all epochs, `validation_tokens` those of prompts and answers.

    Memory is the peak of training or of sampling, whichever is more; `fit` says whether and how training fits one device.
    The test split, seen by finalists alone, is left out.
    """

    label: str
    train_tokens: int
    validation_tokens: int
    train_s: float
    validation_s: float
    memory_bytes: int
    disk_bytes: int
    fit: str = ""


def estimates(plan: Prepared, request: SweepRequest, size_bytes: int) -> Iterator[Estimate]:
    """One estimate a run, in the plan's order, for a device of `size_bytes`; a base run trains nothing. A hosted model
    computes nothing here."""
    kind = request.device.partition(":")[0]
    prompts: dict[RunSpec, int] = {}  # runs that differ in rank or rate alone see the same tokens
    trained: dict[RunSpec, tuple[int, int, int]] = {}
    for spec, name in zip(plan.specs, labels(plan.specs), strict=True):
        if spec.model not in plan.models:
            yield Estimate(
                label=name, train_tokens=0, validation_tokens=0, train_s=0, validation_s=0, memory_bytes=0, disk_bytes=0
            )
            continue
        config = plan.models[spec.model].config
        asked = replace(spec, method=Base(), training=None, seed=0, train_size=None)
        if asked not in prompts:
            prompts[asked] = _validation_tokens(plan, asked)
        sampled, parameters = prompts[asked], num_parameters(config)
        serving = 2 * parameters + (CACHE_BYTES + CPU_PROCESS_BYTES if kind == "cpu" else 0)
        tokens, train_s, memory, disk, fit = 0, 0.0, 0, 0, ""
        if spec.training is not None and not isinstance(spec.method, Base):
            shown = replace(spec, method=Full(), training=replace(spec.training, learning_rate=1.0, epochs=1.0), seed=0)
            if shown not in trained:
                trained[shown] = _training_tokens(plan, shown)
            tokens, answers = (int(count * spec.training.epochs) for count in trained[shown][:2])
            train_s = training_flops(config, spec.method, tokens, answers) / FLOP_PER_S[kind]
            question = Question(
                config=config,
                method=spec.method,
                training=spec.training,
                longest=trained[shown][2],
                device=kind,
                options=options_from_json(request.options),
            )
            fitted = planned(question, size_bytes)
            memory, fit = fitted.estimate.total_bytes, _fit(question, fitted, size_bytes)
            disk = checkpoint_bytes(config, spec.method)
        yield Estimate(
            label=name,
            train_tokens=tokens,
            validation_tokens=sampled,
            train_s=train_s,
            validation_s=2.0 * parameters * sampled / FLOP_PER_S[kind],
            memory_bytes=max(memory, serving),
            disk_bytes=disk,
            fit=fit,
        )


def _fit(question: Question, plan: Plan, size_bytes: int) -> str:
    """ "yes" with the changes it takes, or why not and what to do."""
    if plan.shortage is None:
        return ", ".join(["yes", *changes(plan, question.options)])
    split = placement(question, size_bytes)
    if split.workers > 1:
        return f"no: {plan.shortage}; --engine ray splits it over {split.workers} such devices"
    return f"no: {plan.shortage}; {remedy(question)}"


def _validation_tokens(plan: Prepared, spec: RunSpec) -> int:
    """Tokens of the prompts and of answers as long as gold."""
    chat = plan.chats[spec.model]
    asked = requests(plan.task, plan.dataset, spec, chat, "validation")
    answers = sum(len(chat.answer_ids(example.gold)) for example in plan.dataset.usable("validation"))
    return answers + sum(len(request["prompt_ids"]) for request in asked)


def _training_tokens(plan: Prepared, spec: RunSpec) -> tuple[int, int, int]:
    """Tokens of one epoch, those of them that are answers, and those of the longest item."""
    items, _ = training_items(plan.task, plan.dataset, spec, plan.chats[spec.model])
    sizes = [len(item.prompt_ids) + len(item.answer_ids) for item in items]
    return sum(sizes), sum(len(item.answer_ids) for item in items), max(sizes)


def detectable(plan: Prepared, discordance: float = 0.2) -> str:
    """A sentence: the smallest paired difference that 80 % of such sweeps would show on test (two-sided 5 %)."""
    n = len(plan.dataset.usable("test"))
    if n < 2:
        return f"test has {n} items: no difference can be shown"
    points = 100 * minimum_detectable_difference(n, discordance)
    return f"test: n={n}; smallest difference shown in 80 % of cases, if {discordance:.0%} of items differ: {points:.1f} points"
