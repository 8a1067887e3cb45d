"""Candidate against baseline -> one Verdict: PASS, FAIL, INCONCLUSIVE or CANNOT_COMPARE, with an exit code.

`decide` is pure: item sets and a policy in, a Verdict out. `run_gate` reads baselines, asks `evaluate` for the
candidate's items and decides. Every check makes two one-sided claims, "within the limit" and "beyond the limit", each
Holm-adjusted over all checks. PASS needs every check within; one check beyond is FAIL; anything that keeps the two
sides from being comparable is CANNOT_COMPARE and named; the rest is INCONCLUSIVE with the further items needed. A
proven FAIL outranks CANNOT_COMPARE: the regression is real whatever else is missing. `until_decided` looks at growing
parts of the baseline's items (each look about doubles them). Look k is tested at alpha times its share of new items;
the levels add up to alpha, so by Bonferroni the chance of any false claim at any look is at most alpha, whatever the
correlation between looks. Sources: Holm 1979; Pocock 1977 for group-sequential looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness import stats
from harness.baseline import NEEDED_VERSIONS, read_baseline
from harness.core import UserError, digest
from harness.gate_checks import CheckError, Decision, Measured, measure
from harness.gate_policy import Check, Policy, TaskPolicy
from harness.items import Flips, ItemSet, flips
from harness.parts import content_problems

GateDecision = Literal["PASS", "FAIL", "INCONCLUSIVE", "CANNOT_COMPARE"]
EXIT_CODES: Mapping[GateDecision, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2, "CANNOT_COMPARE": 3}
USAGE_EXIT_CODE = 64
FIRST_LOOK_ITEMS = 50

Evaluate = Callable[[str, ItemSet, Sequence[str]], ItemSet]
"""(checkpoint, baseline, item ids) -> the candidate's scored items with every version, asked as the baseline was.
Raises on a corrupt checkpoint."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One check with its numbers. The p-values are Holm-adjusted over all checks of the verdict."""

    task: str
    check: Check
    decision: Decision
    measured: Measured
    p_pass: float
    p_fail: float

    @property
    def name(self) -> str:
        """Task, metric and slice in one line, unique in a verdict."""
        where = f"[{self.check.slice}]" if self.check.slice else ""
        kind = type(self.check.limit).__name__.lower().replace("maxratio", "max ratio")
        return f"{self.task} {self.check.metric}{where} {kind} {self.check.limit.value:g}"


@dataclass(frozen=True, kw_only=True)
class TaskEvidence:
    """What is known of one task when deciding. A problem is why its two sides cannot be compared."""

    task: str
    asked: tuple[str, ...] = ()
    baseline: ItemSet | None = None
    candidate: ItemSet | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskSummary:
    """How the items of one task moved."""

    task: str
    baseline: str
    num_baseline: int
    num_asked: int
    num_compared: int
    coverage: float
    unscored: int
    flips: Flips


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The one object that every rendering shows. `level` is the one-sided level of this (last) look; `forced` marks
    every number: an evaluation that was not certified, on either side."""

    decision: GateDecision
    candidate: str
    checks: tuple[CheckResult, ...]
    problems: tuple[str, ...]
    tasks: tuple[TaskSummary, ...]
    level: float
    look: int
    num_looks: int
    error_rule: str
    forced: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 CANNOT_COMPARE."""
        return EXIT_CODES[self.decision]

    @property
    def further_items(self) -> int | None:
        """The most that any undecided check still needs; None when nothing is undecided or no number would do."""
        needed = [result.measured.further_items for result in self.checks if result.decision == "INCONCLUSIVE"]
        return max((number for number in needed if number is not None), default=None) if None not in needed else None


def decide(candidate: str, evidence: Sequence[TaskEvidence], policy: Policy, *, level: float | None = None) -> Verdict:
    """The verdict on `candidate` from what is known of each task, at the policy's alpha or the one-sided `level`."""
    alpha = policy.alpha if level is None else level
    known = {part.task: part for part in evidence}
    problems: list[str] = []
    measured: list[tuple[str, Check, Measured]] = []
    summaries: list[TaskSummary] = []
    for task in policy.tasks:
        part = known.get(task.task, TaskEvidence(task=task.task, problem="it was not evaluated"))
        found = _problems(part, policy)
        problems += [f"{task.task}: {problem}" for problem in found]
        if part.baseline is None or part.candidate is None:
            continue
        summaries.append(_summary(part, part.baseline, part.candidate))
        if found:
            continue
        for check in task.checks:
            try:
                sides = (part.baseline, part.candidate)
                numbers = measure(check, sides, part.asked, alpha, policy.generalise_to)
            except CheckError as error:
                problems.append(f"{task.task}: {check.metric}{f'[{check.slice}]' if check.slice else ''}: {error}")
            else:
                measured.append((task.task, check, numbers))
    checks = _adjusted(measured, alpha)
    return Verdict(
        decision=_decision(checks, problems),
        candidate=candidate,
        checks=checks,
        problems=tuple(problems),
        tasks=tuple(summaries),
        level=alpha,
        look=1,
        num_looks=1,
        error_rule=_error_rule(policy, 1),
        forced=_marks(evidence),
    )


