"""The files of a report. Goes in: a Report and a folder. Comes out: the files, each written whole or not at all.

report.html, report.md, findings.json, runs.csv, items.parquet, figures/*.svg, and model-card/README.md when a trained
checkpoint is recommended. report.html is written last: where it is, the others are of the same report.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.core import to_json
from harness.report.browser import flat_scores, packed_items, plain
from harness.report.card import model_card
from harness.report.figures import figures
from harness.report.findings import Report
from harness.report.markdown import markdown
from harness.report.page import page
from harness.report.table import runs_table
from harness.store import whole_file, write_text


def write_files(report: Report, folder: Path) -> Path:
    """Write every file of the report into `folder`; the path of report.html."""
    pictures = figures(report.data, report.findings)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for stale in (folder / "figures").glob("*.svg"):
        if stale.stem not in pictures:
            stale.unlink()
    for key, picture in pictures.items():
        write_text(folder / "figures" / f"{key}.svg", picture.file_svg)
    with whole_file(folder / "runs.csv") as path:
        runs_table(report.data).to_csv(path, index=False)
    with whole_file(folder / "items.parquet") as path:
        flat_scores(report.data).to_parquet(path, index=False)
    write_text(folder / "findings.json", json.dumps(_answers(report), indent=1, ensure_ascii=True, allow_nan=False))
    write_text(folder / "report.md", markdown(report, pictures))
    card = model_card(report)
    if card is None:
        (folder / "model-card" / "README.md").unlink(missing_ok=True)
    else:
        write_text(folder / "model-card" / "README.md", card)
    write_text(folder / "report.html", page(report, pictures, packed_items(report.data)))
    return folder / "report.html"


def _answers(report: Report) -> dict[str, object]:
    """findings.json: the same findings, for programs."""
    body: dict[str, object] = plain(
        to_json({"alerts": report.alerts, "headline": report.headline, "findings": report.findings})
    )
    return body
