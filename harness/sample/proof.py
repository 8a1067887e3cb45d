"""Is the engine answering with the weights it was told to? In: log-probabilities of a few probe sequences from the engine and,
for every run, from transformers + peft (fp32). Out: a verdict with the numbers.

A run is proven when its mean absolute difference to its own reference is within the noise floor and no other run's reference
is closer (unless the two references are themselves within the noise floor of each other). Measured with the default model,
vLLM bf16 against transformers fp32 on chat prompts: right weights 0.06-0.07 nats, stale or foreign weights 1.5 nats and more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# nats, mean absolute difference. Twice what was measured for right weights; a 7B model in bf16 is assumed, not measured.
NOISE_FLOOR = 0.15


def distance(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> float:
    """Mean absolute difference in nats over all tokens of all sequences. Raises ValueError when shapes differ."""
    pairs = [(a, b) for one, other in zip(left, right, strict=True) for a, b in zip(one, other, strict=True)]
    return sum(abs(a - b) for a, b in pairs) / len(pairs)


def proof(
    run: str, measured: Sequence[Sequence[float]], references: Mapping[str, Sequence[Sequence[float]]]
) -> dict[str, Any]:
    """{"proven", "distance", "floor", "nearest", "nearest_distance", "reason"} for one run's engine log-probabilities."""
    own = distance(measured, references[run])
    others = {name: distance(measured, values) for name, values in references.items() if name != run}
    nearest = min(others, key=lambda name: others[name], default=None)
    reason = ""
    if own > NOISE_FLOOR:
        reason = f"log-probabilities are {own:.3f} nats a token from transformers, floor {NOISE_FLOOR}"
    elif nearest is not None and others[nearest] < own and distance(references[run], references[nearest]) > NOISE_FLOOR:
        reason = f"log-probabilities are nearer to run {nearest} ({others[nearest]:.3f}) than to this one ({own:.3f})"
    return {
        "proven": not reason,
        "distance": own,
        "floor": NOISE_FLOOR,
        "nearest": nearest,
        "nearest_distance": others[nearest] if nearest is not None else None,
        "reason": reason,
    }
