"""What more, and cleaner, training data does to the score. Goes in: ReportData. Comes out: the finding with its learning curve.

Runs that differ in the number of training items and in curation alone, around a method's best run, one seed each. Clean and
raw are compared item by item at each size that both have; the claims are Holm-adjusted together.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness import stats
from harness.report.answer import Finding, Number, display, interval, plural
from harness.report.comparison import Comparison, items_needed_sentence
from harness.report.data import ReportData, records
from harness.report.finding_training import against, score_row, varied

VARYING = ("train_size", "curation")
QUESTION = "Would more or cleaner training data help?"


def train_size(data: ReportData) -> Finding | None:
    """10: the effect of size and of curation. None unless the sweep varies one of them."""
    found = [grid for axis in VARYING if not (grid := varied(data, VARYING, axis)).empty]
    if not found:
        return None
    counts = pd.Series([_num_items(data, run) for run in records(found[0])], index=found[0].index, dtype=float)
    grid = found[0].assign(num_items=counts).dropna(subset=["num_items"])
    grid = grid.sort_values(["num_items", "curation"]).drop_duplicates(list(VARYING))
    sized = _sized(data, grid)
    cleaned = _cleaned(data, grid)
    if sized is None and not cleaned:
        return None
    tested = [item for item in (sized, *(pair for _, pair in cleaned)) if item is not None]
    adjusted = stats.holm([item.p_value for item in tested])
    decided = {id(item): p <= 0.05 for item, p in zip(tested, adjusted, strict=True)}
    names = [
        *(["most over fewest training items"] if sized else []),
        *(f"clean over raw, {name}" for name, _ in cleaned),
    ]
    undecided = [item for item in tested if not decided[id(item)]]
    return Finding(
        number=10,
        key="train-size",
        question=QUESTION,
        verdict="; ".join(_verdicts(sized, cleaned, decided)),
        tone="answer" if any(decided.values()) else "unsure",
        sentences=(
            *_size_sentences(grid, sized),
            *(_clean_sentence(name, item) for name, item in cleaned),
            *_removed_sentence(data, grid),
            *([f"Verdicts are Holm-adjusted for {len(tested)} comparisons."] if len(tested) > 1 else []),
            *(items_needed_sentence(item) for item in undecided[:1]),
        ),
        numbers=tuple(_number(name, item) for name, item in zip(names, tested, strict=True)),
        rows=tuple(_row(run) for run in records(grid)),
    )


def _number(name: str, item: Comparison) -> Number:
    return Number(name=name, value=item.difference, unit="points", low=item.low, high=item.high, n=item.n)


def _row(run: Any) -> dict[str, Any]:
    return score_row(run, series=f"{run['curation']} data", train_size=float(run["num_items"]))


def _num_items(data: ReportData, run: Any) -> float | None:
    """Training items of a run: the size asked for, or all that its curation leaves."""
    source = data.info.get("data") or {}
    there = (source.get("sizes") or {}).get("train")
    removed = (source.get("curation") or {}).get("removed", 0) if run["curation"] == "clean" else 0
    size = run["train_size"]
    if size is None or pd.isna(size):
        return None if there is None else float(there - removed)
    return float(size) if there is None else min(float(size), float(there - removed))


def _sized(data: ReportData, grid: pd.DataFrame) -> Comparison | None:
    """The most training items against the fewest, in the curation that has most sizes (raw when both have as many)."""
    counts = grid.groupby("curation")["num_items"].nunique()
    curation = max(counts.index, key=lambda name: (counts[name], name == "raw"))
    rows = grid[grid["curation"] == curation]
    return against(data, rows.iloc[-1], rows.iloc[0]) if counts[curation] > 1 else None


def _cleaned(data: ReportData, grid: pd.DataFrame) -> list[tuple[str, Comparison]]:
    """(size in words, clean minus raw) for each size that was trained both ways."""
    found = []
    for _, rows in grid.groupby("train_size", dropna=False):
        ways = {run["curation"]: run for _, run in rows.iterrows()}
        compared = against(data, ways["clean"], ways["raw"]) if len(ways) == 2 else None
        if compared is not None:
            size = ways["raw"]["train_size"]
            found.append(("all items" if pd.isna(size) else plural(int(size), "item"), compared))
    return found


def _verdicts(sized: Comparison | None, cleaned: list[tuple[str, Comparison]], decided: dict[int, bool]) -> list[str]:
    told = []
    if sized is not None:
        more = "More data helps" if sized.difference > 0 else "Less data did better"
        told.append(more if decided[id(sized)] else "More data: cannot tell")
    sure = [(name, item) for name, item in cleaned if decided[id(item)]]
    helps = [name for name, item in sure if item.difference > 0]
    hurts = [name for name, item in sure if item.difference < 0]
    if cleaned and not sure:
        told.append("cleaning: cannot tell")
    told += [f"cleaning helps at {', '.join(helps)}"] if helps else []
    told += [f"cleaning hurts at {', '.join(hurts)}"] if hurts else []
    return [told[0][0].upper() + told[0][1:], *told[1:]]


def _size_sentences(grid: pd.DataFrame, sized: Comparison | None) -> list[str]:
    if sized is None:
        return []
    fewest, most = float(grid["num_items"].min()), float(grid["num_items"].max())
    return [
        f"{most:,.0f} training items against {fewest:,.0f}, all else equal: {display(sized.difference, 'points')} "
        f"{interval(sized.low, sized.high, 'points')}."
    ]


def _clean_sentence(name: str, item: Comparison) -> str:
    limits = interval(item.low, item.high, "points")
    return f"Clean against raw data with {name}: {display(item.difference, 'points')} {limits} (n={item.n:,})."


def _removed_sentence(data: ReportData, grid: pd.DataFrame) -> list[str]:
    source = data.info.get("data") or {}
    told = source.get("curation") or {}
    if "clean" not in set(grid["curation"]) or not told:
        return []
    total = (source.get("sizes") or {}).get("train", 0)
    why = ", ".join(f"{reason} {count:,}" for reason, count in told.get("reasons", {}).items())
    among = ", ".join(f"{count:,} of the first {int(size):,}" for size, count in told.get("among_first", {}).items())
    return [
        f"Cleaning leaves out {told['removed']:,} of {total:,} usable training items{f' ({why})' if why else ''}"
        f"{f'; {among}' if among else ''}. Where it is none of the first, raw and clean runs train on the same items."
    ]
