"""Paired tests and intervals, against brute-force likelihoods, enumeration, scipy and published examples."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import ttest_rel

from harness import stats
from harness.stats.noninferiority import design_effect


def score_statistic_by_maximising_the_likelihood(b: int, c: int, n: int, difference: float) -> float:
    """Tango's statistic with the nuisance parameter found by search, not by his quadratic."""

    def log_likelihood(p_c: float) -> float:
        p_b, rest = p_c + difference, 1 - 2 * p_c - difference
        terms = ((b, p_b), (c, p_c), (n - b - c, rest))
        if any(p < 0 or (k > 0 and p <= 0) for k, p in terms):
            return -math.inf
        return sum(k * math.log(p) for k, p in terms if k)

    low, high = max(0.0, -difference), (1 - difference) / 2
    grid = np.linspace(low, high, 4001)
    peak = grid[int(np.argmax([log_likelihood(p) for p in grid]))]
    step = (high - low) / 4000
    found = minimize_scalar(
        lambda p: -log_likelihood(p),
        bounds=(max(low, peak - step), min(high, peak + step)),
        method="bounded",
        options={"xatol": 1e-13},
    )
    p_c = max((found.x, peak, low, high), key=log_likelihood)
    return (b - c - n * difference) / math.sqrt(n * (2 * p_c + difference * (1 - difference)))


TABLES = [(12, 2, 50), (0, 0, 10), (5, 0, 30), (0, 7, 40), (1, 0, 1), (3, 3, 9), (40, 20, 160), (1, 30, 200)]


@pytest.mark.parametrize(("b", "c", "n"), TABLES)
def test_tango_limits_are_where_the_searched_score_statistic_is_z(b: int, c: int, n: int) -> None:
    low, high = stats.tango_interval(b, c, n)
    if low > -1:
        assert score_statistic_by_maximising_the_likelihood(b, c, n, low) == pytest.approx(1.959964, abs=1e-4)
    if high < 1:
        assert score_statistic_by_maximising_the_likelihood(b, c, n, high) == pytest.approx(-1.959964, abs=1e-4)
    assert -1 <= low <= (b - c) / n <= high <= 1


def test_ten_identical_items_are_not_certainty() -> None:
    z2 = 1.959963984540054**2
    assert stats.tango_interval(0, 0, 10) == pytest.approx((-z2 / (10 + z2), z2 / (10 + z2)))
    assert stats.tango_interval(0, 0, 10)[1] == pytest.approx(0.2775, abs=1e-4)


def test_tango_handles_full_and_empty_tables() -> None:
    assert stats.tango_interval(10, 0, 10)[1] == 1.0
    assert stats.tango_interval(0, 10, 10)[0] == -1.0
    assert stats.tango_interval(0, 0, 0) == (-1.0, 1.0)
    assert stats.tango_p_value(0, 0, 0, 0.1) == (1.0, 1.0)


@pytest.mark.parametrize(("b", "c", "n"), TABLES)
def test_swapping_the_sides_mirrors_the_interval(b: int, c: int, n: int) -> None:
    low, high = stats.tango_interval(b, c, n, 0.9)
    assert stats.tango_interval(c, b, n, 0.9) == pytest.approx((-high, -low), abs=1e-9)


def test_the_one_sided_score_tests_agree_with_the_interval() -> None:
    _, high = stats.tango_interval(3, 9, 120)
    assert stats.tango_p_value(3, 9, 120, high)[0] == pytest.approx(0.025, abs=1e-8)
    low, _ = stats.tango_interval(3, 9, 120)
    assert stats.tango_p_value(3, 9, 120, low)[1] == pytest.approx(0.025, abs=1e-8)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (3, 9), (9, 3), (0, 12), (17, 4)])
def test_mcnemar_equals_enumerating_every_sign(b: int, c: int) -> None:
    distance = abs(b - c)
    signs = [abs(sum(flips)) for flips in product((-1, 1), repeat=b + c)] if b + c <= 14 else None
    if signs is None:
        expected = 2 * sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    else:
        expected = sum(value >= distance for value in signs) / len(signs)
    assert stats.mcnemar_exact(b, c) == pytest.approx(min(1.0, expected))


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (3, 9), (9, 3), (0, 12), (6, 1)])
def test_the_mid_p_counts_half_of_the_observed_table(b: int, c: int) -> None:
    mass = [math.comb(b + c, k) / 2 ** (b + c) for k in range(b + c + 1)]
    half = sum(mass[: min(b, c)]) + mass[min(b, c)] / 2
    assert stats.mcnemar_exact(b, c, mid_p=True) == pytest.approx(min(1.0, 2 * half) if b + c else 1.0)


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot exceed n"):
        stats.tango_interval(3, 3, 5)
    with pytest.raises(ValueError, match="negative"):
        stats.mcnemar_exact(-1, 2)


def test_paired_difference_is_the_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.random(40), generator.random(40)
    ours, theirs = stats.paired_difference(a, b), ttest_rel(a, b)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high, ours.p_value) == pytest.approx((interval.low, interval.high, theirs.pvalue))


def test_paired_difference_clusters_like_the_clustered_error_of_the_differences() -> None:
    a, b, groups = [1, 1, 0, 1, 0, 1], [0, 1, 0, 0, 1, 1], list("aabbcc")
    ours = stats.paired_difference(a, b, groups)
    assert ours.standard_error == stats.clustered_standard_error([x - y for x, y in zip(a, b, strict=True)], groups)
    assert ours.num_clusters == 3


