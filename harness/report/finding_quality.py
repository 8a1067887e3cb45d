"""Findings on what models answer. Goes in: ReportData. Comes out: what fine-tuning changed, LoRA or full, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness import stats
from harness.core import OUTCOMES
from harness.report.answer import Finding, Number, display, interval, missing, plural
from harness.report.comparison import (
    MARGINS,
    Comparison,
    best,
    compare_scores,
    comparison,
    fair_split,
    items_needed_sentence,
    more_items_for_margin,
    relative_gap,
    score_number,
    split_sentence,
)
from harness.report.data import TRAINED, ReportData

FORMAT = ("unparsed", "truncated")
SMALLEST_SLICE = 10  # items: below it a slice is not compared
SLICES_SHOWN = 16


def what_changed(data: ReportData) -> Finding:
    """1: did fine-tuning mend the format or the task?"""
    key, question = "change", "What did fine-tuning change: format failures or wrong answers?"
    trained = best(data, *TRAINED)
    if trained is None:
        return missing(1, key, question, "No fine-tuned run finished with a score that may be compared.")
    base = _base_like(data, trained)
    if base is None:
        return missing(1, key, question, "The sweep has no finished base run; add `base` to its methods.")
    split = fair_split(base, trained)
    compared = comparison(data, trained, base, split)
    if compared is None:
        return missing(1, key, question, "Base and fine-tuned run share too few graded items to be compared.")
    shown = [base, *(run for run in (best(data, method) for method in TRAINED) if run is not None)]
    won = _won(data, base, trained, split)
    return Finding(
        number=1,
        key=key,
        question=question,
        verdict=_change_verdict(compared, won),
        tone="answer" if compared.decided else "unsure",
        sentences=(*_change_sentences(data, (base, trained), split, compared, won), split_sentence(split)),
        numbers=(
            score_number(base, split),
            score_number(trained, split),
            compared.number,
            _format_share(data, base, split),
            _format_share(data, trained, split),
        ),
        rows=tuple(row for run in shown for row in _reasons(data, run, split)),
    )


def _base_like(data: ReportData, trained: pd.Series[Any]) -> pd.Series[Any] | None:
    """The base run with the prompt style of `trained`, or else the best one."""
    same = data.runs[(data.runs["method"] == "base") & (data.runs["prompt_style"] == trained["prompt_style"])]
    done = same[(same["status"] == "done") & same["validation_score"].notna()]
    return done.iloc[0] if not done.empty else best(data, "base")


@dataclass(frozen=True, kw_only=True)
class _Won:
    """Of the items that only the trained run got right, how many the base had failed on format, with an interval."""

    on_format: int
    n: int
    low: float
    high: float


def _won(data: ReportData, base: pd.Series[Any], trained: pd.Series[Any], split: str) -> _Won:
    before, after = data.outcomes(base["run"], split)["outcome"], data.outcomes(trained["run"], split)["outcome"]
    gained = before[before.index.isin(after.index[after == "right"]) & before.isin(("wrong", *FORMAT))]
    on_format = gained.isin(FORMAT).astype(float)
    low, high = stats.clustered_wilson_interval(on_format.tolist(), data.clusters(gained.index))
    return _Won(on_format=int(on_format.sum()), n=len(gained), low=low, high=high)


def _change_verdict(compared: Comparison, won: _Won) -> str:
    if not compared.decided:
        return "Cannot tell whether fine-tuning helped"
    if compared.high < 0:
        return "Fine-tuning made it worse"
    return (
        "Mostly the format" if won.low > 0.5 else "Mostly the answers" if won.high < 0.5 else "Both format and answers"
    )


def _change_sentences(
    data: ReportData,
    runs: tuple[pd.Series[Any], pd.Series[Any]],
    split: str,
    compared: Comparison,
    won: _Won,
) -> tuple[str, ...]:
    base, trained = runs
    text = (
        f"{trained['label']} answers {display(compared.a, 'share')} of {compared.n:,} items, {base['label']} "
        f"{display(compared.b, 'share')}: {display(compared.difference, 'points')} "
        f"{interval(compared.low, compared.high, 'points')}."
    )
    if not compared.decided:
        return text, items_needed_sentence(compared)
    origin = (
        f"Of the {won.n:,} items that fine-tuning won, {display(won.on_format / won.n, 'share')} "
        f"{interval(won.low, won.high)} had no readable answer before; whether the base knew their answer cannot be "
        "seen. The others were read and wrong."
        if won.n
        else "It won no item that the base had failed."
    )
    return text, origin


def _format_share(data: ReportData, run: pd.Series[Any], split: str) -> Number:
    outcomes = data.outcomes(run["run"], split)["outcome"]
    bad = outcomes[outcomes != "unscored"].isin(FORMAT).astype(float)
    low, high = stats.clustered_wilson_interval(bad.tolist(), data.clusters(bad.index))
    share = float(bad.mean()) if len(bad) else None
    return Number(name=f"format failures, {run['label']}", value=share, unit="share", low=low, high=high, n=len(bad))


def _reasons(data: ReportData, run: pd.Series[Any], split: str) -> list[Mapping[str, Any]]:
    rows = data.outcomes(run["run"], split)
    counts: dict[Any, Any] = rows.groupby(["outcome", "why"]).size().to_dict()
    return [
        {"label": run["label"], "outcome": word, "why": str(why), "count": int(n), "share": int(n) / len(rows)}
        for (word, why), n in sorted(counts.items(), key=lambda item: (OUTCOMES.index(item[0][0]), -item[1]))
    ]


def lora_or_full(data: ReportData) -> Finding:
    """2: the relative gap of the best LoRA run to the best full one."""
    key, question = "lora-or-full", "LoRA or full fine-tuning?"
    lora, full = best(data, "lora"), best(data, "full")
    if lora is None or full is None:
        absent = " and ".join(name for name, run in (("LoRA", lora), ("full", full)) if run is None)
        return missing(2, key, question, f"No {absent} run finished with a score that may be compared.")
    split = fair_split(lora, full)
    compared = comparison(data, lora, full, split)
    gap = relative_gap(data, data.items(lora["run"], split), data.items(full["run"], split))
    if compared is None or gap is None:
        return missing(2, key, question, "The runs share too few graded items, or full fine-tuning scored 0 on them.")
    verdict = gap_verdict(*gap)
    unsure = verdict.startswith("Cannot tell")
    return Finding(
        number=2,
        key=key,
        question=question,
        verdict=verdict,
        tone="unsure" if unsure else "answer",
        sentences=(
            f"The best LoRA run ({lora['label']}) scores {display(compared.a, 'share')}, the best full run "
            f"({full['label']}) {display(compared.b, 'share')}: {display(gap[0], 'relative')} "
            f"{interval(gap[1], gap[2], 'relative')} relative to full.",
            *((_undecided_gap(compared),) if unsure else ()),
            split_sentence(split),
        ),
        numbers=(
            Number(name="relative gap", value=gap[0], unit="relative", low=gap[1], high=gap[2], n=compared.n),
            compared.number,
            score_number(lora, split),
            score_number(full, split),
        ),
        rows=tuple(_gap_rows(data, lora, full)),
    )


def gap_verdict(gap: float, low: float, high: float) -> str:
    """The words for LoRA's relative gap and its 95 % interval. Equivalence needs the whole interval inside a margin."""
    within = next((f"within {100 * margin:.0f} %" for margin in MARGINS if -margin < low and high < margin), "")
    if high < 0 or low > 0:
        word = "worse" if high < 0 else "better"
        return f"LoRA is {word}, {within}" if within else f"LoRA is {word}"
    return f"Equivalent {within}" if within else "Cannot tell"


