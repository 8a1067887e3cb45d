"""Findings around the score. Goes in: ReportData and the selection. Comes out: cost, context, and trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness import stats
from harness.report.answer import Finding, Number, Unit, display, interval, known, missing, plural
from harness.report.comparison import (
    UNSCORED_LIMIT,
    Comparison,
    best,
    compare_scores,
    comparison,
    eligible,
    fair_split,
    items_needed_sentence,
    split_sentence,
)
from harness.report.data import SETTINGS, TRAINED, EarlierSweep, ReportData, is_missing, records
from harness.report.plots_cost import PANELS

COSTS: tuple[tuple[str, str, Unit], ...] = (
    ("trainable_parameters", "trainable parameters", "count"),
    ("checkpoint_bytes", "checkpoint on disk", "bytes"),
    ("peak_memory_bytes", "peak memory in training", "bytes"),
    ("train_seconds", "training time", "seconds"),
)


def cost(data: ReportData) -> Finding:
    """6: what a point of score costs, in training and in serving."""
    key, question = "cost", "What does each method cost?"
    runs = eligible(data)
    if runs.empty:
        return missing(6, key, question, "No finished run has a score that may be compared.")
    lora, full = best(data, "lora"), best(data, "full")
    sentences: list[str] = []
    numbers: list[Number] = []
    verdict = "Costs are listed; LoRA and full cannot be set side by side"
    if lora is not None and full is not None:
        shares = {name: _share(lora[column], full[column]) for column, name, _ in COSTS}
        told = [f"{_percent(share)} of the {name}" for name, share in shares.items() if share is not None]
        sentences.append(
            f"{lora['label']} against {full['label']}: {'; '.join(told)}." if told else "Costs were not recorded."
        )
        parameters = shares["trainable parameters"]
        disk = shares["checkpoint on disk"]
        verdict = _cost_verdict(parameters, disk) or verdict
    for run in (lora, full):
        if run is not None:
            numbers += [
                Number(name=f"{name}, {run['label']}", value=known(run[column]), unit=unit)
                for column, name, unit in COSTS
                if not is_missing(run[column])
            ]
    serving = _serving(data)
    sentences += [_serving_sentence(data)] if serving else ["Serving speed was not measured."]
    return Finding(
        number=6,
        key=key,
        question=question,
        verdict=verdict,
        tone="answer" if lora is not None and full is not None else "unsure",
        sentences=tuple(sentences),
        numbers=(*numbers, *serving),
        rows=tuple(row for row in map(_cost_row, records(runs)) if any(row[column] for column, *_ in PANELS)),
    )


def _share(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if known(part) is not None and known(whole) else None


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _cost_verdict(parameters: float | None, disk: float | None) -> str:
    parts = [
        f"{_percent(share)} of the {name}" for share, name in ((parameters, "parameters"), (disk, "disk")) if share
    ]
    return f"LoRA trains {' and '.join(parts)}".replace("and", "and takes", 1) if len(parts) == 2 else ""


def _serving(data: ReportData) -> tuple[Number, ...]:
    """The median serving speed of each route, over the runs that took it. n counts runs."""
    runs = data.runs[data.runs["sample_tokens_per_second"].notna() & data.runs["sample_route"].notna()]
    return tuple(
        Number(name=f"serving, {route} ({plural(len(speeds), 'run')})", value=float(speeds.median()), unit="tokens/s")
        for route, speeds in runs.groupby("sample_route")["sample_tokens_per_second"]
    )


ROUTES = {
    "base": "base has no checkpoint",
    "adapter": "adapter is one base with many adapters",
    "merged": "merged has the adapter folded into the weights",
    "in place": "in place loads a full checkpoint over the base",
    "rebuilt": "rebuilt loads a full checkpoint into the running engine",
    "fresh engine": "fresh engine starts on the full checkpoint",
}


def _serving_sentence(data: ReportData) -> str:
    """What the measured routes are. Speeds are of a batch of answers, which are not equally long in all runs."""
    known_routes = set(data.runs.loc[data.runs["sample_tokens_per_second"].notna(), "sample_route"].dropna())
    told = [text for route, text in ROUTES.items() if route in known_routes]
    if len(told) < 2:
        return "Only one serving route was used, so routes cannot be compared."
    return (
        f"Serving speed is the median over the runs of a route: {'; '.join(told)}. Routes compare only as far as their "
        "answers are alike: long ones keep a batch full for longer."
    )


def _cost_row(run: Mapping[Any, Any]) -> dict[str, Any]:
    costs = {column: known(run[column]) for column, *_ in PANELS}
    method = run["method"] if run["method"] in ("base", *TRAINED) else "other"
    return {"label": str(run["label"]), "method": method, "score": float(run["validation_score"]), **costs}


def context(data: ReportData) -> Finding:
    """8: beside a stronger model, and beside earlier sweeps of the task."""
    key, question = "context", "How does it stand against a stronger model and earlier sweeps?"
    ours = best(data, *TRAINED)
    ours = best(data, "base") if ours is None else ours
    if ours is None:
        return missing(8, key, question, "No run of this sweep has a score that may be compared.")
    references = data.runs[~data.runs["method"].isin(("base", *TRAINED)) & data.runs["validation_score"].notna()]
    if references.empty and not data.earlier:
        why = "No API baseline was run and no earlier sweep of this task lies beside this one."
        return missing(8, key, question, why)
    split = "test" if not is_missing(ours["test_score"]) else "validation"
    rows = [_context_row(str(ours["label"]), "this", ours, split)]
    rows += [_context_row(str(run["label"]), "reference", run, split) for run in records(references)
             if known(run[f"{split}_score"]) is not None]  # fmt: skip
    rows += [{"name": f"{sweep.name}: {sweep.label}", "kind": "earlier", "score": sweep.score, "low": sweep.low,
              "high": sweep.high, "n": sweep.n, "marked": not sweep.differs} for sweep in data.earlier]  # fmt: skip
    against = [_against_reference(data, ours, run) for run in _strongest_first(references)]
    before = [(sweep, _paired_with(data, ours, sweep)) for sweep in data.earlier]
    sentences = [sentence for _, _, sentence in against]
    sentences += [_against_earlier(ours, sweep, compared) for sweep, compared in before]
    verdict, decided = against[0][:2] if against else _beside_earlier([compared for _, compared in before])
    return Finding(
        number=8,
        key=key,
        question=question,
        verdict=verdict,
        tone="answer" if decided else "unsure",
        sentences=tuple(sentences),
        numbers=tuple(
            Number(name=row["name"], value=row["score"], unit="share", low=row["low"], high=row["high"], n=row["n"])
            for row in rows
        ),
        rows=tuple(rows),
    )


def _strongest_first(references: pd.DataFrame) -> list[Any]:
    """The reference rows, those on test before the others, best first."""
    ordered = references.sort_values(["test_score", "validation_score"], ascending=False, na_position="last")
    return [run for _, run in ordered.iterrows()]


def _context_row(name: str, kind: str, run: Any, split: str) -> dict[str, Any]:
    score = {part: float(run[f"{split}_{part}"]) for part in ("score", "low", "high")}
    return {"name": name, "kind": kind, **score, "n": int(run[f"{split}_n"]), "marked": True}


def _against_reference(data: ReportData, ours: Any, run: Any) -> tuple[str, bool, str]:
    """(verdict, whether the data decide it, the sentence) on our best run beside a stronger model, on a split both
    answered."""
    split = fair_split(ours, run)
    compared = comparison(data, ours, run, split)
    if compared is None:
        text = f"{run['label']} answered too few of the same items to be compared"
        return text, False, f"{text}."
    name = f"Your {ours['label']} ({ours['model']})"
    if not compared.decided:
        text = f"{name} cannot be told apart from {run['label']}: {compared.number}"
        return text, False, f"{text} ({split}, n={compared.n:,}). {items_needed_sentence(compared)}"
    sign, word = (1, "beats") if compared.difference > 0 else (-1, "trails")
    low, high = sorted((sign * compared.low, sign * compared.high))
    points = display(sign * compared.difference, "points").lstrip("+")
    text = f"{name} {word} {run['label']} by {points} {interval(low, high, 'points')}"
    return text, True, f"{text} ({split}, n={compared.n:,}). {split_sentence(split)}"


def _paired_with(data: ReportData, ours: Any, sweep: EarlierSweep) -> Comparison | None:
    """Our best run minus an earlier sweep's on the same items; None where they cannot be compared."""
    if sweep.differs:
        return None
    return compare_scores(data, data.items(ours["run"], sweep.split), pd.Series(sweep.items, dtype=float))