def run_gate(candidate: str, policy: Policy, evaluate: Evaluate, *, until_decided: bool = False) -> Verdict:
    """Read the policy's baselines, evaluate the candidate on their items, decide.

    Whatever `evaluate` or a baseline raises becomes a named problem: the gate fails closed.
    """
    baselines = {task.task: _baseline(task) for task in policy.tasks}
    plan = _looks(policy, baselines, until_decided)
    total = sum(plan[-1].values())
    evidence = {
        name: TaskEvidence(task=name, problem=found)
        if isinstance(found, str)
        else TaskEvidence(task=name, baseline=found)
        for name, found in baselines.items()
    }
    spent = 0
    for look, sizes in enumerate(plan, start=1):
        for name, part in evidence.items():
            evidence[name] = _extended(candidate, part, sizes.get(name, 0), evaluate)
        items = sum(sizes.values())
        level = policy.alpha * (items - spent) / total if total else policy.alpha
        spent = items
        verdict = replace(
            decide(candidate, list(evidence.values()), policy, level=level),
            look=look,
            num_looks=len(plan),
            error_rule=_error_rule(policy, len(plan)),
        )
        if verdict.decision != "INCONCLUSIVE" or look == len(plan):
            return verdict
    raise AssertionError("a plan has at least one look")


def item_order(baseline: ItemSet) -> tuple[str, ...]:
    """The baseline's ids in an order that depends on the ids alone: any first part is a fair sample."""
    return tuple(sorted((item.id for item in baseline.items), key=lambda key: (digest(key, 16), key)))


