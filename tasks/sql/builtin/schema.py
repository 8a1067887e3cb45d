"""What a generated database is made of: tables and columns with the words people use for them.

In: the constructors below, called by the `domains_*` files. Out: frozen `Schema` values, their DDL (full for scoring,
compact for prompts) and seeded rows as SQL INSERTs. The words make questions: every phrase is written so that it
reads well after the plural noun of its table ("books" + "in the genre Mystery")."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.sql.builtin.draw import Draw

Kind = Literal["key", "ref", "label", "category", "number", "date", "text"]
Value = str | int | float | None
# tables whose rows are people
PEOPLE = frozenset(
    """actor agent author client customer director doctor employee holder journalist keeper member officer painter
    patient photographer player pupil reader renter rider scientist seller student teacher worker""".split()  # noqa: SIM905
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column and its words. `null_share` is the share of rows without a value; 0 makes it NOT NULL."""

    name: str
    kind: Kind
    sql_type: str
    phrase: str
    plural: str
    values: tuple[str, ...] = ()  # label, category and text: what is drawn from
    low: int = 0  # number: bounds in units of 10**-places; date: years
    high: int = 0
    places: int = 0
    step: int = 1  # number: values and thresholds are multiples of it
    adds: bool = False  # number: a sum over rows means something
    where: str = ""  # category: "in the genre {}"
    above: str = ""  # number: "costing more than {}"
    below: str = ""
    top: str = ""  # number: "most expensive"
    bottom: str = ""
    verb: str = ""  # date: "published"
    missing: str = ""  # nullable: "without an email address"
    present: str = ""
    null_share: float = 0.0
    target: str = ""  # ref: the table it points to
    by: str = ""  # ref: books "written by" an author
    has: str = ""  # ref: authors that "have written" books

    def nullable(self, missing: str, present: str, share: float = 0.25) -> Column:
        """This column with some values missing, and the words for it."""
        return replace(self, missing=missing, present=present, null_share=share)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table, its nouns, its row count. `product` names two numbers whose product has a name of its own."""

    name: str
    noun: str
    plural: str
    num_rows: int
    columns: tuple[Column, ...]
    product: tuple[str, str, str] | None = None

    def column(self, name: str) -> Column:
        """The column of that name. Raises StopIteration when there is none."""
        return next(column for column in self.columns if column.name == name)

    def of_kind(self, *kinds: Kind) -> tuple[Column, ...]:
        """The columns of these kinds, in table order."""
        return tuple(column for column in self.columns if column.kind in kinds)

    @property
    def who(self) -> str:
        """The relative pronoun of a row."""
        return "who" if self.name in PEOPLE else "that"

    @property
    def its(self) -> str:
        """The possessive of one row: "each author and the prices of their books"."""
        return "their" if self.name in PEOPLE else "its"

    @property
    def key(self) -> Column:
        """The primary key."""
        return self.of_kind("key")[0]

    @property
    def label(self) -> Column:
        """What a person calls a row by: its name or title, else its key."""
        return (*self.of_kind("label"), self.key)[0]


@dataclass(frozen=True, kw_only=True)
class Schema:
    """One database."""

    id: str
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table:
        """The table of that name. Raises StopIteration when there is none."""
        return next(table for table in self.tables if table.name == name)


# ---- constructors for the domain files --------------------------------------------------------------------


def table(name: str, plural: str, num_rows: int, *columns: Column, noun: str = "", key: str = "") -> Table:
    """A table with an integer primary key, `<name>_id` unless `key` says otherwise."""
    noun = noun or name.replace("_", " ")
    id_column = Column(
        name=key or f"{name}_id", kind="key", sql_type="INTEGER", phrase=f"{noun} id", plural=f"{noun} ids"
    )
    return Table(name=name, noun=noun, plural=plural, num_rows=num_rows, columns=(id_column, *columns))


def label(name: str, values: Sequence[str], phrase: str = "", plural: str = "") -> Column:
    """A name or title, different in every row."""
    phrase = phrase or name.replace("_", " ")
    return Column(
        name=name,
        kind="label",
        sql_type="TEXT",
        phrase=phrase,
        plural=plural or plural_of(phrase),
        values=tuple(values),
    )


def category(name: str, where: str, values: str, phrase: str = "", plural: str = "") -> Column:
    """One of a few words, divided by "|" in `values`. `where` is its phrase after the noun, with {} for the word."""
    phrase = phrase or name.replace("_", " ")
    words = tuple(values.split("|"))
    return Column(
        name=name,
        kind="category",
        sql_type="TEXT",
        phrase=phrase,
        plural=plural or plural_of(phrase),
        values=words,
        where=where,
    )


def text(name: str, phrase: str, missing: str, present: str, values: str) -> Column:
    """A free text that is often missing."""
    column = Column(
        name=name,
        kind="text",
        sql_type="TEXT",
        phrase=phrase,
        plural=plural_of(phrase),
        values=tuple(values.split("|")),
    )
    return column.nullable(missing, present, 0.35)


def number(
    name: str,
    bounds: tuple[float, float],
    step: float = 1,
    *,
    phrase: str = "",
    adds: bool = False,
    words: tuple[str, str, str, str] = ("", "", "", ""),
) -> Column:
    """A measure. `words` are (above, below, top, bottom): "costing more than {}", "costing less than {}", "most
    expensive", "cheapest"; an empty one falls back to the column's phrase."""
    places = 0 if step == int(step) else 1 if step * 10 == int(step * 10) else 2
    phrase = phrase or name.replace("_", " ")
    scale = 10**places
    return Column(
        name=name,
        kind="number",
        sql_type="REAL" if places else "INTEGER",
        phrase=phrase,
        plural=plural_of(phrase),
        low=round(bounds[0] * scale),
        high=round(bounds[1] * scale),
        places=places,
        step=round(step * scale),
        adds=adds,
        above=words[0],
        below=words[1],
        top=words[2],
        bottom=words[3],
    )


