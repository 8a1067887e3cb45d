"""Proof that training and inference see the same tokens. In: a task, its data, run specs, the model's `ChatFormat`, and what
the engine will be told. Out: the checks of the certificate's part "format".

Proved on ids and not on text: the prompts of the training items against those handed to the engine, and the trainer's own
batches read back (certify_batches.py). For a checkpoint, what it was trained with against what is about to be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.certificate import SHOWN, Check, Status, verdict
from harness.certify_tokens import FORMAT_ITEMS, Rendered, longest_prompts
from harness.chat import ChatFormat
from harness.core import SPLITS, Dataset, Example, RunSpec, Task, digest, to_json

LONG_SHARE = 0.01  # above it, gold answers cut by the token budget, or prompts that do not fit, are a failure


@dataclass(frozen=True, kw_only=True)
class Inference:
    """What the engine is told. `end_id` None is the chat format's own; `max_model_len` None is no limit."""

    max_new_tokens: int
    max_model_len: int | None = None
    end_id: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # of training: they shape its batches


def check_format(
    task: Task, dataset: Dataset, specs: Sequence[RunSpec], chat: ChatFormat, inference: Inference
) -> list[Check]:
    """The checks that training and engine see the same token ids, for every distinct format among `specs`."""
    seen = Rendered(inference.options)
    formats = _distinct(specs)
    for spec in formats:
        seen.add(task, dataset, spec, chat)
    golds = [e for split in SPLITS for e in dataset.usable(split)[:FORMAT_ITEMS]]
    answers = {e.id: chat.answer_ids(e.gold) for e in golds}
    trained = {f"{id} (training)": ids for id, ids in seen.answers.items()}
    ends = [
        id
        for id, ids in (answers | trained).items()
        if not ids or ids[-1] != chat.end_id or ids.count(chat.end_id) != 1
    ]
    return [
        verdict(
            "format", "one rendering", seen.different, f"{seen.compared} training prompts compared with the engine's"
        ),
        verdict("format", "stable rendering", seen.unstable, f"{len(seen.prompts)} prompts rendered twice"),
        verdict("format", "loss mask", seen.masks, f"{seen.batched} examples read back from the trainer's batches"),
        verdict("format", "one end token", ends, f"{len(answers) + len(trained)} answers must end with {chat.end_id}"),
        _stop_token(trained, chat, inference),
        _bos(seen.prompts, chat.bos_id),
        _spelled(golds, answers, chat),
        _lengths(seen, task, dataset, formats, chat, inference),
        _budget(golds, answers, inference.max_new_tokens),
    ]


def format_hash(chats: Mapping[str, ChatFormat], specs: Sequence[RunSpec], options: Mapping[str, Any]) -> str:
    """16 hex digits of everything that `check_format` looked at, over all models of a sweep."""
    formats = sorted(
        {(s.model, s.prompt_style, s.few_shot, s.train_size or 0, digest(to_json(s.training))) for s in specs}
    )
    return digest([{model: chat.hash for model, chat in chats.items()}, formats, options], 16)


def _distinct(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """One spec for each way to make tokens and batches; learning rate, method and seed change neither."""

    def key(spec: RunSpec) -> tuple[Any, ...]:
        training = spec.training
        return (
            spec.prompt_style,
            spec.few_shot,
            spec.train_size,
            (training.max_length, training.batch_size) if training else None,
        )

    return list({key(spec): spec for spec in specs}.values())


def _stop_token(trained: Mapping[str, tuple[int, ...]], chat: ChatFormat, inference: Inference) -> Check:
    stop = chat.end_id if inference.end_id is None else inference.end_id
    problems = sorted({f"trained to end with {ids[-1]}, the engine stops at {stop}" for ids in trained.values()
                       if ids and ids[-1] != stop})  # fmt: skip
    return verdict("format", "stop token", problems, f"the engine stops at {stop}, as {len(trained)} answers end")


def _bos(prompts: Mapping[str, tuple[int, ...]], bos_id: int | None) -> Check:
    """Doubled: every prompt starts with one same token, twice. One prompt alone may open with a repeated word."""
    heads = {ids[:2] for ids in prompts.values()}
    doubled = len(heads) == 1 and len(prompts) > 1 and all(len(head) == 2 and head[0] == head[1] for head in heads)
    doubled = doubled or any(bos_id is not None and head == (bos_id, bos_id) for head in heads)
    missing = [id for id, ids in prompts.items() if bos_id is not None and ids[:1] != (bos_id,)]
    status: Status = "fail" if doubled else "warn" if missing else "pass"
    detail = (
        "every prompt starts with its first token twice" if doubled else f"{len(missing)} prompts without their BOS"
    )
    return Check(part="format", name="one BOS", status=status, detail=detail, examples=tuple(missing[:SHOWN]))


def _spelled(golds: Sequence[Example], answers: Mapping[str, tuple[int, ...]], chat: ChatFormat) -> Check:
    """Whether the loss covers the answer's text: its tokens, decoded as completions are, give gold back."""
    changed = [e.id for e in golds if chat.decode(answers[e.id]).split() != chat.visible_text(e.gold).split()]
    return verdict("format", "answer spelled", changed, f"{len(golds)} gold answers encoded and decoded")


def _lengths(
    seen: Rendered,
    task: Task,
    dataset: Dataset,
    formats: Sequence[RunSpec],
    chat: ChatFormat,
    inference: Inference,
) -> Check:
    """What is left out of training for its length, and what the engine could not be asked."""
    limit = inference.max_model_len
    lengths = {spec.prompt_style: longest_prompts(task, dataset, spec, chat) for spec in formats}
    too_long = [
        f"{id} ({style}): {tokens} prompt tokens and {inference.max_new_tokens} to write, the engine takes {limit}"
        for style, prompts in lengths.items()
        for id, tokens in prompts.items()
        if limit is not None and tokens + inference.max_new_tokens > limit
    ]
    share = len(too_long) / max(1, sum(map(len, lengths.values())))
    failed = bool(seen.empty) or share > LONG_SHARE
    status: Status = "fail" if failed else "warn" if too_long or seen.left_out else "pass"
    longest = max((tokens for prompts in lengths.values() for tokens in prompts.values()), default=0)
    detail = (
        f"the longest prompt has {longest} tokens, {len(too_long)} are too long for the engine and stay unscored; "
        f"left out of training: {'; '.join(seen.left_out) or 'none'}"
    )
    return Check(
        part="format",
        name="maximum length",
        status=status,
        detail=detail,
        examples=tuple([*seen.empty, *too_long][:SHOWN]),
    )


def _budget(golds: Sequence[Example], answers: Mapping[str, tuple[int, ...]], max_new_tokens: int) -> Check:
    long = [f"{e.id}: {len(answers[e.id])} tokens" for e in golds if len(answers[e.id]) > max_new_tokens]
    share = len(long) / max(1, len(golds))
    return Check(
        part="format",
        name="gold fits",
        status="fail" if share > LONG_SHARE else "warn" if long else "pass",
        detail=f"{len(long)} of {len(golds)} gold answers are over max_new_tokens={max_new_tokens}",
        examples=tuple(long[:SHOWN]),
    )
