"""Who judges the judge: its verdicts against the truth, on the same items, and controls whose answer is known.

Goes in: items with the exact scorer's verdict or a human label (the label wins), and the judge's config. Comes out: an
`Audit`: confusion, kappa with interval, leniency in points (judged minus true mean) in all and by method and length,
position bias from pairs asked in both orders, the controls, the judged mean beside the one corrected by
prediction-powered inference, and a verdict with its reasons: fit, not fit, or not shown to be fit.

Sources: Cohen 1960 (kappa); Angelopoulos et al. 2023 (prediction-powered inference, assumes that the labelled items
are a random sample of all). Items of one cluster are not independent: the interval of kappa is widened by the square
root of the design effect of the agreement (Rao, Scott 1992), never narrowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.core import Score, UserError
from harness.stats import (
    Kappa,
    PredictionPoweredMean,
    clustered_cohen_kappa,
    paired_difference,
    prediction_powered_mean,
    wilson_interval,
)
from judges.audit_record import (
    Audit,
    AuditRules,
    Confusion,
    ControlResult,
    Disagreement,
    Fitness,
    Group,
    PositionBias,
)
from judges.calls import Estimate
from judges.config import JudgeConfig, JudgeItem, ProgressFunction
from judges.controls import CONTROL_KINDS, Control, controls
from judges.grader import LIKELY_REPLY_TOKENS, Judge
from judges.pairwise import Pair, PairResult, compare, first_place_share, pair_calls


@dataclass(frozen=True, kw_only=True)
class _Judged:
    item: JudgeItem
    truth: int | None
    score: Score


def audit(
    items: Sequence[JudgeItem],
    config: JudgeConfig,
    *,
    rules: AuditRules | None = None,
    progress: ProgressFunction | None = None,
) -> Audit:
    """The audit of `config.model` on `items`. Every item is judged, whatever `config.when` says.

    Raises UserError when fewer than two items have a truth to compare with.
    """
    rules = rules or AuditRules()
    if sum(truth_of(item) is not None for item in items) < 2:
        raise UserError(
            "an audit needs at least two items whose truth is known; give items with exact verdicts, or human labels"
        )
    judge = Judge(replace(config, when="all"))
    checks = controls(items, rules.num_control_items)
    scores = judge.grade([*items, *(check.item for check in checks)], progress)
    judged = [_Judged(item=item, truth=truth_of(item), score=scores[item.id]) for item in items]
    pairs = _pairs(items, rules.num_pairs)
    position = _position(compare(judge, pairs, progress)) if pairs else None
    labelled = [one for one in judged if one.truth is not None]
    kappa, overall = _kappa(labelled), _group("all", labelled)
    control_results = _control_results(checks, scores)
    fitness, reasons = _fitness(rules, kappa, overall, control_results)
    return Audit(
        model=config.model,
        column=config.column,
        snapshots=judge.spend().snapshots,
        rubric=f"{judge.rubric.name}@{judge.rubric.version}",
        rules=rules,
        num_items=len(items),
        num_labelled=len(labelled),
        num_human=sum(item.human is not None for item in items),
        confusion=_confusion(labelled),
        kappa=kappa,
        overall=overall,
        by_method=_groups(labelled, lambda one: one.item.method or "(none)"),
        by_length=_length_groups(labelled),
        position=position,
        controls=control_results,
        corrected=_corrected(judged),
        unscored_reasons=_unscored_reasons(judged),
        disagreements=_disagreements(labelled),
        fitness=fitness,
        reasons=reasons,
        spend=judge.spend(),
    )


def audit_estimate(items: Sequence[JudgeItem], config: JudgeConfig, *, rules: AuditRules | None = None) -> Estimate:
    """What `audit(items, config)` would ask and cost, controls and pairs included; nothing is sent."""
    rules = rules or AuditRules()
    judge = Judge(replace(config, when="all"))
    checks = controls(items, rules.num_control_items)
    calls, _ = pair_calls(judge, _pairs(items, rules.num_pairs))
    single = judge.estimate([*items, *(check.item for check in checks)])
    paired = judge.caller.estimate(calls, LIKELY_REPLY_TOKENS)
    known = single.likely_usd is not None and single.most_usd is not None
    return replace(
        single,
        num_calls=single.num_calls + paired.num_calls,
        num_cached=single.num_cached + paired.num_cached,
        likely_usd=(single.likely_usd or 0.0) + (paired.likely_usd or 0.0) if known else None,
        most_usd=(single.most_usd or 0.0) + (paired.most_usd or 0.0) if known else None,
    )


def truth_of(item: JudgeItem) -> int | None:
    """1 right, 0 wrong, None unknown: the human label, else the exact verdict (partial credit is wrong)."""
    if item.human is not None:
        return item.human
    value = item.exact.value if item.exact is not None else None
    return None if value is None else int(value >= 1.0)


def _confusion(labelled: Sequence[_Judged]) -> Confusion:
    cells = [(one.truth, one.score.value) for one in labelled]
    return Confusion(
        right_accepted=cells.count((1, 1.0)),
        right_rejected=cells.count((1, 0.0)),
        wrong_accepted=cells.count((0, 1.0)),
        wrong_rejected=cells.count((0, 0.0)),
        right_unscored=cells.count((1, None)),
        wrong_unscored=cells.count((0, None)),
    )


def _kappa(labelled: Sequence[_Judged]) -> Kappa | None:
    scored = [one for one in labelled if one.score.value is not None]
    if not scored:
        return None
    judged = [int(one.score.value or 0.0) for one in scored]
    return clustered_cohen_kappa([one.truth for one in scored], judged, _clusters(scored))


def _clusters(judged: Sequence[_Judged]) -> list[str]:
    return [one.item.cluster or f"item:{one.item.id}" for one in judged]


def _group(name: str, labelled: Sequence[_Judged]) -> Group:
    scored = [one for one in labelled if one.score.value is not None]
    truth = [float(one.truth or 0) for one in scored]
    judged = [float(one.score.value or 0.0) for one in scored]
    low = high = None
    clusters = _clusters(scored)
    if len(set(clusters)) >= 2:
        difference = paired_difference(judged, truth, clusters)
        low, high = 100 * difference.low, 100 * difference.high
    n = len(scored)
    return Group(
        name=name,
        n=len(labelled),
        unscored=len(labelled) - n,
        agreement=sum(a == b for a, b in zip(truth, judged, strict=True)) / n if n else None,
        true_mean=sum(truth) / n if n else None,
        judged_mean=sum(judged) / n if n else None,
        leniency_points=100 * (sum(judged) - sum(truth)) / n if n else None,
        low_points=low,
        high_points=high,
    )


def _groups(labelled: Sequence[_Judged], name_of: Callable[[_Judged], str]) -> tuple[Group, ...]:
    names = sorted({name_of(one) for one in labelled})
    return tuple(_group(name, [one for one in labelled if name_of(one) == name]) for name in names)


def _length_groups(labelled: Sequence[_Judged]) -> tuple[Group, ...]:
    """Thirds by the submission's length in characters; equal lengths stay together."""
    lengths = sorted(len(one.item.submission) for one in labelled)
    cuts = sorted({lengths[len(lengths) // 3], lengths[2 * len(lengths) // 3], lengths[-1] + 1})
    groups, start = [], 0
    for cut in cuts:
        members = [one for one in labelled if start <= len(one.item.submission) < cut]
        if members:
            groups.append(_group(f"{start} to {cut - 1} characters", members))
        start = cut
    return tuple(groups)


def _pairs(items: Sequence[JudgeItem], num_pairs: int) -> list[Pair]:
    wrong = [item for item in items if truth_of(item) == 0 and item.reference is not None]
    return [Pair(item=item, first=item.reference or "", second=item.submission) for item in wrong[:num_pairs]]


def _position(results: Sequence[PairResult]) -> PositionBias:
    first, sided = first_place_share(results)
    low, high = wilson_interval(first, sided)
    return PositionBias(
        num_pairs=len(results),
        gold_won=sum(result.winner == "first" for result in results),
        flipped=sum(result.flipped for result in results),
        unscored=sum(result.winner is None for result in results),
        first_place=first,
        sided=sided,
        low=low,
        high=high,
    )


def _control_results(checks: Sequence[Control], scores: dict[str, Score]) -> tuple[ControlResult, ...]:
    results = []
    for kind in CONTROL_KINDS:
        of_kind = [check for check in checks if check.kind == kind]
        if not of_kind:
            continue
        values = [scores[check.item.id].value for check in of_kind]
        wanted = 1.0 if of_kind[0].must_pass else 0.0
        passed, scored = values.count(wanted), len(values) - values.count(None)
        low, high = wilson_interval(passed, scored)
        failed = [c.item.id for c, v in zip(of_kind, values, strict=True) if v not in (None, wanted)]
        results.append(
            ControlResult(
                kind=kind,
                expected="correct" if wanted else "incorrect",
                n=len(of_kind),
                passed=passed,
                unscored=len(of_kind) - scored,
                low=low,
                high=high,
                failed_ids=tuple(failed),
            )
        )
    return tuple(results)


def _corrected(judged: Sequence[_Judged]) -> PredictionPoweredMean | None:
    labelled = [one for one in judged if one.truth is not None and one.score.value is not None]
    if len(labelled) < 2:
        return None
    rest = [one.score.value for one in judged if one.truth is None]
    labels = [float(one.truth or 0) for one in labelled]
    return prediction_powered_mean(labels, [one.score.value for one in labelled], rest)


def _unscored_reasons(judged: Sequence[_Judged]) -> tuple[tuple[str, int], ...]:
    whys = [one.score.why for one in judged if one.score.value is None]
    return tuple(sorted(((why, whys.count(why)) for why in set(whys)), key=lambda pair: (-pair[1], pair[0])))


def _disagreements(labelled: Sequence[_Judged], limit: int = 10) -> tuple[Disagreement, ...]:
    found = [one for one in labelled if one.score.value is not None and one.score.value != one.truth]
    return tuple(
        Disagreement(
            id=one.item.id,
            truth=int(one.truth or 0),
            judged=int(one.score.value or 0.0),
            submission=one.item.submission[:500],
            reason=one.score.answer[:500],
        )
        for one in found[:limit]
    )


def _fitness(
    rules: AuditRules, kappa: Kappa | None, overall: Group, results: Sequence[ControlResult]
) -> tuple[Fitness, tuple[str, ...]]:
    against: list[str] = []
    unshown: list[str] = []
    if kappa is None:
        against.append("it gave no verdict on any item whose truth is known")
    elif kappa.kappa is None or overall.true_mean in (0.0, 1.0):
        unshown.append("agreement beyond chance is undefined: the truth is the same for every item")
    elif kappa.kappa < rules.min_kappa:
        against.append(f"kappa {kappa.kappa:.2f} is below the stated {rules.min_kappa:.2f}")
    elif kappa.low is None or kappa.low < rules.min_kappa:
        start = "cannot be known" if kappa.low is None else f"starts at {kappa.low:.2f}"
        unshown.append(
            f"kappa {kappa.kappa:.2f} is above the stated {rules.min_kappa:.2f}, but its interval {start}; "
            "more items may show it"
        )
    for result in results:
        scored = result.n - result.unscored
        if scored == 0:
            unshown.append(f"no {result.kind} control got a verdict")
        elif result.passed / scored < rules.min_control_pass:
            against.append(f"{scored - result.passed} of {scored} {result.kind} controls were judged wrongly")
    if not results:
        unshown.append("no control could be made: no item has a reference")
    share = overall.unscored / overall.n
    if share > rules.max_unscored:
        against.append(f"{100 * share:.1f} % of the items got no verdict, more than {100 * rules.max_unscored:g} %")
    if against:
        return "not fit", (*against, *unshown)
    return ("not shown to be fit", tuple(unshown)) if unshown else ("fit", ())
