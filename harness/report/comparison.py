"""Two runs over the same items in, their difference in words and numbers out. All arithmetic is harness.stats'.

The relative gap mean(a) / mean(b) - 1 uses the linearised ratio (Cochran 1977, Sampling Techniques, section 6.3): the
interval of the item values (a - R b) / mean(b), clustered. Where all items agree that has no width, so it is never
narrower than the paired (Tango) interval over mean(b). A difference needs "more items" by the normal approximation,
times the clusters' design effect: a plan, not a promise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness import stats
from harness.report.answer import Number, interval, known
from harness.report.data import SETTINGS, TRAINED, ReportData, is_missing, records

UNSCORED_LIMIT = 0.01  # above it a run is not compared (DESIGN.md, "accounting is asserted")
MARGINS = (0.01, 0.03)  # relative gaps called equivalent; 1-3 % is what the 2023 case study found for LoRA
COVERAGE = 0.95


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Mean scores of two runs at the items both answered, and a - b with its 95 % interval."""

    a: float
    b: float
    n: int
    difference: float
    low: float
    high: float
    p_value: float
    discordance: float
    design: float

    @property
    def decided(self) -> bool:
        """True when the interval excludes 0."""
        return self.low > 0 or self.high < 0

    @property
    def number(self) -> Number:
        """The difference in points."""
        return Number(
            name="difference, paired", value=self.difference, unit="points", low=self.low, high=self.high, n=self.n
        )


def comparison(data: ReportData, a: pd.Series[Any], b: pd.Series[Any], split: str) -> Comparison | None:
    """Run `a` against run `b` on `split`; None where they share too few graded items to be compared."""
    return compare_scores(data, data.items(str(a["run"]), split), data.items(str(b["run"]), split))


def compare_scores(data: ReportData, a: pd.Series[float], b: pd.Series[float]) -> Comparison | None:
    """Two score series by example id, compared; None below two graded clusters or the coverage limit."""
    if a.empty or b.empty:
        return None
    try:
        pairs = _paired(a, b)
        clusters = data.clusters(pd.Index(pairs.ids))
        clustered = stats.paired_difference(pairs.a, pairs.b, clusters)
        alone = stats.paired_difference(pairs.a, pairs.b)
        low, high = stats.paired_interval(pairs.a, pairs.b, clusters)
    except ValueError:  # too few items, or not the same ones: the caller says "cannot be compared"
        return None
    both = [
        (float(x), float(y))
        for x, y in zip(pairs.a, pairs.b, strict=True)
        if x == x and y == y and x is not None and y is not None
    ]
    design = (clustered.standard_error / alone.standard_error) ** 2 if alone.standard_error > 0 else 1.0
    return Comparison(
        a=sum(x for x, _ in both) / len(both),
        b=sum(y for _, y in both) / len(both),
        n=clustered.n,
        difference=clustered.difference,
        low=low,
        high=high,
        p_value=clustered.p_value,
        discordance=sum(abs(x - y) for x, y in both) / len(both),
        design=max(1.0, design),
    )


def _paired(a: pd.Series[float], b: pd.Series[float]) -> stats.PairedItems:
    first = {str(name): float(value) for name, value in a.items()}
    return stats.pair_by_id(first, {str(name): float(value) for name, value in b.items()}, COVERAGE)


def relative_gap(data: ReportData, a: pd.Series[float], b: pd.Series[float]) -> tuple[float, float, float] | None:
    """(gap, low, high) of mean(a) / mean(b) - 1 over shared items; None where it has no meaning (mean(b) is 0)."""
    compared = compare_scores(data, a, b)
    if compared is None or compared.b <= 0:
        return None
    pairs = _paired(a, b)
    ratio = compared.a / compared.b
    linear = [
        None if is_missing(x) or is_missing(y) else (float(x or 0.0) - ratio * float(y or 0.0)) / compared.b + ratio - 1
        for x, y in zip(pairs.a, pairs.b, strict=True)
    ]
    low, high = stats.mean_interval(linear, data.clusters(pd.Index(pairs.ids)))
    return ratio - 1, min(low, compared.low / compared.b), max(high, compared.high / compared.b)


