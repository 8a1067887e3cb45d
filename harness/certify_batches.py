"""Does the trainer's own batch teach the answer, all of it, and nothing else? In: items as the trainer gets them, and what they
should say. Out: a sentence for each item whose loss mask, end token, BOS or context is wrong.

The batches are the trainer's (steps_of, micro_batches and pack of train/batches.py), and each is read back from its tensors
alone: what a row of the batch can see (its own segment up to itself, after the segment's context) must be the prompt and the
answer so far, and its target the next token of the answer. A mask that is off by one, a prompt cut short, a lost end token
or a second BOS cannot be read back to the expected tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core import RunSpec, Training
from harness.train.batches import Packed, families_of, micro_batches, pack, steps_of
from harness.train.job import Item, Options

MOST_TOKENS = 4096  # of one micro-batch here; the trainer's own limit depends on the device and changes no token
Expected = Mapping[
    str, tuple[tuple[int, ...], tuple[int, ...]]
]  # id -> prompt as the engine gets it, answer with its end
Pack = Callable[..., Packed]


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The tokens that a batch is held against."""

    end_id: int
    bos_id: int | None = None


def batch_problems(
    items: Sequence[Item],
    expected: Expected,
    tokens: Tokens,
    spec: RunSpec,
    options: Mapping[str, Any],
    packed_by: Pack = pack,
) -> tuple[int, list[str]]:
    """(examples read back, what is wrong) over the first epoch of a run on `items`."""
    assert spec.training is not None
    chosen = Options(**options)
    problems: list[str] = []
    count = 0
    for group in _groups(items, spec.training, spec.seed, chosen):
        count += len(group)
        problems += _group_problems(packed_by(group, share_prefixes=chosen.share_prefixes), group, expected, tokens)
    return count, problems


def _groups(items: Sequence[Item], training: Training, seed: int, options: Options) -> Iterable[list[Item]]:
    """The micro-batches of one epoch, as the loop makes them."""
    families = families_of(items) if options.group_prefixes > 1 else ()
    epoch = min(training.epochs, 1.0)
    for step in steps_of(len(items), epoch, training.batch_size, seed, families, options.group_prefixes):
        size = options.micro_batch or training.batch_size
        yield from micro_batches([items[index] for index in step], size, options.micro_batch_tokens or MOST_TOKENS)


def _group_problems(packed: Packed, group: Sequence[Item], expected: Expected, tokens: Tokens) -> list[str]:
    ids, positions = packed.input_ids.tolist(), packed.position_ids.tolist()
    taught = list(zip(packed.predictors.tolist(), packed.targets.tolist(), strict=True))
    owner = {row: segment for segment in packed.segments for row in range(segment.start, segment.end)}
    problems, at = [], 0
    for item in group:
        rows = taught[at : at + len(item.answer_ids)]
        at += len(item.answer_ids)
        read: list[tuple[list[int], int]] = []
        for row, target in rows:
            segment = owner[row]
            places = [place for start, end in segment.context for place in range(start, end)]
            places += range(segment.start, row + 1)
            if [positions[place] for place in places] != list(range(len(places))):
                problems.append(f"{item.id}: the positions of what it reads are not 0, 1, 2, ...")
                break
            read.append(([ids[place] for place in places], target))
        else:
            problems += [f"{item.id}: {why}" for why in _item_problems(read, expected[item.id], tokens)]
    if at != len(taught):
        problems.append(f"{group[0].id} and its batch: {len(taught)} tokens carry loss, the answers have {at}")
    return problems


def _item_problems(
    read: Sequence[tuple[list[int], int]], expected: tuple[tuple[int, ...], tuple[int, ...]], tokens: Tokens
) -> list[str]:
    """What is wrong with one example: `read` holds, for each token with loss, what comes before it and the token."""
    prompt, answer = expected
    problems = []
    targets = tuple(target for _, target in read)
    if not targets or targets[-1] != tokens.end_id:
        problems.append(f"the loss does not end with the end token {tokens.end_id}")
    if targets.count(tokens.end_id) > 1:
        problems.append(f"the end token {tokens.end_id} is trained {targets.count(tokens.end_id)} times")
    before = tuple(read[0][0]) if read else ()
    if tokens.bos_id is not None and before.count(tokens.bos_id) != prompt.count(tokens.bos_id):
        told = (before.count(tokens.bos_id), prompt.count(tokens.bos_id))
        problems.append(f"the batch has {told[0]} BOS tokens before the answer, the engine's prompt {told[1]}")
    if before != prompt:
        problems.append(
            f"the loss starts after {len(before)} tokens that are not the {len(prompt)} of the engine's prompt"
        )
    elif targets != answer:
        problems.append(f"{len(targets)} tokens carry loss and are not the {len(answer)} of the answer")
    elif any(tuple(seen) != prompt + answer[:place] for place, (seen, _) in enumerate(read)):
        problems.append("an answer token is predicted from something else than prompt and answer so far")
    return problems
