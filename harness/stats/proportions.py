"""Counts in, intervals for one proportion out. Never Wald: at 0 of n it claims certainty.

Sources: Wilson 1927 (JASA 22:209), Clopper and Pearson 1934 (Biometrika 26:404), both as Brown, Cai and DasGupta 2001
present them; computed by statsmodels. With n = 0 nothing is known and the interval is (0, 1).
"""

from __future__ import annotations

from typing import Literal

from harness.stats.inputs import Scores, count, fraction, is_binary, score_array


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high) of Wilson's score interval, without continuity correction; (0, 1) at n = 0."""
    return _interval(successes, n, confidence, "wilson")


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
