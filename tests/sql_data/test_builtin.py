"""The generated SQL data: what its docstring promises, over whole splits."""

from __future__ import annotations

import sqlite3
from collections import Counter
from functools import cache

import pytest

from harness.core import SPLITS, DataRequest, Dataset, Example, Split, digest
from tasks.sql import task
from tasks.sql.builtin import CORE, EDITIONS, load, places
from tasks.sql.builtin.domains import SCHEMAS
from tasks.sql.builtin.draft import PATTERNS, pattern
from tasks.sql.builtin.draw import Draw
from tasks.sql.builtin.schema import compact_ddl, full_ddl, insert_statements, plural_of, rows

EDITION_NAMES = tuple(EDITIONS)


@cache
def data(name: str = "builtin", seed: int = 0) -> Dataset:
    return task.load(DataRequest(name=name, seed=seed))


@cache
def connection(ddl: str, inserts: str) -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", check_same_thread=False)
    made.executescript(ddl + inserts)
    return made


def result(example: Example) -> list[tuple[object, ...]]:
    return connection(example.meta["schema"], example.meta["data"]).execute(example.gold).fetchall()


def tag(example: Example, prefix: str) -> str:
    return next(tag for tag in example.tags if tag.startswith(prefix))


def all_examples(name: str = "builtin") -> list[Example]:
    return [example for split in SPLITS for example in data(name).split(split)]


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_the_default_sizes_are_thousands_of_items(name: str) -> None:
    assert [len(data(name).split(split)) for split in SPLITS] == [3000, 400, 600]


def test_there_are_more_than_twenty_schemas_and_none_is_in_two_splits() -> None:
    names = [schema.id for schemas in SCHEMAS.values() for schema in schemas]
    assert len(names) == len(set(names)) >= 24
    for split in SPLITS:
        assert {e.cluster for e in data().split(split)} == {schema.id for schema in SCHEMAS[split]}


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_no_pattern_and_schema_pair_and_no_question_or_gold_is_in_two_splits(name: str) -> None:
    marks: dict[Split, set[object]] = {
        split: {
            mark
            for e in data(name).split(split)
            for mark in (
                " ".join(e.inputs["question"].lower().split()),
                " ".join(e.gold.lower().split()),
                (tag(e, "pattern:"), e.cluster),
            )
        }
        for split in SPLITS
    }
    assert not marks["train"] & marks["validation"]
    assert not marks["train"] & marks["test"]
    assert not marks["validation"] & marks["test"]


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_ids_are_unique_and_questions_differ(name: str) -> None:
    assert len({e.id for e in all_examples(name)}) == len(all_examples(name))
    assert len({(e.cluster, e.inputs["question"]) for e in all_examples(name)}) == len(all_examples(name))


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_every_gold_runs_and_gives_a_result_that_says_something(name: str) -> None:
    for example in all_examples(name):
        found = result(example)
        assert found, example
        assert any(value is not None for row in found for value in row), example


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_no_tie_decides_what_a_limit_keeps(name: str) -> None:
    """With rows stored in the opposite order, and so keys read in another order, every LIMIT gives the same rows."""
    for example in all_examples(name):
        if " LIMIT " not in example.gold:
            continue
        longer = example.gold.rpartition(" LIMIT ")
        count = int(longer[2])
        order = longer[0].rpartition("ORDER BY ")[2].removesuffix(" DESC").removesuffix(" ASC")
        body = longer[0][longer[0].index(" FROM ") :]
        keys = connection(example.meta["schema"], example.meta["data"]).execute(f"SELECT {order}{body}").fetchall()
        assert len(set(keys[: count + 1])) == count + 1, example


def test_the_same_seed_gives_the_same_data_and_another_seed_another() -> None:
    assert load(DataRequest(seed=0)) == data()
    for split in SPLITS:
        assert {e.id for e in data().split(split)}.isdisjoint(e.id for e in data(seed=1).split(split))


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_the_data_of_this_revision_is_pinned(name: str) -> None:
    """Fails on a machine or Python that draws otherwise, and when the generator changes without a new VERSION."""
    content = digest([[e.id, e.inputs, e.gold, e.meta] for split in SPLITS for e in data(name).split(split)], 16)
    assert (data(name).revision, content) == ("generator-2-seed-0", PINNED_CONTENT[name])


def test_the_stream_of_choices_is_pinned() -> None:
    draw = Draw("pinned", 0)
    assert [draw.below(1000) for _ in range(5)] == PINNED
    assert sorted(draw.mixed("abcdef")) == list("abcdef")


PINNED_CONTENT = {"builtin": "9584cf596e15b988", "builtin-hard": "e801af81794c257f"}
PINNED = [783, 319, 101, 477, 956]


def test_smaller_sizes_are_prefixes() -> None:
    small = task.load(DataRequest(train_size=50, validation_size=20, test_size=10))
    assert small.train == data().train[:50]
    assert small.validation == data().validation[:20]
    assert small.test == data().test[:10]


@pytest.mark.parametrize("size", [150, 300, 600, 1200])
def test_a_prefix_of_train_is_balanced_over_patterns_and_schemas(size: int) -> None:
    prefix = data("builtin-hard").train[:size]
    schemas = Counter(e.cluster for e in prefix)
    assert len(schemas) == 20
    assert max(schemas.values()) <= 2.5 * min(schemas.values())
    found = Counter(tag(e, "pattern:").removeprefix("pattern:") for e in prefix)
    rounds = size / sum(each.share for each in PATTERNS.values())
    assert [name for name, each in PATTERNS.items() if found[name] > each.share * (rounds + 1)] == []
    rare = [name for name, each in PATTERNS.items() if found[name] < each.share * (int(rounds) - 1)]
    assert len(rare) <= len(PATTERNS) / 10, rare  # patterns that few schemas have


