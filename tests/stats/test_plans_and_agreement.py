"""Power, agreement and prediction-powered means, against simulation, enumeration and published tables."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from harness import stats


def mcnemar_power_by_enumeration(n: int, difference: float, discordance: float) -> float:
    p_b, p_c = (discordance + difference) / 2, (discordance - difference) / 2
    total = 0.0
    for b, c in product(range(n + 1), repeat=2):
        if b + c > n:
            continue
        mass = math.comb(n, b) * math.comb(n - b, c) * p_b**b * p_c**c * (1 - p_b - p_c) ** (n - b - c)
        tail = 2 * sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
        total += mass * (b + c > 0 and min(1.0, tail) <= 0.05)
    return total


@pytest.mark.parametrize(("n", "difference", "discordance"), [(10, 0.3, 0.4), (25, 0.2, 0.2), (30, 0.0, 0.5)])
def test_exact_power_equals_enumerating_every_table(n: int, difference: float, discordance: float) -> None:
    assert stats.power_mcnemar_exact(n, difference, discordance) == pytest.approx(
        mcnemar_power_by_enumeration(n, difference, discordance), abs=1e-9
    )


def test_sample_size_matches_connor_1987_and_reaches_its_power() -> None:
    # (1.959964 sqrt(.3) + .841621 sqrt(.3 - .01))^2 / .01, by hand: 233.09
    n = stats.sample_size_paired(0.1, 0.3)
    assert n == 234
    assert stats.power_paired(n, 0.1, 0.3) >= 0.8 > stats.power_paired(n - 1, 0.1, 0.3)


def test_the_detectable_difference_inverts_the_power() -> None:
    difference = stats.minimum_detectable_difference(300, 0.2)
    assert stats.power_paired(300, difference, 0.2) == pytest.approx(0.8, abs=1e-9)


def test_a_small_discordance_is_raised_to_the_difference() -> None:
    difference = stats.minimum_detectable_difference(50, 0.01)
    assert difference > 0.01
    assert stats.power_paired(50, difference, difference) == pytest.approx(0.8, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.sample_size_paired(0.0, 0.2), "difference of 0"),
        (lambda: stats.power_paired(10, 0.3, 0.2), "discordant"),
        (lambda: stats.minimum_detectable_difference(2, 0.2), "cannot show any difference"),
        (lambda: stats.sample_size_non_inferiority(0.02, 0.1, drop=0.02), "undecidable"),
        (lambda: stats.sample_size_non_inferiority(0.02, 0.1, drop=0.0199999), "items"),
        (lambda: stats.power_paired(10, 0.1, 1.2), "discordance is in"),
    ],
)
def test_plans_that_cannot_be_are_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("drop", [0.0, 0.06])
def test_the_non_inferiority_size_reaches_about_its_power(drop: float) -> None:
    n = stats.sample_size_non_inferiority(0.03, 0.1, drop=drop)
    generator = np.random.default_rng(0)
    shares = [(0.1 + drop) / 2, (0.1 - drop) / 2, 0.9]
    p_values = [stats.tango_p_value(b, c, n, 0.03) for b, c, _ in generator.multinomial(n, shares, size=600)]
    decided = [at_least < 0.025 if drop < 0.03 else at_most < 0.025 for at_least, at_most in p_values]
    assert np.mean(decided) == pytest.approx(0.8, abs=0.06)


def labels_of(table: list[list[int]]) -> tuple[list[int], list[int]]:
    cells = [(i, j) for i, row in enumerate(table) for j, times in enumerate(row) for _ in range(times)]
    return [i for i, _ in cells], [j for _, j in cells]


def test_cohen_kappa_matches_the_worked_example_of_two_readers() -> None:
    result = stats.cohen_kappa(*labels_of([[20, 5], [10, 15]]))  # observed .7, expected .5
    assert result.kappa == pytest.approx(0.4)
    assert result.observed == pytest.approx(0.7)


def test_cohen_kappa_interval_matches_a_bootstrap() -> None:
    a, b = (np.array(side) for side in labels_of([[60, 10, 5], [8, 70, 6], [4, 9, 40]]))
    result = stats.cohen_kappa(a.tolist(), b.tolist())
    generator = np.random.default_rng(0)
    values = []
    for _ in range(1500):
        drawn = generator.integers(0, len(a), len(a))
        x, y = a[drawn], b[drawn]
        expected = sum((x == k).mean() * (y == k).mean() for k in range(3))
        values.append(((x == y).mean() - expected) / (1 - expected))
    assert result.standard_error == pytest.approx(float(np.std(values)), rel=0.1)


def test_perfect_agreement_on_few_items_is_not_certainty() -> None:
    result = stats.cohen_kappa([1, 0, 1, 0], [1, 0, 1, 0])
    assert (result.kappa, result.high) == (1.0, 1.0)
    assert result.low is not None
    assert result.low < 0.5


@pytest.mark.parametrize("rate", [stats.cohen_kappa, lambda a, b: stats.fleiss_kappa(list(zip(a, b, strict=True)))])
def test_agreement_on_a_single_label_is_undefined(rate: object) -> None:
    result = rate(["yes"] * 5, ["yes"] * 5)  # type: ignore[operator]
    assert (result.kappa, result.low, result.high, result.observed) == (None, None, None, 1.0)


def test_items_a_rater_left_out_are_excluded_and_counted() -> None:
    result = stats.cohen_kappa([1, None, 0, 1], [1, 1, 0, float("nan")])
    assert (result.n, result.excluded) == (2, 2)
    with pytest.raises(ValueError, match="at least one item"):
        stats.cohen_kappa([None], [1])


def test_cohen_kappa_and_its_error_equal_statsmodels() -> None:
    from statsmodels.stats.inter_rater import cohens_kappa

    generator = np.random.default_rng(21)
    for num_labels in (2, 3, 5):
        a = generator.integers(0, num_labels, 80)
        b = np.where(generator.random(80) < 0.6, a, generator.integers(0, num_labels, 80))
        table = np.zeros((num_labels, num_labels))
        np.add.at(table, (a, b), 1)
        theirs, ours = cohens_kappa(table), stats.cohen_kappa(a.tolist(), b.tolist())
        assert (ours.kappa, ours.standard_error) == pytest.approx((theirs.kappa, theirs.std_kappa))


@pytest.mark.parametrize(
    ("a", "b", "kappa", "high_is_known"),
    [
        (["x", "x"], ["x", "y"], 0.0, False),  # against a constant rater kappa is 0 whatever the other does
        (["x", "x", "x"], ["y", "y", "y"], 0.0, False),
        (["x", "y"], ["y", "x"], -1.0, True),
    ],
)
def test_a_kappa_without_spread_is_not_certainty(a: list[str], b: list[str], kappa: float, high_is_known: bool) -> None:
    result = stats.cohen_kappa(a, b)
    assert result.kappa == pytest.approx(kappa)
    assert (result.high is not None) == high_is_known
    assert result.high is None or result.high > kappa + 0.5


def test_fleiss_kappa_matches_fleiss_1971_style_table() -> None:
    # the table of 10 subjects, 14 raters and 5 categories in the article on Fleiss' kappa: 0.210
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    rows = [[k for k, times in enumerate(row) for _ in range(times)] for row in table]
    result = stats.fleiss_kappa(rows)
    assert result.kappa == pytest.approx(0.210, abs=5e-4)
    assert result.low is not None
    assert result.low < 0.21


def test_fleiss_kappa_equals_statsmodels() -> None:
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

    rows = np.random.default_rng(3).integers(0, 3, size=(40, 4))
    assert stats.fleiss_kappa(rows.tolist()).kappa == pytest.approx(float(fleiss_kappa(aggregate_raters(rows)[0])))


def test_fleiss_kappa_refuses_rows_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="same number of raters"):
        stats.fleiss_kappa([[1, 1], [1]])


def test_plain_prediction_powered_mean_is_the_published_formula() -> None:
    generator = np.random.default_rng(1)
    truth, judged = generator.random(40), generator.random(40)
    rest = generator.random(400)
    result = stats.prediction_powered_mean(truth, judged, rest, power_tuning=False)
    error = math.sqrt(rest.var(ddof=1) / 400 + (truth - judged).var(ddof=1) / 40)
    mean = rest.mean() + (truth - judged).mean()
    assert (result.mean, result.standard_error) == pytest.approx((mean, error))
    assert (result.low, result.high) == pytest.approx((mean - 1.959963985 * error, mean + 1.959963985 * error))


def test_the_tuned_weight_minimises_the_estimated_variance() -> None:
    generator = np.random.default_rng(2)
    everything = (generator.random(2000) < 0.6).astype(float)
    verdicts = np.where(generator.random(2000) < 0.85, everything, 1 - everything)
    result = stats.prediction_powered_mean(everything[:100], verdicts[:100], verdicts[100:])

    def variance(weight: float) -> float:
        spread = verdicts.var(ddof=1)
        covariance = np.cov(everything[:100], verdicts[:100])[0, 1]
        return weight**2 * spread / 1900 + (weight**2 * spread - 2 * weight * covariance) / 100

    grid = np.linspace(0, 1, 2001)
    assert result.tuning == pytest.approx(grid[np.argmin([variance(w) for w in grid])], abs=1e-3)
    assert result.standard_error < result.labelled_standard_error


def test_a_lenient_judge_is_corrected_and_the_interval_covers() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        truth = (generator.random(600) < 0.5).astype(float)
        judged = np.maximum(truth, generator.random(600) < 0.3).astype(float)
        result = stats.prediction_powered_mean(truth[:100], judged[:100], judged[100:])
        covered += result.low <= 0.5 <= result.high
        assert result.judged_mean > 0.55
    assert covered / 300 == pytest.approx(0.95, abs=0.04)


def test_without_unlabelled_items_only_the_labels_count() -> None:
    result = stats.prediction_powered_mean([1, 0, 1, None], [1, 1, 1, 1], [])
    assert (result.mean, result.tuning, result.num_labelled) == (pytest.approx(2 / 3), 0.0, 3)
    with pytest.raises(ValueError, match="at least two"):
        stats.prediction_powered_mean([1], [1], [1, 0, 1])


def test_unanimous_labels_are_not_certainty() -> None:
    result = stats.prediction_powered_mean([1] * 10, [1] * 10, [1] * 50)
    assert (result.low, result.high) == pytest.approx(stats.clopper_pearson_interval(10, 10))


def test_every_public_function_is_in_the_table_of_the_module() -> None:
    functions = [name for name in stats.__all__ if name[0].islower()]
    assert [name for name in functions if f"| {name}(" not in (stats.__doc__ or "")] == []
