"""One check of a policy on two item sets -> its numbers: estimate, interval, the two one-sided p-values, items needed.

Every metric is turned into goodness, higher is better: the score; 1 unless unparsed; 1 unless truncated; minus the
log of the seconds an answer. The claim against a margin or ratio is stats.non_inferiority's. A floor on 0/1 values of
independent items is Clopper and Pearson's interval with the binomial's tails; otherwise Student's t on clusters with
the same variance floor as there. Unscored items count in no metric. `further_items` keeps the estimate as it is and
shrinks the interval's reach as 1 / sqrt(n) until the limit is cleared with 80 % power; assumed, not guaranteed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness import stats
from harness.gate_policy import Check, Floor, MaxRatio, Metric, Population
from harness.items import Item, ItemSet
from harness.stats.inputs import graded_arrays
from harness.stats.means import cluster_error
from harness.stats.noninferiority import VARIANCE_FLOOR, design_effect

Decision = Literal["PASS", "FAIL", "INCONCLUSIVE"]
POWER = 0.8
MOST_FURTHER_ITEMS = 1_000_000  # beyond this the honest answer is that the data cannot resolve it


class CheckError(Exception):
    """Why this check has no numbers on this data: the gate then cannot compare."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The numbers of one check. `estimate` is a drop in points, a ratio of latencies, or a level (for a floor).

    `p_pass` tests "the limit is violated or just met", `p_fail` tests "the limit is kept". `further_items` is None when
    more items would not settle it.
    """

    n: int
    num_clusters: int
    baseline_mean: float | None
    candidate_mean: float
    estimate: float
    low: float
    high: float
    p_pass: float
    p_fail: float
    further_items: int | None
    method: str


def measure(
    check: Check,
    sides: tuple[ItemSet, ItemSet],
    asked: Sequence[str],
    alpha: float,
    generalise_to: Population = "clusters",
) -> Measured:
    """The numbers of `check` on the asked items of (baseline, candidate). Raises CheckError when the data has none."""
    baseline, candidate = sides
    old, new = baseline.by_id(), candidate.by_id()
    ids = [key for key in asked if key in new and (not check.slice or check.slice in old[key].tags)]
    if not ids:
        raise CheckError(f"no item carries the tag {check.slice!r}" if check.slice else "no item is in both")
    goodness = GOODNESS[check.metric]
    before, after = [goodness(old[key]) for key in ids], [goodness(new[key]) for key in ids]
    clusters = [old[key].cluster if generalise_to == "clusters" else "" for key in ids]
    if check.metric == "latency":
        _same_device(baseline, candidate)
    for side, values in ((candidate.name, after), (baseline.name, before)):
        if check.metric == "latency" and all(value is None for value in values):
            raise CheckError(f"{side} has no latency_s on its items")
    try:
        if isinstance(check.limit, Floor):
            return _level(after, clusters, check.limit.value, alpha)
        if isinstance(check.limit, MaxRatio):
            return _ratio(before, after, clusters, check.limit.value, alpha)
        return _drop(before, after, clusters, check.limit.value, alpha)
    except ValueError as error:
        raise CheckError(str(error)) from error


def _same_device(baseline: ItemSet, candidate: ItemSet) -> None:
    before, after = baseline.setting.get("device"), candidate.setting.get("device")
    if before and after and before != after:
        raise CheckError(f"latency was measured on {before}, the candidate's on {after}; seconds do not compare")


def _score(item: Item) -> float | None:
    return item.value


def _without(outcome: str) -> Callable[[Item], float | None]:
    return lambda item: None if item.value is None else float(item.outcome != outcome)


def _speed(item: Item) -> float | None:
    return None if item.latency_s is None or item.value is None else -math.log(item.latency_s)


GOODNESS: Mapping[Metric, Callable[[Item], float | None]] = {
    "score": _score,
    "format_failures": _without("unparsed"),
    "truncation": _without("truncated"),
    "latency": _speed,
}


def _drop(
    before: list[float | None], after: list[float | None], clusters: list[str], margin: float, alpha: float
) -> Measured:
    result = stats.non_inferiority(after, before, margin, clusters, confidence=1.0 - 2.0 * alpha)
    graded = [(x, y) for x, y in zip(before, after, strict=True) if x is not None and y is not None]
    return Measured(
        n=result.n,
        num_clusters=result.num_clusters,
        baseline_mean=sum(x for x, _ in graded) / len(graded),
        candidate_mean=sum(y for _, y in graded) / len(graded),
        estimate=result.drop,
        low=result.low,
        high=result.high,
        p_pass=result.p_pass,
        p_fail=result.p_fail,
        further_items=further_items(result.n, result.drop, (result.low, result.high), margin, alpha),
        method=result.method,
    )


def _ratio(
    before: list[float | None], after: list[float | None], clusters: list[str], ratio: float, alpha: float
) -> Measured:
    logs = _drop(before, after, clusters, math.log(ratio), alpha)
    return Measured(
        n=logs.n,
        num_clusters=logs.num_clusters,
        baseline_mean=math.exp(-(logs.baseline_mean or 0.0)),
        candidate_mean=math.exp(-logs.candidate_mean),
        estimate=math.exp(logs.estimate),
        low=math.exp(logs.low),
        high=math.exp(logs.high),
        p_pass=logs.p_pass,
        p_fail=logs.p_fail,
        further_items=logs.further_items,
        method=f"{logs.method} on log seconds",
    )


def _level(values: list[float | None], clusters: list[str], floor: float, alpha: float) -> Measured:
    from scipy.stats import binom, t

    kept = [(value, label) for value, label in zip(values, clusters, strict=True) if value is not None]
    scores, labels = [value for value, _ in kept], [label for _, label in kept]
    n = len(scores)
    num_clusters = len({label for label in labels if label}) + sum(not label for label in labels)
    if n == 0:
        raise CheckError("every item is unscored")
    mean = sum(scores) / n
    if num_clusters == n and all(value in (0.0, 1.0) for value in scores):
        hits = round(sum(scores))
        low, high = stats.clopper_pearson_interval(hits, n, 1.0 - 2.0 * alpha)
        p_pass, p_fail = float(binom.sf(hits - 1, n, floor)), float(binom.cdf(hits, n, floor))
        method = "Clopper-Pearson"
    else:
        graded, codes = graded_arrays(scores, labels)
        floor_error = VARIANCE_FLOOR**0.5 * design_effect(graded, codes) / n
        error = math.hypot(cluster_error(graded, codes), floor_error)
        reach = float(t.isf(alpha, num_clusters - 1)) * error
        low, high = max(0.0, mean - reach), min(1.0, mean + reach)
        distance = (mean - floor) / error
        p_pass, p_fail = float(t.sf(distance, num_clusters - 1)), float(t.cdf(distance, num_clusters - 1))
        method = f"t({num_clusters - 1})"
    return Measured(
        n=n,
        num_clusters=num_clusters,
        baseline_mean=None,
        candidate_mean=mean,
        estimate=mean,
        low=low,
        high=high,
        p_pass=p_pass,
        p_fail=p_fail,
        further_items=further_items(n, mean, (low, high), floor, alpha),
        method=method,
    )


def further_items(n: int, estimate: float, limits: tuple[float, float], limit: float, alpha: float) -> int | None:
    """Items beyond n until the interval clears `limit` with 80 % power, the estimate staying where it is.

    0 when it is cleared already, None when more than a million would be needed or the estimate is the limit.
    """
    from scipy.stats import norm

    low, high = limits
    if not low <= limit <= high:
        return 0
    distance = abs(limit - estimate)
    reach = high - estimate if limit > estimate else estimate - low
    if distance <= 0.0:
        return None
    z_alpha = float(norm.isf(alpha))
    needed = n * ((z_alpha + float(norm.isf(1.0 - POWER))) / z_alpha * reach / distance) ** 2
    return math.ceil(needed) - n if needed <= MOST_FURTHER_ITEMS + n else None
