"""data.html, data.md and data.json. In: a DataReport. Out: the files, each written whole or not at all.

The texts of a data set are hostile: jinja2 escapes every value, the policy allows no script and nothing from anywhere,
and what is shown has passed `excerpt` (one line, bounded, secrets masked). The page looks like a sweep's report.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from harness.core import to_json
from harness.curate.axis import reasons
from harness.curate.examine import DataReport
from harness.curate.finding import Bar, excerpt
from harness.store import write_text

FRAGMENTS = Path(__file__).parent
STYLE = FRAGMENTS.parent / "report" / "page.css"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-src 'none'; "
    "object-src 'none'; connect-src 'none'; script-src 'none'"
)
GROUPS = {
    "gold": "Rows and golds",
    "leakage": "What test shares with train",
    "duplicates": "Duplicates",
    "labels": "Labels",
    "text": "Characters and language",
    "secrets": "Secrets and personal data",
    "length": "Length",
    "balance": "Balance",
}
WORDS = {"error": "Mend", "warning": "Look", "note": "Know", "good": "Clean"}


def write_data_report(report: DataReport, folder: Path, command: str = "") -> Path:
    """Write the three files into `folder`; the path of data.html, which is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "data.json", json.dumps(to_json(_body(report)), indent=1, ensure_ascii=True) + "\n")
    write_text(folder / "data.md", markdown(report, command))
    write_text(folder / "data.html", page(report, command))
    return folder / "data.html"


def page(report: DataReport, command: str = "") -> str:
    """The whole of data.html."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FRAGMENTS), undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True
    )
    style = STYLE.read_text(encoding="utf-8") + (FRAGMENTS / "data.css").read_text(encoding="utf-8")
    return environment.get_template("data.html.jinja").render(
        policy=POLICY, css=Markup(style), bars=_bars, command=excerpt(command, 400), **_shared(report)
    )


def markdown(report: DataReport, command: str = "") -> str:
    """The whole of data.md."""
    from harness.report.markdown import Trusted, escaped

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FRAGMENTS),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        finalize=lambda value: value if isinstance(value, Trusted) else escaped(value),
    )
    return environment.get_template("data.md.jinja").render(command=excerpt(command, 400), **_shared(report))


def _shared(report: DataReport) -> dict[str, Any]:
    counts: Counter[str] = Counter(finding.severity for finding in report.findings)
    return {
        "report": report,
        "title": f"{report.task}: {report.data}",
        "facts": _facts(report),
        "verdict": _verdict(report, counts),
        "groups": [
            (name, [finding for finding in report.findings if finding.group == group])
            for group, name in GROUPS.items()
            if any(finding.group == group for finding in report.findings)
        ],
        "words": WORDS,
        "reasons": [(excerpt(why, 80), count) for why, count in reasons(report.removals).most_common(12)],
    }


def _facts(report: DataReport) -> list[tuple[str, str]]:
    sizes = ", ".join(f"{count:,} {split}" for split, count in report.sizes.items())
    told = [("Items", sizes), ("Revision", report.revision), ("Licence", report.licence), ("Splits", report.split_rule)]
    return [(name, excerpt(value)) for name, value in told if value]


def _verdict(report: DataReport, counts: Counter[str]) -> str:
    train = report.sizes["train"]
    left_out = f"A cleaned copy leaves out {len(report.removals):,} of {train:,} training items."
    return f"{counts['error']} to mend, {counts['warning']} to look at, {counts['good']} looked for and not there. {left_out}"


def _bars(bars: tuple[Bar, ...]) -> list[dict[str, Any]]:
    """Bars with widths in percent of the longest one."""
    longest = max((share for bar in bars for share in bar.shares.values()), default=0.0) or 1.0
    return [
        {
            "name": bar.name,
            "parts": [(split, f"{100 * share / longest:.1f}", f"{100 * share:.1f} %", bar.counts[split])
                      for split, share in bar.shares.items()],
        }
        for bar in bars
    ]  # fmt: skip


def _body(report: DataReport) -> dict[str, Any]:
    removals = {excerpt(id, 100): excerpt(why) for id, why in report.removals.items()}
    return {**to_json(report), "removals": removals}