def date(name: str, verb: str, years: tuple[int, int], phrase: str = "") -> Column:
    """A day as ISO text. `verb` is what happened then, as it reads after the noun: "published"."""
    phrase = phrase or name.replace("_", " ")
    return Column(
        name=name,
        kind="date",
        sql_type="DATE",
        phrase=phrase,
        plural=plural_of(phrase),
        low=years[0],
        high=years[1],
        verb=verb,
    )


def ref(target: str, by: str, has: str, name: str = "") -> Column:
    """A foreign key to the primary key of `target`: books `by` ("written by") authors, authors `has` ("have written")
    books."""
    phrase = f"{target.replace('_', ' ')} id"
    return Column(
        name=name or f"{target}_id",
        kind="ref",
        sql_type="INTEGER",
        phrase=phrase,
        plural=plural_of(phrase),
        target=target,
        by=by,
        has=has,
    )


def plural_of(phrase: str) -> str:
    """The plural of a phrase, made at its first noun group: "heights in centimeters", "dates of birth", "salaries"."""
    head, joint, rest = phrase, "", ""
    for word in (" of ", " in ", " per "):
        if word in phrase:
            head, joint, rest = phrase.partition(word)
            break
    if head.endswith("y") and head[-2] not in "aeiou":
        head = f"{head[:-1]}ies"
    else:
        head += "es" if head.endswith(("s", "x", "ch", "sh")) else "s"
    return head + joint + rest


def plain_words(schema: Schema) -> Schema:
    """The schema with the columns' own names as their words: "whose sold price is {}" for "selling for {}"."""
    return replace(
        schema,
        tables=tuple(replace(each, columns=tuple(map(_plain, each.columns)), product=None) for each in schema.tables),
    )


