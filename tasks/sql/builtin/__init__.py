"""The built-in SQL data set, generated from a seed. In: a `DataRequest`. Out: a `Dataset` of questions over 33 schemas.

Questions are composed from patterns (`patterns_*.py`) over annotated schemas (`domains_*.py`). Whole schemas are held
out for validation and test, so no pair of pattern and schema is in two splits; a question or gold query that reads
the same in two splits is kept only in the later one. A draft becomes an item when its gold, run on the schema's rows,
gives a result that is not empty, has no tie at its LIMIT, and differs from the results of its usual misreadings.

There are two editions. `builtin` speaks of columns by their names ("whose sold price is at least 1320") and asks easy
questions more often than hard ones: a 135M model learns it in minutes on a CPU. `builtin-hard` speaks as people do
("costing at least 1320") and asks every pattern alike.

Every split is a sequence of rounds; a round holds every pattern as often as the edition says, each on another schema
than before, in random order. So the first n items of a split are balanced over patterns and schemas, for every n.
Licence: Apache-2.0, like the code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.core import DataRequest, Dataset, Example, Split, digest
from harness.sources import first
from tasks.sql.builtin import patterns_group, patterns_join, patterns_nested, patterns_rows  # noqa: F401 (registers them)
from tasks.sql.builtin.domains import SCHEMAS
from tasks.sql.builtin.draft import PATTERNS, Difficulty, Draft, Pattern
from tasks.sql.builtin.draw import Draw
from tasks.sql.builtin.filters import Database
from tasks.sql.builtin.schema import Schema, compact_ddl, full_ddl, insert_statements, plain_words, rows

VERSION = "2"
SIZES: dict[Split, int] = {"train": 3000, "validation": 400, "test": 600}
SPLIT_RULE = (
    "whole schemas are held out: {train} for train, {validation} for validation, {test} for test; none is shared"
)
_TRIES = 80  # drafts asked of a pattern on a schema before the pair counts as spent
_STRIDE = 7  # schemas a place of the round moves on by; prime to every split's number of schemas


@dataclass(frozen=True, kw_only=True)
class Edition:
    """One way to ask. A pattern comes `copies` times its share in every `every`-th round, by its difficulty; those of
    `core` come `core_copies` times in every round."""

    plain: bool
    core: frozenset[str] = frozenset()
    core_copies: int = 1
    copies: Mapping[Difficulty, int]
    every: Mapping[Difficulty, int]


# the questions people ask most: which rows, how many, what is the largest
CORE = frozenset(
    """list_equal list_unequal list_compare list_year count_equal count_unequal count_compare count_year measure_all
    extreme extreme_date first_or_last""".split()  # noqa: SIM905
)
EDITIONS: Mapping[str, Edition] = {
    "builtin": Edition(
        plain=True,
        core=CORE,
        core_copies=20,
        copies={"easy": 2, "medium": 1, "hard": 1},
        every={"easy": 1, "medium": 1, "hard": 2},
    ),
    "builtin-hard": Edition(
        plain=False, copies={"easy": 1, "medium": 1, "hard": 1}, every={"easy": 1, "medium": 1, "hard": 1}
    ),
}


@dataclass(frozen=True, kw_only=True)
class LoadedSchema:
    """A schema with its rows, in SQLite and as the texts an `Example` carries."""

    database: Database
    connection: sqlite3.Connection
    prompt_ddl: str
    ddl: str
    data: str


def load(request: DataRequest) -> Dataset:
    """The edition `request.name` of `request.seed`. Sizes of None mean 3,000, 400 and 600; larger ones than there are give all
    there are."""
    made: dict[Split, tuple[Example, ...]] = {}
    seen: set[str] = set()
    for split in ("test", "validation", "train"):
        made[split] = tuple(_examples(split, request.seed, EDITIONS[request.name], seen))
    sizes = {"train": request.train_size, "validation": request.validation_size, "test": request.test_size}
    counts = {split: len(schemas) for split, schemas in SCHEMAS.items()}
    return Dataset(
        name=request.name,
        revision=f"generator-{VERSION}-seed-{request.seed}",
        licence="Apache-2.0",
        split_rule=SPLIT_RULE.format(**counts),
        train=first(made["train"], sizes["train"]),
        validation=first(made["validation"], sizes["validation"]),
        test=first(made["test"], sizes["test"]),
    )


def places(edition: Edition, number: int) -> list[Pattern]:
    """The patterns of round `number`, as often as each comes in it."""
    found: list[Pattern] = []
    for order, each in enumerate(PATTERNS.values()):
        if each.name in edition.core:
            found += [each] * edition.core_copies
        elif (order + number) % edition.every[each.difficulty] == 0:
            found += [each] * (each.share * edition.copies[each.difficulty])
    return found


def _examples(split: Split, seed: int, edition: Edition, seen: set[str]) -> Iterator[Example]:
    """The items of one split. `seen` holds the questions and golds of all splits so far, normalised; it is added to."""
    schemas = Draw("schemas", seed, split).mixed([_loaded(schema, seed, edition.plain) for schema in SCHEMAS[split]])
    spent: set[tuple[str, str]] = set()  # pairs of pattern and schema that have no further item
    count, number, dry = 0, 0, 0  # dry: rounds in a row that gave nothing
    while count < SIZES[split] and dry < max(edition.every.values()):
        dry += 1
        for place, each in Draw("round", seed, split, number).mixed(list(enumerate(places(edition, number)))):
            start = place + number * _STRIDE
            turn = [schemas[(start + further) % len(schemas)] for further in range(len(schemas))]
            draw = Draw("item", seed, split, number, place)
            example = next(filter(None, (_example(each, schema, draw, seen, spent) for schema in turn)), None)
            if example is not None and count < SIZES[split]:
                count, dry = count + 1, 0
                yield example
        number += 1


def _example(
    each: Pattern, schema: LoadedSchema, draw: Draw, seen: set[str], spent: set[tuple[str, str]]
) -> Example | None:
    name = schema.database.schema.id
    if (each.name, name) in spent:
        return None
    for _ in range(_TRIES):
        draft = each.make(schema.database, draw)
        if draft is None:
            continue
        marks = {_normal(draft.question), _normal(draft.sql)}
        if marks & seen or not _good(draft, schema.connection):
            continue
        seen |= marks
        tags = dict.fromkeys((each.difficulty, *each.tags, *draft.tags, f"pattern:{each.name}", f"db:{name}"))
        return Example(
            id=f"{name}-{digest([schema.ddl, schema.data, draft.question, draft.sql], 12)}",
            inputs={"question": draft.question, "schema": schema.prompt_ddl},
            gold=draft.sql,
            meta={"schema": schema.ddl, "data": schema.data, "dialect": "sqlite"},
            cluster=name,
            tags=tuple(tags),
        )
    spent.add((each.name, name))
    return None


def _loaded(schema: Schema, seed: int, plain: bool) -> LoadedSchema:
    schema = plain_words(schema) if plain else schema
    made = rows(schema, seed)
    ddl, data = full_ddl(schema), insert_statements(made)
    connection = sqlite3.connect(":memory:")
    connection.executescript(ddl + data)
    return LoadedSchema(
        database=Database(schema=schema, rows=made),
        connection=connection,
        prompt_ddl=compact_ddl(schema),
        ddl=ddl,
        data=data,
    )


def _normal(words: str) -> str:
    return " ".join(words.lower().split())


def _good(draft: Draft, connection: sqlite3.Connection) -> bool:
    """Does the gold give a result that is not empty, not tied at its LIMIT, and not that of a misreading?"""
    result = connection.execute(draft.sql).fetchall()
    if not result or all(value is None or value == 0 for row in result for value in row):
        return False
    if "GROUP BY" in draft.sql and "LIMIT" not in draft.sql and "HAVING" not in draft.sql and len(result) < 2:
        return False
    if any(
        sorted(map(repr, result)) == sorted(map(repr, connection.execute(other).fetchall())) for other in draft.unlike
    ):
        return False
    if draft.limit:
        keys = connection.execute(draft.sort_keys).fetchall()[: draft.limit + 1]
        return len(keys) > draft.limit and len(set(keys)) == len(keys)
    return True
