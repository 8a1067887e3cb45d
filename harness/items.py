"""One run's scored items on one split by one scorer, as gate and compare read them. Frames in, values out.

`value` None is unscored and never 0. `versions` maps a certificate part (task, data, prompts, scorers, engine, and
judge where one scored) to its hash; results made elsewhere have none. `forced` says why the numbers are marked. Ids,
reasons, answers and tags are text from outside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.core import OUTCOMES, Outcome

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Item:
    """One scored answer. `latency_s` is the time this answer took, where it was measured; `content` the hash of what was
    asked and what is right (parts.content_hash), by which a changed row is seen."""

    id: str
    value: float | None
    outcome: Outcome
    why: str = ""
    answer: str = ""
    cluster: str = ""
    tags: tuple[str, ...] = ()
    latency_s: float | None = None
    content: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("an item needs a non-empty id")
        if self.outcome not in OUTCOMES:
            raise ValueError(f"item {self.id!r}: outcome is one of {', '.join(OUTCOMES)}, got {self.outcome!r}")
        if (self.value is None) != (self.outcome == "unscored"):
            raise ValueError(f"item {self.id!r}: value {self.value} does not go with outcome {self.outcome}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"item {self.id!r}: a value is finite or None, got {self.value}")
        if self.latency_s is not None and not (math.isfinite(self.latency_s) and self.latency_s > 0):
            raise ValueError(f"item {self.id!r}: latency_s is positive or None, got {self.latency_s}")


@dataclass(frozen=True, kw_only=True)
class ItemSet:
    """The items of one run, file or checkpoint. Ids are unique.

    `setting` is how they were asked (model, data, prompt_style, few_shot): a bare checkpoint is asked like its baseline.
    """

    name: str
    task: str
    split: str
    scorer: str
    items: tuple[Item, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    setting: Mapping[str, Any] = field(default_factory=dict)
    forced: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for item in self.items:
            if item.id in seen:
                raise ValueError(f"{self.name}: item {item.id!r} appears twice; every id is scored once")
            seen.add(item.id)

    def by_id(self) -> dict[str, Item]:
        """The items under their ids, in order."""
        return {item.id: item for item in self.items}

    def contents(self) -> dict[str, str]:
        """Id -> content hash, "" where it is not known."""
        return {item.id: item.content for item in self.items}

    @property
    def unscored_share(self) -> float:
        """The share of items without a value; 1.0 of nothing, so that an empty set passes no limit."""
        return sum(item.value is None for item in self.items) / len(self.items) if self.items else 1.0


@dataclass(frozen=True, kw_only=True)
class Flip:
    """An item that one side has right and the other has not. `reason` is the side's that is not right."""

    id: str
    reason: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Flips:
    """Items gained and lost from `before` to `after`, with reasons counted, most frequent first."""

    gained: tuple[Flip, ...]
    lost: tuple[Flip, ...]

    def reasons(self) -> tuple[dict[str, int], dict[str, int]]:
        """({reason: gained}, {reason: lost})."""
        return _counted(self.gained), _counted(self.lost)


def flips(before: ItemSet, after: ItemSet) -> Flips:
    """What changed from wrong to right and back, over the items both sides scored."""
    gained: list[Flip] = []
    lost: list[Flip] = []
    later = after.by_id()
    for old in before.items:
        new = later.get(old.id)
        if (
            new is None
            or old.value is None
            or new.value is None
            or (old.outcome == "right") == (new.outcome == "right")
        ):
            continue
        side = old if new.outcome == "right" else new
        reason = side.outcome if side.why in ("", side.outcome) else f"{side.outcome}: {side.why}"
        flip = Flip(id=old.id, reason=reason, before=old.answer, after=new.answer)
        (gained if new.outcome == "right" else lost).append(flip)
    return Flips(gained=tuple(gained), lost=tuple(lost))


def items_from_frame(scores: pd.DataFrame) -> tuple[Item, ...]:
    """The rows of a store's scores frame (one run, split and scorer) as items. NaN and None values are unscored."""
    return tuple(item_from_row(row) for row in scores.to_dict("records"))


def item_from_row(row: Mapping[Any, Any]) -> Item:
    """One row with example_id, value, outcome and, where present, why, answer, cluster, tags, latency_s."""
    value = _number(row.get("value"))
    given = str(row["outcome"])
    outcome: Outcome = "unscored" if value is None else given  # type: ignore[assignment]
    tags = row.get("tags")
    return Item(
        id=str(row["example_id"]),
        value=None if given == "unscored" else value,
        outcome=outcome,
        why=_text(row.get("why")),
        answer=_text(row.get("answer")),
        cluster=_text(row.get("cluster")),
        tags=() if tags is None or isinstance(tags, float | str) else tuple(str(tag) for tag in tags),
        latency_s=_number(row.get("latency_s")),
        content=_text(row.get("content")),
    )


def outcome_of(value: float | None) -> Outcome:
    """The class of a bare value from elsewhere: right at 1, wrong below, unscored when None."""
    if value is None:
        return "unscored"
    return "right" if value >= 1.0 else "wrong"


def _counted(changes: Sequence[Flip]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.reason] = counts.get(change.reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)