def test_pairs_with_an_ungraded_side_are_left_out_and_counted() -> None:
    result = stats.paired_difference([1, None, 0, 1], [0, 1, float("nan"), 1])
    assert (result.n, result.ungraded, result.difference) == (2, 2, 0.5)
    table = stats.paired_counts([1, None, 0, 1], [0, 1, 0, 1])
    assert (table.only_a, table.only_b, table.both_right, table.both_wrong, table.ungraded, table.n) == (
        1,
        0,
        1,
        1,
        1,
        3,
    )


def test_identical_answers_keep_an_interval_with_width() -> None:
    result = stats.paired_difference([1.0] * 10, [1.0] * 10)
    assert (result.difference, result.standard_error, result.p_value) == (0.0, 0.0, 1.0)
    assert (result.low, result.high) == pytest.approx(stats.tango_interval(0, 0, 10))


def test_a_constant_gain_gets_the_sign_test_and_stays_in_range() -> None:
    result = stats.paired_difference([1] * 8, [0] * 8)
    assert result.p_value == pytest.approx(stats.mcnemar_exact(8, 0))
    assert 0 < result.low < result.high == 1.0


def test_constant_differences_of_unbounded_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="not in \\[0, 1\\]"):
        stats.paired_difference([5.0, 6.0], [4.0, 5.0])


def test_unequal_lengths_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="pair_by_id"):
        stats.paired_difference([1, 0], [1])


def test_items_pair_by_id_and_the_intersection_is_stated() -> None:
    pairs = stats.pair_by_id({"x": 1.0, "y": None, "z": 0.0}, {"z": 1.0, "y": 1.0, "w": 0.0}, minimum_coverage=0.5)
    assert (pairs.ids, pairs.a, pairs.b) == (("y", "z"), (None, 0.0), (1.0, 1.0))
    assert (pairs.only_a, pairs.only_b, pairs.coverage) == (("x",), ("w",), 0.5)


@pytest.mark.parametrize(("a", "b"), [({}, {}), ({"x": 1.0}, {"y": 1.0}), ({"x": 1.0, "y": 1.0}, {"x": 1.0})])
def test_coverage_below_the_limit_is_refused(a: dict[str, float | None], b: dict[str, float | None]) -> None:
    with pytest.raises(ValueError, match="below the limit"):
        stats.pair_by_id(a, b)


def test_the_paired_interval_is_tango_for_binary_scores() -> None:
    a, b = [1] * 30 + [0] * 10 + [1] * 10, [1] * 30 + [1] * 3 + [0] * 7 + [0] * 10
    assert stats.paired_interval(a, b) == pytest.approx(stats.tango_interval(10, 3, 50))


@pytest.mark.parametrize(
    ("lost", "gained", "n", "decision"),
    [(0, 0, 10, "INCONCLUSIVE"), (0, 0, 400, "PASS"), (60, 0, 400, "FAIL"), (12, 4, 400, "INCONCLUSIVE")],
)
def test_non_inferiority_decides_by_the_interval(lost: int, gained: int, n: int, decision: str) -> None:
    baseline = [1] * lost + [0] * gained + [1] * (n - lost - gained)
    candidate = [0] * lost + [1] * gained + [1] * (n - lost - gained)
    result = stats.non_inferiority(candidate, baseline, 0.02)
    assert result.decision == decision
    assert (result.low, result.high) == pytest.approx(stats.tango_interval(lost, gained, n))
    assert (result.high < 0.02, result.low > 0.02) == (decision == "PASS", decision == "FAIL")


def test_a_few_fully_correlated_clusters_cannot_pass() -> None:
    clusters = [f"db{k // 50}" for k in range(400)]
    assert stats.non_inferiority([1] * 400, [1] * 400, 0.02).decision == "PASS"
    assert stats.non_inferiority([1] * 400, [1] * 400, 0.02, clusters).decision == "INCONCLUSIVE"


def test_identical_partial_scores_are_not_certainty_either() -> None:
    assert stats.non_inferiority([0.5] * 20, [0.5] * 20, 0.02).decision == "INCONCLUSIVE"


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.0, float("nan")])
def test_a_margin_outside_zero_and_one_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        stats.non_inferiority([1, 0, 1], [1, 1, 1], margin)


def test_the_ungraded_share_counts_none_and_nan() -> None:
    assert stats.ungraded_share([1, None, float("nan"), 0]) == 0.5
    assert stats.ungraded_share([]) == 0.0


def test_the_design_effect_starts_from_full_correlation_and_follows_the_data() -> None:
    codes = np.repeat(np.arange(40), 5)
    assert design_effect(np.zeros(200), codes) == pytest.approx(5.0)
    together = np.repeat(np.array([1.0] * 4 + [-1.0] * 4 + [0.0] * 32), 5)
    assert design_effect(together, codes) == pytest.approx(5.0)
    apart = np.zeros(200)
    apart[::5] = np.tile([1.0, -1.0], 20)
    assert 1.0 <= design_effect(apart, codes) < 1.2


def test_the_p_value_of_a_pair_agrees_with_its_interval() -> None:
    generator = np.random.default_rng(12)
    for _ in range(40):
        a, b = (generator.random((2, 80)) < 0.5).astype(float)
        labels = [f"c{place // 4}" for place in range(80)]
        for clusters in (None, labels):
            low, high = stats.paired_interval(a, b, clusters)
            assert (stats.paired_p_value(a, b, clusters) < 0.05) == (not low <= 0 <= high)
