r"""One Verdict in, five texts out: terminal, JSON, JUnit XML, GitHub step summary, pull-request comment.

All five say the same: they share `facts`, the one place where numbers become words. Ids, reasons, tags and exception
texts come from outside and may be hostile: the terminal gets no control characters, XML no character that XML forbids,
Markdown and HTML nothing but character references for all that is not a letter, a digit, a space or a hyphen.
Limits: a step summary holds 1 MiB, a comment 65,536 characters (docs.github.com); lists of examples are cut to fit,
with the number left out stated, the verdict and its checks never. README.md shows a GitHub Actions job with all of
them. In JUnit an inconclusive or impossible comparison is an <error>: a skipped test would look green.
"""

from __future__ import annotations

import json
import math
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.gate import CheckResult, TaskSummary, Verdict
from harness.gate_checks import Measured
from harness.gate_policy import Floor, MaxRatio
from harness.items import Flip

SUMMARY_LIMIT_BYTES = 1_000_000
COMMENT_LIMIT_CHARACTERS = 65_000
LONGEST_TEXT = 300
EXAMPLES = 10
UNCERTIFIED = "UNCERTIFIED, do not act on these numbers"


@dataclass(frozen=True, kw_only=True)
class CheckFacts:
    """One check as every rendering words it."""

    name: str
    decision: str
    measured: str
    limit: str
    p_values: str
    counts: str
    further: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A verdict as every rendering words it."""

    headline: str
    candidate: str
    checks: tuple[CheckFacts, ...]
    problems: tuple[str, ...]
    tasks: tuple[str, ...]
    error_rule: str
    forced: tuple[str, ...]


def facts(verdict: Verdict) -> Facts:
    """The words of a verdict. Texts from outside are shortened and still raw: every rendering escapes them itself."""
    look = f" at look {verdict.look} of {verdict.num_looks}" if verdict.num_looks > 1 else ""
    return Facts(
        headline=f"{verdict.decision} (exit {verdict.exit_code}){look}",
        candidate=_short(verdict.candidate),
        checks=tuple(_check_facts(result) for result in verdict.checks),
        problems=tuple(_short(problem) for problem in verdict.problems),
        tasks=tuple(_task_line(task) for task in verdict.tasks),
        error_rule=verdict.error_rule,
        forced=tuple(f"{UNCERTIFIED}: {_short(mark)}" for mark in verdict.forced),
    )


def as_text(verdict: Verdict) -> str:
    """For a terminal: plain text without control characters."""
    words = facts(verdict)
    lines = [*words.forced, f"{words.headline}  {words.candidate}"]
    lines += [f"  cannot compare: {problem}" for problem in words.problems]
    for check in words.checks:
        lines.append(f"  {check.decision:<12} {check.name}: {check.measured}, limit {check.limit}")
        lines.append(f"  {'':<12} {check.counts}; {check.p_values}" + (f"; {check.further}" if check.further else ""))
    for task, line in zip(verdict.tasks, words.tasks, strict=True):
        lines.append(f"  {line}")
        lines += [f"    lost {flip.id} ({flip.reason})" for flip in task.flips.lost[:EXAMPLES]]
    lines.append(f"  {words.error_rule}")
    return "\n".join(visible(line) for line in lines) + "\n"


def as_json(verdict: Verdict) -> str:
    """All of it for programs, ASCII only: the numbers unrounded, the words of `facts` beside them."""
    body = {
        "decision": verdict.decision,
        "exit_code": verdict.exit_code,
        "candidate": verdict.candidate,
        "problems": list(verdict.problems),
        "forced": list(verdict.forced),
        "further_items": verdict.further_items,
        "checks": [_check_json(result) for result in verdict.checks],
        "tasks": [_task_json(task) for task in verdict.tasks],
        "one_sided_level": verdict.level,
        "look": verdict.look,
        "num_looks": verdict.num_looks,
        "error_rule": verdict.error_rule,
    }
    return json.dumps(body, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def as_junit(verdict: Verdict) -> str:
    """JUnit XML: one test case a check and one a problem."""
    words = facts(verdict)
    suite = ElementTree.Element("testsuite", name=_xml(f"gate {words.candidate}"))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("decision", verdict.decision), ("exit_code", verdict.exit_code), ("rule", words.error_rule)):
        ElementTree.SubElement(properties, "property", name=name, value=_xml(str(value)))
    for mark in words.forced:
        ElementTree.SubElement(properties, "property", name="uncertified", value=_xml(mark))
    for check in words.checks:
        case = ElementTree.SubElement(suite, "testcase", classname="gate", name=_xml(check.name))
        numbers = f"{check.measured}, limit {check.limit}; {check.counts}; {check.p_values}; {check.further}"
        text = _xml(f"{check.decision}: {numbers}" + "".join(f"; {mark}" for mark in words.forced))
        if check.decision == "PASS":
            ElementTree.SubElement(case, "system-out").text = text
        else:
            tag = "failure" if check.decision == "FAIL" else "error"
            ElementTree.SubElement(case, tag, type=check.decision, message=text).text = text
    for problem in words.problems:
        case = ElementTree.SubElement(suite, "testcase", classname="gate", name=_xml(f"comparable: {problem}"))
        ElementTree.SubElement(case, "error", type="CANNOT_COMPARE", message=_xml(problem)).text = _xml(problem)
    for key, count in (
        ("tests", len(words.checks) + len(words.problems)),
        ("failures", sum(check.decision == "FAIL" for check in words.checks)),
        ("errors", sum(check.decision == "INCONCLUSIVE" for check in words.checks) + len(words.problems)),
        ("skipped", 0),
    ):
        suite.set(key, str(count))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def as_step_summary(verdict: Verdict, limit_bytes: int = SUMMARY_LIMIT_BYTES) -> str:
    """Markdown for GITHUB_STEP_SUMMARY, at most `limit_bytes` of UTF-8."""
    return _fitted(verdict, lambda text: len(text.encode()) <= limit_bytes, most_examples=200)


def as_comment(verdict: Verdict, limit_characters: int = COMMENT_LIMIT_CHARACTERS) -> str:
    """Markdown for a pull-request comment, with a hidden mark by which a bot finds and replaces its last one."""
    mark = "<!-- tunebench gate -->\n"
    return mark + _fitted(verdict, lambda text: len(text) + len(mark) <= limit_characters, most_examples=EXAMPLES)


def write_verdict(
    verdict: Verdict,
    *,
    json_path: Path | None = None,
    junit_path: Path | None = None,
    comment_path: Path | None = None,
    summary_path: Path | None = None,
) -> None:
    """Write the renderings that are asked for. The step summary is appended, inside its limit."""
    for path, render in ((json_path, as_json), (junit_path, as_junit), (comment_path, as_comment)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(verdict), encoding="utf-8")
    if summary_path is not None:
        used = summary_path.stat().st_size if summary_path.is_file() else 0
        with summary_path.open("a", encoding="utf-8") as stream:
            stream.write(as_step_summary(verdict, SUMMARY_LIMIT_BYTES - used))


def visible(text: str) -> str:
    """`text` on one line, every control, format or unassigned character as its escape."""
    return "".join(
        character if character == " " or unicodedata.category(character)[0] not in "CZ" else _escape(character)
        for character in text
    )


def markdown(text: str) -> str:
    """`text` as inert Markdown and HTML: no markup, link, mention, table cell or tag can come out of it."""
    return "".join(
        character if character in " -" or character.isalnum() else f"&#{ord(character)};" for character in visible(text)
    )


def _fitted(verdict: Verdict, fits: Callable[[str], bool], most_examples: int) -> str:
    for examples, problems in ((most_examples, None), (EXAMPLES, None), (3, None), (0, None), (0, 20), (0, 3)):
        text = _page(verdict, examples, problems)
        if fits(text):
            return text
    raise ValueError(f"the checks alone do not fit the limit; {len(verdict.checks)} checks are too many for one page")


def _page(verdict: Verdict, most_examples: int, most_problems: int | None) -> str:
    words = facts(verdict)
    lines = [f"## Gate: {markdown(words.headline)}", "", f"Candidate: {markdown(words.candidate)}", ""]
    if words.forced:  # GitHub shows a caution in red
        lines += ["> [!CAUTION]", *(f"> {markdown(mark)}" for mark in words.forced), ""]
    shown = words.problems[:most_problems]
    lines += [f"- cannot compare: {markdown(problem)}" for problem in shown]
    if len(shown) < len(words.problems):
        lines.append(f"- and {len(words.problems) - len(shown)} more problems")
    if words.checks:
        lines += ["", "| verdict | check | measured | limit | data | p | next |", "|---|---|---|---|---|---|---|"]
        for check in words.checks:
            cells = (
                check.decision,
                check.name,
                check.measured,
                check.limit,
                check.counts,
                check.p_values,
                check.further,
            )
            lines.append("| " + " | ".join(markdown(cell) for cell in cells) + " |")
    for task, line in zip(verdict.tasks, words.tasks, strict=True):
        lines += ["", markdown(line)]
        for verb, changes in (("lost", task.flips.lost), ("gained", task.flips.gained)):
            lines += _examples(verb, changes, most_examples)
    return "\n".join([*lines, "", markdown(words.error_rule), ""])


def _examples(verb: str, changes: tuple[Flip, ...], most: int) -> list[str]:
    if not changes or not most:
        return []
    lines = ["", f"<details><summary>{len(changes)} {verb}</summary>", ""]
    lines += [f"- {markdown(_short(flip.id))}: {markdown(_short(flip.reason))}" for flip in changes[:most]]
    if len(changes) > most:
        lines.append(f"- and {len(changes) - most} more")
    return [*lines, "", "</details>"]


def _check_facts(result: CheckResult) -> CheckFacts:
    numbers, limit = result.measured, result.check.limit
    if isinstance(limit, MaxRatio):
        measured = f"ratio {numbers.estimate:.3f} [{numbers.low:.3f}, {numbers.high:.3f}]"
        bound = f"below {limit.value:.3f}"
    elif isinstance(limit, Floor):
        measured = f"level {numbers.estimate:.4f} [{numbers.low:.4f}, {numbers.high:.4f}]"
        bound = f"above {limit.value:.4f}"
    else:
        measured = f"drop {numbers.estimate:+.4f} [{numbers.low:+.4f}, {numbers.high:+.4f}]"
        bound = f"below {limit.value:.4f}"
    further = ""
    if result.decision == "INCONCLUSIVE":
        further = _further(numbers)
    return CheckFacts(
        name=_short(result.name),
        decision=result.decision,
        measured=measured,
        limit=bound,
        p_values=f"p within {result.p_pass:.4f}, p beyond {result.p_fail:.4f}",
        counts=f"{numbers.n} items in {numbers.num_clusters} clusters, {numbers.method}",
        further=further,
    )


def _further(numbers: Measured) -> str:
    number = numbers.further_items
    if number is None:
        return "cannot tell: more items would not settle it"
    if number == 0:
        return "clear alone, not after adjusting for the other checks or looks"
    where = ""
    if numbers.num_clusters < numbers.n:
        clusters = math.ceil(number * numbers.num_clusters / numbers.n)
        where = f" in about {clusters} more clusters, or generalise to items"
    return f"cannot tell, about {number} more items needed{where}"


def _task_line(task: TaskSummary) -> str:
    gained, lost = task.flips.reasons()
    reasons = "; ".join(f"{verb} {_short(reason)} x{times}" for verb, part in (("lost", lost), ("gained", gained))
                        for reason, times in list(part.items())[:EXAMPLES])  # fmt: skip
    rest = task.num_baseline - task.num_asked
    held = f"the baseline holds {rest} more" if rest else "all that the baseline holds"
    line = (
        f"{task.task} against {_short(task.baseline)}: {task.num_compared} of {task.num_asked} items compared "
        f"({task.coverage:.1%}; {held}), {task.unscored} unscored, {len(task.flips.lost)} lost, {len(task.flips.gained)} gained"
    )
    return f"{line} ({reasons})" if reasons else line


def _check_json(result: CheckResult) -> dict[str, Any]:
    numbers = result.measured
    return {
        "name": result.name,
        "task": result.task,
        "metric": result.check.metric,
        "slice": result.check.slice,
        "limit": {"kind": type(result.check.limit).__name__, "value": result.check.limit.value},
        "decision": result.decision,
        "estimate": numbers.estimate,
        "low": _finite(numbers.low),
        "high": _finite(numbers.high),
        "baseline_mean": numbers.baseline_mean,
        "candidate_mean": numbers.candidate_mean,
        "n": numbers.n,
        "num_clusters": numbers.num_clusters,
        "p_pass": result.p_pass,
        "p_fail": result.p_fail,
        "further_items": numbers.further_items if result.decision == "INCONCLUSIVE" else None,
        "method": numbers.method,
        "words": vars(_check_facts(result)),
    }


def _task_json(task: TaskSummary) -> dict[str, Any]:
    gained, lost = task.flips.reasons()
    return {
        "task": task.task,
        "baseline": task.baseline,
        "num_baseline": task.num_baseline,
        "num_asked": task.num_asked,
        "num_compared": task.num_compared,
        "coverage": task.coverage,
        "unscored": task.unscored,
        "lost": _flips_json(task.flips.lost, lost),
        "gained": _flips_json(task.flips.gained, gained),
    }


def _flips_json(changes: tuple[Flip, ...], reasons: Mapping[str, int]) -> dict[str, Any]:
    return {"count": len(changes), "by_reason": dict(reasons), "ids": [flip.id for flip in changes]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _xml(text: str) -> str:
    # control characters become escapes, so what is left is legal XML 1.0; ElementTree escapes the markup
    return visible(text)