@pytest.mark.parametrize("size", [320, 600, 1200])  # a round has about 330 items
def test_a_prefix_of_the_plain_edition_is_balanced_over_schemas_and_mostly_core_questions(size: int) -> None:
    prefix = data().train[:size]
    schemas = Counter(e.cluster for e in prefix)
    assert len(schemas) == 20
    assert max(schemas.values()) <= 2.5 * min(schemas.values())
    core = sum(tag(e, "pattern:").removeprefix("pattern:") in CORE for e in prefix) / size
    assert 0.55 <= core <= 0.85


def test_a_hard_pattern_of_the_plain_edition_comes_in_every_second_round() -> None:
    edition = EDITIONS["builtin"]
    rounds = [Counter(each.name for each in places(edition, number)) for number in range(2)]
    for name, each in PATTERNS.items():
        counts = [found[name] for found in rounds]
        if name in CORE:
            assert counts == [edition.core_copies] * 2
        elif each.difficulty == "hard":
            assert sorted(counts) == [0, each.share]
        else:
            assert counts == [each.share * edition.copies[each.difficulty]] * 2


@pytest.mark.parametrize(("name", "least"), [("builtin", 1), ("builtin-hard", 3)])
@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_every_kind_of_clause_and_difficulty(split: Split, name: str, least: int) -> None:
    tags = Counter(tag for e in data(name).split(split) for tag in e.tags)
    wanted = (
        "easy medium hard join group_by having order_limit subquery set_operation date distinct aggregate null like"
    )
    assert not [word for word in wanted.split() if tags[word] < least]
    assert tags["easy"] + tags["medium"] + tags["hard"] == len(data(name).split(split))


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_questions_quote_values_as_the_data_spells_them(name: str) -> None:
    for example in all_examples(name):
        for part in example.gold.replace("''", "\x00").split("'")[1::2]:
            value = part.replace("\x00", "'").strip("%")
            if value != "Y":  # '%Y' of strftime
                assert value in example.inputs["question"], (example.inputs["question"], example.gold)


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_questions_read_well(name: str) -> None:
    """Marks of a template gone wrong: unfilled or doubled words, blanks, doubled plurals."""
    bad = (
        "{",
        "}",
        "  ",
        " .",
        " ?",
        "seatss",
        "viewss",
        "solds",
        " the the ",
        " of of ",
        "None",
        " a a ",
        "whose whose",
    )
    for example in all_examples(name):
        question = example.inputs["question"]
        assert not [mark for mark in bad if mark in question], question
        assert question[0].isupper(), question
        assert question[-1] in ".?", question


def test_every_pattern_is_used_in_train() -> None:
    used = {tag(e, "pattern:").removeprefix("pattern:") for e in data("builtin-hard").train}
    assert used == set(PATTERNS)


def test_a_pattern_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="two question patterns are called 'union'; rename one"):
        pattern("union", "hard")(lambda db, draw: None)


@pytest.mark.parametrize("schema", [s for schemas in SCHEMAS.values() for s in schemas], ids=lambda s: s.id)
def test_a_schema_runs_in_both_spellings_and_its_rows_keep_its_constraints(schema) -> None:  # type: ignore[no-untyped-def]
    full, compact = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    full.execute("PRAGMA foreign_keys = ON")
    inserts = insert_statements(rows(schema, 0))
    full.executescript(full_ddl(schema) + inserts)
    compact.executescript(compact_ddl(schema) + inserts)
    for table in schema.tables:
        columns = [row[:3] for row in full.execute(f"PRAGMA table_info({table.name})")]
        assert columns == [row[:3] for row in compact.execute(f"PRAGMA table_info({table.name})")]
        for column in table.of_kind("category"):
            assert full.execute(f"SELECT COUNT(DISTINCT {column.name}) FROM {table.name}").fetchone()[0] >= 2
    assert full.execute("PRAGMA foreign_key_check").fetchall() == []
    assert any(column.kind == "date" for table in schema.tables for column in table.columns) or schema.id in NO_DATES


NO_DATES = {"train_network"}


@pytest.mark.parametrize(
    ("phrase", "plural"),
    [
        ("price", "prices"),
        ("salary", "salaries"),
        ("number of seats", "numbers of seats"),
        ("height in centimeters", "heights in centimeters"),
        ("price per kilogram", "prices per kilogram"),
        ("date of birth", "dates of birth"),
        ("play", "plays"),
        ("address", "addresses"),
    ],
)
def test_plurals_are_made_at_the_first_noun(phrase: str, plural: str) -> None:
    assert plural_of(phrase) == plural


def test_rows_have_missing_values_decimals_and_apostrophes() -> None:
    texts = "".join({e.meta["data"] for e in all_examples()})
    assert texts.count("NULL") > 100
    assert ".5" in texts
    assert "O''Brien" in texts


@pytest.mark.parametrize("name", EDITION_NAMES)
def test_gold_scores_one_with_the_task_scorer_on_a_sample(name: str) -> None:
    for example in data(name).test[:25]:
        scores = task.score(example, example.gold)
        assert scores["execution"].value == 1.0, (example, scores["execution"])


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITION_NAMES)
def test_every_gold_can_judge(name: str) -> None:
    from tasks.sql.score import gold_problem

    problems = {e.id: gold_problem(e) for e in all_examples(name)}
    assert {id: why for id, why in problems.items() if why} == {}
