"""Candidate and baseline answers in, a non-inferiority decision out: PASS, FAIL or INCONCLUSIVE against a margin.

drop = mean(baseline) - mean(candidate). PASS when the upper limit of the two-sided interval is below the margin, FAIL
when the lower limit is above it. Sources: Tango 1998 for the score test on 0/1 pairs; Rao and Scott 1992
(Biometrics 48:577) for dividing counts by a design effect when items are clustered;
Blackwelder 1982 for the two one-sided claims.
Known differences, chosen so that false PASS stays at or below its level also in small or clustered samples (measured by
tests/gate/operating_characteristics.py): the design effect is never below 1 and starts from full correlation inside
clusters (one pseudo item); clustered tests use t with G - 1 degrees of freedom; partial credit in [0, 1] gets a
variance floor of four squared points, the mean equivalent of the score interval's z^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.stats.inputs import Clusters, FloatArray, Scores, fraction, is_binary, paired_arrays
from harness.stats.means import cluster_error
from harness.stats.paired import in_unit_range, tango_limits, tango_z

Decision = Literal["PASS", "FAIL", "INCONCLUSIVE"]
VARIANCE_FLOOR = 4.0  # about z^2 at 95 %: Agresti and Min 2005 add the same weight of pseudo pairs


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """`p_pass` tests "the drop is at least the margin", `p_fail` tests "the drop is at most the margin"."""

    decision: Decision
    n: int
    num_clusters: int
    drop: float
    low: float
    high: float
    margin: float
    p_pass: float
    p_fail: float
    method: str


@dataclass(frozen=True, kw_only=True)
class _Statistic:
    """One test statistic as a function of the hypothesised difference, and its reference distribution."""

    difference: float
    method: str
    degrees: float | None  # None: normal
    counts: tuple[float, float, float] | None  # effective (b, c, n) for Tango's test
    error: float

    def tail(self, difference: float) -> tuple[float, float]:
        """(p of "true difference >= difference", p of "<=")."""
        from scipy.stats import norm, t

        if self.counts is not None:
            value = tango_z(*self.counts, difference)
        else:
            value = (self.difference - difference) / self.error
        if self.degrees is None:
            return float(norm.cdf(value)), float(norm.sf(value))
        return float(t.cdf(value, self.degrees)), float(t.sf(value, self.degrees))

    def limits(self, alpha: float) -> tuple[float, float]:
        from scipy.stats import norm, t

        critical = float(norm.isf(alpha / 2) if self.degrees is None else t.isf(alpha / 2, self.degrees))
        if self.counts is not None:
            return tango_limits(*self.counts, critical)
        return self.difference - critical * self.error, self.difference + critical * self.error


def non_inferiority(
    candidate: Scores, baseline: Scores, margin: float, clusters: Clusters | None = None, confidence: float = 0.95
) -> NonInferiority:
    """Whether the candidate's drop is below `margin`; each claim is tested at (1 - confidence) / 2.

    Raises ValueError on a margin outside (0, 1) for scores in [0, 1], and below two graded clusters.
    """
    statistic, n, num_clusters = _statistic(baseline, candidate, clusters)
    if not margin > 0 or (statistic.counts is not None and margin >= 1):
        raise ValueError(f"a margin is a drop worth caring about, in (0, 1), got {margin}")
    alpha = 1.0 - fraction(confidence, "confidence")
    p_pass, p_fail = statistic.tail(margin)
    low, high = statistic.limits(alpha)
    return NonInferiority(
        decision="PASS" if p_pass < alpha / 2 else "FAIL" if p_fail < alpha / 2 else "INCONCLUSIVE",
        n=n,
        num_clusters=num_clusters,
        drop=statistic.difference,
        low=low,
        high=high,
        margin=margin,
        p_pass=p_pass,
        p_fail=p_fail,
        method=statistic.method,
    )


def paired_interval(
    a: Scores, b: Scores, clusters: Clusters | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """(low, high) for mean(a) - mean(b): Tango's for 0/1 pairs (clustered: a design effect), t for partial credit.

    Partial credit in [0, 1] has the module's variance floor, so that few or equal pairs are no certainty; the plain t
    interval is that of paired_difference.
    """
    statistic, _, _ = _statistic(a, b, clusters)
    return statistic.limits(1.0 - fraction(confidence, "confidence"))


def paired_p_value(a: Scores, b: Scores, clusters: Clusters | None = None) -> float:
    """Two-sided p of "mean(a) = mean(b)" by the statistic of paired_interval: below 0.05 exactly when it excludes 0."""
    statistic, _, _ = _statistic(a, b, clusters)
    return min(1.0, 2.0 * min(statistic.tail(0.0)))


def design_effect(difference: FloatArray, codes: npt.NDArray[np.intp]) -> float:
    """Variance of the clustered mean over that of independent items, at least 1.

    One pseudo item of full size, shared by the whole of a typical cluster, is added: without any spread the effect is
    the cluster size (full correlation is not refuted), and a few discordant pairs cannot claim that clusters do not
    matter.
    """
    sizes = np.bincount(codes).astype(float)
    typical = float(np.square(sizes).sum() / sizes.sum())  # the cluster size a random item sees
    residuals = difference - difference.mean()
    between = float(np.square(np.bincount(codes, weights=residuals)).sum())
    within = float(np.square(residuals).sum())
    return max(1.0, (between + typical) / (within + 1.0))


def _statistic(a: Scores, b: Scores, clusters: Clusters | None) -> tuple[_Statistic, int, int]:
    first, second, codes = paired_arrays(a, b, clusters)
    difference = first - second
    n, num_clusters = len(difference), int(codes.max()) + 1 if len(codes) else 0
    if num_clusters < 2:
        raise ValueError(
            f"a decision needs at least two independent clusters, got {num_clusters} with {n} graded pairs"
        )
    clustered = num_clusters < n
    degrees = float(num_clusters - 1) if clustered else None
    mean = float(difference.mean())
    if is_binary(first, second):
        effect = design_effect(difference, codes) if clustered else 1.0
        counts = ((difference > 0).sum() / effect, (difference < 0).sum() / effect, n / effect)
        method = f"Tango score, design effect {effect:.2f}, t({num_clusters - 1})" if clustered else "Tango score"
        return _Statistic(difference=mean, method=method, degrees=degrees, counts=counts, error=0.0), n, num_clusters
    error = cluster_error(difference, codes)
    if in_unit_range(first, second):
        # one unseen pair may be worth a whole point: identical partial scores are not certainty either
        error = float(np.hypot(error, VARIANCE_FLOOR**0.5 * design_effect(difference, codes) / n))
    if error <= 0.0:
        raise ValueError("all paired differences are the same number and unbounded: no interval exists")
    method = f"paired t({num_clusters - 1})" + (", clustered" if clustered else "")
    return (
        _Statistic(difference=mean, method=method, degrees=num_clusters - 1, counts=None, error=error),
        n,
        num_clusters,
    )
