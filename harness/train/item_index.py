"""Training items too many for memory: the file is read once and only lengths and places are kept. In: a JSONL file of items
(train/job.py). Out: an `ItemIndex`, about 24 bytes an item, and the items of a few places when they are asked for.

The loop needs every item's length to agree on steps and divisors, but token ids only of the examples that this worker
computes. Those come as a stream in the order of the steps.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from harness.core import Training, UserError
from harness.train.batches import steps_of
from harness.train.job import item_of_line


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """An item without its tokens."""

    num_tokens: int
    num_answer_tokens: int


@dataclass(frozen=True, kw_only=True)
class ItemIndex(Sequence[Lengths]):
    """Where each usable item begins in its file, in bytes, and how long it is, in tokens."""

    offsets: array[int] = field(default_factory=lambda: array("q"))
    tokens: array[int] = field(default_factory=lambda: array("l"))
    answers: array[int] = field(default_factory=lambda: array("l"))
    left_out: tuple[str, ...] = ()
    digest: str = ""

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, place: int) -> Lengths: ...
    @overload
    def __getitem__(self, place: slice) -> list[Lengths]: ...
    def __getitem__(self, place: int | slice) -> Lengths | list[Lengths]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        return Lengths(num_tokens=self.tokens[place], num_answer_tokens=self.answers[place])

    def steps(self, training: Training, seed: int) -> list[list[int]]:
        """The items of each step. Who shares a prefix with whom is not known without the tokens: none are put together."""
        return steps_of(len(self), training.epochs, training.batch_size, seed)


def index_items(path: Path, max_length: int) -> ItemIndex:
    """The index of the items of at most `max_length` tokens. Raises UserError as reading them whole does."""
    offsets, tokens, answers, left_out = array("q"), array("l"), array("l"), list[str]()
    content = hashlib.sha256()
    shortest: int | None = None
    at = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            item = item_of_line(line, f"{path}:{number}")
            shortest = min(item.num_tokens, shortest or item.num_tokens)
            if item.num_tokens > max_length:
                left_out.append(item.id)
            else:
                offsets.append(at)
                tokens.append(item.num_tokens)
                answers.append(item.num_answer_tokens)
            content.update(line)
            at += len(line)
    if shortest is None:
        raise UserError(f"{path} holds no training item")
    if not offsets:
        raise UserError(
            f"all {len(left_out)} training items are longer than max_length {max_length} (the shortest has {shortest} "
            "tokens); raise max_length"
        )
    return ItemIndex(
        offsets=offsets, tokens=tokens, answers=answers, left_out=tuple(left_out), digest=content.hexdigest()
    )


def lines_at(path: Path, offsets: Iterable[int]) -> Iterator[bytes]:
    """The lines of the file that begin at `offsets`, in that order."""
    with path.open("rb") as stream:
        for offset in offsets:
            stream.seek(offset)
            yield stream.readline()