def _against_earlier(ours: Any, sweep: EarlierSweep, compared: Comparison | None) -> str:
    if sweep.differs:
        return f"{sweep.name} is shown for orientation only: its {', '.join(sweep.differs)} differs from this sweep's."
    if compared is None:
        return f"{sweep.name} was scored on other items, so it is not compared item by item."
    return f"{ours['label']} minus {sweep.label} of {sweep.name}: {compared.number} ({sweep.split}, n={compared.n:,})."


def _beside_earlier(compared: Sequence[Comparison | None]) -> tuple[str, bool]:
    """(verdict, whether the data decide it) on all earlier sweeps that answered the same items, Holm-adjusted."""
    found = [item for item in compared if item is not None]
    if not found:
        return "No earlier sweep answered the same items", False
    told = [item for item, p in zip(found, stats.holm([item.p_value for item in found]), strict=True) if p <= 0.05]
    behind = sum(item.difference < 0 for item in told)
    words = [f"behind {behind}"] if behind else []
    words += [f"ahead of {len(told) - behind}"] if len(told) > behind else []
    if not words:
        return f"Cannot be told apart from {plural(len(found), 'earlier sweep')}", False
    return f"{' and '.join(words).capitalize()} of {plural(len(found), 'earlier sweep')}", True


def trust(data: ReportData, alerts: tuple[str, ...]) -> Finding:
    """9: certificate, coverage, unscored items, seeds, and what the sweep could have seen at all."""
    parts = list((data.certificate or {}).get("parts", []))
    doubts = [*_accounting(data), *_certificate_doubts(parts)]
    if alerts:
        verdict, tone = "No", "warning"
    else:
        verdict, tone = ("With care", "unsure") if doubts else ("Yes, within the stated intervals", "answer")
    passed = sum(part.get("status") == "pass" for part in parts)
    return Finding(
        number=9,
        key="trust",
        question="Can you trust this?",
        verdict=verdict,
        tone="warning" if tone == "warning" else "unsure" if tone == "unsure" else "answer",
        sentences=(
            *alerts,
            f"The certificate passes {passed} of {plural(len(parts), 'check')}."
            if parts
            else "There is no certificate.",
            *doubts,
            _seed_sentence(data),
        ),
        numbers=tuple(_trust_numbers(data)),
        rows=tuple({name: str(part.get(name, "")) for name in ("part", "name", "status")} for part in parts),
    )


