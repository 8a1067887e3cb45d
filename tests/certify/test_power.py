"""What a test split can show, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from harness.certify_power import (
    discordance,
    effective_items,
    items_for_margin,
    power_checks,
    smallest_difference,
)
from harness.core import Example
from harness.stats import power_paired, sample_size_non_inferiority


def items(count: int, clusters: int = 0) -> list[Example]:
    return [
        Example(id=f"i{n}", inputs={}, gold="x", cluster=f"c{n % clusters}" if clusters else "") for n in range(count)
    ]


def test_items_without_clusters_count_in_full() -> None:
    assert effective_items(items(200)) == 200
    assert effective_items([]) == 0


def test_a_hundred_items_of_eight_databases_are_worth_less_than_half() -> None:
    assert effective_items(items(100, 8)) == pytest.approx(100 / (1 + (12.52 - 1) * 0.1), rel=1e-3)


def test_the_smallest_difference_is_found_with_the_stated_power() -> None:
    found = smallest_difference(items(400), 0.7)
    assert power_paired(400, found, discordance(0.7)) == pytest.approx(0.8, abs=1e-6)


def test_the_items_for_a_margin_grow_with_the_clustering() -> None:
    needed = sample_size_non_inferiority(0.05, 0.21)
    assert items_for_margin(items(100), 0.7, 0.05) == needed
    assert items_for_margin(items(100, 8), 0.7, 0.05) == pytest.approx(needed * (1 + 11.52 * 0.1), rel=1e-3)


@pytest.mark.parametrize(
    ("count", "margin", "power", "gate", "says"),
    [
        (50, 0.02, "warn", "warn", "a margin of 0.18 is the smallest they decide"),
        (400, 0.05, "pass", "warn", "a gate with margin 0.05 needs about"),
        (5000, 0.02, "pass", "pass", "there are 5,000"),
        (2, 0.02, "warn", "warn", "a margin of 0.82 is the smallest they decide"),
    ],
)
def test_too_few_items_are_a_warning_before_training(
    count: int, margin: float, power: str, gate: str, says: str
) -> None:
    checks = power_checks(items(count), 0.7, margin)
    assert [check.status for check in checks] == [power, gate]
    assert says in checks[1].detail


def test_an_expected_accuracy_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"in \(0, 1\)"):
        discordance(1.0)
