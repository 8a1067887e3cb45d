"""A verdict claims no more than was compared: earlier sweeps over other items, methods with one learning rate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.report.comparison import Comparison
from harness.report.finding_context import _beside_earlier
from harness.report.finding_training import learning_rate
from tests.report.synthetic import make_report_data


def compared(difference: float, p_value: float) -> Comparison:
    return Comparison(a=0.5, b=0.5 - difference, n=100, difference=difference, low=difference - 0.1, high=difference + 0.1,
                      p_value=p_value, discordance=0.2, design=1.0)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([], ("No earlier sweep answered the same items", False)),
        ([None], ("No earlier sweep answered the same items", False)),
        ([compared(0.05, 0.3), None], ("Cannot be told apart from 1 earlier sweep", False)),
        ([compared(0.2, 0.001)], ("Ahead of 1 of 1 earlier sweep", True)),
        ([compared(-0.2, 0.001), compared(0.2, 0.002)], ("Behind 1 and ahead of 1 of 2 earlier sweeps", True)),
        ([compared(-0.2, 0.04), compared(0.0, 0.9)], ("Cannot be told apart from 2 earlier sweeps", False)),  # Holm
    ],
)
def test_earlier_sweeps_count_where_they_answered_the_same_items(
    found: list[Comparison | None], verdict: tuple[str, bool]
) -> None:
    assert _beside_earlier(found) == verdict


def test_one_learning_rate_is_no_best_one_and_makes_no_ratio() -> None:
    finding = learning_rate(make_report_data(grid="small", num_items=60))
    assert finding.verdict.startswith("Best: LoRA ")
    assert finding.verdict.endswith("full 1e-4 (the only one)")
    assert not [number for number in finding.numbers if number.unit == "ratio"]


def test_nothing_is_called_best_where_every_method_had_one_rate() -> None:
    data = make_report_data(grid="small", num_items=60)
    runs = data.runs[data.runs["learning_rate"].isna() | data.runs["learning_rate"].isin((1e-3, 1e-4))]
    finding = learning_rate(replace(data, runs=runs))
    assert finding.verdict == "Not compared: LoRA 1e-3 (the only one), full 1e-4 (the only one)"
    assert finding.tone == "unsure"
