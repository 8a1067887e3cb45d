"""Intervals for one proportion and errors of a mean, against brute force, statsmodels OLS and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

from harness import stats


def wilson_by_inverting_the_score_test(successes: int, n: int) -> tuple[float, float]:
    def z(p: float) -> float:
        return (successes / n - p) / math.sqrt(p * (1 - p) / n)

    low = 0.0 if successes == 0 else brentq(lambda p: z(p) - 1.959963984540054, 1e-12, successes / n - 1e-12)
    high = 1.0 if successes == n else brentq(lambda p: z(p) + 1.959963984540054, successes / n + 1e-12, 1 - 1e-12)
    return low, high


def exact_by_inverting_binomial_tails(successes: int, n: int) -> tuple[float, float]:
    low = 0.0 if successes == 0 else brentq(lambda p: binom.sf(successes - 1, n, p) - 0.025, 1e-12, 1 - 1e-12)
    high = 1.0 if successes == n else brentq(lambda p: binom.cdf(successes, n, p) - 0.025, 1e-12, 1 - 1e-12)
    return low, high


CASES = [(0, 1), (1, 1), (0, 10), (10, 10), (3, 10), (81, 263), (15, 148), (0, 20), (1, 29), (499, 500)]


@pytest.mark.parametrize(("successes", "n"), CASES)
def test_wilson_inverts_the_score_test(successes: int, n: int) -> None:
    assert stats.wilson_interval(successes, n) == pytest.approx(
        wilson_by_inverting_the_score_test(successes, n), abs=1e-9
    )


@pytest.mark.parametrize(("successes", "n"), CASES)
def test_clopper_pearson_inverts_both_binomial_tails(successes: int, n: int) -> None:
    assert stats.clopper_pearson_interval(successes, n) == pytest.approx(
        exact_by_inverting_binomial_tails(successes, n), abs=1e-9
    )


def test_the_intervals_match_newcombe_1998_table_1() -> None:
    assert stats.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert stats.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert stats.clopper_pearson_interval(81, 263) == pytest.approx((0.2527, 0.3676), abs=5e-5)
    assert stats.clopper_pearson_interval(1, 29) == pytest.approx((0.0009, 0.1776), abs=5e-5)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2535, 0.3682), (15, 148, 0.0598, 0.1644), (0, 20, 0.0, 0.2005), (1, 29, 0.0018, 0.1963)],
)
def test_the_continuity_correction_is_newcombes_method_4(successes: int, n: int, low: float, high: float) -> None:
    assert stats.wilson_interval(successes, n, continuity=True) == pytest.approx((low, high), abs=5e-5)


def test_nothing_observed_leaves_everything_possible() -> None:
    assert stats.wilson_interval(0, 0) == (0.0, 1.0)
    assert stats.clopper_pearson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "n"), [(2, 1), (-1, 3), (1.5, 3), (1, -1), ("1", 3)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=r"successes|whole|negative"):
        stats.wilson_interval(successes, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_a_confidence_outside_zero_and_one_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        stats.wilson_interval(1, 2, confidence)


def test_the_mean_leaves_ungraded_items_out() -> None:
    mean, error = stats.mean_and_error([1, 0, None, 1, float("nan"), 1])
    assert mean == 0.75
    assert error == pytest.approx(math.sqrt(3 * 0.0625 + 0.5625) / math.sqrt(3) / 2)


@pytest.mark.parametrize("scores", [[], [1.0], [None, None, 0.5], [float("nan")] * 3])
def test_below_two_graded_scores_there_is_no_error_bar(scores: list[float | None]) -> None:
    with pytest.raises(ValueError, match="at least two graded"):
        stats.mean_and_error(scores)


@pytest.mark.parametrize("bad", [[1.0, math.inf], [0.0, "1"], [1.0, object()]])
def test_a_score_that_is_no_finite_number_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"finite|number"):
        stats.mean_and_error(bad)


@pytest.mark.parametrize("scores", [[0, 0, 0], [1, 1, 1]])
def test_all_equal_scores_have_error_zero(scores: list[float]) -> None:
    assert stats.mean_and_error(scores) == (scores[0], 0.0)


def test_clustered_error_equals_statsmodels_cluster_robust_ols() -> None:
    import statsmodels.api as sm

    generator = np.random.default_rng(3)
    groups = generator.integers(0, 17, size=120)
    scores = (generator.random(120) < 0.3 + 0.4 * (groups % 2)).astype(float)
    fitted = sm.OLS(scores, np.ones(120)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert stats.clustered_standard_error(scores, groups.tolist()) == pytest.approx(float(fitted.bse[0]), rel=1e-12)


def test_clustered_error_is_miller_2024_up_to_its_stated_factor() -> None:
    scores, clusters = [1, 1, 0, 0, 1, 0, 1, 1], ["a", "a", "b", "b", "c", "c", "d", "d"]
    mean, n = sum(scores) / 8, 8
    variance = sum(
        (scores[i] - mean) * (scores[j] - mean) for i in range(n) for j in range(n) if clusters[i] == clusters[j]
    )
    assert stats.clustered_standard_error(scores, clusters) == pytest.approx(math.sqrt(variance * 4 / 3) / n)
    assert stats.clustered_standard_error(scores, clusters, correction="CR0") == pytest.approx(math.sqrt(variance) / n)


def test_clusters_of_one_give_the_plain_error() -> None:
    scores = [0.2, 0.9, 0.4, 1.0, 0.0]
    plain = stats.mean_and_error(scores)[1]
    assert stats.clustered_standard_error(scores, list("abcde")) == pytest.approx(plain)
    assert stats.clustered_standard_error(scores, ["", None, "", None, "x"]) == pytest.approx(plain)


def test_one_cluster_has_no_error_and_is_refused() -> None:
    with pytest.raises(ValueError, match="two independent clusters"):
        stats.clustered_standard_error([1, 0, 1], ["db", "db", "db"])
    with pytest.raises(ValueError, match="one cluster label an item"):
        stats.clustered_standard_error([1, 0, 1], ["db"])


def test_the_mean_interval_is_students() -> None:
    from scipy.stats import ttest_1samp

    scores = [0.1, 0.5, 0.9, 0.3, 0.8]
    expected = ttest_1samp(scores, 0.0).confidence_interval(0.9)
    assert stats.mean_interval(scores, confidence=0.9) == pytest.approx((expected.low, expected.high))


def test_seed_variance_has_k_minus_one_degrees_of_freedom() -> None:
    import statistics

    scores = [0.71, 0.74, 0.69]
    spread = stats.seed_variance([*scores, None])
    assert spread.num_seeds == 3
    assert spread.variance == pytest.approx(statistics.variance(scores))
    assert spread.high is not None
    assert spread.high - spread.mean == pytest.approx(4.302652729911275 * statistics.stdev(scores) / math.sqrt(3))


def test_one_seed_is_not_measured() -> None:
    spread = stats.seed_variance([0.7])
    assert (str(spread), spread.variance, spread.low) == ("not measured", None, None)
    with pytest.raises(ValueError, match="at least one seed"):
        stats.seed_variance([None])


def test_binary_counts_refuse_partial_credit() -> None:
    assert stats.binary_counts([1, 0, None, True]) == (2, 3)
    with pytest.raises(ValueError, match="partial credit"):
        stats.binary_counts([0.5, 1])
