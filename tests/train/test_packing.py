"""What is packed learns what the separate rows would have taught."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core import Full, Lora, UserError
from harness.train.batches import micro_batches, pack, steps_of, usable_items
from harness.train.job import Item, Options
from tests.train.conftest import LORA, random_items

torch = pytest.importorskip("torch")


def items(count: int = 12) -> list[Item]:
    return [
        Item(id=row["id"], prompt_ids=tuple(row["prompt_ids"]), answer_ids=tuple(row["answer_ids"]))
        for row in random_items(count)
    ]


def unpacked(model: torch.nn.Module, batch: list[Item]) -> torch.Tensor:
    """The same objective one plain row at a time: all logits, torch's own cross entropy."""
    losses = []
    for item in batch:
        ids = torch.tensor([item.ids])
        logits = model(input_ids=ids).logits[0, len(item.prompt_ids) - 1 : -1]
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(item.answer_ids), reduction="sum"))
    return torch.stack(losses).sum() / sum(len(item.answer_ids) for item in batch)


@pytest.mark.parametrize("share_prefixes", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("method", [LORA, Full()], ids=["lora", "full"])
def test_packed_loss_and_gradients_equal_unpacked_ones(
    model_folder: Path, method: Lora | Full, share_prefixes: bool, checkpointing: bool
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from harness.train.trainee import attach, load_base

    options = Options(activation_checkpointing=checkpointing)
    trainee = attach(load_base(model_folder, "cpu", "float32", "none"), method, 0, options)
    plain = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager")
    if isinstance(method, Lora):
        config = LoraConfig(r=4, lora_alpha=8, target_modules=list(method.targets), task_type="CAUSAL_LM")
        plain = get_peft_model(plain, config)
    generator = torch.Generator().manual_seed(3)
    theirs = dict(plain.named_parameters())
    with torch.no_grad():
        for name, parameter in trainee.parameters.items():  # B starts at zero, which would hide gradients of A
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
            theirs[name].copy_(parameter)
    batch = items()
    expected = unpacked(plain, batch)
    expected.backward()
    packed = pack(batch, share_prefixes=share_prefixes)
    loss = trainee.objective(packed, 1 / sum(len(item.answer_ids) for item in batch))
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    for name, parameter in trainee.parameters.items():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=1e-5, atol=1e-5, msg=name)


def test_a_shared_prefix_is_computed_once_and_counted_for_every_example() -> None:
    batch = items()
    alone, shared = pack(batch, share_prefixes=False), pack(batch, share_prefixes=True)
    assert len(alone.input_ids) == alone.num_tokens == shared.num_tokens
    assert len(shared.input_ids) < 0.8 * shared.num_tokens
    assert sorted(shared.targets.tolist()) == sorted(alone.targets.tolist())


def test_no_token_reaches_another_example() -> None:
    for packed in (pack(items(), share_prefixes=True), pack(items(), share_prefixes=False)):
        ends = [segment.end for segment in packed.segments]
        assert [segment.start for segment in packed.segments] == [0, *ends[:-1]]
        for segment in packed.segments:
            rows = [row for start, end in segment.context for row in range(start, end)]
            rows += range(segment.start, segment.end)
            assert packed.position_ids[rows].tolist() == list(range(len(rows)))  # one whole sequence, nothing else


def test_a_batch_may_hold_one_example_twice_or_the_beginning_of_another() -> None:
    short = Item(id="short", prompt_ids=(5, 6, 7, 8, 9, 10, 11, 12), answer_ids=(13, 2))
    long = Item(id="long", prompt_ids=short.ids, answer_ids=(14, 2))
    packed = pack([long, short, short], share_prefixes=True)
    assert len(packed.input_ids) == long.num_tokens
    assert packed.targets.tolist() == [14, 2, 13, 2, 13, 2]
    assert packed.predictors.tolist() == [9, 10, 7, 8, 7, 8]


def test_every_epoch_is_a_new_order_of_all_items_and_a_seed_changes_it() -> None:
    first = [index for step in steps_of(10, 2, 4, seed=0) for index in step]
    assert sorted(first[:10]) == sorted(first[10:]) == list(range(10))
    assert first[:10] != first[10:]
    assert steps_of(10, 2, 4, seed=0) == steps_of(10, 2, 4, seed=0) != steps_of(10, 2, 4, seed=1)


@pytest.mark.parametrize(("epochs", "sizes"), [(0.5, [4, 1]), (1, [4, 4, 2]), (1.5, [4, 4, 4, 3]), (0.01, [1])])
def test_a_part_of_an_epoch_takes_that_part_of_the_items(epochs: float, sizes: list[int]) -> None:
    assert [len(step) for step in steps_of(10, epochs, 4, seed=0)] == sizes


def test_micro_batches_keep_every_item_and_both_limits() -> None:
    batch = items(20)
    groups = list(micro_batches(batch, 4, 90))
    assert sorted(item.id for group in groups for item in group) == sorted(item.id for item in batch)
    assert all(len(group) <= 4 for group in groups)
    assert all(len(group) == 1 or sum(item.num_tokens for item in group) <= 90 for group in groups)


def test_items_too_long_are_left_out_by_name_and_never_cut() -> None:
    kept, left_out = usable_items(items(), 25)
    assert left_out
    assert {item.id for item in kept}.isdisjoint(left_out)
    with pytest.raises(UserError, match="raise max_length"):
        usable_items(items(), 2)


@pytest.mark.parametrize(("prompt", "answer"), [((), (1,)), ((1,), ())])
def test_an_item_without_prompt_or_answer_is_refused(prompt: tuple[int, ...], answer: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="at least one token"):
        Item(id="x", prompt_ids=prompt, answer_ids=answer)