def _certificate_doubts(parts: list[Any]) -> list[str]:
    return [
        f"{part.get('part')}: {part.get('name')}: {part.get('detail')}"
        for part in parts
        if part.get("status") != "pass"
    ]


def _accounting(data: ReportData) -> list[str]:
    """What is not counted anywhere else: failures, unfinished runs, unscored items, unusable data."""
    runs, told = data.runs, []
    for status in ("failed", "pending"):
        n = int((runs["status"] == status).sum()) if len(runs) else 0
        told += [f"{plural(n, 'run')} {status}."] if n else []
    for run in records(runs):
        unscored, scored = known(run.get("unscored")) or 0.0, known(run["validation_n"]) or 0.0
        if unscored + scored > 0 and unscored / (unscored + scored) > UNSCORED_LIMIT:
            share = display(unscored / (unscored + scored), "share")
            told.append(f"{run['label']} has {share} unscored items and is not compared.")
    source = data.info.get("data") or {}
    for name, word in (("broken", "broken row"), ("unusable", "item with unusable gold")):
        n = int(source.get(name) or 0)
        told += (
            [f"{plural(n, word, word.replace('item', 'items') if name == 'unusable' else '')} left out."] if n else []
        )
    return [*told, *(str(warning) for warning in data.info.get("warnings") or [])]


def _seed_sentence(data: ReportData) -> str:
    spreads = _seed_spreads(data)
    if not spreads:
        return "Seed variance: not measured (one seed a setting)."
    name, spread = spreads[0]
    deviation = display(spread.standard_deviation, "share").removesuffix(" %")
    return (
        f"Over {spread.num_seeds} seeds of {name} the validation score varies by {deviation}"
        f" points (standard deviation; mean {display(spread.mean, 'share')} {interval(spread.low, spread.high)})."
    )


def _seed_spreads(data: ReportData) -> list[tuple[str, stats.SeedVariance]]:
    """Settings run with several seeds, most seeds first."""
    runs = data.runs
    if runs.empty or runs["validation_score"].notna().sum() < 2:
        return []
    names = [name for name in SETTINGS if name in runs]
    found = [
        (str(group["label"].iloc[0]), stats.seed_variance(group["validation_score"].dropna().tolist()))
        for _, group in runs[runs["validation_score"].notna()].groupby(names, dropna=False)
        if group["seed"].nunique() > 1
    ]
    return sorted(found, key=lambda item: -item[1].num_seeds)


def _trust_numbers(data: ReportData) -> list[Number]:
    primary = data.primary
    total = len(primary)
    unscored = int(primary["value"].isna().sum()) if total else 0
    runs = int((data.runs["status"] == "done").sum()) if len(data.runs) else 0
    numbers = [
        Number(
            name="runs finished",
            value=runs / len(data.runs) if len(data.runs) else None,
            unit="share",
            n=len(data.runs),
        ),
        Number(name="answers not scored", value=unscored / total if total else None, unit="share", n=total),
    ]
    pair = [run for run in (best(data, "lora"), best(data, "full")) if run is not None]
    pair = pair if len(pair) == 2 else [run for run in (best(data, *TRAINED), best(data, "base")) if run is not None]
    compared = comparison(data, pair[0], pair[1], "validation") if len(pair) == 2 else None
    if compared is not None:
        size = max(2, int(compared.n / compared.design))
        try:
            smallest = stats.minimum_detectable_difference(size, compared.discordance)
        except ValueError:  # too few items to see any difference
            smallest = None
        name = "smallest detectable difference on validation (80 % power)"
        numbers.append(Number(name=name, value=smallest, unit="size", n=compared.n))
    return numbers
