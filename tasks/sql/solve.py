"""Rows that meet a computed comparison exactly. A comparison's tree in, an `Equation` out; a row in, a better cell out.

`julianday(back) - julianday(out) > 14` and `>= 14` differ only on a row whose difference is 14, which chance does not
give. So SQLite itself, behind the same authorizer and budget as every hostile query, tries a pool of values for one
column of a row, and a value that makes both sides equal, or nearly, is put there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from random import Random

from sqlglot import exp

from tasks.sql import parse
from tasks.sql.constants import Constant
from tasks.sql.execute import Database, QueryError, memory_database
from tasks.sql.names import ColumnId

Cell = int | float | str | None
MAX_EQUATIONS = 6
_BUDGET_STEPS = 100_000
_MAX_COLUMNS = 4
_MAX_CHARS = 1_000
_MAX_LENGTH = 600  # a text longer than that is not built to meet a length
_CLOCK = re.compile(r"now|current_|localtime", re.IGNORECASE)
_TIME = re.compile(r"([01]?\d|2[0-3])(?::([0-5]\d))?(?::([0-5]\d))?")
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(.*)")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One column of an equation: the name of its row (an alias), and the base table's column that it reads."""

    row: str
    column: ColumnId


@dataclass(frozen=True, kw_only=True)
class Equation:
    """`left` and `right` as SQL over c0, c1, ..., one for each reference; the constants that they hold."""

    left: str
    right: str
    references: tuple[Reference, ...]
    constants: tuple[Constant, ...]


def equations_of(node: exp.Expr, resolve: Callable[[exp.Column], ColumnId | None]) -> Iterator[Equation]:
    """What a comparison or BETWEEN asks of rows when a side is computed from columns; nothing for plain comparisons."""
    bounds = [node.args["low"], node.args["high"]] if isinstance(node, exp.Between) else [node.expression]
    for bound in bounds:
        found = _equation(node.this, bound, resolve)
        if found is not None:
            yield found


def _equation(left: exp.Expr, right: exp.Expr, resolve: Callable[[exp.Column], ColumnId | None]) -> Equation | None:
    plain = exp.Column | exp.Literal | exp.Neg | exp.Query | exp.Tuple | exp.Null
    if isinstance(left, plain) and isinstance(right, plain):
        return None
    if any(side.find(exp.Query, exp.AggFunc, exp.Window, exp.Star) is not None for side in (left, right)):
        return None
    references: list[Reference] = []
    sides = []
    for side in (exp.Paren(this=left.copy()), exp.Paren(this=right.copy())):
        original = left if not sides else right
        for column, copied in zip(original.find_all(exp.Column), side.find_all(exp.Column), strict=True):
            found = resolve(column)
            if found is None:
                return None
            reference = Reference(row=column.table.lower() or found[0], column=found)
            if reference not in references:
                references.append(reference)
            copied.replace(exp.column(f"c{references.index(reference)}"))
        sides.append(parse.text(side))
    if not 0 < len(references) <= _MAX_COLUMNS or sum(map(len, sides)) > _MAX_CHARS or _CLOCK.search(" ".join(sides)):
        return None
    literals = [literal for side in (left, right) for literal in side.find_all(exp.Literal)]
    return Equation(left=sides[0], right=sides[1], references=tuple(references), constants=_values(literals))


def _values(literals: list[exp.Literal]) -> tuple[Constant, ...]:
    found: list[Constant] = []
    for literal in literals:
        text = str(literal.this)
        if literal.is_string:
            found.append(text)
        elif re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text):
            found.append(float(text) if "." in text else int(text))
    return tuple(dict.fromkeys(found))


def folded(node: exp.Expr) -> Constant | None:
    """The value of an expression that reads no column: date('2020-01-31', '+1 month') is '2020-03-02'. None without one."""
    if (
        isinstance(node, exp.Literal | exp.Null)
        or node.find(exp.Column, exp.Query, exp.AggFunc, exp.Star, exp.Window) is not None
    ):
        return None
    text = parse.text(node)
    if len(text) > _MAX_CHARS or _CLOCK.search(text):
        return None
    try:
        ((value,),) = _calculator().run(f"SELECT {text}", budget_steps=_BUDGET_STEPS).rows
    except (QueryError, ValueError):
        return None
    return value if isinstance(value, int | float | str) and len(str(value)) <= _MAX_LENGTH else None


