"""The words for a gap follow its interval: equivalence needs all of it inside a margin."""

import pytest

from harness.report.finding_quality import gap_verdict
from harness.report.plots_cost import pareto_front

CASES = [
    (0.000, -0.009, 0.009, "Equivalent within 1 %"),
    (0.005, -0.010, 0.009, "Equivalent within 3 %"),
    (-0.01, -0.029, 0.001, "Equivalent within 3 %"),
    (-0.01, -0.031, 0.001, "Cannot tell"),
    (-0.05, -0.080, -0.02, "LoRA is worse"),
    (-0.02, -0.029, -0.011, "LoRA is worse, within 3 %"),
    (-0.005, -0.009, -0.001, "LoRA is worse, within 1 %"),
    (0.050, 0.020, 0.080, "LoRA is better"),
    (0.020, 0.011, 0.029, "LoRA is better, within 3 %"),
    (0.0, -0.5, 0.5, "Cannot tell"),
]


@pytest.mark.parametrize(("gap", "low", "high", "verdict"), CASES)
def test_the_verdict_is_that_of_the_interval(gap: float, low: float, high: float, verdict: str) -> None:
    assert gap_verdict(gap, low, high) == verdict


def test_the_front_holds_what_nothing_beats() -> None:
    points = [(1.0, 0.2), (2.0, 0.1), (2.0, 0.5), (3.0, 0.5), (4.0, 0.9)]
    assert pareto_front(points, more_is_better=False) == [0, 2, 4]
    assert pareto_front(points, more_is_better=True) == [4]
