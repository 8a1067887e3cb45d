"""An `Audit` as text: Markdown for reports, plain columns for a terminal. Nothing is computed here.

Items, reasons and model names come from hostile sources: in Markdown every mark is escaped, and both forms show no
control characters.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from judges.audit_record import Audit, Group
from judges.prompt import visible

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]  # title, head, rows
_MARKS = re.compile(r"([\\`*_\[\]|#!~])")


def markdown(audit: Audit) -> str:
    """The audit as a Markdown section."""
    lines = [f"## Judge {_escaped(audit.model)}: {audit.fitness}", ""]
    lines += [f"- {_escaped(line)}" for line in (*summary(audit), *_because(audit))]
    for title, head, rows in tables(audit):
        lines += ["", f"### {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def terminal(audit: Audit) -> str:
    """The audit as plain text; the last line is the verdict."""
    lines = [f"Audit of judge {_line(audit.model)}", *(f"  {_line(line)}" for line in summary(audit))]
    for title, head, rows in tables(audit):
        cells = [head, *(tuple(_line(cell)[:60] for cell in row) for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
        lines += ["", title]
        lines += ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    lines += ["", *(f"  because {_line(reason)}" for reason in audit.reasons)]
    lines.append(f"Verdict: {_line(audit.model)} is {audit.fitness} as a judge for this task.")
    return "\n".join(lines) + "\n"


def summary(audit: Audit) -> list[str]:
    """The sentences above the tables."""
    spend = audit.spend
    lines = [
        f"snapshot {', '.join(audit.snapshots) or '(no reply)'}, rubric {audit.rubric}",
        f"{audit.num_items} items, {audit.num_labelled} with known truth ({audit.num_human} by human label)",
        _kappa_line(audit),
        _leniency_line(audit.overall),
    ]
    if audit.corrected is not None:
        c = audit.corrected
        lines.append(
            f"judged mean {c.judged_mean:.3f}; corrected by prediction-powered inference {c.mean:.3f} "
            f"[{c.low:.3f}, {c.high:.3f}] from {c.num_labelled} items with truth and {c.num_unlabelled} without"
            + ("" if c.num_unlabelled else " (none without, so this is the true mean of the verdicts given)")
        )
    cost = f"${spend.cost_usd:.4f}" if spend.cost_known else "unknown (no price for this model)"
    lines.append(
        f"cost {cost}, prices of {spend.prices_date}: {spend.num_calls} calls paid, {spend.num_cached} from the cache, "
        f"{spend.num_failed} failed, {spend.num_retries} retries; up to ${spend.at_risk_usd:.4f} more may be billed"
    )
    return lines


def tables(audit: Audit) -> list[Table]:
    """Every table of the audit, in reading order."""
    c = audit.confusion
    found: list[Table] = []
    found.append(
        (
            "Confusion",
            ("truth", "judged correct", "judged incorrect", "no verdict"),
            [
                ("right", str(c.right_accepted), str(c.right_rejected), str(c.right_unscored)),
                ("wrong", str(c.wrong_accepted), str(c.wrong_rejected), str(c.wrong_unscored)),
            ],
        )
    )
    for title, groups in (("By method", audit.by_method), ("By length of the submission", audit.by_length)):
        found.append((title, ("group", "n", "no verdict", "agree", "true", "judged", "leniency"), _group_rows(groups)))
    control_rows: list[tuple[str, ...]] = [
        (r.kind, r.expected, f"{r.passed}/{r.n - r.unscored}", f"[{r.low:.2f}, {r.high:.2f}]", str(r.unscored))
        for r in audit.controls
    ]
    found.append(("Controls", ("control", "must be", "as it must", "interval", "no verdict"), control_rows))
    if audit.position is not None:
        p = audit.position
        row: tuple[str, ...] = (
            str(p.num_pairs), str(p.gold_won), str(p.flipped), str(p.unscored),
            f"{p.first_place}/{p.sided} [{p.low:.2f}, {p.high:.2f}]",
        )  # fmt: skip
        head = ("pairs", "gold won", "flipped (tie)", "no verdict", "for the first place")
        found.append(("Gold against a wrong answer, both orders", head, [row]))
    if audit.unscored_reasons:
        rows: list[tuple[str, ...]] = [(why, str(count)) for why, count in audit.unscored_reasons]
        found.append(("Items without a verdict", ("reason", "items"), rows))
    if audit.disagreements:
        rows = [
            (d.id, "right" if d.truth else "wrong", "correct" if d.judged else "incorrect", d.submission, d.reason)
            for d in audit.disagreements
        ]
        found.append(("Disagreements", ("item", "truth", "judged", "submission", "the judge's reason"), rows))
    return found


def _because(audit: Audit) -> list[str]:
    return [f"{audit.fitness}: {reason}" for reason in audit.reasons]


def _kappa_line(audit: Audit) -> str:
    kappa = audit.kappa
    if kappa is None:
        return "kappa: no verdict to compare"
    if kappa.kappa is None:
        return f"kappa undefined (one label only); agreement {kappa.observed:.3f} on {kappa.n} items"
    known = kappa.low is not None and kappa.high is not None
    limits = f"[{kappa.low:.3f}, {kappa.high:.3f}]" if known else "(no interval: judge or truth uses one label only)"
    return (
        f"kappa {kappa.kappa:.3f} {limits}, agreement {kappa.observed:.3f} on {kappa.n} "
        f"items; the stated least kappa is {audit.rules.min_kappa:.2f}"
    )


def _leniency_line(group: Group) -> str:
    if group.leniency_points is None:
        return "leniency: no verdict to compare"
    return f"leniency {_points(group)} points (judged minus true mean; above zero is too lenient)"


def _points(group: Group) -> str:
    if group.leniency_points is None:
        return "-"
    interval = "" if group.low_points is None else f" [{group.low_points:+.1f}, {group.high_points:+.1f}]"
    return f"{group.leniency_points:+.1f}{interval}"


def _group_rows(groups: Sequence[Group]) -> list[tuple[str, ...]]:
    return [
        (g.name, str(g.n), str(g.unscored), _share(g.agreement), _share(g.true_mean), _share(g.judged_mean), _points(g))
        for g in groups
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _line(text: str) -> str:
    return " ".join(visible(text).split())


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", html.escape(_line(text), quote=False))
