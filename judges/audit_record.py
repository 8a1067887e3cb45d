"""What an audit of a judge finds: plain values, with the thresholds that a fit judge meets. No call is made here.

Goes in: nothing. Comes out: `Audit`, which judges/audit.py fills and judges/audit_text.py writes, and its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harness.core import to_json
from harness.stats import Kappa, PredictionPoweredMean
from judges.calls import Spend
from judges.controls import ControlKind

Fitness = Literal["fit", "not fit", "not shown to be fit"]


@dataclass(frozen=True, kw_only=True)
class AuditRules:
    """What a judge must show to be called fit.

    Kappa .6 is the lower edge of "substantial" (Landis, Koch 1977); GPT-4o on SQL reaches .87 against experts.
    """

    min_kappa: float = 0.6
    min_control_pass: float = 0.95
    max_unscored: float = 0.01
    num_control_items: int = 20
    num_pairs: int = 20


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts of judge against truth. A false accept is a wrong answer that the judge calls correct."""

    right_accepted: int
    right_rejected: int
    wrong_accepted: int
    wrong_rejected: int
    right_unscored: int
    wrong_unscored: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """Agreement inside one group of items. Points are per hundred; the interval is None below two clusters."""

    name: str
    n: int
    unscored: int
    agreement: float | None
    true_mean: float | None
    judged_mean: float | None
    leniency_points: float | None
    low_points: float | None
    high_points: float | None


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """One kind of control. `passed` counts the verdicts that were as they must be, of those that were given."""

    kind: ControlKind
    expected: Literal["correct", "incorrect"]
    n: int
    passed: int
    unscored: int
    low: float
    high: float
    failed_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PositionBias:
    """Gold against a wrong submission, in both orders. Without bias, half of the sided verdicts are for the first."""

    num_pairs: int
    gold_won: int
    flipped: int
    unscored: int
    first_place: int
    sided: int
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """One item on which judge and truth differ, for a person to read. All texts are hostile."""

    id: str
    truth: int
    judged: int
    submission: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The evidence on one judge for one task."""

    model: str
    column: str
    snapshots: tuple[str, ...]
    rubric: str
    rules: AuditRules
    num_items: int
    num_labelled: int
    num_human: int
    confusion: Confusion
    kappa: Kappa | None
    overall: Group
    by_method: tuple[Group, ...]
    by_length: tuple[Group, ...]
    position: PositionBias | None
    controls: tuple[ControlResult, ...]
    corrected: PredictionPoweredMean | None
    unscored_reasons: tuple[tuple[str, int], ...]
    disagreements: tuple[Disagreement, ...]
    fitness: Fitness
    reasons: tuple[str, ...]
    spend: Spend

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        body: dict[str, Any] = to_json(self)
        return body

    def markdown(self) -> str:
        """The audit as a section of a report."""
        from judges.audit_text import markdown

        return markdown(self)

    def terminal(self) -> str:
        """The audit as plain text for a terminal."""
        from judges.audit_text import terminal

        return terminal(self)
