"""Bootstrap, adjusted p-values and the winner's curse, against exact enumeration and plain loops."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, t

from harness import stats


def test_the_bootstrap_agrees_with_every_resample_of_four_items() -> None:
    scores = [0.0, 0.2, 0.7, 1.0]
    means = [sum(draw) / 4 for draw in product(scores, repeat=4)]
    result = stats.cluster_bootstrap(scores, resamples=40_000, seed=1)
    assert result.estimate == pytest.approx(0.475)
    assert result.standard_error == pytest.approx(float(np.std(means)), rel=0.02)
    assert (result.low, result.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.03)


def test_whole_clusters_are_drawn() -> None:
    scores, clusters = [1, 1, 1, 0, 0, 1], list("aaabbc")
    blocks = {"a": [1, 1, 1], "b": [0, 0], "c": [1]}
    means = [np.concatenate([blocks[key] for key in draw]).mean() for draw in product("abc", repeat=3)]
    result = stats.cluster_bootstrap(scores, clusters, resamples=40_000)
    assert result.standard_error == pytest.approx(float(np.std(means)), rel=0.02)
    assert result.num_clusters == 3


def test_one_seed_gives_one_answer_and_another_seed_another() -> None:
    a, b = np.random.default_rng(5).random((2, 50))
    first = stats.paired_bootstrap(a, b, seed=7)
    assert first == stats.paired_bootstrap(a, b, seed=7)
    assert first.low != stats.paired_bootstrap(a, b, seed=8).low


def test_the_paired_bootstrap_is_near_the_paired_error() -> None:
    generator = np.random.default_rng(2)
    a, b = (generator.random((2, 300)) < 0.6).astype(float)
    assert stats.paired_bootstrap(a, b).standard_error == pytest.approx(
        stats.paired_difference(a, b).standard_error, rel=0.03
    )


def test_a_bootstrap_of_one_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="two graded clusters"):
        stats.cluster_bootstrap([1, 0], ["a", "a"])


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.2, 0.2], [0.0, 1.0, 0.049]])
def test_holm_and_benjamini_hochberg_match_statsmodels(p_values: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    assert stats.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert stats.benjamini_hochberg(p_values) == pytest.approx(multipletests(p_values, method="fdr_bh")[1])


def test_no_p_values_are_no_claims_and_bad_ones_are_refused() -> None:
    assert stats.holm([]) == []
    for bad in ([0.1, math.nan], [1.2], [-0.1]):
        with pytest.raises(ValueError, match="in \\[0, 1\\]"):
            stats.holm(bad)


def test_max_t_of_one_row_is_students_test() -> None:
    row = np.random.default_rng(4).normal(0.3, 1, size=30)
    result = stats.max_t([row])
    reference = 2 * t.sf(abs(result.statistics[0]), 29)
    assert result.adjusted_p_values[0] == pytest.approx(reference, abs=0.005)
    assert result.critical_value == pytest.approx(t.isf(0.025, 29), rel=0.02)


def test_max_t_of_independent_rows_is_sidak_and_of_identical_rows_is_no_correction() -> None:
    generator = np.random.default_rng(6)
    rows = generator.normal(size=(5, 4000))
    assert stats.max_t(rows.tolist()).critical_value == pytest.approx(norm.isf((1 - 0.95 ** (1 / 5)) / 2), rel=0.02)
    assert stats.max_t([rows[0]] * 5).critical_value == pytest.approx(1.96, rel=0.02)


def test_rows_without_spread_get_the_sign_test() -> None:
    result = stats.max_t([[1] * 6, [0] * 6], alternative="two-sided")
    assert result.adjusted_p_values[0] == pytest.approx(1 - (1 - 2 / 2**6) ** 2, abs=0.04)
    assert result.adjusted_p_values[1] == 1.0


def test_the_best_set_keeps_equals_and_drops_the_clearly_worse() -> None:
    generator = np.random.default_rng(8)
    good = (generator.random(400) < 0.8).astype(float)
    twin = good.copy()
    twin[:10] = 1 - twin[:10]
    bad = np.where(generator.random(400) < 0.3, 0.0, good)
    result = stats.best_set([bad, good, twin])
    assert set(result.members) == {1, 2}
    assert result.p_values[0] < 0.001
    assert stats.best_set([good]).members == (0,)


def test_the_best_set_keeps_each_of_six_equal_runs_at_its_level() -> None:
    generator = np.random.default_rng(9)
    kept = 0
    for _ in range(200):
        item = generator.random(150)
        rows = [((item + generator.normal(0, 0.2, 150)) < 0.6).astype(float) for _ in range(6)]
        kept += len(stats.best_set(rows, draws=2000).members)
    assert kept / 1200 >= 0.93  # 95 % less the noise of 200 trials


@pytest.mark.parametrize("compare", [stats.max_t, stats.best_set, stats.bootstrap_optimism])
@pytest.mark.parametrize("rows", [[[], []], [[None, 1.0], [1.0, None]], [[1.0], [0.0]]])
def test_rows_that_share_no_two_graded_items_are_refused(compare: Any, rows: list[list[float | None]]) -> None:
    with pytest.raises(ValueError, match=r"two .*clusters"):
        compare(rows)


def test_winners_curse_of_twelve_equal_runs_is_5_8_points() -> None:
    assert stats.expected_best_of(12, 200, 0.5) == pytest.approx(0.058, abs=5e-4)
    assert stats.expected_best_of(1, 50, 0.3) == pytest.approx(0.0, abs=1e-12)
    assert stats.expected_best_of(9, 50, 1.0) == 0.0


def test_winners_curse_equals_enumerating_small_binomials() -> None:
    n, p = 3, 0.4
    mass = [math.comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)]
    expected = sum(mass[x] * mass[y] * mass[z] * max(x, y, z) for x, y, z in product(range(n + 1), repeat=3))
    assert stats.expected_best_of(3, n, p) == pytest.approx(expected / n - p)


def test_bootstrap_optimism_is_zero_for_one_run_and_grows_with_equals() -> None:
    generator = np.random.default_rng(10)
    rows = (generator.random((12, 200)) < 0.5).astype(float)
    assert stats.bootstrap_optimism([rows[0]]).expected == pytest.approx(0.0, abs=0.005)
    assert 0.02 < stats.bootstrap_optimism(rows.tolist()).expected < 0.06
