"""A judge's many verdicts and a few true labels in, an unbiased mean with a shorter interval out.

Sources: Angelopoulos et al. 2023 (Science 382:669, prediction-powered inference); Angelopoulos, Duchi and Zrnic 2023
(arXiv 2311.01453, PPI++: the weight `tuning` that makes it never worse than the labels alone, for large samples).
Known differences from the package ppi_py: sample variances use ddof=1, and when no error can be estimated because all
labels agree, the interval is Clopper-Pearson's on the labels (0/1) or Student's is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.stats.inputs import FloatArray, Scores, fraction, is_binary, paired_arrays, score_array
from harness.stats.proportions import clopper_pearson_interval


@dataclass(frozen=True, kw_only=True)
class PredictionPoweredMean:
    """The corrected mean beside the judge's own and the labels' own. `tuning` 0 ignores the judge, 1 is plain PPI."""

    mean: float
    standard_error: float
    low: float
    high: float
    tuning: float
    judged_mean: float
    labelled_mean: float
    labelled_standard_error: float
    num_labelled: int
    num_unlabelled: int


def prediction_powered_mean(
    labels: Scores,
    judged_labelled: Scores,
    judged_unlabelled: Scores,
    confidence: float = 0.95,
    power_tuning: bool = True,
) -> PredictionPoweredMean:
    """The mean true score of all items: tuning * mean(judged, unlabelled) + mean(label - tuning * judged, labelled).

    `judged_labelled` are the judge's scores of the items that have labels, in the same order. Pairs with an ungraded
    side are left out. The tuning weight is cov(label, judged) / ((1 + n / N) var(judged)), kept in [0, 1]; with no
    unlabelled items it is 0. Raises ValueError below two labelled pairs.
    """
    from scipy.stats import norm

    truth, judged, _ = paired_arrays(labels, judged_labelled, None)
    rest = score_array(judged_unlabelled)
    rest = rest[~np.isnan(rest)]
    if len(truth) < 2:
        raise ValueError(f"a correction needs at least two items with label and verdict, got {len(truth)}")
    if len(rest) < 2:
        rest, tuning = rest[:0], 0.0
    else:
        tuning = _tuning(truth, judged, rest) if power_tuning else 1.0
    rectifier = truth - tuning * judged
    variance = float(rectifier.var(ddof=1)) / len(truth)
    mean = float(rectifier.mean())
    if len(rest):
        mean += tuning * float(rest.mean())
        variance += tuning**2 * float(rest.var(ddof=1)) / len(rest)
    error = variance**0.5
    reach = float(norm.isf((1.0 - fraction(confidence, "confidence")) / 2.0)) * error
    low, high = mean - reach, mean + reach
    if error == 0.0:
        if not is_binary(truth):
            raise ValueError("all labels and verdicts are the same number: no error can be estimated; label more items")
        low, high = clopper_pearson_interval(int(truth.sum()), len(truth), confidence)
    return PredictionPoweredMean(
        mean=mean,
        standard_error=error,
        low=low,
        high=high,
        tuning=tuning,
        judged_mean=float(np.concatenate([judged, rest]).mean()),
        labelled_mean=float(truth.mean()),
        labelled_standard_error=float(truth.std(ddof=1)) / len(truth) ** 0.5,
        num_labelled=len(truth),
        num_unlabelled=len(rest),
    )


def _tuning(truth: FloatArray, judged: FloatArray, rest: FloatArray) -> float:
    spread = float(np.concatenate([judged, rest]).var(ddof=1))
    if spread == 0.0:
        return 0.0  # a judge that always says the same tells nothing
    covariance = float(np.cov(truth, judged, ddof=1)[0, 1])
    return float(np.clip(covariance / ((1.0 + len(truth) / len(rest)) * spread), 0.0, 1.0))
