"""report.html: one file that opens offline. Goes in: a Report, its figures and packed items. Comes out: HTML text.

Nothing a model wrote may run: jinja2 escapes every value; item data is base64; the page's one script is allowed by its
hash and the policy forbids everything else, the network included. Inline styles are allowed, because bars and figures
position themselves; a style cannot fetch anything under this policy. The script writes model text as text nodes only.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from harness.core import OUTCOMES
from harness.report.answer import display, plural
from harness.report.browser import PackedItems
from harness.report.finding_hosted import hosted_facts
from harness.report.findings import Report
from harness.report.svg import Picture, label
from harness.report.table import page_rows, page_titles

FRAGMENTS = Path(__file__).parent
LONGEST_VALUE = 400  # characters of a name or reason from outside on the page; longer ones are cut


def page(report: Report, pictures: Mapping[str, Picture], items: PackedItems) -> str:
    """The whole of report.html."""
    script = (FRAGMENTS / "page.js").read_text(encoding="utf-8")
    style = (FRAGMENTS / "page.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FRAGMENTS),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        finalize=_printable,
    )
    keys = {finding.key for finding in report.findings}
    shown = {key: _markup(picture) for key, picture in pictures.items()}
    return environment.get_template("page.html.jinja").render(
        title=str(report.data.info.get("name") or "Sweep"),
        policy=policy(script),
        css=Markup(style),
        script=Markup(script),
        alerts=report.alerts,
        facts=[*_facts(report.data.info), *hosted_facts(report.data)],
        headline=report.headline,
        findings=report.findings,
        figures={key: shown.get(key) for key in keys},
        extra_figures=[picture for key, picture in shown.items() if key not in keys],
        runs_sentence=_runs_sentence(report),
        outcomes=OUTCOMES,
        columns=page_titles(),
        rows=page_rows(report.data, report.headline.recommended),
        items=replace(items, index=Markup(items.index), chunks=tuple(map(Markup, items.chunks))),  # base64 of ours
        footer=_footer(report, items),
    )


def policy(script: str) -> str:
    """The Content-Security-Policy: this one script by its hash, inline styles, and nothing from anywhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; frame-src 'none'; object-src 'none'; connect-src 'none'"
    )


def _printable(value: Any) -> Any:
    """Escaping makes text harmless; this makes it visible: control and bidirectional characters are replaced."""
    return label(value, LONGEST_VALUE) if isinstance(value, str) and not isinstance(value, Markup) else value


def _markup(picture: Picture) -> dict[str, Any]:
    # matplotlib's XML writer has escaped the labels inside; tests/report/test_page_hostile.py feeds it markup
    return {"caption": picture.caption, "svg": Markup(picture.svg)}


def _facts(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    data, model = info.get("data") or {}, info.get("model") or {}
    sizes = data.get("sizes") or {}
    told = [
        ("Task", f"{info.get('task', '')} v{info.get('task_version', '')}"),
        ("Data", " ".join(str(data.get(name) or "") for name in ("name", "revision")).strip()),
        ("Items", ", ".join(f"{int(n):,} {split}" for split, n in sizes.items())),
        ("Model", str(model.get("name") or "")),
        ("Parameters", display(model.get("parameters"), "count") if model.get("parameters") else ""),
        ("Scorer", str(info.get("scorer") or "")),
        ("Device", str(info.get("device") or "")),
        ("Engine", str(info.get("engine") or "")),
        ("Finished", str(info.get("finished") or "not yet")),
    ]
    return [(name, value) for name, value in told if value]


def _runs_sentence(report: Report) -> str:
    runs = report.data.runs
    counts = runs["status"].value_counts().to_dict() if len(runs) else {}
    told = ", ".join(f"{n} {status}" for status, n in counts.items())
    return (
        f"{plural(len(runs), 'run')}: {told}. The bar counts validation items." if counts else "The sweep has no runs."
    )


def _footer(report: Report, items: PackedItems) -> list[str]:
    info = report.data.info
    versions = ", ".join(f"{name} {value}" for name, value in (info.get("versions") or {}).items())
    hashes = ", ".join(
        f"{name} {value}" for name, value in ((report.data.certificate or {}).get("hashes") or {}).items()
    )
    data = info.get("data") or {}
    told = [
        f"Made by: {info.get('command')}" if info.get("command") else "",
        f"Versions: {versions}" if versions else "",
        f"Certificate: {hashes}" if hashes else "",
        f"Data licence: {data.get('licence')}. Split rule: {data.get('split_rule')}." if data.get("licence") else "",
        f"Texts longer than {items.text_limit:,} characters are cut in this page.",
    ]
    return [line for line in told if line]
