"""Runs and their item scores in, a choice out: made on validation, confirmed once on test, its optimism stated.

`runs` has one row a run (run, method, status, scorer, trainable_parameters, checkpoint_bytes, train_seconds),
`scores` one row per run, split, item and scorer (run, split, example_id, scorer, value, cluster); NaN is unscored.
Only the primary scorer of a run counts. Runs are compared on the items that all of them graded. Which runs cannot be
told apart from the best is Edwards and Hsu's set (max-t adjusted); the recommendation is the cheapest of it:
trainable parameters, then checkpoint bytes, then training seconds, then the name. An unknown cost is never the
cheapest. A hosted model (method "hosted") is what the runs are measured against: the best of them goes to test, and none
is chosen unless there is nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import stats
from harness.core import Split, UserError

if TYPE_CHECKING:
    import pandas as pd

MAXIMUM_UNSCORED = 0.01
MINIMUM_COVERAGE = 0.95
REFERENCE = "hosted"
COSTS = ("trainable_parameters", "checkpoint_bytes", "train_seconds")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The choice on one split. `means` are over the `num_items` that every compared run graded.

    `tied` holds every run that cannot be told apart from the best, cheapest first; `excluded` says why a run was not
    compared. `expected_optimism` is the winner's expected surplus on this split, from the runs' own scores;
    `largest_optimism` is that of as many independent equals (None for partial credit).
    """

    split: Split
    best: str
    tied: tuple[str, ...]
    recommended: str
    best_of_method: Mapping[str, str]
    finalists: tuple[str, ...]
    means: Mapping[str, float]
    p_values: Mapping[str, float]
    expected_optimism: float
    largest_optimism: float | None
    num_items: int
    num_clusters: int
    excluded: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class FinalScore:
    """A finalist on test. `gain` is against the base on the same items, `p_value` Holm-adjusted over finalists."""

    run: str
    mean: float
    low: float
    high: float
    n: int
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    p_value: float | None


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The finalists on test. `optimism` is validation minus test of the winner, None when it has no test score."""

    finals: tuple[FinalScore, ...]
    winner: str
    optimism: float | None
    optimism_low: float | None
    optimism_high: float | None
    expected_optimism: float
    missing: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Compared:
    names: tuple[str, ...]
    rows: list[list[float]]
    clusters: list[str]
    excluded: dict[str, str]


def select(
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    split: Split = "validation",
    *,
    baseline: str | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Selection:
    """The best run, those it cannot be told apart from, the cheapest of them, and the finalists for test.

    Finalists are the best run of each method (base included), the recommended run and `baseline`. Raises UserError when
    no run can be compared or the baseline is not among the runs.
    """
    known = [str(name) for name in runs["run"]]
    if baseline is not None and baseline not in known:
        raise UserError(f"baseline run {baseline!r} is not in this sweep; its runs are: {', '.join(sorted(known))}")
    references = runs[runs["method"] == REFERENCE]
    choosable = runs if len(references) == len(runs) else runs[runs["method"] != REFERENCE]
    compared = _compared(choosable, scores, split)
    chosen = stats.best_set(compared.rows, compared.clusters, confidence=confidence, seed=seed)
    means = {name: sum(row) / len(row) for name, row in zip(compared.names, compared.rows, strict=True)}
    best = compared.names[chosen.best]
    costs = _costs(runs)
    tied = tuple(sorted((compared.names[place] for place in chosen.members), key=lambda name: (*costs[name], name)))
    best_of_method = _best_of_method(runs, means, costs)
    reference = [] if len(references) == len(runs) else _best_reference(references, scores, split, costs)
    finalists = dict.fromkeys([*best_of_method.values(), best, tied[0], *([baseline] if baseline else []), *reference])
    optimism = stats.bootstrap_optimism(compared.rows, compared.clusters, seed=seed)
    binary = all(value in (0.0, 1.0) for row in compared.rows for value in row)
    n = len(compared.clusters)
    return Selection(
        split=split,
        best=best,
        tied=tied,
        recommended=tied[0],
        best_of_method=best_of_method,
        finalists=tuple(finalists),
        means=means,
        p_values=dict(zip(compared.names, chosen.p_values, strict=True)),
        expected_optimism=optimism.expected,
        largest_optimism=stats.expected_best_of(len(compared.names), n, means[best]) if binary else None,
        num_items=n,
        num_clusters=_num_clusters(compared.clusters),
        excluded=compared.excluded,
    )


def confirm(selection: Selection, runs: pd.DataFrame, scores: pd.DataFrame, split: Split = "test") -> Confirmation:
    """The finalists' test scores, their gain over the base, and how much of the winner's score was luck.

    A finalist without usable test scores is in `missing` with the reason. Raises UserError when none has them.
    """
    finalists = runs[runs["run"].astype(str).isin(selection.finalists)]
    if (finalists["method"] != REFERENCE).any():
        finalists = finalists[finalists["method"] != REFERENCE]
    chosen_from = set(finalists["run"].astype(str))
    compared = _compared(finalists, scores, split)
    rows = dict(zip(compared.names, compared.rows, strict=True))
    base = selection.best_of_method.get("base")
    others = [name for name in selection.finalists if name in rows]
    gains = {
        name: stats.paired_difference(rows[name], rows[base], compared.clusters)
        for name in others
        if base in rows and name != base
    }
    adjusted = dict(zip(gains, stats.holm([gain.p_value for gain in gains.values()]), strict=True))
    finals = []
    for name in others:
        low, high = _interval(rows[name], compared.clusters)
        gain = gains.get(name)
        limits = stats.paired_interval(rows[name], rows[base], compared.clusters) if gain and base else (None, None)
        finals.append(
            FinalScore(
                run=name,
                mean=sum(rows[name]) / len(rows[name]),
                low=low,
                high=high,
                n=len(rows[name]),
                gain=gain.difference if gain else None,
                gain_low=limits[0],
                gain_high=limits[1],
                p_value=adjusted.get(name),
            )
        )
    optimism, low_, high_ = _optimism(selection, runs, scores, rows, compared.clusters)
    return Confirmation(
        finals=tuple(finals),
        winner=selection.best,
        optimism=optimism,
        optimism_low=low_,
        optimism_high=high_,
        expected_optimism=selection.expected_optimism,
        missing={
            name: compared.excluded.get(name, "not scored on test")
            for name in selection.finalists
            if name in chosen_from and name not in rows
        },
    )


def _compared(runs: pd.DataFrame, scores: pd.DataFrame, split: Split) -> _Compared:
    """The runs that can be compared, on the items all of them graded; the rest with a reason."""
    table = _primary(runs, scores, split)
    all_items = set(table["example_id"])
    excluded: dict[str, str] = {}
    kept: dict[str, dict[str, float]] = {}
    groups = dict(list(table.groupby("run", sort=False)))
    for run, status in zip(runs["run"].astype(str), runs["status"], strict=True):
        rows = groups.get(run)
        if status == "failed":
            excluded[run] = "failed"
        elif rows is None:
            excluded[run] = f"no scores on {split}"
        elif len(rows) < MINIMUM_COVERAGE * len(all_items):
            excluded[run] = (
                f"scored on {len(rows)} of {len(all_items)} {split} items, {MINIMUM_COVERAGE:.0%} are needed"
            )
        elif (unscored := float(rows["value"].isna().mean())) > MAXIMUM_UNSCORED:
            excluded[run] = f"{unscored:.1%} of its {split} items are unscored, the limit is {MAXIMUM_UNSCORED:.0%}"
        else:
            kept[run] = dict(zip(rows["example_id"], rows["value"].astype(float), strict=True))
    if not kept:
        reasons = "; ".join(f"{run}: {why}" for run, why in excluded.items()) or "the sweep has no runs"
        raise UserError(f"no run can be compared on {split}: {reasons}")
    clusters = dict(zip(table["example_id"], table["cluster"], strict=True))
    items = [item for item in clusters if all(not math.isnan(values.get(item, math.nan)) for values in kept.values())]
    labels = [
        "" if clusters[item] is None or clusters[item] != clusters[item] else str(clusters[item]) for item in items
    ]
    if _num_clusters(labels) < 2:
        raise UserError(
            f"the runs share {len(items)} graded {split} items in {_num_clusters(labels)} independent clusters; "
            "at least 2 are needed to choose; score more items"
        )
    return _Compared(
        names=tuple(kept),
        rows=[[values[item] for item in items] for values in kept.values()],
        clusters=labels,
        excluded=excluded,
    )


def _primary(runs: pd.DataFrame, scores: pd.DataFrame, split: Split) -> pd.DataFrame:
    """The score rows of `split` by each run's primary scorer. Raises UserError on a double item."""
    rows = scores[scores["split"] == split]
    rows = rows[rows["run"].astype(str).isin(runs["run"].astype(str))].assign(
        run=lambda frame: frame["run"].astype(str)
    )
    primary = dict(zip(runs["run"].astype(str), runs["scorer"], strict=True))
    rows = rows[rows["scorer"] == rows["run"].map(primary)]
    double = rows[rows.duplicated(["run", "example_id"])]
    if len(double):
        first = double.iloc[0]
        raise UserError(
            f"run {first['run']} has item {first['example_id']!r} twice on {split} ({len(double)} such rows); "
            "delete its scores.jsonl and score again"
        )
    return rows


