"""The proof of an engine's weights: faults planted in simulated log-probabilities with the noise that was measured."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from harness.sample.batches import agreement, first_difference
from harness.sample.proof import BASE, Nats, Probes, distance, proof

TOKENS = 400
NOISE = 0.08  # nats, standard deviation: a mean absolute difference of 0.064, as measured for vLLM bf16 on the CPU


def row(seed: int, spread: float, around: Nats | None = None) -> Nats:
    dice = random.Random(seed)
    middle = around[0] if around else [0.0] * TOKENS
    return [[value + dice.gauss(0.0, spread) for value in middle]]


BASE_SAYS = row(1, 2.0)
OWN, OTHER = row(2, 0.8, BASE_SAYS), row(3, 0.8, BASE_SAYS)
FAINT = row(4, 0.06, BASE_SAYS)  # a change below the engine's noise
TWIN = row(5, 0.05, OWN)
REFERENCES: Mapping[str, Nats] = {BASE: BASE_SAYS, "own": OWN, "other": OTHER, "faint": FAINT, "twin": TWIN}


def probes(*names: str, base: bool = True) -> Probes:
    references = {name: REFERENCES[name] for name in (BASE, *names)}
    return Probes(references=references, base_measured=row(7, NOISE, BASE_SAYS) if base else None)


def engine(truth: Nats, seed: int = 9) -> Nats:
    return row(seed, NOISE, truth)


@pytest.mark.parametrize("base", [True, False])
def test_right_weights_are_proven_with_and_without_the_base(base: bool) -> None:
    verdict = proof("own", engine(OWN), probes("own", "other", base=base))
    assert verdict["proven"], verdict["reason"]
    assert verdict["applied"] == pytest.approx(1.0, abs=0.05)
    assert verdict["change"] == pytest.approx(distance(OWN, BASE_SAYS))


@pytest.mark.parametrize("base", [True, False])
@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (BASE_SAYS, "adapter not applied"),
        (OTHER, "nearer to other"),
        (row(6, 0.8, BASE_SAYS), "nats a token from transformers"),
        ([[b + 2 * (o - b) for b, o in zip(BASE_SAYS[0], OWN[0], strict=True)]], "nats a token from transformers"),
    ],
)
def test_wrong_weights_are_caught(answers: Nats, says: str, base: bool) -> None:
    verdict = proof("own", engine(answers), probes("own", "other", base=base))
    assert not verdict["proven"]
    assert says in verdict["reason"]


def test_an_adapter_that_is_not_applied_is_caught_though_its_change_is_below_the_noise_floor() -> None:
    assert distance(FAINT, BASE_SAYS) < 0.05
    assert proof("faint", engine(FAINT), probes("faint"))["proven"]
    verdict = proof("faint", engine(BASE_SAYS), probes("faint"))
    assert "adapter not applied" in verdict["reason"]


def test_an_adapter_applied_twice_is_caught_though_it_is_within_the_noise_floor() -> None:
    twice = [[b + 2 * (o - b) for b, o in zip(BASE_SAYS[0], FAINT[0], strict=True)]]
    assert "too strongly" in proof("faint", engine(twice), probes("faint"))["reason"]


def test_a_swap_of_two_checkpoints_that_differ_less_than_the_noise_is_caught() -> None:
    assert distance(TWIN, OWN) < 0.05
    assert proof("own", engine(OWN), probes("own", "twin"))["proven"]
    assert "nearer to twin" in proof("own", engine(TWIN), probes("own", "twin"))["reason"]


def test_training_that_changed_nothing_is_caught_and_the_base_itself_is_not() -> None:
    unchanged = Probes(references={BASE: BASE_SAYS, "own": BASE_SAYS}, base_measured=engine(BASE_SAYS, 7))
    assert "training changed nothing" in proof("own", engine(BASE_SAYS), unchanged)["reason"]
    assert proof("own", engine(BASE_SAYS), unchanged, trained=False)["proven"]


def test_two_checkpoints_too_alike_to_be_told_apart_are_named() -> None:
    alike = Probes(references={"own": OWN, "same": row(11, 0.001, OWN)})
    verdict = proof("own", engine(OWN), alike)
    assert verdict["proven"]
    assert verdict["not_told_from"] == ["same"]


def test_other_probes_than_the_reference_s_are_an_error() -> None:
    with pytest.raises(ValueError, match="other probes"):
        proof("own", [OWN[0][:-1]], probes("own"))


@pytest.mark.parametrize(
    ("alone", "together", "different"),
    [
        ([1, 2, 3], [1, 2, 3], []),
        ([1, 2, 3], [1, 9, 3], ["a: from token 2 on"]),
        ([1, 2], [1, 2, 3], ["a: from token 3 on"]),
        ([5] * 24, [*[5] * 24, 6, 7], []),
    ],
)
def test_answers_alone_and_in_the_batch_are_compared_token_by_token(
    alone: list[int], together: list[int], different: list[str]
) -> None:
    assert agreement({"a": alone}, {"a": together}, 64) == {"compared": 1, "batch": 64, "different": different}


def test_the_first_difference_of_equal_answers_is_none() -> None:
    assert first_difference([1, 2], [1, 2]) is None
