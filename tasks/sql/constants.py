"""Values around a constant of a query: some that satisfy its comparison, some that nearly do. A constant in, two lists
out.

Neighbours are what tells near misses apart: the bound itself and one step to either side, the other letter case, a
prefix, a blank behind, a pattern with its wildcards filled in different ways, the day before and after.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from sqlglot import exp

Constant = int | float | str
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?$")


def around(value: Constant, node: exp.Expr) -> tuple[list[Constant], list[Constant]]:
    """(values that satisfy a comparison with `value`, values that nearly do), by the operator of `node`."""
    if isinstance(value, str) and _NUMBER.match(value):
        hits, misses = around(float(value) if "." in value else int(value), node)
        return [value, *(_like_text(v, value) for v in hits)], [_like_text(v, value) for v in misses]
    if isinstance(value, str):
        return _around_text(value, node)
    step = 1 if isinstance(value, int) else 0.5
    below: list[Constant] = [value - step, value - 1, value - 10 * step]
    above: list[Constant] = [value + step, value + 1, value + 10 * step]
    if isinstance(node, exp.GT):
        return above, [value, *below]
    if isinstance(node, exp.GTE):
        return [value, *above], below
    if isinstance(node, exp.LT):
        return below, [value, *above]
    if isinstance(node, exp.LTE):
        return [value, *below], above
    if isinstance(node, exp.Between):
        return [value, value], [*below, *above]
    return [value], [value - 1, value + 1, -value, value * 10]


def around_pattern(pattern: str) -> tuple[list[Constant], list[Constant]]:
    """(texts that match a LIKE pattern, texts that nearly do)."""
    core = pattern.replace("%", "").replace("_", "a").replace("*", "").replace("?", "a")
    filled = [
        pattern.replace("_", "a").replace("%", fill).replace("*", fill).replace("?", "a") for fill in ("", "q", "zz ")
    ]
    misses: list[Constant] = [
        core[:-1],
        core[1:],
        "q" + core,
        core + "q",
        "q" + core + "q",
        core[:1] + "q" + core[1:],
        core.upper(),
    ]
    return list(dict.fromkeys([*filled, filled[0].swapcase()])), misses


def around_sum(value: float) -> tuple[list[Constant], list[Constant]]:
    """Values of which a few add up, or multiply, to about `value`: for a column inside SUM or arithmetic."""
    half = value // 2 if isinstance(value, int) else value / 2
    return [value + 1, half + 1, 2, 1], [value, half, value - half, value // 4, 1, 0]


def dates_around(text: str, *, exact: bool) -> tuple[list[Constant], list[Constant]]:
    """(dates that a constant beside a date column may mean, dates just outside).

    `exact` constants are compared with a part of the date: 2014 is a year, 03 a month or a day, 2014-03 a month. Other
    constants are LIKE patterns, and what they match is looked up.
    """
    fragments = re.findall(r"\d{4}|(?<!\d)\d{1,2}(?!\d)", text)
    years = [int(part) for part in fragments if len(part) == 4 and 1 < int(part) < 9998]
    parts = [int(part) for part in fragments if len(part) < 4 and 1 <= int(part) <= 31]
    if not years and not parts:
        return [], []
    months = [part for part in parts if part <= 12]
    years += [century + part for part in parts[:1] if not exact for century in (1900, 2000)]  # the end of a year
    near = [
        f"{year + shift:04d}-{month:02d}-{day:02d}"
        for year in years[:3] or [2014]
        for shift in (0, -1, 1)
        for month, day in [*((m, 15) for m in months[:2]), *((7, d) for d in parts[:2]), (1, 1), (12, 31), (6, 15)]
        if is_date(f"{year + shift:04d}-{month:02d}-{day:02d}")
    ]
    pattern = re.compile(_like_regex(text), re.IGNORECASE) if not exact else re.compile(f".*{re.escape(text)}.*")
    near = list(dict.fromkeys(near))
    hits: list[Constant] = [day for day in near if pattern.fullmatch(day)]
    misses: list[Constant] = [day for day in near if not pattern.fullmatch(day)]
    return hits[:6], misses[:6]


def _like_regex(pattern: str) -> str:
    signs = {"%": ".*", "_": ".", "*": ".*", "?": "."}
    return "".join(signs.get(letter, re.escape(letter)) for letter in pattern)


def around_argument(text: str) -> tuple[list[Constant], list[Constant]]:
    """(texts that hold an argument of a text function in several places, texts that hold it at an end or not at all)."""
    if not 0 < len(text) <= 40:
        return [], []
    return [f"amber{text}birch", f"fjord{text}elm{text}oak"], [f"{text}cedar", f"delta{text}", "grove"]


def is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def around_computed(value: Constant, side: exp.Expr) -> tuple[list[Constant], list[Constant]]:
    """Values for a column inside a function that is compared with `value`: dates for years, texts for lengths."""
    kind = type(side).__name__.lower()
    text = str(value)
    if "time" in kind or "date" in kind or "year" in kind:
        if re.fullmatch(r"\d{4}", text):
            return [f"{text}-03-15", f"{text}-12-31"], [f"{int(text) - 1}-12-31", f"{int(text) + 1}-01-01"]
        if re.fullmatch(r"\d{1,2}", text):
            month = max(1, min(12, int(text)))
            return [f"2014-{month:02d}-{month:02d}"], [f"2014-{month % 12 + 1:02d}-{month % 28 + 1:02d}"]
        return _around_text(text, exp.EQ())
    if "length" in kind and isinstance(value, int) and 0 <= value <= 600:
        return ["w" * value, "w" * (value + 1)], ["w" * max(0, value - 1)]
    if isinstance(value, int | float):
        return [value, value / 2 if value % 2 else value // 2], [value + 1, value - 1]
    return [value, value.upper(), value.lower(), value + "xyz"], [value[:-1], "x" + value]


def _around_text(value: str, node: exp.Expr) -> tuple[list[Constant], list[Constant]]:
    day = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})(.*)", value)
    if day is not None:
        before, after = _shifted(day, -1), _shifted(day, 1)
        if isinstance(node, exp.GT | exp.GTE):
            return after + ([value] if isinstance(node, exp.GTE) else []), [value, *before]
        if isinstance(node, exp.LT | exp.LTE):
            return before + ([value] if isinstance(node, exp.LTE) else []), [value, *after]
        return [value], [*before, *after]
    variants: list[Constant] = [
        value.swapcase(),
        value.lower(),
        value.upper(),
        value + "x",
        value[:-1],
        "x" + value,
        value + " ",
    ]
    if isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE):
        first = min(max(ord(value[:1] or "m"), 33), 0xD7FE)
        return [value, value + "x", value[:-1]], [chr(first - 1), chr(first + 1)]
    return [value], [variant for variant in variants if variant != value]


def _shifted(found: re.Match[str], direction: int) -> list[Constant]:
    """The days, a month and a year before or after a date, with what the text has behind it."""
    rest = found[4]
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
        moved = [day + timedelta(days=direction), day + timedelta(days=31 * direction)]
        return [f"{other.isoformat()}{rest}" for other in [*moved, day + timedelta(days=366 * direction)]]
    except (ValueError, OverflowError):
        return []  # no date of the calendar, or its end


def _like_text(value: Constant, model: str) -> Constant:
    """A number in the spelling of `model`: "0.50" + 1 is "1.50"."""
    if isinstance(value, float) and "." in model:
        return f"{value:.{len(model.split('.')[1])}f}"
    return str(value)


def literal_of(node: exp.Expr) -> Constant | None:
    """The value of a literal, of its negative or of a cast of it; None for everything else."""
    if isinstance(node, exp.Paren | exp.Cast):
        return literal_of(node.this)
    if isinstance(node, exp.Neg):
        inner = literal_of(node.this)
        return -inner if isinstance(inner, int | float) else None
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return str(node.this)
    text = str(node.this)
    try:
        return int(text) if re.fullmatch(r"\d{1,18}", text) else float(text)
    except (ValueError, OverflowError):
        return None
