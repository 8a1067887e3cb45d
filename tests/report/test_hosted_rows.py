"""A hosted model beside the sweep's best: beats, trails, or cannot be told apart, with the interval."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from harness.report.data import ReportData, typed_runs
from harness.report.finding_context import context
from tests.report.synthetic import make_report_data


def with_hosted_row(value: float | None) -> ReportData:
    """The small sweep and a hosted model that scores `value` on every item; None copies the best run's scores."""
    data = make_report_data(num_items=120, grid="small")
    best = data.runs.sort_values("validation_score").iloc[-1]
    rows = data.primary[data.primary["run"] == best["run"]].assign(run="gpt", text="")
    if value is not None:
        rows = rows.assign(value=value, outcome="right" if value else "wrong")
    row: dict[str, Any] = {
        **best.to_dict(), "run": "gpt", "label": "gpt-4o", "method": "hosted", "model": "openai:gpt-4o", "rank": None,
        "validation_score": rows["value"].mean(), "test_score": rows[rows["split"] == "test"]["value"].mean(),
    }  # fmt: skip
    runs = typed_runs(pd.concat([data.runs, pd.DataFrame([row])], ignore_index=True))
    return replace(data, runs=runs, scores=pd.concat([data.scores, rows], ignore_index=True))


@pytest.mark.parametrize(
    ("value", "says"),
    [(0.0, " beats gpt-4o by "), (1.0, " trails gpt-4o by "), (None, " cannot be told apart from gpt-4o")],
)
def test_the_finding_says_by_how_much_and_how_sure(value: float | None, says: str) -> None:
    finding = context(with_hosted_row(value))
    assert finding.number == 8
    assert finding.verdict.startswith("Your lora")
    assert says in finding.verdict
    assert "points [" in finding.verdict
    assert finding.tone == ("answer" if value is not None else "unsure")
    assert "n=" in finding.sentences[0]