def more_items(compared: Comparison, size: float | None = None) -> int | None:
    """Further items to find a true difference of `size` (the observed one) with 80 % power; None for one of 0."""
    wanted = abs(compared.difference if size is None else size)
    if wanted < 1e-9:
        return None
    try:
        needed = stats.sample_size_paired(wanted, max(compared.discordance, wanted))
    except ValueError:  # beyond any data set
        return None
    return max(1, math.ceil(needed * compared.design) - compared.n)


def more_items_for_margin(compared: Comparison, margin: float) -> int | None:
    """Further items to show equivalence within `margin` points when the truth is no difference at all."""
    if not 0 < margin < 1:
        return None
    needed = stats.sample_size_non_inferiority(margin, max(compared.discordance, margin))
    return max(0, math.ceil(needed * compared.design) - compared.n)


def items_needed_sentence(compared: Comparison) -> str:
    """What it would take to decide."""
    needed = more_items(compared)
    if needed is None:
        limits = interval(compared.low, compared.high, "points")
        return f"The observed difference is 0; the data exclude only differences outside {limits} points."
    return (
        f"If the true difference is as large as the observed one, about {needed:,} more items would show it "
        "(80 % power)."
    )


def can_compare(run: Any) -> bool:
    """A finished run with a validation score and at most 1 % unscored items."""
    if run["status"] != "done" or is_missing(run["validation_score"]):
        return False
    total = float(run["validation_n"]) + float(run.get("unscored") or 0)
    return total > 0 and float(run.get("unscored") or 0) / total <= UNSCORED_LIMIT


def eligible(data: ReportData, methods: Sequence[str] = ("base", *TRAINED)) -> pd.DataFrame:
    """The runs of `methods` that may be compared, best validation score first, cheaper first among equals."""
    runs = data.runs
    if runs.empty:
        return runs
    kept = runs[[can_compare(run) and run["method"] in methods for run in records(runs)]]
    return kept.sort_values(["validation_score", "trainable_parameters"], ascending=[False, True], kind="stable")


def best(data: ReportData, *methods: str) -> pd.Series[Any] | None:
    """The best run of `methods`. Finalists go first, so that test scores are of runs chosen before they were seen."""
    runs = eligible(data, methods)
    if runs.empty:
        return None
    finalists = runs[[run.get("finalist") is True or run.get("finalist") == 1 for run in records(runs)]]
    return (finalists if not finalists.empty else runs).iloc[0]


def alike(data: ReportData, pivot: pd.Series[Any], *varying: str, methods: Sequence[str] = TRAINED) -> pd.DataFrame:
    """The runs of `methods` with the settings of `pivot`, except the `varying` ones (the seed always may vary)."""
    runs = data.runs[data.runs["method"].isin(methods)]
    for name in SETTINGS:
        if name in varying or name not in runs or name == "method":
            continue
        same = runs[name].isna() if is_missing(pivot[name]) else runs[name] == pivot[name]
        of_lora = name in ("rank", "alpha", "dropout")
        runs = runs[same | (runs["method"] != "lora")] if of_lora and pivot["method"] == "lora" else (
            runs if of_lora else runs[same]
        )  # fmt: skip
    return runs


def one_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """One run a setting, that of the lowest seed: repeated settings would have more tries at being the best."""
    return runs.sort_values("seed", kind="stable").drop_duplicates([name for name in SETTINGS if name in runs])


def fair_split(*runs: pd.Series[Any]) -> str:
    """ "test" when every run has a test score, else "validation"."""
    return "test" if all(not is_missing(run["test_score"]) for run in runs) else "validation"


def score_number(run: Any, split: str) -> Number:
    """A run's score on a split with its interval, as the table has it."""
    low, high = known(run[f"{split}_low"]), known(run[f"{split}_high"])
    n = known(run[f"{split}_n"])
    return Number(name=str(run["label"]), value=known(run[f"{split}_score"]), unit="share", low=low, high=high,
                  n=None if n is None else int(n))  # fmt: skip


def split_sentence(split: str) -> str:
    """How far the split can be trusted."""
    if split == "test":
        return "Measured on the test split, which had no part in choosing the runs."
    return "Measured on validation, where the runs were also chosen: the better of the two is flattered."
