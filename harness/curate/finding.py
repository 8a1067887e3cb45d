"""The shape of one thing that is wrong with data. In: items and words. Out: `DataFinding`, with specimens fit to be shown.

Every text of the data passes `excerpt` on its way out: one line, bounded, secrets masked, characters that hide replaced.
Removals name a training item and why a cleaned copy leaves it out; validation and test are never cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.core import Anatomy, Example, Split
from harness.curate.secrets import masked

Severity = Literal["error", "warning", "note", "good"]
Group = Literal["gold", "duplicates", "leakage", "labels", "length", "balance", "text", "secrets"]
SHOWN = 5
LONGEST = 220
MOST_READ = 20_000  # letters that are looked through for secrets before a text is cut
_HIDING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufffe\uffff]"
)


@dataclass(frozen=True, kw_only=True)
class Item:
    """An example in its split, with its anatomy and the keys it is compared by."""

    example: Example
    split: Split
    anatomy: Anatomy
    words: str
    usable: bool

    @property
    def input_key(self) -> tuple[str, str]:
        """Equal keys are the same input: the words of the question, and the context."""
        return self.words, self.anatomy.context

    @property
    def place(self) -> str:
        """Where a reader finds the item."""
        return f"{self.split} {excerpt(self.example.id, 60)}"


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One example of a finding: where it is, and lines of (what, text), already fit to be shown."""

    place: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of a finding's little chart: shares of the splits that have it, in [0, 1]."""

    name: str
    shares: Mapping[str, float]
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class DataFinding:
    """One thing that was looked for. `count` of `total` items have it; "good" says that none does.

    `removed` of the training items are left out by cleaning. `remedy` says what to do about it.
    """

    key: str
    group: Group
    title: str
    severity: Severity
    count: int
    total: int
    detail: str
    remedy: str
    removed: int = 0
    specimens: tuple[Specimen, ...] = ()
    bars: tuple[Bar, ...] = ()


@dataclass(kw_only=True)
class Found:
    """What a check found: findings, and the training items that cleaning leaves out, each with its reason."""

    findings: list[DataFinding] = field(default_factory=list)
    removals: dict[str, str] = field(default_factory=dict)

    def add(self, other: Found) -> None:
        """Take in another check's result; the first reason to remove an item stands."""
        self.findings += other.findings
        self.removals = {**other.removals, **self.removals}


def excerpt(text: object, most: int = LONGEST) -> str:
    """`text` on one line, at most `most` letters, secrets masked, invisible characters replaced by a mark."""
    bounded = str(text)[:MOST_READ]
    clean = _HIDING.sub("\ufffd", " ".join(masked(bounded).split()))
    return clean if len(clean) <= most else clean[: most - 1] + "\u2026"


def specimen(items: Sequence[Item], *more: tuple[str, object], gold: bool = True) -> Specimen:
    """The first item's question, the golds of all, and `more`."""
    lines = [("input", excerpt(items[0].anatomy.text or items[0].words))]
    if gold:
        lines += [
            ("gold" if len(items) == 1 else f"gold of {item.place}", excerpt(item.example.gold)) for item in items
        ]
    return Specimen(
        place=" and ".join(item.place for item in items),
        lines=(*lines, *((what, excerpt(text)) for what, text in more)),
    )


def listed(specimens: Iterable[Specimen]) -> tuple[Specimen, ...]:
    """The first few."""
    return tuple(specimen for specimen, _ in zip(specimens, range(SHOWN), strict=False))


def share(count: int, total: int) -> str:
    """ "12 of 300 (4.0 %)"."""
    return f"{count:,} of {total:,} ({100 * count / total:.1f} %)" if total else f"{count:,} of none"