def solved(equation: Equation, known: Mapping[int, Cell], target: int, rng: Random) -> Cell:
    """A value for reference `target` beside the `known` ones: it makes both sides equal, or the difference smallest.

    None when no value of the pool does.
    """
    pool = list(dict.fromkeys(_pool(equation, known, target)))
    if not pool:
        return None
    fixed = ", ".join(f"{_sql(value)} AS c{place}" for place, value in known.items() if place != target)
    values = ", ".join(f"({number}, {_sql(value)})" for number, value in enumerate(pool))
    query = (
        f"SELECT n, ({equation.left}) > ({equation.right}), ({equation.left}) = ({equation.right}),"
        f" abs(({equation.left}) - ({equation.right}))"
        f" FROM (SELECT column1 AS n, column2 AS c{target} FROM (VALUES {values}))"
        + (f", (SELECT {fixed})" if fixed else "")
    )
    try:
        rows = _calculator().run(query, budget_steps=_BUDGET_STEPS).rows
    except QueryError:
        return None
    tried = [
        (pool[number], above, equal, gap)
        for number, above, equal, gap in rows
        if isinstance(number, int) and gap is not None
    ]
    equals = [value for value, _, equal, _ in tried if equal]
    if equals and rng.random() < 0.6:
        return rng.choice(equals)
    sides = [
        [(gap, n) for n, (_, above, equal, gap) in enumerate(tried) if not equal and above == side] for side in (0, 1)
    ]
    nearest = [tried[min(side)[1]][0] for side in sides if side]
    return rng.choice(nearest) if nearest else rng.choice(equals) if equals else None


def _pool(equation: Equation, known: Mapping[int, Cell], target: int) -> Iterator[Cell]:
    """Values to try: around what the column holds, what the other columns hold, and the constants between them."""
    own = known[target]
    others = [value for place, value in known.items() if place != target]
    numbers = [value for value in equation.constants if isinstance(value, int | float)]
    texts = [value for value in equation.constants if isinstance(value, str)]
    days = [found for value in (own, *others, *texts) if isinstance(value, str) and (found := _DAY.fullmatch(value))]
    if isinstance(own, int | float):
        yield from _numbers(own, [value for value in others if isinstance(value, int | float)], numbers)
    elif isinstance(own, str) and _DAY.fullmatch(own):
        yield from _days(days, numbers)
        yield from _moments(own, texts)
    elif isinstance(own, str):
        yield from (own, own.upper(), own.lower(), own.capitalize())
        yield from (text + tail for text in texts for tail in ("", own, "x"))
        yield from (
            own[:1] * (int(n) + step) for n in numbers for step in (-1, 0, 1) if own and 0 <= n + step <= _MAX_LENGTH
        )
        yield from (value for value in others if isinstance(value, str))


def _numbers(own: float, others: Sequence[float], constants: Sequence[float]) -> Iterator[Cell]:
    yield from range(-20, 121)
    seeds = [value for value in (*others, *constants, 0) if abs(value) < 1e9]
    for value in seeds:
        yield from (value, own + value, -value)
        for factor in (*constants, *others, *range(2, 8)):
            if abs(factor) < 1e6:
                products = (value * factor, value + factor, factor - value, value / factor if factor else 0)
                yield from (int(p) if float(p).is_integer() else p for p in products)


def _days(days: Sequence[re.Match[str]], constants: Sequence[float]) -> Iterator[Cell]:
    shifts = {0, 1, -1, 7, -7, 31, -31, 365, 366, -365}
    shifts |= {
        sign * (int(value) + step)
        for value in constants
        if abs(value) < 4000
        for sign in (1, -1)
        for step in (-1, 0, 1)
    }
    for found in days[:6]:
        try:
            day = date.fromisoformat(found[1])
            yield from (f"{(day + timedelta(days=shift)).isoformat()}{found[2]}" for shift in sorted(shifts))
        except (ValueError, OverflowError):
            continue  # no date of the calendar, or its end
    for value in constants:
        if 1 <= value <= 9998 and len(str(value)) == 4:
            yield from (f"{value}-01-01", f"{value}-06-15", f"{value}-12-31")
        elif 1 <= value <= 31 and isinstance(value, int):
            yield from (f"2014-{month:02d}-{value:02d}" for month in (1, 3))
            yield from (f"{year}-{value:02d}-15" for year in (2013, 2014) if value <= 12)


def _moments(own: str, texts: Sequence[str]) -> Iterator[Cell]:
    """The day of `own` at the times of day among the constants, and a minute to either side."""
    for found in map(_TIME.fullmatch, texts):
        if found is not None:
            minutes = int(found[1]) * 60 + int(found[2] or 0)
            around = [divmod(m, 60) for m in (minutes, minutes - 1, minutes + 1) if 0 <= m < 24 * 60]
            yield from (f"{own[:10]} {hour:02d}:{minute:02d}:{found[3] or '00'}" for hour, minute in around)


def _sql(value: Cell) -> str:
    if value is None:
        return "NULL"
    return repr(value) if isinstance(value, int | float) else "'" + value.replace("'", "''").replace("\x00", "") + "'"


@cache
def _calculator() -> Database:
    """The empty database that expressions are computed in."""
    return memory_database()