def _plain(column: Column) -> Column:
    words = column.name.replace("_", " ")
    if column.kind == "date":
        happened = words.removesuffix(" on")
        phrase = words if "date" in words else f"{happened} date"
        verb = happened if words.endswith(" on") else f"with {words}"
        return replace(column, phrase=phrase, plural=plural_of(phrase), verb=verb)
    where = f"whose {words} is {{}}" if column.kind == "category" else ""
    plural = words if words.endswith("s") else plural_of(words)  # "goals" has no plural of its own
    return replace(column, phrase=words, plural=plural, where=where, above="", below="", top="", bottom="")


# ---- DDL and rows -----------------------------------------------------------------------------------------


def compact_ddl(schema: Schema) -> str:
    """The schema as a prompt shows it: one CREATE TABLE a line, no NOT NULL. It runs as it stands."""
    lines = []
    for each in schema.tables:
        parts = []
        for column in each.columns:
            key = " PRIMARY KEY" if column.kind == "key" else ""
            target = f" REFERENCES {column.target}({schema.table(column.target).key.name})" if column.target else ""
            parts.append(f"{column.name} {column.sql_type}{key}{target}")
        lines.append(f"CREATE TABLE {each.name} ({', '.join(parts)});")
    return "\n".join(lines)


def full_ddl(schema: Schema) -> str:
    """The schema as a scorer needs it: NOT NULL, UNIQUE labels and foreign keys spelled out."""
    statements = []
    for each in schema.tables:
        parts, links = [], []
        for column in each.columns:
            rules = {"key": " PRIMARY KEY", "label": " NOT NULL UNIQUE"}.get(
                column.kind, "" if column.null_share else " NOT NULL"
            )
            parts.append(f"{column.name} {column.sql_type}{rules}")
            if column.target:
                key = schema.table(column.target).key.name
                links.append(f"FOREIGN KEY ({column.name}) REFERENCES {column.target}({key})")
        body = ",\n  ".join([*parts, *links])
        statements.append(f"CREATE TABLE {each.name} (\n  {body}\n);")
    return "\n".join(statements)


def rows(schema: Schema, seed: int) -> dict[str, list[tuple[Value, ...]]]:
    """Rows for every table, by table name, in schema order. Keys count from 1; the last parents have no children."""
    made: dict[str, list[tuple[Value, ...]]] = {}
    for each in schema.tables:
        draw = Draw("rows", seed, schema.id, each.name)
        labels = {column.name: draw.mixed(column.values) for column in each.of_kind("label")}
        made[each.name] = [
            tuple(_value(schema, column, place, labels, draw) for column in each.columns)
            for place in range(each.num_rows)
        ]
    return made


def insert_statements(made: dict[str, list[tuple[Value, ...]]]) -> str:
    """The rows as one INSERT a table."""
    return "\n".join(
        f"INSERT INTO {name} VALUES\n" + ",\n".join(f"({', '.join(map(literal, row))})" for row in table_rows) + ";"
        for name, table_rows in made.items()
    )


def literal(value: Value) -> str:
    """A value as SQLite writes it."""
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _value(schema: Schema, column: Column, place: int, labels: dict[str, list[str]], draw: Draw) -> Value:
    if column.kind == "key":
        return place + 1
    if column.kind == "label":
        return labels[column.name][place]
    if column.null_share and draw.chance(column.null_share):
        return None
    if column.kind == "ref":
        parents = schema.table(column.target).num_rows
        return 1 + draw.early(range(max(2, parents - 2)))
    if column.kind == "number":
        scaled = draw.between(column.low // column.step, column.high // column.step) * column.step
        return scaled / 10**column.places if column.places else scaled
    if column.kind == "date":
        days = (datetime.date(column.high, 12, 31) - datetime.date(column.low, 1, 1)).days
        return (datetime.date(column.low, 1, 1) + datetime.timedelta(days=draw.below(days + 1))).isoformat()
    return draw.early(column.values)
