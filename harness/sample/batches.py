"""Does an answer depend on what else is in the batch? In: greedy answers of a few prompts, alone and in the full batch.
Out: how many differ, and from which token on.

Kernels for one row and for many add in another order, so a near tie can fall the other way (vLLM issue 17652): the rate is
printed, not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NUM_ALONE = 4
TOKENS_ALONE = 24  # tokens of each answer that are generated alone: about 3 s on two cores with the default model


def agreement(alone: Mapping[str, Sequence[int]], together: Mapping[str, Sequence[int]], batch: int) -> dict[str, Any]:
    """{"compared", "batch", "different": ["id: from token n on"]}; answers are compared as far as both go."""
    different = []
    for id, tokens in alone.items():
        place = first_difference(tokens[:TOKENS_ALONE], together[id][:TOKENS_ALONE])
        if place is not None:
            different.append(f"{id}: from token {place + 1} on")
    return {"compared": len(alone), "batch": batch, "different": different}


def first_difference(left: Sequence[int], right: Sequence[int]) -> int | None:
    """The first place where two answers differ, None when they are the same."""
    place = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    return min(len(left), len(right)) if place is None and len(left) != len(right) else place
