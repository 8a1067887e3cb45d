"""A sweep that is unfinished, failed or small gets an honest report, never a crash."""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from harness.report.data import ReportData, typed_runs
from harness.report.files import write_files
from harness.report.findings import report
from harness.report.terminal import print_report
from tests.report.synthetic import certificate, make_report_data

NO_SCORES = make_report_data(grid="base", num_items=4).scores.head(0)
SCORES = [f"{split}_{part}" for split in ("validation", "test") for part in ("score", "low", "high", "n")]


def small() -> ReportData:
    return make_report_data(grid="small", num_items=60)


def all_failed() -> ReportData:
    data = small()
    runs = data.runs.assign(status="failed", failed_stage="train", failed_reason="out of memory")
    runs[SCORES] = float("nan")
    return replace(data, runs=typed_runs(runs), scores=NO_SCORES)


def all_pending() -> ReportData:
    data = all_failed()
    return replace(data, runs=data.runs.assign(status="pending", failed_stage=None, failed_reason=None), logs={})


def without(method: str) -> ReportData:
    data = small()
    return replace(data, runs=data.runs[data.runs["method"] != method])


def no_test_scores() -> ReportData:
    data = small()
    runs = data.runs.copy()
    runs[[name for name in SCORES if name.startswith("test")]] = float("nan")
    return replace(data, runs=runs, scores=data.scores[data.scores["split"] == "validation"])


def all_right() -> ReportData:
    data = small()
    return replace(
        data,
        runs=data.runs.assign(validation_score=1.0, validation_low=0.9, validation_high=1.0),
        scores=data.scores.assign(value=1.0, outcome="right", why="correct"),
    )


def no_runs() -> ReportData:
    data = all_failed()
    return replace(data, runs=typed_runs(pd.DataFrame()), logs={})


SWEEPS: dict[str, Callable[[], ReportData]] = {
    "one run": lambda: make_report_data(grid="base", num_items=60),
    "one item": lambda: make_report_data(grid="small", num_items=2),
    "no LoRA": lambda: without("lora"),
    "no full": lambda: without("full"),
    "no base": lambda: without("base"),
    "no test scores": no_test_scores,
    "all failed": all_failed,
    "all pending": all_pending,
    "all right": all_right,
    "no runs": no_runs,
}


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_gets_all_its_files(name: str, tmp_path: Path) -> None:
    made = report(SWEEPS[name]())
    page = write_files(made, tmp_path).read_text(encoding="utf-8")
    assert page.count('class="finding ') == len(made.findings) >= 9
    assert (tmp_path / "report.md").stat().st_size > 0
    assert not list(tmp_path.rglob("*.partial"))
    print_report(made, Console(file=StringIO(), width=120))


@pytest.mark.parametrize("name", ["all failed", "all pending", "no runs"])
def test_nothing_is_recommended_where_nothing_was_scored(name: str) -> None:
    made = report(SWEEPS[name]())
    assert made.headline.verdict == "No run can be recommended"
    assert made.recommended is None


def test_a_failed_run_is_a_row_with_its_reason(tmp_path: Path) -> None:
    page = write_files(report(all_failed()), tmp_path).read_text(encoding="utf-8")
    assert page.count("failed in train: out of memory") >= 6


def test_equal_runs_are_not_told_apart_and_the_cheapest_is_recommended() -> None:
    made = report(all_right())
    assert made.selection is not None
    assert len(made.selection.tied) == 6
    assert made.recommended is not None
    assert made.recommended["method"] == "base"


@pytest.mark.parametrize(
    ("data", "banner"),
    [
        (lambda: make_report_data(grid="base", num_items=20), False),
        (lambda: make_report_data(grid="base", num_items=20, certified=False), True),
        (lambda: replace(make_report_data(grid="base", num_items=20), certificate=certificate("warn")), False),
        (lambda: replace(make_report_data(grid="base", num_items=20), certificate=certificate("fail")), True),
    ],
    ids=["certified", "no certificate", "a warning", "a failed part"],
)
def test_an_uncertified_sweep_says_so_in_red(data: Callable[[], ReportData], banner: bool, tmp_path: Path) -> None:
    made = report(data())
    page = write_files(made, tmp_path).read_text(encoding="utf-8")
    assert ('class="alert"' in page) == banner
    assert ("Do not act on these numbers" in (tmp_path / "report.md").read_text()) == banner
    assert (made.findings[8].verdict == "No") == banner
    out = StringIO()
    print_report(made, Console(file=out, width=120))
    assert ("NOT CERTIFIED" in out.getvalue()) == banner


def test_a_forced_run_raises_the_alarm() -> None:
    data = make_report_data(grid="base", num_items=20)
    made = report(replace(data, runs=data.runs.assign(note="forced: another chat template than in training")))
    assert any("another chat template" in alert for alert in made.alerts)