def _undecided_gap(compared: Comparison) -> str:
    margin = MARGINS[-1]
    needed = more_items_for_margin(compared, margin * compared.b)
    text = items_needed_sentence(compared)
    if needed is None:
        return text
    return (
        f"{text} If there is none, about {plural(needed, 'more item')} would show that they are equivalent within "
        f"{100 * margin:.0f} %."
    )


def _gap_rows(data: ReportData, lora: pd.Series[Any], full: pd.Series[Any]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for split in ("test", "validation"):
        gap = relative_gap(data, data.items(lora["run"], split), data.items(full["run"], split))
        if gap is not None:
            rows.append({"name": split, "gap": gap[0], "low": gap[1], "high": gap[2], "marked": split == "test"})
    return rows


def where_they_differ(data: ReportData) -> Finding:
    """7: slices by tag, Holm-adjusted."""
    key, question = "slices", "Where do they differ?"
    first, second = best(data, "lora"), best(data, "full")
    if first is None or second is None:
        first, second = best(data, *TRAINED), best(data, "base")
    if first is None or second is None:
        return missing(7, key, question, "Two finished runs are needed to compare slices.")
    split = fair_split(first, second)
    rows = _slices(data, first, second, split)
    if not rows:
        return missing(7, key, question, f"No tag has {SMALLEST_SLICE} items that both runs answered.")
    marked = [row for row in rows if row["marked"]]
    named = ", ".join(f"{row['name']} ({display(row['difference'], 'points')})" for row in marked[:4])
    widest = max(rows, key=lambda row: row["high"] - row["low"])
    return Finding(
        number=7,
        key=key,
        question=question,
        verdict=f"On {len(marked)} of {plural(len(rows), 'slice')}" if marked else "No slice tells them apart",
        tone="answer" if marked else "unsure",
        sentences=(
            f"{first['label']} against {second['label']}, by tag, with Holm's adjustment for "
            f"{plural(len(rows), 'comparison')}.",
            f"The difference holds on {named}."
            if marked
            else f"That is no proof of equality: the widest interval ({widest['name']}, n={widest['n']:,}) runs from "
            f"{display(widest['low'], 'points')} to {display(widest['high'], 'points')}.",
            split_sentence(split),
        ),
        numbers=tuple(
            Number(
                name=row["name"], value=row["difference"], unit="points", low=row["low"], high=row["high"], n=row["n"]
            )
            for row in (marked or rows)[:5]
        ),
        rows=tuple(sorted(rows, key=lambda row: row["difference"])),
    )


def _slices(data: ReportData, a: pd.Series[Any], b: pd.Series[Any], split: str) -> list[dict[str, Any]]:
    mine, theirs = data.items(a["run"], split), data.items(b["run"], split)
    tags = data.examples["tags"].explode().dropna()
    rows: list[dict[str, Any]] = []
    for tag, ids in tags.groupby(tags).groups.items():
        compared = compare_scores(data, mine[mine.index.isin(ids)], theirs[theirs.index.isin(ids)])
        if compared is None or compared.n < SMALLEST_SLICE:
            continue
        names = {"name": str(tag), "a": str(a["label"]), "b": str(b["label"])}
        rows.append({**names, "n": compared.n, "difference": compared.difference, "low": compared.low,
                     "high": compared.high, "p": compared.p_value})  # fmt: skip
    rows = sorted(rows, key=lambda row: -row["n"])[:SLICES_SHOWN]
    for row, adjusted in zip(rows, stats.holm([row["p"] for row in rows]) if rows else [], strict=True):
        row.update(adjusted_p=adjusted, marked=adjusted <= 0.05)
    return sorted(rows, key=lambda row: row["p"])
