"""The report of a sweep. Goes in: a sweep's folder. Comes out: report.html and its companions, or a terminal's summary.

`harness.store` is read, nothing is computed twice: `data` loads, `findings` answers, `figures`, `page`, `markdown`,
`card`, `table` and `terminal` show the same answers, `files` writes them. Heavy imports wait until a report is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def write_report(sweep_folder: Path) -> Path:
    """Write the report of a sweep, finished or not, into its folder; the path of report.html.

    Raises UserError when the folder holds no sweep.
    """
    from harness.report.data import load_report_data
    from harness.report.files import write_files
    from harness.report.findings import report

    return write_files(report(load_report_data(sweep_folder)), sweep_folder)


def print_summary(sweep_folder: Path, console: Console) -> None:
    """Print the runs, the recommendation and the verdicts. Raises UserError when the folder holds no sweep."""
    from harness.report.data import load_report_data
    from harness.report.findings import report
    from harness.report.terminal import print_report

    print_report(report(load_report_data(sweep_folder)), console)
