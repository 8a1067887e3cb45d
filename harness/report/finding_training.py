"""Findings on how to train. Goes in: ReportData. Comes out: learning rate, rank, prompt style.

Each looks at runs that share every setting but the one asked about; seeds of one setting are averaged. These are
comparisons inside a sweep, on the validation split; claims over several comparisons are Holm-adjusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness import stats
from harness.report.answer import Finding, Number, display, known, missing, rate
from harness.report.comparison import (
    MARGINS,
    Comparison,
    alike,
    best,
    can_compare,
    compare_scores,
    items_needed_sentence,
    one_seed,
    relative_gap,
)
from harness.report.data import METHOD_WORDS, TRAINED, ReportData, records

PUBLISHED_RATIO = 10.0  # best LoRA over best full learning rate: LoRA Without Regret, 2025
BREAKS_BELOW = 0.5  # of the method's best score


def learning_rate(data: ReportData) -> Finding:
    """3: where each method works, degrades and breaks."""
    key, question = "learning-rate", "Which learning rate works, and where does training break?"
    pivot = best(data, *TRAINED)
    grid = data.runs[data.runs["method"].isin(TRAINED) & data.runs["learning_rate"].notna()]
    if pivot is not None:
        grid = alike(data, pivot, "rank", "alpha", "dropout", "learning_rate")
    rows = _cells(grid)
    if not rows:
        return missing(3, key, question, "The sweep has no trained run.")
    if pivot is None:
        failed = sum(row["status"] == "failed" for row in rows)
        why = f"No trained run has a score: {failed} of {len(rows)} settings failed."
        return Finding(number=3, key=key, question=question, verdict="No setting has worked so far", tone="warning",
                       sentences=(why,), rows=tuple(rows))  # fmt: skip
    peaks = {method: _peak(rows, method) for method in TRAINED}
    found = {method: peak for method, peak in peaks.items() if peak is not None}
    compared = {method for method in found if len(_rates(rows, method)) > 1}
    ratio = _ratio(found) if len(compared) == 2 else None
    verdict = ", ".join(
        f"{METHOD_WORDS[method]} {rate(peak['learning_rate'])}{'' if method in compared else ' (the only one)'}"
        for method, peak in found.items()
    )
    numbers = [
        Number(name=f"best {METHOD_WORDS[method]} learning rate", value=peak["learning_rate"], unit="rate")
        for method, peak in found.items()
    ]
    if ratio is not None:
        numbers.append(Number(name="best LoRA over best full (published: about 10 x)", value=ratio, unit="ratio"))
    return Finding(
        number=3,
        key=key,
        question=question,
        verdict=f"Best: {verdict}" if compared else f"Not compared: {verdict}",
        tone="answer" if compared else "unsure",
        sentences=(
            *(_zones(data, grid, method) for method in found),
            *(
                (f"The best rates are {display(ratio, 'ratio')} apart; {PUBLISHED_RATIO:.0f} x is published.",)
                if ratio
                else ()
            ),
            *(() if compared else ("Give several rates, such as LRS=3e-4,1e-3,3e-3, to see where training works.",)),
            *_edges(rows, found),
        ),
        numbers=tuple(numbers),
        rows=tuple({**row, "best": row in found.values()} for row in rows),
    )


def _cells(grid: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a (method, rank, learning rate): the mean score of its finished seeds, or why there is none."""
    rows = []
    cells: Any = grid.groupby(["method", "rank", "learning_rate"], dropna=False)
    for (method, rank, learning_rate), runs in cells:
        scores = runs["validation_score"].dropna()
        status = (
            "done" if len(scores) else "failed" if (runs["status"] == "failed").any() else str(runs["status"].iloc[0])
        )
        rows.append(
            {
                "method": str(method),
                "rank": known(rank),
                "learning_rate": float(learning_rate),
                "score": float(scores.mean()) if len(scores) else None,
                "status": "not scored" if status == "done" and not len(scores) else status,
                "best": False,
            }
        )
    return rows


def _peak(rows: list[dict[str, Any]], method: str) -> dict[str, Any] | None:
    mine = [row for row in rows if row["method"] == method and row["score"] is not None]
    return max(mine, key=lambda row: (row["score"], -row["learning_rate"])) if mine else None


def _rates(rows: list[dict[str, Any]], method: str) -> list[float]:
    return sorted({row["learning_rate"] for row in rows if row["method"] == method})


def _ratio(found: Mapping[str, Mapping[str, Any]]) -> float | None:
    return found["lora"]["learning_rate"] / found["full"]["learning_rate"] if len(found) == 2 else None


