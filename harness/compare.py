"""Two item sets in, a Comparison out: is B really different from A, by how much, and where. Text, JSON, Markdown.

Paired by item id; the intersection is stated and refused below a coverage limit. Difference is B minus A. Binary
scores of independent items: exact McNemar and Tango's interval; otherwise stats.paired_interval and its p. B is better
or worse only when interval and p both say so. Refused when a certificate part that both sides know differs, unless
forced; then every rendering says so. Parts that a side does not know (another harness's file) are noted. Above 1 %
unscored a side is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness import stats
from harness.core import UserError
from harness.gate_checks import further_items
from harness.gate_render import LONGEST_TEXT, markdown, visible
from harness.items import Flip, Flips, ItemSet, flips
from harness.parts import content_problems

Verdict = Literal["better", "worse", "cannot tell"]
EXAMPLES = 5
MARKS = ("forced:", "uncertified:")  # warnings that mark every number
POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """B minus A over the `n` items both sides graded. `further_items` is None when it is told, or n would not help."""

    a: str
    b: str
    scorer: str
    verdict: Verdict
    n: int
    num_clusters: int
    ungraded: int
    only_a: int
    only_b: int
    coverage: float
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    detectable: float
    further_items: int | None
    flips: Flips
    warnings: tuple[str, ...]


def compare(
    a: ItemSet,
    b: ItemSet,
    *,
    force: bool = False,
    minimum_coverage: float = 0.95,
    maximum_unscored: float = 0.01,
) -> Comparison:
    """The paired comparison of two item sets at 95 % confidence.

    Raises UserError when they cannot be compared: differing versions (unless `force`), too little overlap, too many
    unscored items, fewer than two graded pairs.
    """
    warnings = _warnings(a, b, force)
    for side in (a, b):
        if side.unscored_share > maximum_unscored:
            raise UserError(
                f"{side.name}: {side.unscored_share:.1%} of its {len(side.items)} items are unscored, the limit is "
                f"{maximum_unscored:.0%}; score it again"
            )
    old, new = a.by_id(), b.by_id()
    try:
        pairs = stats.pair_by_id(
            {key: item.value for key, item in old.items()},
            {key: item.value for key, item in new.items()},
            minimum_coverage,
        )
        clusters = [old[key].cluster or new[key].cluster for key in pairs.ids]
        result = stats.paired_difference(pairs.b, pairs.a, clusters)
        low, high = stats.paired_interval(pairs.b, pairs.a, clusters)
        p_value = stats.paired_p_value(pairs.b, pairs.a, clusters)
    except ValueError as error:
        raise UserError(f"{a.name} and {b.name} cannot be compared: {error}") from error
    graded = [(x, y) for x, y in zip(pairs.a, pairs.b, strict=True) if x is not None and y is not None]
    gained, lost = sum(y > x for x, y in graded), sum(y < x for x, y in graded)
    binary = all(value in (0.0, 1.0) for pair in graded for value in pair)
    exact = binary and result.num_clusters == result.n
    if exact:
        p_value = stats.mcnemar_exact(gained, lost)
    told = p_value < 0.05 and not low <= 0 <= high
    verdict: Verdict = "cannot tell" if not told else "better" if low > 0 else "worse"
    return Comparison(
        a=a.name,
        b=b.name,
        scorer=a.scorer if a.scorer == b.scorer else f"{a.scorer} / {b.scorer}",
        verdict=verdict,
        n=result.n,
        num_clusters=result.num_clusters,
        ungraded=result.ungraded,
        only_a=len(pairs.only_a),
        only_b=len(pairs.only_b),
        coverage=pairs.coverage,
        mean_a=sum(x for x, _ in graded) / len(graded),
        mean_b=sum(y for _, y in graded) / len(graded),
        difference=result.difference,
        low=low,
        high=high,
        p_value=p_value,
        test="exact McNemar, Tango interval" if exact else "clustered score test" if binary else "paired t",
        detectable=_detectable(result.n, gained + lost, (low, high), exact),
        further_items=None if told else _further(result, (low, high), (gained + lost) / result.n, exact),
        flips=flips(a, b),
        warnings=warnings,
    )


def as_text(comparison: Comparison) -> str:
    """For a terminal, without control characters."""
    lines = [*(f"WARNING: {warning}" for warning in comparison.warnings), *_lines(comparison)]
    for verb, changes in (("gained", comparison.flips.gained), ("lost", comparison.flips.lost)):
        lines.append(f"{len(changes)} {verb}{_reasons(changes)}")
        for flip in changes[:EXAMPLES]:
            lines.append(f"  {_short(flip.id)} ({_short(flip.reason)})")
            lines += [f"    A: {_short(flip.before)}", f"    B: {_short(flip.after)}"]
    return "\n".join(visible(line) for line in lines) + "\n"


def as_markdown(comparison: Comparison) -> str:
    """Markdown in which ids, reasons and answers are inert."""
    lines = [f"## {markdown(comparison.b)} against {markdown(comparison.a)}: {comparison.verdict}", ""]
    marked = [warning for warning in comparison.warnings if warning.startswith(MARKS)]
    if marked:  # GitHub shows a caution in red
        lines += ["> [!CAUTION]", *(f"> {markdown(warning)}" for warning in marked), ""]
    lines += [f"- **warning**: {markdown(warning)}" for warning in comparison.warnings if warning not in marked]
    lines += [f"- {markdown(line)}" for line in _lines(comparison)]
    for verb, changes in (("gained", comparison.flips.gained), ("lost", comparison.flips.lost)):
        lines += ["", f"### {len(changes)} {verb}{markdown(_reasons(changes))}", ""]
        if changes:
            lines += ["| id | reason | A | B |", "|---|---|---|---|"]
        for flip in changes[:EXAMPLES]:
            cells = (flip.id, flip.reason, flip.before, flip.after)
            lines.append("| " + " | ".join(markdown(_short(cell)) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def as_json(comparison: Comparison) -> str:
    """All of it, every flip included, ASCII only."""
    gained, lost = comparison.flips.reasons()
    body: dict[str, Any] = {key: value for key, value in vars(comparison).items() if key != "flips"}
    body["warnings"] = list(comparison.warnings)
    body["gained"] = {
        "count": len(comparison.flips.gained),
        "by_reason": gained,
        "items": _flips(comparison.flips.gained),
    }
    body["lost"] = {"count": len(comparison.flips.lost), "by_reason": lost, "items": _flips(comparison.flips.lost)}
    return json.dumps(body, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _warnings(a: ItemSet, b: ItemSet, force: bool) -> tuple[str, ...]:
    parts = sorted(set(a.versions) | set(b.versions))
    unknown = [part for part in parts if not (a.versions.get(part) and b.versions.get(part))]
    differing = [
        f"{part} version {a.versions[part]} and {b.versions[part]}"
        for part in parts
        if part not in unknown and a.versions[part] != b.versions[part]
    ]
    differing += [
        f"{what} {x!r} and {y!r}"
        for what, x, y in (("task", a.task, b.task), ("split", a.split, b.split))
        if x and y and x != y
    ]
    changed = content_problems(a.contents(), b.contents())
    if changed:
        differing.append(f"{len(changed)} shared items ask or expect something else, such as {changed[0]}")
    if differing and not force:
        raise UserError(
            f"{a.name} and {b.name} were judged differently: {'; '.join(differing)}. Sample and score one again, or "
            "give --force to compare all the same"
        )
    found = [f"forced: judged differently: {'; '.join(differing)}"] if differing else []
    found += [f"uncertified: {mark}" for mark in (*a.forced, *b.forced)]
    if unknown or not parts:
        found.append(f"not known on both sides, so not checked: {', '.join(unknown) or 'every version'}")
    if a.scorer != b.scorer:
        found.append(f"scored by {a.scorer} and by {b.scorer}: a difference may be the scorer's")
    return tuple(found)


def _further(
    result: stats.PairedDifference, limits: tuple[float, float], discordance: float, exact: bool
) -> int | None:
    """Items beyond n at which the test would tell with 80 % power, were the difference as it is seen; None if never."""
    if not exact:
        return further_items(result.n, result.difference, limits, 0.0, 0.025)
    if result.difference == 0:
        return None
    try:
        return max(1, stats.sample_size_paired(result.difference, discordance, power=POWER) - result.n)
    except ValueError:  # more than any data set has
        return None


def _detectable(n: int, discordant: int, limits: tuple[float, float], exact: bool) -> float:
    """The smallest difference found with 80 % power at this n and discordance (or at this interval's width)."""
    from scipy.stats import norm

    if exact and n >= 6:  # below that no difference at all can be found
        return stats.minimum_detectable_difference(n, discordant / n, power=POWER)
    z_alpha = float(norm.isf(0.025))
    return (limits[1] - limits[0]) / 2.0 * (z_alpha + float(norm.isf(1.0 - POWER))) / z_alpha


def _lines(comparison: Comparison) -> list[str]:
    c = comparison
    lines = [
        f"A: {c.a}: {c.mean_a:.4f}",
        f"B: {c.b}: {c.mean_b:.4f}",
        f"{'' if c.verdict == 'cannot tell' else 'B is '}{c.verdict}: difference {c.difference:+.4f} "
        f"[{c.low:+.4f}, {c.high:+.4f}], p {c.p_value:.4f} ({c.test})",
        f"{c.n} items in {c.num_clusters} clusters by {c.scorer}; {c.ungraded} unscored, {c.only_a} only in A, "
        f"{c.only_b} only in B, coverage {c.coverage:.1%}",
        f"smallest difference this can find (80 % power): {c.detectable:.4f}",
    ]
    if c.further_items is not None:
        lines.append(f"if the difference stays as it is: about {max(1, c.further_items)} more items needed")
    elif c.verdict == "cannot tell" and c.difference == 0:
        lines.append("no difference was seen: one smaller than the detectable one may still be there")
    elif c.verdict == "cannot tell":
        lines.append("if the difference stays as it is: more items would not settle it")
    return lines


def _reasons(changes: Sequence[Flip]) -> str:
    gained, _ = Flips(gained=tuple(changes), lost=()).reasons()
    return " (" + ", ".join(f"{_short(reason)} x{times}" for reason, times in gained.items()) + ")" if gained else ""


def _flips(changes: Sequence[Flip]) -> list[dict[str, str]]:
    return [vars(flip) for flip in changes]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"
