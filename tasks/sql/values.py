"""Values for one column: a random source, the column's type and facts in; a cell out.

Kinds follow the declared type, then the query's constants, then the column's name. INTEGER columns only hold whole
numbers, so that `x > 5` and `x >= 6` stay the same question; text columns that a query treats as numbers hold numeric
text of different widths ('9' sorts after '10').
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from random import Random
from typing import Literal

from tasks.sql.constants import Constant, is_date
from tasks.sql.facts import ColumnFacts
from tasks.sql.schema import Affinity, Column

Kind = Literal["integer", "real", "text", "numeric_text", "date", "datetime", "time", "boolean"]
Aim = Literal["hit", "miss", "any"]
Cell = int | float | str | None

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron")
_CAPITAL_RATE = 0.25  # of random words: lower(x) and x order them differently
_SMALL_INTEGERS = (1, 2, 2, 3, 5, 7, 10, -4)
_SMALL_REALS = (0.5, 1.5, 2.25, 2.25, 2.75, 10.75, -3.5, -3.25)  # some share their whole part
_NUMERIC_TEXTS = ("9", "10", "11", "100", "2", "35", "-3", "7.5")
_NUMERIC_NAME = re.compile(
    r"(?:^|_)(?:age|year|count|num|number|price|cost|amount|score|points?|salary|population|weight|height|rank|total|size"
    r"|area|capacity|grade|level|quantity|qty|attendance|goals|wins?|losses|votes?)(?:_|$)",
    re.IGNORECASE,
)
_DATE_NAME = re.compile(r"(?:^|_)(?:date|dob|birthday|day)(?:_|$)|date$", re.IGNORECASE)
_DATE_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT_OF_DAY = "13:45:00"
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?")


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one instance is filled. `hit` is the chance that a constrained cell satisfies its predicate in a row that
    aims at gold's WHERE; `spread` draws from wide domains (few ties), otherwise from narrow ones (many); `twins` is the
    share of rows that repeat an earlier one but for its keys and, half of the time, one further column."""

    rows: tuple[int, int]
    hit: float
    spread: bool
    numeric_text: bool
    hub: bool
    twins: float


def kind_of(column: Column, facts: ColumnFacts, style: Style) -> Kind:
    """What values the column holds in an instance of this style."""
    declared = column.declared.upper()
    texts = [value for value in facts.hits + facts.misses if isinstance(value, str)]
    if "BOOL" in declared:
        return "boolean"
    dates = facts.dated or any(_DATE_TEXT.match(text) and is_date(text[:10]) for text in texts)
    if "DATE" in declared or "TIMESTAMP" in declared or dates:
        told = bool(facts.date_hits or facts.date_misses) or dates
        if texts and not told:
            return "text"  # a date column compared with texts that are no dates: its format is not known
        return "datetime" if "DATETIME" in declared or "TIMESTAMP" in declared else "date"
    if column.affinity == "integer":
        return "integer"
    if declared == "TIME":
        return "time"
    if column.affinity in ("real", "numeric"):
        return "real"
    if column.affinity == "blob" and facts.numeric:
        return "integer"
    if facts.numeric or (texts and all(re.fullmatch(r"-?\d+(\.\d+)?", text) for text in texts if text)):
        return "numeric_text"
    if not texts and style.numeric_text and (facts.ordered or _NUMERIC_NAME.search(column.name)):
        return "numeric_text"
    return "date" if not texts and _DATE_NAME.search(column.name) else "text"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One column in instances of one style: what it holds, and the constants it can take from the query."""

    column: Column
    affinity: Affinity
    kind: Kind
    hits: list[Constant]
    misses: list[Constant]
    bounds: tuple[float, float] | None  # smallest and largest number among the constants


def slot_of(column: Column, facts: ColumnFacts, style: Style) -> Slot:
    """The slot of `column`."""
    kind = kind_of(column, facts, style)
    hits, misses = _constants(facts, kind)
    numbers = [number for number in map(number_of, facts.hits + facts.misses) if number is not None]
    bounds = (min(numbers), max(numbers)) if numbers else None
    return Slot(column=column, affinity=column.affinity, kind=kind, hits=hits, misses=misses, bounds=bounds)


def cell(slot: Slot, style: Style, rng: Random, aim: Aim) -> Cell:
    """One value for a column. `aim`: satisfy the query's predicates on it, nearly do, or leave it to chance."""
    if slot.misses and aim == "miss":
        return fitted(rng.choice(slot.misses), slot)
    if slot.hits and aim == "hit" and rng.random() < style.hit:
        return fitted(rng.choice(slot.hits), slot)
    if (slot.hits or slot.misses) and rng.random() < 0.7:
        return fitted(rng.choice(slot.hits + slot.misses), slot)
    return fitted(_random_value(slot, style, rng), slot)


