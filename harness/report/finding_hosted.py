"""The finding on hosted models. Goes in: ReportData. Comes out: what a judge said beside the exact scorer, whether it may
be believed, what has no verdict and why, and what all calls cost.

A judge is compared where it was asked: an answer that kept its exact verdict is no agreement. Its mean is corrected by
prediction-powered inference from the answers that have both verdicts (Angelopoulos et al. 2023), which needs them to be a
random part of all: only a judge asked about every answer is corrected. The stated least kappa is .60, the lower edge of
"substantial" (Landis, Koch 1977), as in the judge's own audit; an audit kept with the sweep goes before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness import stats
from harness.core import hosted_name
from harness.report.answer import Finding, Number, Tone, display, interval, plural
from harness.report.data import ReportData, records

MIN_KAPPA = 0.6
MAX_SILENT = 0.01  # as in the judge's own audit
# what a judge said that is no verdict; a spent budget or a dead server is no fault of the model's
ITS_OWN_SILENCE = ("cut_reply", "empty_reply", "invalid_json", "verdict_not_on_offer", "judge_refused", "votes_tied")
NOT_ASKED = ("kept_exact", "not_answered")
RUNS_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What one judge contributes: its part of the verdict, how to read it, sentences and numbers."""

    verdict: str
    tone: Tone
    sentences: tuple[str, ...]
    numbers: tuple[Number, ...]


def hosted_models(data: ReportData) -> Finding | None:
    """11: the judge's verdicts and the bill; None when no hosted model was asked."""
    columns = judge_scorers(data)
    judges = [_judge(data, name) for name in columns]
    judges += [_audited(audit) for audit in data.audits if audit["column"] not in columns]
    if not judges and not data.hosted:
        return None
    costs = _costs(data)
    words = [told.verdict for told in judges] or ["No judge was asked"]
    worst: Tone = next((t for t in ("warning", "unsure") if any(told.tone == t for told in judges)), "answer")
    return Finding(
        number=11,
        key="hosted",
        question="What did hosted models say, and what did they cost?",
        verdict=f"{'; '.join(words)}; {_spent_words(data)}",
        tone=worst,
        sentences=(*(line for told in judges for line in told.sentences), *_own_answers(data), *_cost_sentences(data)),
        numbers=(*(number for told in judges for number in told.numbers), *costs),
    )


def hosted_facts(data: ReportData) -> list[tuple[str, str]]:
    """For the head of the page: what hosted models cost."""
    return [("Hosted models", _spent_words(data))] if data.hosted else []


def judge_scorers(data: ReportData) -> list[str]:
    """The scorers that are judges, by their name."""
    known = [str(name) for name in data.info.get("scorers", [])]
    seen = set(data.scores["scorer"]) if "scorer" in data.scores else set()
    return [name for name in known if name.startswith("judge:") and name != data.scorer and name in seen]


def _judge(data: ReportData, judge: str) -> _Told:
    rows = data.scores[data.scores["scorer"] == judge]
    asked = rows[~rows["why"].isin(NOT_ASKED)]
    exact = data.primary.set_index(["run", "split", "example_id"])["value"]
    truth = exact.reindex(pd.MultiIndex.from_frame(asked[["run", "split", "example_id"]])).to_numpy()
    asked = asked.assign(truth=truth.astype(float), cluster=data.clusters(pd.Index(asked["example_id"])))
    both = asked[asked["truth"].notna() & asked["value"].notna()]
    everything = len(asked) == len(rows[rows["why"] != "not_answered"])
    audit = next((a for a in data.audits if a.get("column") == judge), None)
    silent = float(asked["why"].isin(ITS_OWN_SILENCE).mean()) if len(asked) else 0.0
    verdict, tone, why = _fitness(judge, both, audit, everything, silent)
    sentences = [why, *_coverage(judge, rows, asked)]
    numbers = []
    if len(both):
        numbers += _agreement_numbers(judge, both)
    sentences += _agreement_sentences(judge, both, data.scorer, everything)
    numbers += [number for run in records(data.runs)[:RUNS_SHOWN] for number in _means(judge, run, asked, everything)]
    return _Told(verdict=verdict, tone=tone, sentences=tuple(filter(None, sentences)), numbers=tuple(numbers))


