"""Items -> the steps of a run -> packed micro-batches. No torch until `pack`.

The order of the examples depends on (seed, epoch) and the items alone, so that a resumed run, and every worker of a
distributed one, sees the same steps. A micro-batch is one row of tokens without padding. `Segment`s say who may look
at whom: a token attends to the tokens before it in its own segment and to all tokens of the segment's `context`.

Shared prefixes: examples that begin with the same tokens (a task description, a schema) form a tree; each distinct
prefix is computed once and is the context of what follows. By causality its hidden states are the same for all its
examples, so loss and gradients equal those of the separate rows (a test holds that); only the work shrinks.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core import UserError
from harness.train.job import Item

if TYPE_CHECKING:
    from torch import Tensor

MIN_SHARED_TOKENS = 8  # below that the extra attention call costs more than the tokens it saves (assumed, not measured)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Tokens [start, end) of a packed row that read each other causally, after all of `context`'s ranges."""

    start: int
    end: int
    context: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One micro-batch. T computed tokens, A answer tokens.

    `input_ids` and `position_ids` are [T]; `predictors` [A] are the rows of T whose hidden state predicts `targets`.
    `num_tokens` counts the tokens of the
    examples, shared prefixes once per example: it is what throughput is measured in.
    """

    input_ids: Tensor
    position_ids: Tensor
    predictors: Tensor
    targets: Tensor
    segments: tuple[Segment, ...]
    num_tokens: int
    num_examples: int


def usable_items(items: Sequence[Item], max_length: int) -> tuple[list[Item], list[str]]:
    """(items of at most `max_length` tokens, ids of the longer ones). Nothing is cut: half an answer is a wrong one.

    Raises UserError when no item is left.
    """
    kept = [item for item in items if item.num_tokens <= max_length]
    left_out = [item.id for item in items if item.num_tokens > max_length]
    if not kept:
        shortest = min(item.num_tokens for item in items)
        raise UserError(
            f"all {len(items)} training items are longer than max_length {max_length} (the shortest has {shortest} "
            "tokens); raise max_length"
        )
    return kept, left_out


def steps_of(
    num_items: int, epochs: float, batch_size: int, seed: int, families: Sequence[int] = (), together: int = 1
) -> list[list[int]]:
    """Indices of the items of each optimizer step. Every epoch is a new permutation; the last step may be smaller.

    With `together` above 1, up to so many random members of one family (`families[i]` is item i's) come side by side,
    so that a batch shares prefixes; the groups themselves are in random order. 1 is the plain permutation.
    """
    total = max(1, round(num_items * epochs))
    order: list[int] = []
    for epoch in range(math.ceil(total / num_items)):
        rng = random.Random(f"{seed}:{epoch}")
        permutation = list(range(num_items))
        rng.shuffle(permutation)
        if together > 1:
            permutation = _side_by_side(permutation, families, together, rng)
        order += permutation
    order = order[:total]
    return [order[start : start + batch_size] for start in range(0, total, batch_size)]


def _side_by_side(permutation: Sequence[int], families: Sequence[int], together: int, rng: random.Random) -> list[int]:
    members: dict[int, list[int]] = {}
    for index in permutation:
        members.setdefault(families[index], []).append(index)
    groups = [
        indices[start : start + together] for indices in members.values() for start in range(0, len(indices), together)
    ]
    rng.shuffle(groups)
    return [index for group in groups for index in group]


def families_of(items: Sequence[Item]) -> list[int]:
    """A number for each item, equal for items whose prompts share at least half of the shorter one's tokens."""
    families = [0] * len(items)
    first: Item | None = None
    family = -1
    for index in sorted(range(len(items)), key=lambda index: items[index].prompt_ids):
        item = items[index]
        if first is None or 2 * _common_length(first.prompt_ids, item.prompt_ids) < min(
            len(first.prompt_ids), len(item.prompt_ids)
        ):
            first, family = item, family + 1
        families[index] = family
    return families


def micro_batches(items: Sequence[Item], size: int, max_tokens: int) -> Iterator[list[Item]]:
    """`items` in groups of at most `size` examples and `max_tokens` tokens, those with a common beginning together."""
    group: list[Item] = []
    tokens = 0
    for item in sorted(items, key=lambda item: (item.ids, item.id)):
        if group and (len(group) == size or tokens + item.num_tokens > max_tokens):
            yield group
            group, tokens = [], 0
        group.append(item)
        tokens += item.num_tokens
    if group:
        yield group


def pack(items: Sequence[Item], *, share_prefixes: bool) -> Packed:
    """One packed row of `items` on the CPU."""
    import torch

    layout = _Layout(ids=[], positions=[], segments=[], rows=[[] for _ in items])
    sequences = [item.ids for item in items]
    if share_prefixes:
        order = sorted(range(len(items)), key=sequences.__getitem__)
        layout.add_tree(sequences, order, 0, ())
    else:
        for index, sequence in enumerate(sequences):
            layout.add(sequence, [index], 0, len(sequence), ())
    predictors: list[int] = []
    targets: list[int] = []
    for item, row in zip(items, layout.rows, strict=True):
        first = len(item.prompt_ids) - 1
        predictors += row[first : first + len(item.answer_ids)]
        targets += item.answer_ids
    return Packed(
        input_ids=torch.tensor(layout.ids),
        position_ids=torch.tensor(layout.positions),
        predictors=torch.tensor(predictors),
        targets=torch.tensor(targets),
        segments=tuple(layout.segments),
        num_tokens=sum(item.num_tokens for item in items),
        num_examples=len(items),
    )


@dataclass(kw_only=True)
class _Layout:
    """The packed row as it grows. `rows[i]` lists, token by token, where sequence i lies in it."""

    ids: list[int]
    positions: list[int]
    segments: list[Segment]
    rows: list[list[int]]

    def add(
        self, sequence: Sequence[int], owners: Sequence[int], begin: int, end: int, context: tuple[tuple[int, int], ...]
    ) -> tuple[tuple[int, int], ...]:
        """Append tokens [begin, end) of `sequence` for all `owners`; returns the context of what follows them."""
        if begin == end:
            return context
        start = len(self.ids)
        self.ids += sequence[begin:end]
        self.positions += range(begin, end)
        here = (start, len(self.ids))
        self.segments.append(Segment(start=start, end=here[1], context=context))
        for owner in owners:
            self.rows[owner] += range(*here)
        if context and context[-1][1] == start:
            return (*context[:-1], (context[-1][0], here[1]))
        return (*context, here)

    def add_tree(
        self, sequences: Sequence[Sequence[int]], order: Sequence[int], begin: int, context: tuple[tuple[int, int], ...]
    ) -> None:
        """Append the sequences `order` (sorted), which agree on their first `begin` tokens."""
        if len(order) == 1:
            self.add(sequences[order[0]], order, begin, len(sequences[order[0]]), context)
            return
        shared = _common_length(sequences[order[0]], sequences[order[-1]])
        if shared - begin >= MIN_SHARED_TOKENS or all(sequences[i] == sequences[order[0]] for i in order):
            context = self.add(sequences[order[0]], order, begin, shared, context)
            begin = shared
        for group in _groups(sequences, order, begin):  # always more than one: sorted rows split where they differ
            self.add_tree(sequences, group, begin, context)


def _groups(sequences: Sequence[Sequence[int]], order: Sequence[int], begin: int) -> list[list[int]]:
    """`order` cut wherever two neighbours share fewer than MIN_SHARED_TOKENS tokens after `begin`."""
    groups = [[order[0]]]
    for previous, index in itertools.pairwise(order):
        together = _common_length(sequences[previous], sequences[index]) - begin >= MIN_SHARED_TOKENS
        if together:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _common_length(left: Sequence[int], right: Sequence[int]) -> int:
    for place, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return place
    return min(len(left), len(right))
