"""Scores in, bootstrap errors and intervals out. Vectorised and seeded: one seed, one answer.

Sources: Efron 1979; Field and Welsh 2007 (JRSS B 69:369) for drawing whole clusters with replacement. Resampling G
clusters is a multinomial draw of their counts, so a resample's mean is a ratio of two matrix products. Intervals are
percentiles. Known limit: the percentile interval of identical scores has no width; use wilson_interval or
tango_interval there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.stats.inputs import (
    Clusters,
    FloatArray,
    Scores,
    count,
    fraction,
    graded_arrays,
    paired_arrays,
    score_matrix,
)

CHUNK_CELLS = 4_000_000  # resamples x clusters held at once: 32 MB


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """An estimate with its bootstrap standard error (ddof=1 over resamples) and percentile interval."""

    estimate: float
    standard_error: float
    low: float
    high: float
    n: int
    num_clusters: int
    resamples: int
    seed: int


def cluster_bootstrap(
    scores: Scores,
    clusters: Clusters | None = None,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Bootstrap:
    """Bootstrap of the mean score, whole clusters drawn with replacement. Raises ValueError below two clusters."""
    values, codes = graded_arrays(scores, clusters)
    return _bootstrap(values, codes, resamples, seed, confidence)


def paired_bootstrap(
    a: Scores,
    b: Scores,
    clusters: Clusters | None = None,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Bootstrap:
    """Bootstrap of mean(a) - mean(b), pairs (or whole clusters of pairs) drawn with replacement."""
    first, second, codes = paired_arrays(a, b, clusters)
    return _bootstrap(first - second, codes, resamples, seed, confidence)


@dataclass(frozen=True, kw_only=True)
class Optimism:
    """What choosing the best of several runs adds to its score: mean(winner on the resample) - mean(winner on all)."""

    expected: float
    num_runs: int
    n: int


def bootstrap_optimism(
    rows: Sequence[Scores], clusters: Clusters | None = None, *, resamples: int = 2_000, seed: int = 0
) -> Optimism:
    """The expected optimism of the best of `rows` (runs x the same items), by resampling items or clusters.

    Unlike expected_best_of it uses the runs' own scores and their correlation. Ties go to the first row. Source:
    Efron and Tibshirani 1993, chapter 17 (optimism of the apparent error). Raises ValueError below two clusters.
    """
    matrix, codes = score_matrix(rows, clusters, "bootstrap_optimism")
    sums, sizes = _cluster_sums(matrix, codes)
    means = matrix.mean(axis=1)
    gains: list[FloatArray] = []
    for counts in _counts(len(sizes), resamples, seed):
        resampled = counts @ sums.T / (counts @ sizes)[:, None]
        winner = resampled.argmax(axis=1)
        gains.append(resampled[np.arange(len(winner)), winner] - means[winner])
    return Optimism(expected=float(np.concatenate(gains).mean()), num_runs=len(matrix), n=matrix.shape[1])


def _bootstrap(
    values: FloatArray, codes: npt.NDArray[np.intp], resamples: int, seed: int, confidence: float
) -> Bootstrap:
    alpha = 1.0 - fraction(confidence, "confidence")
    sums, sizes = _cluster_sums(values[None, :], codes)
    means = np.concatenate([counts @ sums[0] / (counts @ sizes) for counts in _counts(len(sizes), resamples, seed)])
    low, high = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    return Bootstrap(
        estimate=float(values.mean()),
        standard_error=float(means.std(ddof=1)),
        low=float(low),
        high=float(high),
        n=len(values),
        num_clusters=len(sizes),
        resamples=resamples,
        seed=seed,
    )


def _cluster_sums(matrix: FloatArray, codes: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    sizes = np.bincount(codes).astype(np.float64)
    if len(sizes) < 2:
        raise ValueError(f"a bootstrap needs at least two graded clusters, got {len(sizes)}")
    return np.stack([np.bincount(codes, weights=row) for row in matrix]), sizes


def _counts(num_clusters: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each cluster is drawn, resamples x clusters, in chunks of bounded size."""
    if count(resamples, "resamples") < 2:
        raise ValueError(f"a bootstrap needs at least two resamples, got {resamples}")
    generator = np.random.default_rng(seed)
    step = max(1, CHUNK_CELLS // num_clusters)
    shares = np.full(num_clusters, 1.0 / num_clusters)
    for start in range(0, resamples, step):
        yield generator.multinomial(num_clusters, shares, size=min(step, resamples - start)).astype(np.float64)
