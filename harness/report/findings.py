"""All questions, answered. Goes in: ReportData. Comes out: a `Report`: headline, alerts, findings, and the choice.

The order is the reader's: what to ship, then why, then whether to believe it. Nothing here computes a statistic; see
`comparison`, `harness.stats` and `harness.selection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from harness.core import UserError
from harness.report.answer import Finding, Number, display, interval, plural
from harness.report.comparison import score_number
from harness.report.data import ReportData, encodable_data, is_missing, records
from harness.report.finding_context import context, cost, trust
from harness.report.finding_data import train_size
from harness.report.finding_hosted import hosted_models
from harness.report.finding_quality import lora_or_full, what_changed, where_they_differ
from harness.report.finding_training import learning_rate, prompt_style, rank_effect
from harness.selection import Selection, confirm, select

NAMES_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The first thing a reader sees."""

    verdict: str
    sentences: tuple[str, ...]
    recommended: str | None
    numbers: tuple[Number, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """A sweep, answered. `alerts` are reasons not to act on any number; `selection` is None without a choice."""

    data: ReportData
    alerts: tuple[str, ...]
    headline: Headline
    findings: tuple[Finding, ...]
    selection: Selection | None

    @property
    def recommended(self) -> Mapping[str, Any] | None:
        """The row of the recommended run."""
        if self.headline.recommended is None:
            return None
        rows = self.data.runs[self.data.runs["run"] == self.headline.recommended]
        return records(rows)[0]


def report(data: ReportData) -> Report:
    """Every answer that the sweep gives."""
    data = encodable_data(data)
    alerts = reasons_for_alarm(data)
    chosen = _selection(data)
    asked = (
        what_changed(data),
        lora_or_full(data),
        learning_rate(data),
        rank_effect(data),
        prompt_style(data),
        cost(data),
        where_they_differ(data),
        context(data),
        trust(data, alerts),
        train_size(data),
        hosted_models(data),
    )
    findings = tuple(finding for finding in asked if finding is not None)
    return Report(data=data, alerts=alerts, headline=_headline(data, chosen), findings=findings, selection=chosen)


def reasons_for_alarm(data: ReportData) -> tuple[str, ...]:
    """Why no number of this sweep should be acted on: never certified, failed, or forced past a refusal."""
    told = []
    parts = (data.certificate or {}).get("parts", [])
    failed = [part for part in parts if part.get("status") == "fail"]
    if data.certificate is None:
        told.append("No certificate: whether this evaluation can judge was never checked. Run harness certify.")
    told += [f"The certificate fails {part.get('part')}: {part.get('name')}. {part.get('detail')}" for part in failed]
    if data.info.get("uncertified") or data.info.get("allow_uncertified") or (data.certificate or {}).get("forced"):
        told.append("The sweep ran with --allow-uncertified.")
    notes = data.runs["note"].fillna("").astype(str) if "note" in data.runs else pd.Series(dtype=str)
    forced = data.runs[notes.str.contains("forced", case=False)] if len(notes) else data.runs
    told += [f"{run['label']} was forced: {run['note']}" for run in records(forced)]
    return tuple(told)


def _selection(data: ReportData) -> Selection | None:
    if data.scores.empty or data.runs.empty:
        return None
    clusters = data.clusters(pd.Index(data.scores["example_id"]))
    try:
        return select(data.runs, data.scores.assign(cluster=clusters), split="validation")
    except UserError:  # it says that nothing can be compared: the headline says so with the runs' own reasons
        return None


def _headline(data: ReportData, chosen: Selection | None) -> Headline:
    if chosen is None:
        return _nothing_to_choose(data)
    rows = {str(run["run"]): run for run in records(data.runs)}
    best, recommended = rows[chosen.best], rows[chosen.recommended]
    split = "validation" if is_missing(recommended["test_score"]) else "test"
    score = _score_number(recommended, split)
    others = [str(rows[run]["label"]) for run in chosen.tied if run not in (chosen.recommended, chosen.best)]
    verdict = f"{recommended['label']}: {score} on {split}, n={score.n:,}"
    return Headline(
        verdict=f"Recommended: {verdict}" if len(rows) > 1 else f"One run: {verdict}",
        sentences=(
            *_choice_sentences(chosen, best, recommended, others),
            _optimism_sentence(data, chosen),
        ),
        recommended=chosen.recommended,
        numbers=(score,),
    )


def _score_number(run: Mapping[str, Any], split: str) -> Number:
    return replace(score_number(run, split), name=f"{split} score")


def _choice_sentences(
    chosen: Selection, best: Mapping[str, Any], recommended: Mapping[str, Any], others: list[str]
) -> tuple[str, ...]:
    compared = len(chosen.means)
    if compared == 1:
        return ("There is no other finished run to choose from.",)
    if len(chosen.tied) == 1:
        return (
            f"It is the best of {plural(compared, 'compared run')}, told apart from every other one on validation.",
        )
    top = f"{best['label']} ({_score_number(best, 'validation')} on validation)"
    same = chosen.best == chosen.recommended
    why = "" if same else f" It is the cheapest that cannot be told apart from the best, {top}."
    named = ", ".join(others[:NAMES_SHOWN]) + (
        f" and {len(others) - NAMES_SHOWN} more" if len(others) > NAMES_SHOWN else ""
    )
    also = f" Nor can {named}." if others and why else f" It cannot be told apart from {named}." if others else ""
    return (f"Chosen from {plural(compared, 'compared run')} on validation.{why}{also}",)


def _optimism_sentence(data: ReportData, chosen: Selection) -> str:
    expected = display(chosen.expected_optimism, "points")
    clusters = data.clusters(pd.Index(data.scores["example_id"]))
    try:
        confirmed = confirm(chosen, data.runs, data.scores.assign(cluster=clusters))
    except UserError:  # no finalist was scored on test
        return f"Not confirmed on test. Looking best of {len(chosen.means)} flatters a run by about {expected}."
    if confirmed.optimism is None:
        return f"The winner has no test score. Looking best of {len(chosen.means)} flatters a run by about {expected}."
    limits = interval(confirmed.optimism_low, confirmed.optimism_high, "points")
    return (
        f"Optimism: validation minus test of the best run is {display(confirmed.optimism, 'points')} {limits}; "
        f"{expected} was to be expected from choosing the best of {len(chosen.means)}."
    )


def _nothing_to_choose(data: ReportData) -> Headline:
    counts = data.runs["status"].value_counts().to_dict() if len(data.runs) else {}
    told = [f"{plural(int(n), 'run')} {status}" for status, n in counts.items()]
    failed = records(data.runs[data.runs["status"] == "failed"]) if len(data.runs) else []
    reasons = [
        f"{run['label']} failed in {run['failed_stage']}: {run['failed_reason']}" for run in failed[:NAMES_SHOWN]
    ]
    return Headline(
        verdict="No run can be recommended",
        sentences=(f"{', '.join(told) or 'The sweep has no runs'}: no two graded items to choose on.", *reasons),
        recommended=None,
    )
