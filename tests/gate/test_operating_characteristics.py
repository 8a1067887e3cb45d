"""The gate's error rates stay at or below what it states."""

from __future__ import annotations

import math

import pytest

from harness.stats.paired import tango_z
from tests.gate.operating_characteristics import AT_THE_MARGIN, MARGIN, World, rates


def no_higher_than(rate: float, observed: float, repetitions: int) -> bool:
    """Whether `observed` is within three standard errors above `rate`."""
    return observed <= rate + 3 * math.sqrt(rate * (1 - rate) / repetitions)


@pytest.mark.parametrize(
    "world",
    [
        World(n=200, drop=MARGIN, discordance=0.02),
        World(n=200, drop=MARGIN, discordance=0.05, cluster_size=5, correlation=0.5),
    ],
)
def test_false_verdicts_at_the_margin_are_rare_in_a_short_simulation(world: World) -> None:
    found = rates(world, 150)
    assert no_higher_than(0.05, found["PASS"], 150)
    assert no_higher_than(0.05, found["FAIL"], 150)


@pytest.mark.slow
@pytest.mark.parametrize("world", AT_THE_MARGIN)
def test_false_pass_at_the_margin_is_at_most_five_percent(world: World) -> None:
    found = rates(world, 1000, seed=1)
    assert found["PASS"] <= 0.05
    assert no_higher_than(0.05, found["FAIL"], 1000)


@pytest.mark.parametrize("n", [20, 50, 100, 150, 200, 300])
@pytest.mark.parametrize("discordance", [0.02, 0.03, 0.05, 0.1, 0.3])
def test_false_pass_of_independent_items_by_exact_enumeration(n: int, discordance: float) -> None:
    """Every table (lost, gained) with its multinomial mass: no simulation error."""
    from scipy.stats import binom, norm

    lost_share = (discordance + MARGIN) / 2
    lost_mass = binom.pmf(range(n + 1), n, lost_share)
    false_pass = 0.0
    for lost in range(n + 1):
        if lost_mass[lost] < 1e-9:
            continue
        mass = binom.pmf(range(n - lost + 1), n - lost, (discordance - lost_share) / (1 - lost_share))
        # more gains only make PASS surer: walk down from the most, and stop at the first that does not pass
        for gained in range(n - lost, -1, -1):
            if mass[gained] * lost_mass[lost] > 1e-12:
                if norm.cdf(tango_z(lost, gained, n, MARGIN)) >= 0.025:
                    break
                false_pass += mass[gained] * lost_mass[lost]
    assert false_pass <= 0.05
    assert false_pass > 0 or n < 200  # from there on identical answers pass: z^2 / (n + z^2) < 0.02
