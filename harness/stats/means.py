"""Scores in, a mean with its error out: independent items, clustered items, seeds.

Sources: Miller 2024 (arXiv 2411.00640) for the use of clustered errors in evaluations; Liang and Zeger 1986 (Biometrika
73:13) for the estimator. Known difference: the clustered variance carries the factor G / (G - 1) for G clusters ("CR1",
as statsmodels and Inspect do); Miller's equation lacks it. With clusters of one item ours equals the plain error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.stats.inputs import Clusters, FloatArray, Scores, fraction, graded_arrays, score_array


def mean_and_error(scores: Scores) -> tuple[float, float]:
    """Mean of the graded scores and its standard error (ddof=1). None and NaN mark an ungraded one.

    Raises ValueError below two graded scores: one example has no error bar.
    """
    from scipy.stats import sem

    values, _ = graded_arrays(scores, None)
    if len(values) < 2:
        raise ValueError(f"a standard error needs at least two graded scores, got {len(values)} of {len(scores)}")
    return float(values.mean()), float(sem(values, ddof=1))


def clustered_standard_error(scores: Scores, clusters: Clusters, correction: Literal["CR1", "CR0"] = "CR1") -> float:
    """Standard error of the mean when items of one cluster are correlated (Liang and Zeger 1986).

    CR1: sqrt(G / (G - 1) * sum over clusters of (sum of residuals)^2) / n, as statsmodels and Stata for a mean; CR0
    without the factor, as Miller 2024 writes it. A cluster label of None or "" makes an item its own cluster. Raises
    ValueError below two graded clusters.
    """
    if correction not in ("CR1", "CR0"):
        raise ValueError(f"correction is 'CR1' or 'CR0', got {correction!r}")
    values, codes = graded_arrays(scores, clusters)
    error = cluster_error(values, codes)
    num_clusters = int(codes.max()) + 1
    return error if correction == "CR1" else error * ((num_clusters - 1) / num_clusters) ** 0.5


def mean_interval(scores: Scores, clusters: Clusters | None = None, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high) of Student's interval for the mean; with clusters, their error and G - 1 degrees of freedom.

    For scores of 0 and 1 prefer wilson_interval. Raises ValueError below two graded scores or clusters.
    """
    from scipy.stats import t

    values, codes = graded_arrays(scores, clusters)
    error = cluster_error(values, codes)
    reach = float(t.isf((1.0 - fraction(confidence, "confidence")) / 2.0, codes.max())) * error
    return float(values.mean()) - reach, float(values.mean()) + reach


@dataclass(frozen=True, kw_only=True)
class SeedVariance:
    """The spread of one configuration over seeds. With one seed everything but the mean is None: not measured."""

    num_seeds: int
    mean: float
    variance: float | None
    standard_deviation: float | None
    standard_error: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.standard_deviation is None:
            return "not measured"
        return f"{self.standard_deviation:.4f} over {self.num_seeds} seeds"


def seed_variance(scores: Scores, confidence: float = 0.95) -> SeedVariance:
    """Variance of a run's score over seeds with k - 1 degrees of freedom; (low, high) is Student's for the mean.

    A failed seed is None and does not count. One seed has no variance: its fields are None and its text "not measured".
    Raises ValueError when no seed has a score.
    """
    from scipy.stats import t

    values = score_array(scores)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        raise ValueError("seed_variance needs the score of at least one seed, got none")
    mean = float(values.mean())
    if len(values) == 1:
        return SeedVariance(
            num_seeds=1, mean=mean, variance=None, standard_deviation=None, standard_error=None, low=None, high=None
        )
    variance = float(values.var(ddof=1))
    error = (variance / len(values)) ** 0.5
    reach = float(t.isf((1.0 - fraction(confidence, "confidence")) / 2.0, len(values) - 1)) * error
    return SeedVariance(
        num_seeds=len(values),
        mean=mean,
        variance=variance,
        standard_deviation=variance**0.5,
        standard_error=error,
        low=mean - reach,
        high=mean + reach,
    )


def cluster_error(values: FloatArray, codes: npt.NDArray[np.intp]) -> float:
    """CR1 standard error of the mean of `values`, grouped by dense codes. Raises ValueError below two clusters."""
    num_clusters = int(codes.max()) + 1 if len(codes) else 0
    if num_clusters < 2:
        raise ValueError(
            f"a standard error needs at least two independent clusters of graded items, got {num_clusters} "
            f"with {len(values)} items"
        )
    sums = np.bincount(codes, weights=values - values.mean())
    return float(np.sqrt(num_clusters / (num_clusters - 1) * np.square(sums).sum()) / len(values))
