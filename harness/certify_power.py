"""What the test split can show, said before any training. In: its items, what accuracy to expect, the gate's margin.
Out: two checks: the smallest difference that two runs would show, and the items that the gate's margin needs.

Items of one cluster (a database, a template) are not independent: n items count as n / (1 + (m - 1) ICC), with m the mean
cluster size an item sees (Kish 1965). Assumed, not measured: ICC 0.1 (the built-in SQL sweep's intervals of 2026-11-25
came to 0.08), and that half of the items on which independent runs would disagree are answered alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.certificate import Check
from harness.core import Example
from harness.stats import minimum_detectable_difference, sample_size_non_inferiority

CLUSTER_CORRELATION = 0.1
EXPECTED_ACCURACY = 0.7
GATE_MARGIN = 0.02  # the default of `harness gate`
LARGEST_DIFFERENCE = 0.10  # a test split that cannot show ten points is a warning
POWER = 0.8


def power_checks(
    items: Sequence[Example], accuracy: float = EXPECTED_ACCURACY, margin: float = GATE_MARGIN
) -> tuple[Check, Check]:
    """The checks "power" and "gate margin" of the items that two runs would both answer."""
    told = f"{len(items)} test items in {num_clusters(items)} clusters, worth {effective_items(items):.0f} independent ones"
    try:
        found = smallest_difference(items, accuracy)
    except ValueError as error:
        power = Check(part="data", name="power", status="warn", detail=f"{told}: {error}")
    else:
        detail = (
            f"{told}, show a difference of {100 * found:.1f} points in {POWER:.0%} of sweeps "
            f"(expected accuracy {accuracy:g}, discordance {discordance(accuracy):.2f} assumed)"
        )
        power = Check(part="data", name="power", status="warn" if found > LARGEST_DIFFERENCE else "pass", detail=detail)
    return power, _margin_check(items, accuracy, margin)


def smallest_difference(items: Sequence[Example], accuracy: float = EXPECTED_ACCURACY) -> float:
    """The smallest paired difference that 80 % of sweeps show. Raises ValueError when no difference could be."""
    return minimum_detectable_difference(int(effective_items(items)), discordance(accuracy), POWER)


def discordance(accuracy: float) -> float:
    """The assumed share of items that exactly one of two runs answers right: half of what chance would give."""
    if not 0.0 < accuracy < 1.0:
        raise ValueError(f"the expected accuracy is in (0, 1), got {accuracy}")
    return accuracy * (1.0 - accuracy)


def effective_items(items: Sequence[Example]) -> float:
    """How many independent items `items` are worth."""
    sizes = Counter(item.cluster or item.id for item in items).values()
    if not items:
        return 0.0
    mean_size = sum(size * size for size in sizes) / len(items)
    return len(items) / (1.0 + (mean_size - 1.0) * CLUSTER_CORRELATION)


def num_clusters(items: Sequence[Example]) -> int:
    """Clusters, items of none counted one by one."""
    return len({item.cluster or item.id for item in items})


def items_for_margin(items: Sequence[Example], accuracy: float, margin: float) -> int:
    """Items, clustered as `items` are, by which a candidate that is just as good passes the gate in 80 % of cases."""
    needed = sample_size_non_inferiority(margin, discordance(accuracy), power=POWER)
    return round(needed * len(items) / effective_items(items)) if items else needed


def _margin_check(items: Sequence[Example], accuracy: float, margin: float) -> Check:
    needed = items_for_margin(items, accuracy, margin)
    enough = len(items) >= needed
    detail = f"a gate with margin {margin:g} needs about {needed:,} such items, there are {len(items):,}"
    if not enough:
        possible = next(
            (m / 100 for m in range(1, 100) if items_for_margin(items, accuracy, m / 100) <= len(items)), None
        )
        told = f"a margin of {possible:g} is the smallest they decide" if possible else "they decide no margin"
        detail += f": most candidates would be INCONCLUSIVE; {told}"
    return Check(part="data", name="gate margin", status="pass" if enough else "warn", detail=detail)
