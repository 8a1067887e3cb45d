"""Conditions on one table: SQL after WHERE, and the words that follow the table's plural noun.

In: a database with its rows, a table, a `Draw`. Out: a `Filter`, or None where the table has no fitting column.
Constants are taken from the rows, so that a condition keeps some rows and drops some; the composer checks that it
does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tasks.sql.builtin.draw import Draw
from tasks.sql.builtin.schema import Column, Schema, Table, Value, literal


@dataclass(frozen=True, kw_only=True)
class Database:
    """A schema with its rows, by table name."""

    schema: Schema
    rows: Mapping[str, list[tuple[Value, ...]]]

    def values(self, table: Table, column: Column) -> list[Value]:
        """The values of one column that are not NULL, in row order."""
        place = table.columns.index(column)
        return [row[place] for row in self.rows[table.name] if row[place] is not None]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """`sql` goes after WHERE; `words` after the plural noun; `columns` are those it reads."""

    sql: str
    words: str
    columns: tuple[str, ...]
    tags: tuple[str, ...] = ()


FilterMaker = Callable[[Database, Table, Draw, str], Filter | None]


def equal(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`genre = 'Mystery'`. `prefix` goes before each column: "" or "book."."""
    column = _one_of(table, draw, "category")
    if column is None:
        return None
    word = str(draw.one(db.values(table, column)))
    phrase = column.where.format(word) if draw.chance(0.7) else f"whose {column.phrase} is {word}"
    return Filter(sql=f"{prefix}{column.name} = {literal(word)}", words=phrase, columns=(column.name,))