def _costs(runs: pd.DataFrame) -> dict[str, tuple[float, ...]]:
    costs = {}
    for row in runs.to_dict("records"):
        # the base trains nothing and stores nothing of its own
        free = row["method"] == "base"
        values = [row.get(name) for name in COSTS]
        costs[str(row["run"])] = tuple(
            0.0 if free else math.inf if value is None or math.isnan(float(value)) else float(value) for value in values
        )
    return costs


def _best_of_method(
    runs: pd.DataFrame, means: Mapping[str, float], costs: Mapping[str, tuple[float, ...]]
) -> dict[str, str]:
    methods = dict(zip(runs["run"].astype(str), runs["method"], strict=True))
    order = sorted(dict.fromkeys(methods.values()), key=lambda method: (method != "base", str(method)))
    best = {}
    for method in order:
        names = [name for name in means if methods[name] == method]
        if names:
            best[str(method)] = min(names, key=lambda name: (-means[name], *costs[name], name))
    return best


def _best_reference(
    references: pd.DataFrame, scores: pd.DataFrame, split: Split, costs: Mapping[str, tuple[float, ...]]
) -> list[str]:
    """The best hosted row by its own items, or none when none can be compared."""
    if references.empty:
        return []
    try:
        compared = _compared(references, scores, split)
    except UserError:  # too many unscored answers, a spent budget: the row says so itself
        return []
    means = {name: sum(row) / len(row) for name, row in zip(compared.names, compared.rows, strict=True)}
    return list(_best_of_method(references, means, costs).values())


