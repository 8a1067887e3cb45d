"""Labels of several raters in, chance-corrected agreement with its interval out.

Sources: Cohen 1960 and Fleiss, Cohen and Everitt 1969 (the standard error that does not assume kappa = 0); Fleiss 1971
for many raters, with a jackknife error over items. Kappa is unweighted: every disagreement counts the same. Labels are
any hashable values; an item that a rater left out (None, NaN, pandas' NA) is excluded and counted. Known differences: agreement
of raters who all use one label is undefined, and is None here; against a rater who uses one label it is 0 whatever the
other does, and has no interval; where the raters agree on every item, or on none, the error is 0, and the limit on the
open side comes from Clopper-Pearson on the observed agreement.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence, Sized
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harness.stats.inputs import Clusters, FloatArray, cluster_codes, fraction, is_missing, table_rows
from harness.stats.means import clustered_standard_error, mean_and_error
from harness.stats.proportions import clopper_pearson_interval


@dataclass(frozen=True, kw_only=True)
class Kappa:
    """Chance-corrected agreement. `kappa` is None when one label is all that was ever used; the interval also when one
    rater used one label only."""

    kappa: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    observed: float
    expected: float
    n: int
    excluded: int


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable], confidence: float = 0.95) -> Kappa:
    """Cohen's kappa of two raters over the items both labelled, with its asymptotic interval.

    Raises ValueError on unequal lengths and when no item was labelled by both.
    """
    if len(a) != len(b):
        raise ValueError(f"two raters label the same items, got {len(a)} and {len(b)} labels")
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if not (is_missing(x) or is_missing(y))]
    if not pairs:
        raise ValueError("cohen_kappa needs at least one item that both raters labelled, got none")
    codes, num_labels = _codes([label for pair in pairs for label in pair])
    table = np.zeros((num_labels, num_labels))
    np.add.at(table, (codes[0::2], codes[1::2]), 1)
    shares = table / len(pairs)
    observed, expected = float(np.trace(shares)), float(shares.sum(axis=0) @ shares.sum(axis=1))
    error = None
    constant = min((table.sum(axis=axis) > 0).sum() for axis in (0, 1)) == 1
    if expected < 1.0 - 1e-12 and not constant:
        error = _asymptotic_error(shares, (observed - expected) / (1.0 - expected), expected, len(pairs))
    return _kappa(observed, expected, error, (len(pairs), len(a) - len(pairs)), confidence)


def clustered_cohen_kappa(
    a: Sequence[Hashable], b: Sequence[Hashable], clusters: Clusters, confidence: float = 0.95
) -> Kappa:
    """Cohen's kappa over items that are not all independent: its interval is widened by the square root of the design
    effect of the agreement (Rao, Scott 1992), never narrowed, and so is its error; it is None where one rater uses a
    single label. Items that a rater left out are excluded and counted; a cluster of None or "" is one of its own.

    Raises ValueError as cohen_kappa does.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # statsmodels, when a rater uses one label only
        kappa = cohen_kappa(a, b, confidence)
    if kappa.kappa is None or kappa.low is None or kappa.high is None:
        return kappa
    codes = cluster_codes(clusters, len(a))
    both = [(x, y, int(code)) for x, y, code in zip(a, b, codes, strict=True) if not (is_missing(x) or is_missing(y))]
    if (
        len({x for x, _, _ in both}) < 2 or len({y for _, y, _ in both}) < 2
    ):  # kappa is 0 then whatever the data, and its error of 0 means nothing
        return replace(kappa, standard_error=None, low=None, high=None)
    widening = math.sqrt(_design_effect([float(x == y) for x, y, _ in both], [code for _, _, code in both]))
    low = kappa.kappa - (kappa.kappa - kappa.low) * widening
    high = min(1.0, kappa.kappa + (kappa.high - kappa.kappa) * widening)
    error = None if kappa.standard_error is None else kappa.standard_error * widening
    return replace(kappa, standard_error=error, low=low, high=high)


def _design_effect(agreement: Sequence[float], clusters: Sequence[int]) -> float:
    """How much clusters inflate the variance of the mean agreement; where that cannot be seen (all agree, one cluster),
    as if the items of a cluster were one."""
    num_clusters = len(set(clusters))
    if num_clusters == len(clusters) or num_clusters < 2 or len(set(agreement)) < 2:
        return max(1.0, len(clusters) / num_clusters)
    alone = mean_and_error(agreement)[1]
    return max(1.0, (clustered_standard_error(agreement, clusters) / alone) ** 2)