def _zones(data: ReportData, grid: pd.DataFrame, method: str) -> str:
    """Which rates are as good as the best, worse, or broken, each rate at its best rank."""
    mine = one_seed(grid[grid["method"] == method])
    leaders: dict[float, Any] = {
        float(str(value)): runs.sort_values("validation_score", ascending=False).iloc[0]
        for value, runs in mine.groupby("learning_rate")
    }
    scored = {value: run for value, run in leaders.items() if can_compare(run)}
    top = max(scored.values(), key=lambda run: float(run["validation_score"]))
    words: dict[str, list[str]] = {"works": [rate(float(top["learning_rate"]))], "degrades": [], "breaks": []}
    others = [run for run in scored.values() if run["run"] != top["run"]]
    compared = [against(data, top, run) for run in others]
    adjusted = iter(stats.holm([item.p_value for item in compared if item is not None]))
    for run, item in zip(others, compared, strict=True):
        worse = item is not None and next(adjusted) <= 0.05
        broken = float(run["validation_score"]) < BREAKS_BELOW * float(top["validation_score"])
        words["breaks" if worse and broken else "degrades" if worse else "works"].append(
            rate(float(run["learning_rate"]))
        )
    words["breaks"] += [rate(value) for value, run in leaders.items() if run["status"] == "failed"]
    parts = [f"{word} at {', '.join(sorted(rates, key=float))}" for word, rates in words.items() if rates]
    return f"{METHOD_WORDS[method]} {'; '.join(parts)}."


def against(data: ReportData, a: pd.Series[Any], b: pd.Series[Any]) -> Comparison | None:
    return compare_scores(data, data.items(a["run"], "validation"), data.items(b["run"], "validation"))


