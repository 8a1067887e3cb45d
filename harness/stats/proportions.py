"""Counts in, intervals for one proportion out. Never Wald: at 0 of n it claims certainty.

Sources: Wilson 1927 (JASA 22:209), Clopper and Pearson 1934 (Biometrika 26:404), both as Brown, Cai and DasGupta 2001
present them; computed by statsmodels. With n = 0 nothing is known and the interval is (0, 1).
"""

from __future__ import annotations

import math
from typing import Literal

from harness.stats.inputs import Clusters, Scores, count, fraction, graded_arrays, is_binary, score_array
from harness.stats.means import cluster_error


def wilson_interval(successes: int, n: int, confidence: float = 0.95, continuity: bool = False) -> tuple[float, float]:
    """(low, high) of Wilson's score interval; (0, 1) at n = 0.

    `continuity` corrects for continuity (Newcombe 1998, method 4, what R's prop.test gives): wider, nearer to exact.
    """
    if not continuity:
        return _interval(successes, n, confidence, "wilson")
    from scipy.stats import norm

    _interval(successes, n, confidence, "wilson")  # refuses impossible counts
    hits, total = count(successes, "successes"), count(n, "n")
    if total == 0:
        return 0.0, 1.0
    z = float(norm.isf((1.0 - confidence) / 2.0))
    share = hits / total

    def reach(sign: float) -> float:
        return z * math.sqrt(z * z - sign * 2.0 - 1.0 / total + 4.0 * share * (total * (1.0 - share) + sign))

    centre, width = 2.0 * hits + z * z, 2.0 * (total + z * z)
    low = 0.0 if hits == 0 else max(0.0, (centre - 1.0 - reach(1.0)) / width)
    high = 1.0 if hits == total else min(1.0, (centre + 1.0 + reach(-1.0)) / width)
    return low, high


def clustered_wilson_interval(
    scores: Scores, clusters: Clusters | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """(low, high) of Wilson's interval at the effective number of items, for 0/1 scores that share clusters.

    The number is n over the design effect (never below 1), times the squared ratio of the t quantiles with n - 1 and
    G - 1 degrees of freedom: few clusters say less, also when all items are right or all wrong. With every item its own
    cluster this is `wilson_interval`; with a single cluster, or none graded, nothing is known: (0, 1). Raises ValueError
    on partial credit. Source: Korn and Graubard 1998 (Survey Methodology 24:193), with Wilson in place of
    Clopper-Pearson.
    """
    from scipy.stats import t
    from statsmodels.stats.proportion import proportion_confint

    values, codes = graded_arrays(scores, clusters)
    if not is_binary(values):
        raise ValueError("clustered_wilson_interval takes scores of 0 and 1; use mean_interval for partial credit")
    n, num_clusters = len(values), int(codes.max()) + 1 if len(codes) else 0
    if num_clusters == n:
        return wilson_interval(int(values.sum()), n, confidence)
    if num_clusters < 2:
        return 0.0, 1.0
    share = float(values.mean())
    effect = max(1.0, n * cluster_error(values, codes) ** 2 / (share * (1 - share))) if 0 < share < 1 else 1.0
    tail = (1.0 - fraction(confidence, "confidence")) / 2.0
    effective = n / effect * float(t.isf(tail, n - 1) / t.isf(tail, num_clusters - 1)) ** 2
    low, high = proportion_confint(share * effective, effective, alpha=2.0 * tail, method="wilson")
    return (0.0 if share == 0 else float(low)), (1.0 if share == 1 else float(high))


def clopper_pearson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high) of the exact interval from beta quantiles; coverage is never below `confidence`; (0, 1) at n = 0."""
    return _interval(successes, n, confidence, "beta")


def binary_counts(scores: Scores) -> tuple[int, int]:
    """(successes, graded items) of scores that are 0, 1 or ungraded. Raises ValueError on partial credit."""
    values = score_array(scores)
    values = values[values == values]
    if not is_binary(values):
        raise ValueError("binary_counts takes scores of 0 and 1; use mean_interval for partial credit")
    return int(values.sum()), len(values)


def _interval(successes: int, n: int, confidence: float, method: Literal["wilson", "beta"]) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    hits, total = count(successes, "successes"), count(n, "n")
    if hits > total:
        raise ValueError(f"successes cannot exceed n, got {hits} of {total}")
    alpha = 1.0 - fraction(confidence, "confidence")
    if total == 0:
        return 0.0, 1.0
    low, high = proportion_confint(hits, total, alpha=alpha, method=method)
    return (0.0 if hits == 0 else float(low)), (1.0 if hits == total else float(high))
