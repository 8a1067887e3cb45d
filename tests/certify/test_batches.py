"""Faults planted in the trainer's own batches: each is read back from the packed tensors and named."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.certify_batches import Tokens, batch_problems
from harness.core import Lora, RunSpec, Training
from harness.train.batches import Packed, pack
from harness.train.job import Item

torch = pytest.importorskip("torch")
BOS, END = 1, 2
SPEC = RunSpec(
    task="toy",
    data="toy",
    model="m",
    method=Lora(rank=1, alpha=1.0),
    training=Training(learning_rate=1e-4, batch_size=6),
)
OPTIONS = {"group_prefixes": 4}
Fault = Callable[[Packed], Packed]


def items(count: int = 30) -> list[Item]:
    dice = random.Random(3)
    schema = [dice.randrange(3, 90) for _ in range(20)]
    return [
        Item(
            id=f"i{number}",
            prompt_ids=(BOS, *schema[: 20 - 5 * (number % 2)], *(dice.randrange(3, 90) for _ in range(number % 7 + 1))),
            answer_ids=(*(dice.randrange(3, 90) for _ in range(number % 4 + 1)), END),
        )
        for number in range(count)
    ]


def found(
    given: Sequence[Item], fault: Fault | None = None, options: dict[str, Any] | None = None
) -> tuple[int, list[str]]:
    """What the check says of `given`, held against the sound items, when the trainer packs with `fault`."""
    expected = {item.id: (item.prompt_ids, item.answer_ids) for item in items()}

    def faulty(group: Sequence[Item], *, share_prefixes: bool) -> Packed:
        packed = pack(group, share_prefixes=share_prefixes)
        return fault(packed) if fault else packed

    return batch_problems(given, expected, Tokens(end_id=END, bos_id=BOS), SPEC, options or OPTIONS, faulty)


@pytest.mark.parametrize("options", [{}, {"group_prefixes": 4}, {"share_prefixes": False}, {"micro_batch": 2}])
def test_sound_batches_are_read_back_whole(options: dict[str, Any]) -> None:
    assert found(items(), None, options) == (30, [])


def shifted(by: int) -> Fault:
    return lambda packed: replace(packed, predictors=(packed.predictors + by).clamp(0, len(packed.input_ids) - 1))


def without_last(packed: Packed) -> Packed:
    return replace(packed, predictors=packed.predictors[:-1], targets=packed.targets[:-1])


def with_prompt_in_the_loss(packed: Packed) -> Packed:
    return replace(
        packed,
        predictors=torch.cat([packed.predictors, torch.tensor([0])]),
        targets=torch.cat([packed.targets, packed.input_ids[1:2]]),
    )


def one_segment(packed: Packed) -> Packed:
    """Examples see each other: the mask of a packed row is lost."""
    whole = replace(packed.segments[0], start=0, end=len(packed.input_ids), context=())
    return replace(packed, segments=(whole,))


def other_positions(packed: Packed) -> Packed:
    return replace(packed, position_ids=packed.position_ids + 1)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (shifted(1), "the loss starts after|is predicted from something else|positions"),
        (shifted(-1), "the loss starts after|is predicted from something else|positions"),
        (lambda packed: replace(packed, targets=packed.targets.roll(1)), "does not end with the end token"),
        (without_last, "tokens carry loss, the answers have"),
        (with_prompt_in_the_loss, "tokens carry loss, the answers have"),
        (one_segment, "positions of what it reads"),
        (other_positions, "positions of what it reads"),
    ],
)
def test_a_fault_of_the_packing_is_caught(fault: Fault, says: str) -> None:
    import re

    _, problems = found(items(), fault)
    assert any(re.search(says, problem) for problem in problems), problems[:3]


def _changed(change: Callable[[Item], Item]) -> list[Item]:
    return [change(item) if item.id == "i7" else item for item in items()]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda i: replace(i, answer_ids=i.answer_ids[:-1]), "does not end with the end token 2"),
        (lambda i: replace(i, answer_ids=(*i.answer_ids, END)), "the end token 2 is trained 2 times"),
        (
            lambda i: replace(i, prompt_ids=(BOS, *i.prompt_ids)),
            "2 BOS tokens before the answer, the engine's prompt 1",
        ),
        (lambda i: replace(i, prompt_ids=i.prompt_ids[1:]), "0 BOS tokens before the answer, the engine's prompt 1"),
        (lambda i: replace(i, prompt_ids=i.prompt_ids[:-3]), "the loss starts after"),
        (
            lambda i: replace(i, prompt_ids=(*i.prompt_ids, i.answer_ids[0]), answer_ids=(*i.answer_ids[1:-1], END)),
            "the loss starts after",
        ),
        (lambda i: replace(i, answer_ids=(i.answer_ids[0] + 1, *i.answer_ids[1:])), "are not the"),
    ],
)
def test_a_fault_of_an_item_is_caught_and_named(change: Callable[[Item], Item], says: str) -> None:
    _, problems = found(_changed(change))
    assert problems
    assert all(problem.startswith("i7: ") for problem in problems)
    assert any(says in problem for problem in problems), problems