def _fitness(
    judge: str, both: pd.DataFrame, audit: Mapping[str, Any] | None, everything: bool, silent: float
) -> tuple[str, Tone, str]:
    """(a few words, how to read them, the sentence behind them) on whether the judge may be believed."""
    if audit is not None:
        told = _audited(audit)
        return told.verdict, told.tone, told.sentences[0]
    if silent > MAX_SILENT:
        why = f"{judge} is not fit as a judge of this task: it gave no verdict on {display(silent, 'share')} of the answers."
        return f"{judge} is not fit", "warning", why
    remedy = f"harness audit-judge measures {judge} with controls."
    if not everything or both.empty:
        return (
            f"{judge} was not audited",
            "unsure",
            f"Not shown to be fit: it was not asked about every answer. {remedy}",
        )
    kappa = _kappa(both)
    if kappa.kappa is None or (both["truth"] >= 1).nunique() < 2:
        why = f"Not shown to be fit: the truth is the same for every answer, so agreement says nothing. {remedy}"
        return f"{judge} is not shown to be fit", "unsure", why
    said = f"kappa {kappa.kappa:.3f} {interval(kappa.low, kappa.high, 'kappa')}, the stated least is {MIN_KAPPA:.2f}"
    if kappa.kappa < MIN_KAPPA:
        return f"{judge} is not fit", "warning", f"{judge} is not fit as a judge of this task: {said}."
    if kappa.low is None or kappa.low < MIN_KAPPA:
        return f"{judge} is not shown to be fit", "unsure", f"Too few answers to tell: {said}. {remedy}"
    return f"{judge} agrees with the exact scorer", "answer", f"Its controls are not known here: {said}. {remedy}"


def _own_answers(data: ReportData) -> list[str]:
    """A judge that also wrote some of the answers: it may favour its own writing (Zheng et al. 2023)."""
    told = []
    for judge in judge_scorers(data):
        models = judge.removeprefix("judge:").partition(":")[0].split("+")
        own = [str(run["label"]) for run in records(data.runs) if hosted_name(str(run["model"])) in models]
        if own:
            told.append(f"{judge} judges its own answers in {', '.join(own)}: it may favour them.")
    return told


def _audited(audit: Mapping[str, Any]) -> _Told:
    """What the audit of a judge says: its own report has the rest."""
    fitness, kappa, judge = str(audit["fitness"]), audit["kappa"] or {}, str(audit["column"])
    tone: Tone = "answer" if fitness == "fit" else "warning" if fitness == "not fit" else "unsure"
    reasons = "; ".join(str(reason) for reason in audit["reasons"]) or "no objection"
    number = Number(name=f"{judge}: kappa in its audit", value=kappa.get("kappa"), unit="kappa", low=kappa.get("low"),
                    high=kappa.get("high"), n=kappa.get("n"))  # fmt: skip
    sentence = f"By the audit of {judge} on {audit['num_labelled']} answers: {reasons}."
    return _Told(verdict=f"{judge} is {fitness}", tone=tone, sentences=(sentence,), numbers=(number,))


def _kappa(both: pd.DataFrame) -> stats.Kappa:
    truth, judged = (both["truth"] >= 1).tolist(), (both["value"] >= 1).tolist()
    return stats.clustered_cohen_kappa(truth, judged, both["cluster"].tolist())


def _coverage(judge: str, rows: pd.DataFrame, asked: pd.DataFrame) -> list[str]:
    """How many answers were asked about, and why some have no verdict."""
    silent = asked[asked["value"].isna()]
    reasons = ", ".join(f"{why} {count}" for why, count in silent["why"].value_counts().items())
    kept = int((rows["why"] == "kept_exact").sum())
    told = f"{judge} was asked about {plural(len(asked), 'answer')}; {kept:,} kept the exact verdict."
    without = f" {plural(len(silent), 'answer')} got no verdict and count nowhere: {reasons}." if len(silent) else ""
    if (silent["why"] == "cut_reply").any():
        without += (
            " Cut replies: --judge-tokens lets a judge write more, --judge-reason-chars makes vLLM end the reason."
        )
    return [told + without]


