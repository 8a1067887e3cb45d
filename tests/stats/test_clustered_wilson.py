"""Wilson's interval for items that are not independent, against a second implementation."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm, t

from harness.stats import clustered_wilson_interval, wilson_interval


def _by_hand(groups: list[list[int]]) -> tuple[float, float]:
    values = [value for group in groups for value in group]
    n, g, p = len(values), len(groups), sum(values) / len(values)
    effect = 1.0
    if 0 < p < 1:
        squares = sum(sum(value - p for value in group) ** 2 for group in groups)
        effect = max(1.0, (g / (g - 1) * squares / n) / (p * (1 - p)))
    m = n / effect * (t.ppf(0.975, n - 1) / t.ppf(0.975, g - 1)) ** 2
    z = norm.ppf(0.975)
    centre = (p + z * z / (2 * m)) / (1 + z * z / m)
    reach = z / (1 + z * z / m) * math.sqrt(p * (1 - p) / m + z * z / (4 * m * m))
    return centre - reach, centre + reach


@pytest.mark.parametrize(
    "groups",
    [
        [[1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 0, 1]],
        [[1, 0], [0, 1], [1, 1, 0], [0], [1, 0, 0]],
        [[0] * 20, [0] * 20, [0] * 20],
        [[1] * 5, [1] * 5],
        [[1, 0] * 10, [1, 0] * 10, [0, 1] * 10],
    ],
)
def test_it_equals_the_formula_by_hand(groups: list[list[int]]) -> None:
    scores = [float(value) for group in groups for value in group]
    clusters = [str(index) for index, group in enumerate(groups) for _ in group]
    assert clustered_wilson_interval(scores, clusters) == pytest.approx(_by_hand(groups), abs=1e-9)


def test_items_of_their_own_get_the_plain_interval() -> None:
    scores = [1.0, 0.0, 1.0, None, 1.0]
    assert clustered_wilson_interval(scores) == wilson_interval(3, 4)
    assert clustered_wilson_interval(scores, ["a", "b", "c", "d", "e"]) == wilson_interval(3, 4)


def test_all_wrong_in_few_clusters_is_less_certain_than_all_wrong_in_many() -> None:
    few = clustered_wilson_interval([0.0] * 60, [str(i % 3) for i in range(60)])[1]
    many = clustered_wilson_interval([0.0] * 60, [str(i % 30) for i in range(60)])[1]
    assert few > many > wilson_interval(0, 60)[1]


@pytest.mark.parametrize("scores", [[], [None], [1.0, 1.0, 0.0]])
def test_one_cluster_or_no_graded_item_says_nothing(scores: list[float | None]) -> None:
    assert clustered_wilson_interval(scores, ["a"] * len(scores)) == (0.0, 1.0)


def test_partial_credit_is_refused() -> None:
    with pytest.raises(ValueError, match="mean_interval"):
        clustered_wilson_interval([0.5, 1.0], ["a", "b"])