def _looks(policy: Policy, baselines: Mapping[str, ItemSet | str], until_decided: bool) -> list[dict[str, int]]:
    """Items asked of each task, look by look; the last look asks for everything that may be asked."""
    sizes = {name: len(found.items) for name, found in baselines.items() if not isinstance(found, str)}
    wanted = {task.task: task.num_items for task in policy.tasks}
    if not until_decided:
        return [{name: min(size, wanted[name] or size) for name, size in sizes.items()}]
    current = {name: min(size, wanted[name] or max(FIRST_LOOK_ITEMS, -(-size // 8))) for name, size in sizes.items()}
    plan = [current]
    while any(current[name] < size for name, size in sizes.items()):
        # a last step of less than half a doubling is not worth a look of its own
        current = {name: size if current[name] * 3 >= size else current[name] * 2 for name, size in sizes.items()}
        plan.append(current)
    return plan


def _extended(candidate: str, part: TaskEvidence, size: int, evaluate: Evaluate) -> TaskEvidence:
    """`part` with the items up to `size` evaluated; only new ids are asked for."""
    if part.problem or part.baseline is None:
        return part
    asked = item_order(part.baseline)[:size]
    new = asked[len(part.asked) :]
    if not new:
        return part
    try:
        found = evaluate(candidate, part.baseline, new)
    except Exception as error:  # becomes the verdict's problem: a checkpoint that cannot answer never passes
        words = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return replace(part, asked=asked, problem=f"{candidate} could not be evaluated: {words}")
    if part.candidate is None:
        return replace(part, asked=asked, candidate=found)
    if dict(found.versions) != dict(part.candidate.versions):
        return replace(part, asked=asked, problem="the versions changed between two looks; run the gate again")
    merged = part.candidate.by_id() | found.by_id()
    return replace(part, asked=asked, candidate=replace(part.candidate, items=tuple(merged.values())))


def _baseline(task: TaskPolicy) -> ItemSet | str:
    try:
        found = read_baseline(task.baseline)
    except (UserError, OSError) as error:
        return str(error)
    if found.task != task.task:
        return f"baseline {task.baseline} is of task {found.task!r}, not {task.task!r}"
    return found


def _problems(part: TaskEvidence, policy: Policy) -> list[str]:
    """Why the two sides of one task cannot be compared, every reason."""
    if part.problem:
        return [part.problem]
    if part.baseline is None:
        return ["there is no baseline"]
    if part.candidate is None:
        return ["the candidate has no scored items"]
    problems = version_problems(part.baseline, part.candidate)
    for what in ("task", "split", "scorer"):
        old, new = getattr(part.baseline, what), getattr(part.candidate, what)
        if old != new:
            problems.append(f"the baseline's {what} is {old!r}, the candidate's {new!r}")
    changed = content_problems(part.baseline.contents(), part.candidate.contents())
    if changed:
        problems.append(
            f"{len(changed)} items ask or expect something else than when the baseline was blessed, such as {changed[0]}"
        )
    candidate, baseline = part.candidate.by_id(), part.baseline.by_id()
    covered = sum(key in candidate for key in part.asked)
    if not part.asked or covered < policy.minimum_coverage * len(part.asked):
        problems.append(
            f"{covered} of {len(part.asked)} asked items came back, the limit is {policy.minimum_coverage:.0%} coverage"
        )
    for side, items in (("the candidate", candidate), ("the baseline", baseline)):
        present = [items[key] for key in part.asked if key in items]
        unscored = sum(item.value is None for item in present)
        if unscored > policy.maximum_unscored * len(present):
            problems.append(
                f"{unscored} of {len(present)} items of {side} are unscored, the limit is {policy.maximum_unscored:.0%}"
            )
    return problems


def version_problems(old: ItemSet, new: ItemSet) -> list[str]:
    """Which certificate parts differ or are unknown on a side."""
    problems = []
    for part in (*NEEDED_VERSIONS, *sorted((set(old.versions) | set(new.versions)) - set(NEEDED_VERSIONS))):
        before, after = old.versions.get(part, ""), new.versions.get(part, "")
        if not before or not after:
            side = "the baseline" if not before else "the candidate"
            problems.append(f"the {part} version of {side} is unknown")
        elif before != after:
            problems.append(f"the {part} version changed from {before} to {after}; bless a baseline with the new one")
    return problems


def _marks(evidence: Sequence[TaskEvidence]) -> tuple[str, ...]:
    """Why numbers of either side are marked, each reason once."""
    sides = [(part.task, name, items) for part in evidence
             for name, items in (("baseline", part.baseline), ("candidate", part.candidate)) if items]  # fmt: skip
    return tuple(dict.fromkeys(f"{task}, {name}: {mark}" for task, name, items in sides for mark in items.forced))


def _adjusted(measured: Sequence[tuple[str, Check, Measured]], alpha: float) -> tuple[CheckResult, ...]:
    within = stats.holm([numbers.p_pass for _, _, numbers in measured])
    beyond = stats.holm([numbers.p_fail for _, _, numbers in measured])
    return tuple(
        CheckResult(
            task=task,
            check=check,
            decision="PASS" if p_pass < alpha else "FAIL" if p_fail < alpha else "INCONCLUSIVE",
            measured=numbers,
            p_pass=p_pass,
            p_fail=p_fail,
        )
        for (task, check, numbers), p_pass, p_fail in zip(measured, within, beyond, strict=True)
    )


def _decision(checks: Sequence[CheckResult], problems: Sequence[str]) -> GateDecision:
    if any(result.decision == "FAIL" for result in checks):
        return "FAIL"
    if problems or not checks:
        return "CANNOT_COMPARE"
    return "PASS" if all(result.decision == "PASS" for result in checks) else "INCONCLUSIVE"


def _summary(part: TaskEvidence, baseline: ItemSet, candidate: ItemSet) -> TaskSummary:
    asked = set(part.asked)
    present = [item for item in candidate.items if item.id in asked]
    kept = replace(candidate, items=tuple(present))
    return TaskSummary(
        task=part.task,
        baseline=baseline.name,
        num_baseline=len(baseline.items),
        num_asked=len(part.asked),
        num_compared=len(present),
        coverage=len(present) / len(part.asked) if part.asked else 0.0,
        unscored=sum(item.value is None for item in present),
        flips=flips(baseline, kept),
    )


def _error_rule(policy: Policy, num_looks: int) -> str:
    checks = sum(len(task.checks) for task in policy.tasks)
    rule = f"each claim one-sided at {policy.alpha:.3g}"
    if checks > 1:
        rule += f", Holm-adjusted over {checks} checks"
    if policy.generalise_to == "items":
        rule += "; about the clusters that were asked, not new ones"
    if num_looks > 1:
        rule += f"; {num_looks} looks planned, their levels add up to {policy.alpha:.3g} (Bonferroni)"
    return rule
