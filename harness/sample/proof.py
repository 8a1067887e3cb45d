"""Is the engine answering with the weights it was told to? In: log-probabilities of a few probe sequences from the engine and,
for every run and the base model, from transformers + peft (fp32). Out: a verdict with the numbers.

Two tests. Distance: the mean absolute difference to the run's own reference is within the noise floor. Likeness: for every
other reference, where between the two does the engine stand: 1 is this run, 0 is the other. Below 0.5 the other one
answers; where the other is the base, the adapter was not applied, and 1.5 and more means that it was applied too strongly.
The engine's own bias, measured on the base model, is taken off first, so that small changes are seen; likeness counts only
where its standard error is below 0.15 (or the references are further apart than the noise floor).

Measured with the default model, vLLM bf16 against transformers fp32 on chat prompts: right weights 0.06-0.07 nats, stale or
foreign weights 1.5 nats and more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BASE = "the base model"  # the key of its reference
# nats, mean absolute difference. Twice what was measured for right weights; a 7B model in bf16 is assumed, not measured.
NOISE_FLOOR = 0.15
LEAST_CHANGE = 1e-6  # nats; a trained checkpoint nearer to the base than this was not trained
LARGEST_ERROR = 0.15  # of a likeness, to be counted
ASSUMED_NOISE = 0.1  # nats, root mean square, where the base was not measured
Nats = Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Probes:
    """The references of a job, and what the engine says of the base model (None when it cannot serve it)."""

    references: Mapping[str, Nats]
    base_measured: Nats | None = None


def distance(left: Nats, right: Nats) -> float:
    """Mean absolute difference in nats over all tokens of all sequences. Raises ValueError when shapes differ."""
    differences = _minus(_flat(left, right), _flat(right, left))
    return sum(map(abs, differences)) / len(differences)


def proof(run: str, measured: Nats, probes: Probes, trained: bool = True) -> dict[str, Any]:
    """{"proven", "reason", "distance", "floor", "measured_floor", "change", "applied", "nearest", ...} of one run.

    `applied` is the likeness against the base (None when it cannot be told), `change` the distance of the references.
    """
    references = probes.references
    own = distance(measured, references[run])
    base = references.get(BASE)
    change = distance(references[run], base) if base is not None else None
    near = {name: _likeness(name, run, measured, probes) for name in references if name != run}
    told = {name: value for name, value in near.items() if value is not None}
    nearest = min(told, key=lambda name: told[name], default=None)
    closest = min(references, key=lambda name: _apart(measured, name, probes))
    reason = _reason(
        own, change if trained else None, told, closest if _apart(measured, closest, probes) <= NOISE_FLOOR else ""
    )
    return {
        "proven": not reason,
        "reason": reason,
        "distance": own,
        "floor": NOISE_FLOOR,
        "measured_floor": _measured_floor(probes),
        "change": change,
        "applied": told.get(BASE) if trained else None,
        "nearest": nearest,
        "nearest_likeness": told[nearest] if nearest is not None else None,
        "not_told_from": sorted(name for name, value in near.items() if value is None),
    }


def _reason(own: float, change: float | None, told: Mapping[str, float], closest: str) -> str:
    """Why the run is not proven. `closest` is the reference that the engine is near to, "" for none."""
    applied = told.get(BASE, 1.0) if change is not None else 1.0
    if change is not None and change < LEAST_CHANGE:
        return "the checkpoint's log-probabilities are the base model's: training changed nothing"
    if closest == BASE and applied < 0.5:
        return f"the engine answers like the base model ({applied:.2f} of the change arrived): adapter not applied"
    if told.get(closest, 1.0) < 0.5:
        return f"log-probabilities are nearer to {closest} than to this run (likeness {told[closest]:.2f} of 1)"
    if own > NOISE_FLOOR:
        return f"log-probabilities are {own:.3f} nats a token from transformers, floor {NOISE_FLOOR}"
    return f"the adapter is applied too strongly ({applied:.2f} times its change)" if applied > 1.5 else ""


def _apart(measured: Nats, name: str, probes: Probes) -> float:
    """Mean absolute difference to one reference, the engine's own bias taken off."""
    reference = probes.references[name]
    flat = _flat(measured, reference)
    left = _minus(_minus(flat, _bias(probes, len(flat))), _flat(reference, measured))
    return sum(map(abs, left)) / len(left)


def _likeness(other: str, run: str, measured: Nats, probes: Probes) -> float | None:
    """1 when `run` answers, 0 when `other` does, None when the two cannot be told apart."""
    mine, theirs = probes.references[run], probes.references[other]
    apart = _minus(_flat(mine, theirs), _flat(theirs, mine))
    length = math.sqrt(sum(x * x for x in apart))
    noise = _noise(probes)
    told = length > 0 and (noise / length < LARGEST_ERROR or distance(mine, theirs) > NOISE_FLOOR)
    if not told:
        return None
    seen = _minus(_minus(_flat(measured, mine), _bias(probes, len(apart))), _flat(theirs, mine))
    return sum(a * b for a, b in zip(seen, apart, strict=True)) / (length * length)


def _noise(probes: Probes) -> float:
    """Root mean square in nats of one token's noise, in the difference of two measurements."""
    bias = _bias(probes, 0)
    return math.sqrt(2.0 * sum(x * x for x in bias) / len(bias)) if bias else ASSUMED_NOISE


def _bias(probes: Probes, length: int) -> list[float]:
    """Engine minus transformers on the base model, token by token; zeros where it was not measured."""
    base = probes.references.get(BASE)
    floor = _measured_floor(probes)
    if base is None or probes.base_measured is None or floor is None or floor > NOISE_FLOOR:  # else: no base at all
        return [0.0] * length
    return _minus(_flat(probes.base_measured, base), _flat(base, base))


def _measured_floor(probes: Probes) -> float | None:
    """The distance of engine and transformers on the base model."""
    base = probes.references.get(BASE)
    return distance(probes.base_measured, base) if base is not None and probes.base_measured is not None else None


def _flat(values: Nats, like: Nats) -> list[float]:
    """All tokens in one row. Raises ValueError when the sequences are not as long as those of `like`."""
    if [len(row) for row in values] != [len(row) for row in like]:
        raise ValueError("log-probabilities of other probes: the sequences differ in length")
    return [value for row in values for value in row]


def _minus(left: Sequence[float], right: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(left, right, strict=True)]