def unequal(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`genre != 'Mystery'`."""
    column = _one_of(table, draw, "category")
    if column is None:
        return None
    word = str(draw.one(db.values(table, column)))
    phrase = f"whose {column.phrase} is not {word}"
    return Filter(sql=f"{prefix}{column.name} != {literal(word)}", words=phrase, columns=(column.name,))


def either(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`genre IN ('Mystery', 'Poetry')`."""
    column = _one_of(table, draw, "category")
    if column is None or len(set(db.values(table, column))) < 3:
        return None
    one, two = (str(word) for word in draw.some(sorted({str(value) for value in db.values(table, column)}), 2))
    both = f"{one} or {two}"
    phrase = column.where.format(both) if draw.chance(0.6) else f"whose {column.phrase} is either {both}"
    return Filter(
        sql=f"{prefix}{column.name} IN ({literal(one)}, {literal(two)})", words=phrase, columns=(column.name,)
    )


def compare(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`price > 20`, with any of the four comparisons."""
    column = _one_of(table, draw, "number")
    if column is None:
        return None
    limit = draw.one(db.values(table, column))
    phrase, sign = draw.one(_comparisons(column))
    return Filter(
        sql=f"{prefix}{column.name} {sign} {plain(limit)}", words=phrase.format(plain(limit)), columns=(column.name,)
    )


def between(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`price BETWEEN 10 AND 20`."""
    column = _one_of(table, draw, "number")
    if column is None:
        return None
    values = sorted(set(db.values(table, column)), key=lambda value: float(value or 0))
    if len(values) < 6:
        return None
    start = draw.below(len(values) - 3)
    low, high = plain(values[start]), plain(values[draw.between(start + 2, len(values) - 1)])
    phrase = draw.one(
        (f"with {a(column.phrase)} between {{}} and {{}}", f"whose {column.phrase} is between {{}} and {{}}")
    )
    return Filter(
        sql=f"{prefix}{column.name} BETWEEN {low} AND {high}", words=phrase.format(low, high), columns=(column.name,)
    )


def day(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`published_on > '2021-03-01'`."""
    column = _one_of(table, draw, "date")
    if column is None:
        return None
    limit = draw.one(db.values(table, column))
    word, sign = draw.one((("after", ">"), ("before", "<"), ("on or after", ">="), ("on or before", "<=")))
    return Filter(
        sql=f"{prefix}{column.name} {sign} {literal(limit)}",
        words=f"{column.verb} {word} {limit}",
        columns=(column.name,),
        tags=("date",),
    )


def year(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`strftime('%Y', published_on) = '2021'`."""
    column = _one_of(table, draw, "date")
    if column is None:
        return None
    word = str(draw.one(db.values(table, column)))[:4]
    phrase = draw.one((f"{column.verb} in {word}", f"{column.verb} in the year {word}"))
    return Filter(
        sql=f"strftime('%Y', {prefix}{column.name}) = '{word}'", words=phrase, columns=(column.name,), tags=("date",)
    )


def missing(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`email IS NULL`, or IS NOT NULL."""
    columns = [column for column in table.columns if column.null_share]
    if not columns:
        return None
    column = draw.one(columns)
    absent = draw.chance(0.5)
    return Filter(
        sql=f"{prefix}{column.name} IS {'' if absent else 'NOT '}NULL",
        words=column.missing if absent else column.present,
        columns=(column.name,),
        tags=("null",),
    )


def initial(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """`title LIKE 'S%'`, or a contained word."""
    if table.label.kind != "label":
        return None
    column = table.label
    word = str(draw.one(db.values(table, column)))
    ways = [(f"whose {column.phrase} starts with {word[:1]}", f"{word[:1]}%")]
    if " " in word:
        part = draw.one([part for part in word.split(" ") if "'" not in part])
        ways += [
            (f"whose {column.phrase} contains {part}", f"%{part}%"),
            (f"with {part} in the {column.phrase}", f"%{part}%"),
        ]
    phrase, pattern = draw.one(ways)
    return Filter(
        sql=f"{prefix}{column.name} LIKE {literal(pattern)}", words=phrase, columns=(column.name,), tags=("like",)
    )


def both(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """Two conditions on different columns, AND."""
    return _joined(db, table, draw, prefix, "AND", "and")


def one_of_two(db: Database, table: Table, draw: Draw, prefix: str) -> Filter | None:
    """Two conditions on different columns, OR."""
    return _joined(db, table, draw, prefix, "OR", "or")


SIMPLE: Mapping[str, FilterMaker] = {"equal": equal, "compare": compare, "day": day, "year": year}
MAKERS: Mapping[str, FilterMaker] = {
    **SIMPLE,
    "unequal": unequal,
    "either": either,
    "between": between,
    "missing": missing,
    "initial": initial,
    "both": both,
    "one_of_two": one_of_two,
}


def plain(value: Value) -> str:
    """A number as people write it: 20.0 as 20."""
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def a(phrase: str) -> str:
    """`phrase` with its indefinite article; a plural ("goals") has none."""
    return phrase if phrase.endswith("s") else f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _one_of(table: Table, draw: Draw, kind: str) -> Column | None:
    columns = [column for column in table.columns if column.kind == kind]
    return draw.one(columns) if columns else None


def _comparisons(column: Column) -> list[tuple[str, str]]:
    whose = f"whose {column.phrase} is"
    ways = [(f"{whose} at least {{}}", ">="), (f"{whose} at most {{}}", "<=")]
    ways += [(f"{whose} greater than {{}}", ">"), (f"{whose} less than {{}}", "<")]
    if column.above:
        return [*ways, (column.above, ">"), (column.below, "<")]
    if column.phrase.startswith("number of"):
        return ways
    return [*ways, (f"with {a(column.phrase)} above {{}}", ">"), (f"with {a(column.phrase)} below {{}}", "<")]


def _joined(db: Database, table: Table, draw: Draw, prefix: str, sql_word: str, word: str) -> Filter | None:
    one = SIMPLE[draw.one(("equal", "compare"))](db, table, draw, prefix)
    two = SIMPLE[draw.one(("equal", "compare", "day", "year"))](db, table, draw, prefix)
    if one is None or two is None or set(one.columns) & set(two.columns):
        return None
    if one.words.startswith("whose") and not two.words.startswith("whose"):
        one, two = two, one  # "books published in 2020 and whose price ...", not the other way round
    return Filter(
        sql=f"{one.sql} {sql_word} {two.sql}",
        words=f"{one.words} {word} {two.words}",
        columns=one.columns + two.columns,
        tags=tuple(sorted({*one.tags, *two.tags})),
    )