def _interval(row: Sequence[float], clusters: Sequence[str]) -> tuple[float, float]:
    """Wilson for 0/1 items, at the effective number of clustered ones; else Student's, clustered, kept in [0, 1]."""
    if all(value in (0.0, 1.0) for value in row):
        return stats.clustered_wilson_interval(row, clusters)
    low, high = stats.mean_interval(row, clusters)
    return max(0.0, low), min(1.0, high)


def _optimism(
    selection: Selection,
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    test_rows: Mapping[str, Sequence[float]],
    test_clusters: Sequence[str],
) -> tuple[float | None, float | None, float | None]:
    if selection.best not in test_rows:
        return None, None, None
    from scipy.stats import t

    chosen = _compared(runs[runs["run"].astype(str) == selection.best], scores, selection.split)
    sides = ((chosen.rows[0], chosen.clusters), (test_rows[selection.best], test_clusters))
    errors = [stats.clustered_standard_error(row, clusters) for row, clusters in sides]
    test_mean = sum(test_rows[selection.best]) / len(test_rows[selection.best])
    surplus = selection.means[selection.best] - test_mean
    # two independent samples with few clusters each: Welch's degrees of freedom
    spread = sum(error**4 / (_num_clusters(clusters) - 1) for error, (_, clusters) in zip(errors, sides, strict=True))
    degrees = math.hypot(*errors) ** 4 / spread if spread > 0 else math.inf
    reach = float(t.isf(0.025, degrees)) * math.hypot(*errors)
    return surplus, surplus - reach, surplus + reach


def _num_clusters(clusters: Sequence[str]) -> int:
    return len({label for label in clusters if label}) + sum(not label for label in clusters)