def fleiss_kappa(ratings: Sequence[Sequence[Hashable]], confidence: float = 0.95) -> Kappa:
    """Fleiss' kappa: one row of labels an item, the same number of raters in every row.

    Raises ValueError on rows of different lengths, on fewer than two raters and when no row is complete.
    """
    ratings = table_rows(ratings)
    if any(isinstance(row, str) or not isinstance(row, Sized) for row in ratings):
        raise ValueError("fleiss_kappa takes one list of labels an item: [[rater 1, rater 2, ...], ...]")
    if len({len(row) for row in ratings}) > 1:
        raise ValueError(f"every item needs the same number of raters, got {sorted({len(row) for row in ratings})}")
    rows = [row for row in ratings if not any(is_missing(label) for label in row)]
    if not rows:
        raise ValueError("fleiss_kappa needs at least one item that every rater labelled, got none")
    num_raters = len(rows[0])
    if num_raters < 2:
        raise ValueError(f"agreement needs at least two raters, got {num_raters}")
    codes, num_labels = _codes([label for row in rows for label in row])
    table = np.zeros((len(rows), num_labels))
    np.add.at(table, (np.repeat(np.arange(len(rows)), num_raters), codes), 1)
    agreement = (np.square(table).sum(axis=1) - num_raters) / (num_raters * (num_raters - 1))
    totals = table.sum(axis=0)
    observed = float(agreement.mean())
    expected = float(np.square(totals / totals.sum()).sum())
    error = _jackknife_error(table, agreement) if expected < 1.0 - 1e-12 and len(rows) > 1 else None
    return _kappa(observed, expected, error, (len(rows), len(ratings) - len(rows)), confidence)


def _kappa(observed: float, expected: float, error: float | None, counts: tuple[int, int], confidence: float) -> Kappa:
    from scipy.stats import norm

    alpha = 1.0 - fraction(confidence, "confidence")
    n, excluded = counts
    kappa = None if expected >= 1.0 - 1e-12 else (observed - expected) / (1.0 - expected)
    low = high = None
    if kappa is not None and observed >= 1.0 - 1e-12:
        low, high = (clopper_pearson_interval(n, n, confidence)[0] - expected) / (1.0 - expected), 1.0
    elif kappa is not None and error is not None and observed <= 1e-12:
        low, high = kappa, (clopper_pearson_interval(0, n, confidence)[1] - expected) / (1.0 - expected)
    elif kappa is not None and error is not None:
        reach = float(norm.isf(alpha / 2.0)) * error
        low, high = max(-1.0, kappa - reach), min(1.0, kappa + reach)
    return Kappa(
        kappa=kappa,
        standard_error=error if kappa is not None else None,
        low=low,
        high=high,
        observed=observed,
        expected=expected,
        n=n,
        excluded=excluded,
    )


def _asymptotic_error(shares: FloatArray, kappa: float, expected: float, n: int) -> float:
    """Fleiss, Cohen and Everitt 1969, equation 13. Written out: statsmodels divides by 0 where a rater uses one label."""
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    agreed = np.diag(shares)
    diagonal = float((agreed * (1.0 - (rows + columns) * (1.0 - kappa)) ** 2).sum())
    margins = (columns[:, None] + rows[None, :]) ** 2
    rest = (1.0 - kappa) ** 2 * float((shares * margins).sum() - (agreed * np.diag(margins)).sum())
    variance = (diagonal + rest - (kappa - expected * (1.0 - kappa)) ** 2) / (n * (1.0 - expected) ** 2)
    return math.sqrt(max(variance, 0.0))


def _jackknife_error(table: FloatArray, agreement: FloatArray) -> float | None:
    n = len(table)
    totals = table.sum(axis=0) - table
    expected = np.square(totals / totals.sum(axis=1, keepdims=True)).sum(axis=1)
    if (expected >= 1.0 - 1e-12).any():
        return None  # leaving one item out leaves a single label: the error cannot be estimated
    observed = (agreement.sum() - agreement) / (n - 1)
    values = (observed - expected) / (1.0 - expected)
    return float(np.sqrt((n - 1) / n * np.square(values - values.mean()).sum()))


def _codes(labels: Sequence[Hashable]) -> tuple[npt.NDArray[np.intp], int]:
    known: dict[Hashable, int] = {}
    codes = np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.intp)
    return codes, len(known)
