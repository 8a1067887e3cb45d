"""Many comparisons in, claims that hold together out.

Holm for claims (family-wise error), Benjamini-Hochberg for screens (false discovery rate), max-t for runs whose
scores are correlated because they answer the same items, and the set of runs that may be the best. Sources: Holm
1979; Benjamini and Hochberg 1995 (both computed by statsmodels); Hothorn, Bretz and Westfall 2008 for simultaneous t
statistics; Edwards and Hsu 1983 (JASA 78:965) for comparisons with the best, which needs no knowledge of which run is
the best. The joint distribution is multivariate t with the estimated (clustered) correlation, simulated with a seed.
Identical differences have no error: they get the exact sign test's p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.stats.inputs import Clusters, FloatArray, Scores, fraction, score_array, score_matrix
from harness.stats.means import cluster_error
from harness.stats.paired import no_spread

Alternative = Literal["two-sided", "greater", "less"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the given order. Rejecting those at most alpha keeps family-wise error."""
    values = _p_array(p_values)
    order = values.argsort(kind="stable")
    # written out: statsmodels' multipletests collects garbage at every call, 0.1 s each
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1.0)
    adjusted = np.empty_like(values)
    adjusted[order] = steps
    return [float(p) for p in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up adjusted p-values (q-values), in the given order."""
    from scipy.stats import false_discovery_control

    values = _p_array(p_values)
    return [float(p) for p in false_discovery_control(values, method="bh")] if len(values) else []


@dataclass(frozen=True, kw_only=True)
class MaxT:
    """Per row of differences: mean, t statistic, adjusted p and simultaneous interval; one critical value for all."""

    means: tuple[float, ...]
    standard_errors: tuple[float, ...]
    statistics: tuple[float, ...]
    adjusted_p_values: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    critical_value: float
    n: int


def max_t(
    differences: Sequence[Scores],
    clusters: Clusters | None = None,
    *,
    alternative: Alternative = "two-sided",
    confidence: float = 0.95,
    draws: int = 50_000,
    seed: int = 0,
) -> MaxT:
    """Single-step max-t over rows of item-wise differences (one row a comparison, the same items in every row).

    Items that any row leaves ungraded are outside. One row gives Student's test, up to simulation error. Intervals of a
    one-sided alternative have one infinite end. Raises ValueError below two graded clusters or on ragged rows.
    """
    matrix, codes = score_matrix(differences, clusters, "max_t")
    means, errors, statistics = _row_statistics(matrix, codes)
    maxima = _tail(_joint_draws(matrix, codes, draws, seed), alternative).max(axis=1)
    critical = float(np.quantile(maxima, fraction(confidence, "confidence")))
    observed = _tail(statistics, alternative)
    p_values = tuple(float((1 + (maxima >= value).sum()) / (1 + draws)) for value in observed)
    low = -np.inf if alternative == "less" else critical
    high = np.inf if alternative == "greater" else critical
    return MaxT(
        means=tuple(means.tolist()),
        standard_errors=tuple(errors.tolist()),
        statistics=tuple(statistics.tolist()),
        adjusted_p_values=p_values,
        intervals=tuple(
            (
                -np.inf if np.isinf(low) else float(mean - low * error),
                np.inf if np.isinf(high) else float(mean + high * error),
            )
            for mean, error in zip(means, errors, strict=True)
        ),
        critical_value=critical,
        n=matrix.shape[1],
    )


@dataclass(frozen=True, kw_only=True)
class BestSet:
    """Which rows may be the best. `p_values[i]` is the adjusted p of "row i is the best"; below alpha it is not."""

    best: int
    members: tuple[int, ...]
    p_values: tuple[float, ...]
    n: int


def best_set(
    rows: Sequence[Scores],
    clusters: Clusters | None = None,
    *,
    confidence: float = 0.95,
    draws: int = 20_000,
    seed: int = 0,
) -> BestSet:
    """The rows (runs x the same items) that cannot be told apart from the best, max-t adjusted.

    Row i is out when some row beats it by more than the one-sided simultaneous critical value of all rows against i.
    The set holds the truly best row with at least `confidence`, whichever that is: looking for the winner first costs
    nothing. `best` is the highest mean, the first of equals. Raises ValueError below two graded clusters, for more
    than one row.
    """
    alpha = 1.0 - fraction(confidence, "confidence")
    matrix, codes = score_matrix(rows, clusters, "best_set")
    best = int(matrix.mean(axis=1).argmax()) if matrix.shape[1] else 0
    if len(matrix) == 1:
        return BestSet(best=0, members=(0,), p_values=(1.0,), n=matrix.shape[1])
    p_values = []
    for place in range(len(matrix)):
        rivals = np.delete(matrix, place, axis=0) - matrix[place]
        _, _, statistics = _row_statistics(rivals, codes)
        maxima = _joint_draws(rivals, codes, draws, seed).max(axis=1)
        p_values.append(float((1 + (maxima >= statistics.max()).sum()) / (1 + draws)))
    members = tuple(place for place, p in enumerate(p_values) if p >= alpha or place == best)
    return BestSet(best=best, members=members, p_values=tuple(p_values), n=matrix.shape[1])


def expected_best_of(num_configurations: int, n: int, p: float = 0.5) -> float:
    """How much better than its true accuracy p the best of equal configurations looks, each scored on n items.

    E[max of k independent binomial(n, p)] / n - p, exactly: sum over x of 1 - F(x)^k. 12 at n = 200, p = .5: +.058.
    Runs on the same items are correlated and gain less: this is the upper end; bootstrap_optimism uses the runs
    themselves.
    """
    from scipy.stats import binom

    if num_configurations < 1 or n < 1 or not 0.0 <= p <= 1.0:
        raise ValueError(f"needs at least 1 configuration and item and p in [0, 1], got {num_configurations}, {n}, {p}")
    below = binom.cdf(np.arange(n), n, p)
    return float((1.0 - below**num_configurations).sum() / n - p)


def _p_array(p_values: Sequence[float]) -> FloatArray:
    values = score_array(p_values)
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError(f"p-values are in [0, 1], got {[p for p in values.tolist() if not 0.0 <= p <= 1.0]}")
    return values


def _tail(statistics: FloatArray, alternative: Alternative) -> FloatArray:
    if alternative == "two-sided":
        return np.abs(statistics)
    return statistics if alternative == "greater" else -statistics


def _row_statistics(matrix: FloatArray, codes: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray, FloatArray]:
    from scipy.stats import t

    errors = np.array([cluster_error(row, codes) for row in matrix])  # first: it refuses what has no items
    means = matrix.mean(axis=1)
    statistics = np.zeros(len(matrix))
    degrees = int(codes.max())
    for place, row in enumerate(matrix):
        if not no_spread(row):
            statistics[place] = means[place] / errors[place] if errors[place] > 0 else np.sign(means[place]) * np.inf
        elif abs(means[place]) > 1e-12:  # the sign test over G clusters, as the t that has its p
            statistics[place] = np.sign(means[place]) * t.isf(2.0 ** -(degrees + 1), degrees)
            errors[place] = means[place] / statistics[place]
        else:
            errors[place] = 0.0
    return means, errors, statistics


def _joint_draws(matrix: FloatArray, codes: npt.NDArray[np.intp], draws: int, seed: int) -> FloatArray:
    """draws x rows from the multivariate t with the rows' (clustered) correlation and G - 1 degrees of freedom."""
    generator = np.random.default_rng(seed)
    residuals = matrix - matrix.mean(axis=1, keepdims=True)
    sums = np.stack([np.bincount(codes, weights=row) for row in residuals])
    lengths = np.sqrt(np.square(sums).sum(axis=1, keepdims=True))
    # a row without spread has no correlation to estimate: it counts as independent of the others
    flat = lengths[:, 0] <= 1e-12 * max(1.0, float(np.abs(matrix).max()))
    correlation = np.eye(len(matrix))
    units = sums[~flat] / lengths[~flat]
    correlation[np.ix_(~flat, ~flat)] = units @ units.T
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    degrees = int(codes.max())
    scale = np.sqrt(generator.chisquare(degrees, size=(draws, 1)) / degrees)
    drawn: FloatArray = generator.standard_normal((draws, len(matrix))) @ root.T / scale
    return drawn
