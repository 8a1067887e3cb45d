"""Two sets of answers to the same items in, their difference with its uncertainty out.

Counts follow McNemar's table: b items only the first answered right, c items only the second, n items in all. Every
difference is first minus second. Sources: McNemar 1947 (exact binomial form); Tango 1998 (Statistics in Medicine
17:891) for the score interval; Miller 2024 (arXiv 2411.00640) for paired and clustered errors. Known difference:
where every paired difference is the same, Student's interval has no width; for scores in [0, 1] ours then says how
far an unseen pair could move it (ten identical items are not certainty).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.stats.inputs import Clusters, FloatArray, Scores, count, fraction, is_binary, paired_arrays, score_array
from harness.stats.means import cluster_error


@dataclass(frozen=True, kw_only=True)
class PairedItems:
    """The intersection of two item sets. `coverage` is the intersection's share of the union."""

    ids: tuple[str, ...]
    a: tuple[float | None, ...]
    b: tuple[float | None, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    coverage: float


def pair_by_id(
    a: Mapping[str, float | None], b: Mapping[str, float | None], minimum_coverage: float = 0.95
) -> PairedItems:
    """The scores of the items in both, in the order of `a`. None and NaN stay: an ungraded item is still present.

    Raises ValueError when the intersection is empty or holds less than `minimum_coverage` of the union.
    """
    if not (hasattr(a, "keys") and hasattr(b, "keys")):  # a list would pair its values as if they were ids
        raise ValueError(f"pair_by_id takes item id -> score on both sides, got {type(a).__name__}, {type(b).__name__}")
    a, b = dict(a), dict(b)
    if not 0.0 <= minimum_coverage <= 1.0:
        raise ValueError(f"minimum_coverage is in [0, 1], got {minimum_coverage}")
    ids = tuple(key for key in a if key in b)
    only_a, only_b = tuple(key for key in a if key not in b), tuple(key for key in b if key not in a)
    union = len(ids) + len(only_a) + len(only_b)
    coverage = len(ids) / union if union else 0.0
    if not ids or coverage < minimum_coverage:
        raise ValueError(
            f"{len(ids)} items are in both, {len(only_a)} only in the first, {len(only_b)} only in the second: "
            f"coverage {coverage:.1%} is below the limit of {minimum_coverage:.1%}; compare runs over the same items"
        )
    return PairedItems(
        ids=ids,
        a=tuple(a[key] for key in ids),
        b=tuple(b[key] for key in ids),
        only_a=only_a,
        only_b=only_b,
        coverage=coverage,
    )


@dataclass(frozen=True, kw_only=True)
class PairedCounts:
    """McNemar's table of two binary score lists: b = `only_a`, c = `only_b`; `ungraded` pairs are outside n."""

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    ungraded: int

    @property
    def n(self) -> int:
        """Pairs graded on both sides."""
        return self.both_right + self.only_a + self.only_b + self.both_wrong


def paired_counts(a: Scores, b: Scores) -> PairedCounts:
    """The 2 x 2 table of two lists of 0, 1 or ungraded. Raises ValueError on partial credit or unequal lengths."""
    first, second, _ = paired_arrays(a, b, None)
    if not is_binary(first, second):
        raise ValueError("paired_counts takes scores of 0 and 1; use paired_difference for partial credit")
    return PairedCounts(
        both_right=int(((first == 1) & (second == 1)).sum()),
        only_a=int((first > second).sum()),
        only_b=int((second > first).sum()),
        both_wrong=int(((first == 0) & (second == 0)).sum()),
        ungraded=len(a) - len(first),
    )


def mcnemar_exact(b: int, c: int, mid_p: bool = False) -> float:
    """Two-sided p of McNemar's exact test: binomial(b + c, 1/2). 1.0 when no pair is discordant.

    `mid_p` takes off half the probability of the observed table (Fagerland, Lydersen and Laake 2013): nearer to its
    level, no longer guaranteed below it.
    """
    from scipy.stats import binom, binomtest

    wins, losses = count(b, "b"), count(c, "c")
    total = wins + losses
    exact = float(binomtest(wins, total, 0.5).pvalue) if total else 1.0
    if not mid_p or not total:
        return exact
    return 1.0 if wins == losses else exact - float(binom.pmf(wins, total, 0.5))


def tango_interval(b: int, c: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high) of Tango's score interval for (b - c) / n; (-1, 1) at n = 0. b = c = 0 gives +-z^2 / (n + z^2)."""
    from scipy.stats import norm

    wins, losses, total = _table(b, c, n)
    critical = float(norm.isf((1.0 - fraction(confidence, "confidence")) / 2.0))
    return tango_limits(wins, losses, total, critical)


def tango_p_value(b: int, c: int, n: int, difference: float) -> tuple[float, float]:
    """(p of "the true difference is at least `difference`", p of "it is at most"): one-sided score tests of Tango 1998.

    They agree with tango_interval: the first is below alpha/2 exactly when the upper limit is below `difference`.
    (1, 1) at n = 0.
    """
    from scipy.stats import norm

    wins, losses, total = _table(b, c, n)
    if not -1.0 < difference < 1.0:
        raise ValueError(f"a difference of proportions to test is strictly between -1 and 1, got {difference}")
    if total == 0:
        return 1.0, 1.0
    z = tango_z(wins, losses, total, difference)
    return float(norm.cdf(z)), float(norm.sf(z))


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """mean(a) - mean(b) over the pairs graded on both sides, with Student's interval and two-sided p."""

    n: int
    num_clusters: int
    ungraded: int
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


def paired_difference(
    a: Scores, b: Scores, clusters: Clusters | None = None, confidence: float = 0.95
) -> PairedDifference:
    """The paired difference a - b, its (clustered) standard error, t interval and p with G - 1 degrees of freedom.

    Identical differences have error 0: p is then the exact sign test over clusters, and for scores in [0, 1] the
    interval reaches as far as one unseen pair in every 1 / u could take it, u being Tango's limit for an empty table
    of G clusters. Raises ValueError below two graded clusters, or when identical differences of unbounded scores
    leave no interval.
    """
    from scipy.stats import t

    first, second, codes = paired_arrays(a, b, clusters)
    difference = first - second
    error = cluster_error(difference, codes)
    num_clusters = int(codes.max()) + 1
    mean = float(difference.mean())
    alpha = 1.0 - fraction(confidence, "confidence")
    if no_spread(difference):
        error, p_value = 0.0, (2.0 ** (1 - num_clusters) if abs(mean) > 1e-12 else 1.0)
        low, high = _identical(first, second, mean, num_clusters, alpha)
    else:
        reach = float(t.isf(alpha / 2.0, num_clusters - 1)) * error
        low, high = mean - reach, mean + reach
        p_value = float(2.0 * t.sf(abs(mean) / error, num_clusters - 1)) if error > 0 else 0.0
    return PairedDifference(
        n=len(first),
        num_clusters=num_clusters,
        ungraded=len(a) - len(first),
        difference=mean,
        standard_error=error,
        low=low,
        high=high,
        p_value=p_value,
    )


def no_spread(difference: FloatArray) -> bool:
    """True when all differences are the same number, up to rounding."""
    return bool(np.ptp(difference) <= 1e-12 * max(1.0, float(np.abs(difference).max())))


def in_unit_range(*arrays: FloatArray) -> bool:
    """True when every value is in [0, 1]."""
    return all(bool(((values >= 0) & (values <= 1)).all()) for values in arrays)


def tango_limits(b: float, c: float, n: float, critical: float) -> tuple[float, float]:
    """The two differences at which Tango's statistic is +-`critical`. Counts may be fractions (effective sizes)."""
    from scipy.optimize import brentq

    if n <= 0:
        return -1.0, 1.0
    estimate, edge = (b - c) / n, 1.0 - 1e-12

    def limit(target: float, end: float) -> float:
        # at the edge the statistic is beyond the target, or the limit is the edge itself
        if (tango_z(b, c, n, end) - target) * (1.0 if end > 0 else -1.0) >= 0:
            return float(np.sign(end))
        return float(brentq(lambda difference: tango_z(b, c, n, difference) - target, estimate, end, xtol=1e-13))

    low = -1.0 if estimate <= -edge else limit(critical, -edge)
    high = 1.0 if estimate >= edge else limit(-critical, edge)
    return low, high


def tango_z(b: float, c: float, n: float, difference: float) -> float:
    """Tango's score statistic for H0: p_b - p_c = `difference`, with the restricted estimate of p_c."""
    linear = -b - c + (2.0 * n - b + c) * difference
    constant = -c * difference * (1.0 - difference)
    root = math.sqrt(max(linear * linear - 8.0 * n * constant, 0.0))
    # the larger root of 2n q^2 + linear q + constant, in the form that does not cancel
    p_c = (root - linear) / (4.0 * n) if linear <= 0 else (-2.0 * constant / (root + linear) if root + linear else 0.0)
    variance = n * (2.0 * p_c + difference * (1.0 - difference))
    distance = b - c - n * difference
    if variance <= 0.0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def _identical(a: FloatArray, b: FloatArray, mean: float, num_clusters: int, alpha: float) -> tuple[float, float]:
    if not in_unit_range(a, b):
        raise ValueError(
            "all paired differences are the same number and the scores are not in [0, 1]: no interval exists; "
            "give scores in [0, 1] or more varied items"
        )
    _, unseen = tango_interval(0, 0, num_clusters, 1.0 - alpha)
    return mean - unseen * (1.0 + mean), mean + unseen * (1.0 - mean)


def _table(b: int, c: int, n: int) -> tuple[int, int, int]:
    wins, losses, total = count(b, "b"), count(c, "c"), count(n, "n")
    if wins + losses > total:
        raise ValueError(f"b + c cannot exceed n, got {wins} + {losses} of {total}")
    return wins, losses, total


def ungraded_share(scores: Scores) -> float:
    """The share of scores that are None or NaN; 0.0 for no scores. Above 1 % a run is not compared."""
    values = score_array(scores)
    return float(np.isnan(values).mean()) if len(values) else 0.0