def distinct_cell(slot: Slot, style: Style, rng: Random, number: int) -> Cell:
    """A value for a key column, the `number`-th of its table: different for every number, whatever the style."""
    if slot.hits and rng.random() < 0.5:
        return fitted(rng.choice(slot.hits), slot)
    if slot.kind == "integer":
        return rng.randint(1, max(40, 2 * number))
    if slot.kind == "real":
        return rng.randint(1, max(400, 4 * number)) / 4
    if slot.kind == "numeric_text":
        return str(rng.randint(1, max(130, 2 * number)))
    if slot.kind in ("date", "datetime", "time"):
        return fitted(_random_value(slot, style, rng), slot)
    return f"{_word(rng)[:3]}{rng.randint(1, max(99, number))}"


def _constants(facts: ColumnFacts, kind: Kind) -> tuple[list[Constant], list[Constant]]:
    """(hits, misses) that a column of this kind can hold: a date column holds dates of the calendar and no others."""
    if kind == "boolean":  # 0 and 1, or the words that a query compares it with: `flag` and `flag = 1` are one question
        return [v for v in facts.hits if v in (0, 1) or isinstance(v, str)], [0, 1]
    if kind not in ("date", "datetime"):
        return facts.hits, facts.misses
    hits = [*filter(_is_moment, facts.hits), *facts.date_hits]
    misses = [*filter(_is_moment, facts.misses), *facts.date_misses]
    if kind == "datetime":  # the last day of a range has moments behind its midnight
        misses += [f"{day} {_MOMENT_OF_DAY}" for day in hits + misses if isinstance(day, str) and len(day) == 10]
    return hits, misses


def _is_moment(value: Constant) -> bool:
    return isinstance(value, str) and _MOMENT.fullmatch(value) is not None and is_date(value[:10])


def fitted(value: Constant, slot: Slot) -> Cell:
    """`value` as the column holds it, with the question unchanged: no fractions in INTEGER columns, text in text ones."""
    if isinstance(value, str) and slot.affinity == "text":
        return value
    if type(value) is int and slot.kind == "integer" and abs(value) < 2**53:
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return 0
    if isinstance(value, int) and abs(value) >= 2**62:
        value = float(value)
    if slot.affinity == "integer" and slot.kind not in ("date", "datetime", "time"):
        if isinstance(value, str):
            number = number_of(value)
            return value if number is None else math.floor(number)
        return math.floor(value) if abs(value) < 2**62 else 0
    if slot.affinity in ("real", "numeric") and isinstance(value, str):
        number = number_of(value)
        return value if number is None else number
    if slot.affinity == "text" and not isinstance(value, str):
        return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)
    return value


def _random_value(slot: Slot, style: Style, rng: Random) -> Constant:
    low, high = slot.bounds or (0, 0)
    wide = style.spread and high > 200
    if slot.kind == "integer":
        if wide:
            return rng.randint(int(low) - 5, int(high) + 5)
        return rng.randint(-20, 120) if style.spread else rng.choice(_SMALL_INTEGERS)
    if slot.kind == "real":
        if wide:
            return round(rng.uniform(low, high), 2)
        return round(rng.uniform(-20, 120), 2) if style.spread else rng.choice(_SMALL_REALS)
    if slot.kind == "numeric_text":
        return str(rng.randint(-9, 1200)) if style.spread else rng.choice(_NUMERIC_TEXTS)
    if slot.kind == "boolean":
        return rng.randint(0, 1)
    if slot.kind in ("date", "datetime"):
        years = range(1996, 2022) if style.spread else range(2013, 2016)
        day = f"{rng.choice(years)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        return day if slot.kind == "date" else f"{day} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:00"
    if slot.kind == "time":
        return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:00"
    word = _word(rng)
    return f"{word}{rng.randint(1, 60)}" if style.spread else word


def _word(rng: Random) -> str:
    word = rng.choice(_WORDS)
    return word.capitalize() if rng.random() < _CAPITAL_RATE else word


def number_of(value: Cell) -> float | int | None:
    """The finite number that a cell holds, as a number or as text; None without one."""
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and "." not in value else number
