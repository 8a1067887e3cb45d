"""The shape of an answer, and the one way a number is written. Goes in: values with units. Comes out: `Finding`, text.

Every file of a report (HTML, Markdown, terminal, model card) prints a number through `display`, so that they cannot
differ in rounding. A share is printed in percent with one decimal, an interval in brackets behind it, n beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal[
    "share",
    "points",
    "size",
    "relative",
    "ratio",
    "count",
    "bytes",
    "seconds",
    "tokens/s",
    "rate",
    "kappa",
    "dollars",
    "text",
]
Tone = Literal["answer", "unsure", "warning", "missing"]
MINUS, MISSING = "\u2212", "\u2013"


@dataclass(frozen=True, kw_only=True)
class Number:
    """One figure of a finding. `low` and `high` bound its interval, `n` is the items it rests on."""

    name: str
    value: float | None
    unit: Unit
    low: float | None = None
    high: float | None = None
    n: int | None = None

    def __str__(self) -> str:
        return display(self.value, self.unit) + (
            "" if self.low is None or self.high is None else f" {interval(self.low, self.high, self.unit)}"
        )


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One answered question.

    `verdict` is a few words; `tone` says how they are to be read: "answer" (the data decide), "unsure" (cannot tell),
    "warning" (do not act on this) or "missing" (the sweep did not ask). `rows` are what its figure draws.
    """

    number: int
    key: str
    question: str
    verdict: str
    tone: Tone
    sentences: tuple[str, ...]
    numbers: tuple[Number, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()


def missing(number: int, key: str, question: str, why: str) -> Finding:
    """The finding of a question that this sweep cannot answer, and what would answer it."""
    return Finding(number=number, key=key, question=question, verdict="Not measured", tone="missing", sentences=(why,))


def known(value: Any) -> float | None:
    """`value` as a float, None where it is missing."""
    if value is None:
        return None
    number = float(value)
    return None if math.isnan(number) else number


def display(value: Any, unit: Unit) -> str:
    """`value` in words a reader takes in at once: 0.782 as "78.2 %", 537e6 bytes as "537 MB", 192 s as "3 min 12 s"."""
    if unit == "text":
        return MISSING if value is None or value != value else str(value)
    number = known(value)
    if number is None:
        return MISSING
    return WRITTEN[unit](number)


def interval(low: float | None, high: float | None, unit: Unit = "share") -> str:
    """ "[74.1, 81.9]" in the unit's own scale; a dash where a bound is missing."""
    if known(low) is None or known(high) is None:
        return MISSING
    scale = 100 if unit in ("share", "points", "relative") else 1
    sign = _signed if unit in ("points", "relative") else (lambda x: f"{x:.1f}" if scale == 100 else f"{x:.3g}")
    return f"[{sign(scale * float(low or 0.0))}, {sign(scale * float(high or 0.0))}]"


def rate(value: float) -> str:
    """A learning rate as people write it: 0.001 as 1e-3."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def plural(n: int, word: str, many: str = "") -> str:
    """ "1 run", "3 runs"."""
    return f"{n:,} {word if n == 1 else many or word + 's'}"


def _signed(value: float) -> str:
    text = f"{abs(value):.1f}"
    return text if text == "0.0" else f"{'+' if value > 0 else MINUS}{text}"


def _count(value: float) -> str:
    for size, mark in ((1e9, " B"), (1e6, " M")):
        if abs(value) >= size:
            return f"{value / size:.4g}{mark}"
    return f"{value:,.0f}"


def _bytes(value: float) -> str:
    for size, mark in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.3g} {mark}" if value < 999.5 * size else f"{value / size:,.0f} {mark}"
    return f"{value:.0f} B"


def _seconds(value: float) -> str:
    if value < 60:
        return f"{value:.3g} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


WRITTEN: dict[Unit, Callable[[float], str]] = {
    "share": lambda x: f"{100 * x:.1f} %",
    "points": lambda x: f"{_signed(100 * x)} points",
    "size": lambda x: f"{100 * x:.1f} points",
    "relative": lambda x: f"{_signed(100 * x)} %",
    "ratio": lambda x: f"{x:.3g} x",
    "count": _count,
    "bytes": _bytes,
    "seconds": _seconds,
    "tokens/s": lambda x: f"{x:,.0f} tokens/s",
    "rate": rate,
    "kappa": lambda x: f"{x:.3f}",
    "dollars": lambda x: f"${x:,.4f}",
}
