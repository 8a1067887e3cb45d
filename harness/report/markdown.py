"""report.md: the findings, the table and the failures as text. Goes in: a Report. Comes out: Markdown.

Labels, tags and reasons come from data sets and models: everything Markdown or HTML would read as markup is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import jinja2

from harness.report.findings import Report
from harness.report.svg import Picture
from harness.report.table import COLUMNS, more_text, note_text, ordered, value_text

_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~!&$])")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
FRAGMENTS = Path(__file__).parent


def escaped(text: object) -> str:
    """`text` on one line, with no character that Markdown, a table or HTML gives a meaning."""
    return _MARKUP.sub(r"\\\1", _CONTROL.sub(" ", str(text))).replace("://", ":\\//")


def markdown(report: Report, pictures: Mapping[str, Picture]) -> str:
    """The whole of report.md. Figures are links to the SVG files beside it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FRAGMENTS),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        finalize=lambda value: value if isinstance(value, Trusted) else escaped(value),
    )
    rows = [
        [
            *(" ".join(filter(None, (value_text(run, column), more_text(run, column)))) for column in COLUMNS),
            note_text(run),
        ]
        for run in ordered(report.data.runs)
    ]
    return environment.get_template("report.md.jinja").render(
        info=report.data.info,
        report=report,
        titles=[*(column.title for column in COLUMNS), "Note"],
        rows=rows,
        pictures=pictures,
        trusted=Trusted,
    )


class Trusted(str):
    """Markdown of our own, printed as it is."""

    __slots__ = ()