def _agreement_sentences(judge: str, both: pd.DataFrame, scorer: str, everything: bool) -> list[str]:
    if both.empty:
        return [f"{judge} and {scorer} share no answer that both decided."]
    right, accepted = both["truth"] >= 1, both["value"] >= 1
    cells = {name: int(mask.sum()) for name, mask in (
        ("right and accepted", right & accepted), ("right but rejected", right & ~accepted),
        ("wrong but accepted", ~right & accepted), ("wrong and rejected", ~right & ~accepted))}  # fmt: skip
    counts = ", ".join(f"{name} {count:,}" for name, count in cells.items())
    scope = "" if everything else " Only a part of the answers was asked about, so this is no rate for all of them."
    return [f"Beside {scorer}, {judge} has {counts}.{scope}"]


def _agreement_numbers(judge: str, both: pd.DataFrame) -> list[Number]:
    kappa = _kappa(both)
    numbers = []
    if (both["truth"] >= 1).nunique() == 2:  # else agreement beyond chance says nothing
        name = f"{judge}: kappa"
        numbers = [Number(name=name, value=kappa.kappa, unit="kappa", low=kappa.low, high=kappa.high, n=kappa.n)]
    truth, clusters = (both["truth"] >= 1).astype(float).tolist(), both["cluster"].tolist()
    try:
        lenient = stats.paired_difference(both["value"].astype(float).tolist(), truth, clusters)
    except ValueError:  # one cluster has no error bar
        return numbers
    name = f"{judge}: leniency, judged minus true"
    return [*numbers, Number(name=name, value=lenient.difference, unit="points", low=lenient.low, high=lenient.high,
                             n=lenient.n)]  # fmt: skip


def _means(judge: str, run: Mapping[str, Any], asked: pd.DataFrame, everything: bool) -> list[Number]:
    """The judged mean of one run, and the one corrected from the answers whose truth is known."""
    split = "test" if ((asked["run"] == run["run"]) & (asked["split"] == "test")).any() else "validation"
    mine = asked[(asked["run"] == run["run"]) & (asked["split"] == split) & asked["value"].notna()]
    if not everything or mine.empty:
        return []
    name = f"{judge} on {run['label']}, {split}"
    numbers = [Number(name=f"{name}: judged mean", value=float(mine["value"].mean()), unit="share", n=len(mine))]
    labelled, rest = mine[mine["truth"].notna()], mine[mine["truth"].isna()]
    if len(labelled) < 2:
        return numbers
    truth = (labelled["truth"] >= 1).astype(float).tolist()
    fixed = stats.prediction_powered_mean(truth, labelled["value"].tolist(), rest["value"].tolist())
    corrected = Number(name=f"{name}: corrected mean", value=fixed.mean, unit="share", low=fixed.low, high=fixed.high,
                       n=len(mine))  # fmt: skip
    return [*numbers, corrected]


def _roles(data: ReportData) -> dict[str, Mapping[str, Any]]:
    return dict((data.hosted or {}).get("roles", {}))


def _spent_words(data: ReportData) -> str:
    roles = _roles(data)
    if not roles:
        return "no call was made"
    if not all(role["cost_known"] for role in roles.values()):
        return "cost unknown, no price is known for the model"
    total = sum(role["billed_usd"] for role in roles.values())
    budget = (data.hosted or {}).get("budget_usd")
    limit = "without a budget" if budget is None else f"of a budget of ${budget:,.2f}"
    return f"{display(total, 'dollars')} spent {limit}"


def _cost_sentences(data: ReportData) -> list[str]:
    told = []
    for name, role in _roles(data).items():
        snapshots = ", ".join(role["snapshots"]) or "none, no reply came"
        told.append(
            f"{_role_word(name)}: {plural(role['num_paid'], 'call')} paid (equal ones are asked once), "
            f"{role['num_cached']:,} from the cache, {role['num_failed']:,} failed, {role['num_retries']:,} retries; "
            f"snapshot {snapshots}; prices of {role['prices_date']}; up to {display(role['at_risk_usd'], 'dollars')} more "
            "may be billed for calls that broke."
        )
    return told


def _costs(data: ReportData) -> list[Number]:
    return [
        Number(name=f"{_role_word(name)}: spent", value=role["billed_usd"] if role["cost_known"] else None, unit="dollars",
               n=role["num_paid"])
        for name, role in _roles(data).items()
    ]  # fmt: skip


def _role_word(name: str) -> str:
    return {"judge": "Judge", "answers": "Rows of hosted models"}.get(name, name)
