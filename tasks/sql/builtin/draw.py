"""A seeded stream of choices. A key goes in, the same choices come out on every machine and Python version.

`random.Random.random()` is the one method whose sequence the standard library promises to keep, so every choice here is
made from it alone; `choice`, `shuffle` and `sample` have changed between versions.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Choices that depend on `keys` alone."""

    def __init__(self, *keys: object) -> None:
        name = "\x1f".join(str(key) for key in keys)
        self._random = random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big"))

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return int(self._random.random() * limit)

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high], both included."""
        return low + self.below(high - low + 1)

    def chance(self, share: float) -> bool:
        """True in `share` of the calls."""
        return self._random.random() < share

    def one(self, items: Sequence[T]) -> T:
        """One of `items`, each as likely as the others."""
        return items[self.below(len(items))]

    def early(self, items: Sequence[T]) -> T:
        """One of `items`, the first ones more often: real values are never spread evenly."""
        return items[int(len(items) * self._random.random() ** 1.25)]

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different places of `items`, in random order. Raises ValueError when there are fewer."""
        if count > len(items):
            raise ValueError(f"cannot draw {count} different items from {len(items)}")
        return self.mixed(items)[:count]

    def mixed(self, items: Sequence[T]) -> list[T]:
        """`items` in random order."""
        rest = list(items)
        for place in range(len(rest) - 1, 0, -1):
            other = self.below(place + 1)
            rest[place], rest[other] = rest[other], rest[place]
        return rest