def _edges(rows: list[dict[str, Any]], found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A best rate at the end of the grid is not yet a best rate."""
    told = []
    for method, peak in found.items():
        rates = _rates(rows, method)
        if len(rates) > 1 and peak["learning_rate"] in (rates[0], rates[-1]):
            side = "lowest" if peak["learning_rate"] == rates[0] else "highest"
            told.append(
                f"For {METHOD_WORDS[method]} the best is the {side} rate tried: a better one may lie beyond the grid."
            )
    return told


def rank_effect(data: ReportData) -> Finding:
    """4: does more rank help here?"""
    key, question = "rank", "Does a higher rank help here?"
    pivot = best(data, "lora")
    if pivot is None:
        return missing(4, key, question, "No LoRA run finished with a score that may be compared.")
    grid = one_seed(alike(data, pivot, "rank", "alpha", "learning_rate", methods=("lora",)))
    leaders: dict[float, Any] = {
        float(str(rank)): runs.sort_values("validation_score", ascending=False).iloc[0]
        for rank, runs in grid[[can_compare(run) for run in records(grid)]].groupby("rank")
    }
    if len(leaders) < 2:
        return missing(4, key, question, "Only one rank was trained and scored; give several, such as RANKS=8,64.")
    lowest, top = leaders[min(leaders)], max(leaders.values(), key=lambda run: float(run["validation_score"]))
    compared = {rank: against(data, run, lowest) for rank, run in leaders.items() if rank != min(leaders)}
    tested = {rank: item for rank, item in compared.items() if item is not None}
    if not tested:
        return missing(4, key, question, "The ranks share too few graded items to be compared.")
    adjusted = dict(zip(tested, stats.holm([item.p_value for item in tested.values()]), strict=True))
    verdict, sentence, tone = _rank_verdict(data, leaders, tested, adjusted)
    context = [run for run in (best(data, "base"), best(data, "full")) if run is not None]
    return Finding(
        number=4,
        key=key,
        question=question,
        verdict=verdict,
        tone="answer" if tone else "unsure",
        sentences=(_ranks_sentence(lowest, top), sentence),
        numbers=tuple(
            Number(
                name=f"r{rank:g} over r{min(leaders):g}",
                value=item.difference,
                unit="points",
                low=item.low,
                high=item.high,
                n=item.n,
            )
            for rank, item in sorted(tested.items())
        ),
        rows=tuple(
            score_row(run, method=run["method"], rank=known(run["rank"])) for run in [*leaders.values(), *context]
        ),
    )


def _ranks_sentence(lowest: Any, top: Any) -> str:
    low, high = (display(run["validation_score"], "share") for run in (lowest, top))
    if lowest["run"] == top["run"]:
        return f"Each rank at its best learning rate: the lowest, r{lowest['rank']:g}, scores highest, {low}."
    return f"Each rank at its best learning rate: r{lowest['rank']:g} scores {low}, the best, r{top['rank']:g}, {high}."


def _rank_verdict(
    data: ReportData, leaders: Mapping[float, Any], tested: Mapping[float, Comparison], adjusted: Mapping[float, float]
) -> tuple[str, str, bool]:
    helps = [rank for rank, item in tested.items() if item.difference > 0 and adjusted[rank] <= 0.05]
    if helps:
        first = min(helps)
        return (
            f"Yes, from r{first:g} on",
            f"The gain over the lowest rank holds after Holm's adjustment for {len(tested)} ranks.",
            True,
        )
    highest, lowest = max(tested), min(leaders)
    items = [data.items(leaders[rank]["run"], "validation") for rank in (highest, lowest)]
    gap = relative_gap(data, *items)
    if gap is not None and gap[2] < MARGINS[-1]:
        return "No", f"r{highest:g} gains at most {display(gap[2], 'relative')} on r{lowest:g} (95 % limit).", True
    item = max(tested.values(), key=lambda item: item.difference)
    return "Cannot tell", items_needed_sentence(item), False


def prompt_style(data: ReportData) -> Finding:
    """5: the prompt style's effect on the score and on its stability across learning rates."""
    key, question = "prompt-style", "Does the prompt style matter, and does it make training more stable?"
    grid = varied(data, ("prompt_style", "learning_rate"), "prompt_style")
    if grid.empty:
        return missing(
            5,
            key,
            question,
            "One prompt style was trained and scored; give several, such as PROMPT_STYLES=instruct,plain.",
        )
    styles = grid.groupby("prompt_style")["validation_score"].max().sort_values(ascending=False).index
    first, rivals = str(styles[0]), [str(style) for style in styles[1:]]
    compared = {style: _style_comparison(data, grid, first, style) for style in rivals}
    tested = {style: item for style, item in compared.items() if item is not None}
    if not tested:
        return missing(5, key, question, "No learning rate was trained with two prompt styles on shared items.")
    adjusted = stats.holm([item.p_value for item in tested.values()])
    beaten = [
        style for (style, item), p in zip(tested.items(), adjusted, strict=True) if p <= 0.05 and item.difference > 0
    ]
    ahead = [
        style for (style, item), p in zip(tested.items(), adjusted, strict=True) if p <= 0.05 and item.difference < 0
    ]
    verdict = (
        f"Yes: {first} beats {', '.join(beaten)}"
        if beaten
        else f"Yes: {', '.join(ahead)} ahead"
        if ahead
        else "Cannot tell"
    )
    rates = grid.groupby("learning_rate")["prompt_style"].nunique()
    shared = grid[grid["learning_rate"].isin(rates[rates == len(styles)].index)]
    spread = shared.groupby("prompt_style")["validation_score"].agg(lambda scores: scores.max() - scores.min())
    several = shared.groupby("prompt_style")["learning_rate"].nunique()
    return Finding(
        number=5,
        key=key,
        question=question,
        verdict=verdict,
        tone="answer" if beaten or ahead else "unsure",
        sentences=(
            "Runs that differ in the prompt style alone, averaged by item over the learning rates both styles share.",
            *((items_needed_sentence(next(iter(tested.values()))),) if not (beaten or ahead) else ()),
            *(
                f"Across {several[style]} shared learning rates the score of {style} moves by "
                f"{100 * spread[style]:.1f} points."
                for style in styles
                if several.get(style, 0) > 1
            ),
        ),
        numbers=tuple(
            Number(
                name=f"{first} over {style}",
                value=item.difference,
                unit="points",
                low=item.low,
                high=item.high,
                n=item.n,
            )
            for style, item in tested.items()
        ),
        rows=tuple(
            score_row(run, style=str(run["prompt_style"]), learning_rate=float(run["learning_rate"]))
            for _, run in grid.drop_duplicates(["prompt_style", "learning_rate"]).iterrows()
        ),
    )


def varied(data: ReportData, varying: tuple[str, ...], axis: str) -> pd.DataFrame:
    """The comparable runs around a method's best one that differ in `varying` only, where `axis` has several values."""
    for pivot in (best(data, *TRAINED), best(data, "lora"), best(data, "full")):
        if pivot is None:
            continue
        grid = one_seed(alike(data, pivot, *varying, methods=(str(pivot["method"]),)))
        grid = grid[[can_compare(run) for run in records(grid)]]
        if grid[axis].nunique() > 1:
            return grid
    return data.runs.head(0)


def _style_comparison(data: ReportData, grid: pd.DataFrame, a: str, b: str) -> Comparison | None:
    rates = set(grid.loc[grid["prompt_style"] == a, "learning_rate"]) & set(
        grid.loc[grid["prompt_style"] == b, "learning_rate"]
    )
    means = []
    for style in (a, b):
        runs = grid[(grid["prompt_style"] == style) & grid["learning_rate"].isin(rates)].drop_duplicates(
            "learning_rate"
        )
        columns = [data.items(run, "validation") for run in runs["run"]]
        means.append(pd.concat(columns, axis=1).mean(axis=1, skipna=False) if columns else pd.Series(dtype=float))
    return compare_scores(data, means[0], means[1])


def score_row(run: Any, **more: Any) -> dict[str, Any]:
    score = {name: known(run[f"validation_{name}"]) for name in ("score", "low", "high")}
    return {"label": str(run["label"]), **score, **more}
