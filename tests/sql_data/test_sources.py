"""The real SQL sources, on small folders laid out as their publishers lay them out."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from harness.core import SPLITS, DataRequest, Dataset, Example, UserError
from tasks.sql import task
from tasks.sql.sources_assemble import array_rows, unusable, with_unique_ids, without_shared_groups
from tasks.sql.sources_ddl import described_ddl, file_ddl, quoted
from tasks.sql.sources_wikisql import example as wikisql_example

DOGS = "CREATE TABLE dog (dog_id INTEGER PRIMARY KEY, name TEXT, age INTEGER)"
DOG_ROWS = "INSERT INTO dog VALUES (1, 'Rex', 3), (2, 'Bo', 5), (3, 'Ada', 8)"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("TUNEBENCH_DATA", raising=False)


def load(name: str, path: Path, **sizes: int) -> Dataset:
    return task.load(DataRequest(name=name, path=path, offline=True, **sizes))  # type: ignore[arg-type]


def database(path: Path, *, rows: bool = True) -> None:
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.executescript(DOGS + ";" + (DOG_ROWS if rows else ""))
    connection.close()


def description(name: str) -> dict[str, Any]:
    return {
        "db_id": name,
        "table_names_original": ["dog"],
        "column_names_original": [[-1, "*"], [0, "dog_id"], [0, "name"], [0, "age"]],
        "column_types": ["text", "number", "text", "number"],
        "primary_keys": [1],
        "foreign_keys": [],
    }


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def write_lines(path: Path, rows: list[Any]) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def spider_row(name: str, query: str = "SELECT name FROM dog WHERE age > 4") -> dict[str, str]:
    return {"db_id": name, "question": f"Which dogs of {name} are older than 4?", "query": query}


@pytest.fixture
def spider(tmp_path: Path) -> Path:
    names = [f"kennel_{number}" for number in range(12)]
    for name in names:
        database(tmp_path / "database" / name / f"{name}.sqlite", rows=name != "kennel_3")
    write_json(tmp_path / "tables.json", [description(name) for name in [*names, "gone"]])
    write_json(tmp_path / "train_spider.json", [spider_row(name) for name in [*names[:10], "gone"]])
    write_json(tmp_path / "dev.json", [spider_row(name) for name in names[10:]])
    return tmp_path


# ---- spider and bird --------------------------------------------------------------------------------------


def test_spider_dev_is_test_and_no_database_is_in_two_splits(spider: Path) -> None:
    made = load("spider", spider)
    clusters = {split: {e.cluster for e in made.split(split)} for split in SPLITS}
    assert clusters["test"] == {"kennel_10", "kennel_11"}
    assert len(clusters["validation"]) == 1
    assert not clusters["train"] & clusters["validation"]
    assert sum(len(made.split(split)) for split in SPLITS) == 13
    assert made.licence == "CC BY-SA 4.0"


def test_spider_says_which_golds_cannot_judge_and_why(spider: Path) -> None:
    made = load("spider", spider)
    reasons = {e.cluster: made.unusable.get(e.id, "") for split in SPLITS for e in made.split(split)}
    assert "no rows" in reasons["kennel_3"]
    assert "missing" in reasons["gone"]
    assert [name for name, why in reasons.items() if why] == [n for n in reasons if n in ("kennel_3", "gone")]


def test_spider_train_others_joins_train(spider: Path) -> None:
    before = load("spider", spider)
    write_json(spider / "train_others.json", [spider_row("kennel_0", "SELECT age FROM dog WHERE name = 'Bo'")])
    after = load("spider", spider)
    assert len(after.train) + len(after.validation) == len(before.train) + len(before.validation) + 1
    assert after.revision != before.revision


def test_a_gold_that_does_not_run_is_unusable(spider: Path) -> None:
    write_json(spider / "dev.json", [spider_row("kennel_10", "SELECT nope FROM dog"), spider_row("kennel_11")])
    made = load("spider", spider)
    assert len(made.test) == 2
    assert [e.cluster for e in made.usable("test")] == ["kennel_11"]


def test_a_database_spelled_in_another_case_is_found(spider: Path) -> None:
    write_json(spider / "dev.json", [spider_row("Kennel_10"), spider_row("kennel_11")])
    assert load("spider", spider).unusable.keys().isdisjoint(e.id for e in load("spider", spider).test)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"db_id": "kennel_0", "query": "SELECT 1"}, "'question' must be a non-empty text, got no such key"),
        ({"db_id": "kennel_0", "question": "How many?", "query": "  "}, "'query' or 'SQL' must be a non-empty text"),
        ({"db_id": "unheard", "question": "How many?", "query": "SELECT 1"}, "neither an entry in tables.json nor"),
        ({"db_id": "../x", "question": "How many?", "query": "SELECT 1"}, "plain folder name"),
        (["a list"], "not an object: list"),
        ({"db_id": "kennel_0", "question": "How \ud800?", "query": "SELECT 1"}, "'question' is not valid UTF-8"),
    ],
)
def test_a_broken_row_is_counted_with_file_and_line(spider: Path, row: Any, why: str) -> None:
    rows = [spider_row("kennel_10"), row, spider_row("kennel_11")]
    (spider / "dev.json").write_text("[\n" + ",\n".join(json.dumps(each) for each in rows) + "\n]")
    made = load("spider", spider)
    (broken,) = made.broken
    assert (broken.file, broken.line) == ("dev.json", 3)
    assert why in broken.why
    assert len(made.test) == 2


def test_a_file_that_is_not_json_is_refused_with_its_line(spider: Path) -> None:
    (spider / "dev.json").write_text('[\n{"db_id": "kennel_10"},\n{"db_id": oops}\n]')
    with pytest.raises(UserError, match=r"dev\.json: line 3 is not JSON"):
        load("spider", spider)


def test_a_missing_file_is_named(spider: Path) -> None:
    (spider / "tables.json").unlink()
    with pytest.raises(UserError, match=r"lacks tables\.json"):
        load("spider", spider)


def test_exact_repeats_stay_items_with_ids_of_their_own(spider: Path) -> None:
    write_json(spider / "dev.json", [spider_row("kennel_10"), spider_row("kennel_10")])
    ids = [e.id for e in load("spider", spider).test]
    assert len(set(ids)) == 2


def test_a_check_is_remembered_until_gold_or_database_changes(spider: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = load("spider", spider, train_size=0, validation_size=0)
    asked: list[str] = []
    monkeypatch.setattr("tasks.sql.score.gold_problem", lambda e: asked.append(e.id))
    assert load("spider", spider, train_size=0, validation_size=0).unusable == made.unusable
    assert asked == []
    write_json(
        spider / "dev.json", [spider_row("kennel_10", "SELECT name FROM dog WHERE age > 7"), spider_row("kennel_11")]
    )
    load("spider", spider, train_size=0, validation_size=0)
    assert len(asked) == 1


def test_only_what_is_asked_for_is_checked(spider: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("tasks.sql.score.gold_problem", lambda e: asked.append(e.id))
    made = load("spider", spider, train_size=1, validation_size=0, test_size=1)
    assert set(asked) <= {e.id for split in SPLITS for e in made.split(split)}


def test_a_torn_cache_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path))
    (tmp_path / "sql-gold-own.json").write_text('{"half')
    example = Example(id="a", inputs={"schema": DOGS}, gold="SELECT nope FROM dog", meta={"schema": DOGS})
    assert list(unusable("own", [example])) == ["a"]
    assert json.loads((tmp_path / "sql-gold-own.json").read_text())


def test_bird_reads_hints_and_holds_whole_databases_out(tmp_path: Path) -> None:
    names = [f"kennel_{number}" for number in range(10)]
    for name in names:
        database(tmp_path / "dev_databases" / name / f"{name}.sqlite")
    rows = [
        {
            "db_id": n,
            "question": "Old dogs?",
            "evidence": "old means age > 4",
            "SQL": "SELECT name FROM dog WHERE age > 4",
            "difficulty": "simple",
        }
        for n in names
    ]
    write_json(tmp_path / "dev.json", rows)
    made = load("bird", tmp_path)
    assert [len(made.split(split)) for split in SPLITS] == [6, 2, 2]
    example = made.test[0]
    assert example.inputs["evidence"] == "old means age > 4"
    assert example.inputs["schema"].startswith("CREATE TABLE dog (dog_id INTEGER PRIMARY KEY, name TEXT, age INTEGER)")
    assert "simple" in example.tags
    assert not made.unusable


# ---- create-context ---------------------------------------------------------------------------------------


def context_row(number: int, context: str, **more: str) -> dict[str, str]:
    return {
        "question": f"Question {number}?",
        "context": context,
        "answer": "SELECT name FROM dog WHERE age > 3",
        **more,
    }


def contexts(count: int) -> list[str]:
    return [f"CREATE TABLE dog (name VARCHAR, age INTEGER, extra_{number} VARCHAR)" for number in range(count)]


def test_create_context_keeps_a_schema_in_one_split(tmp_path: Path) -> None:
    made = contexts(60)
    write_lines(tmp_path / "train.jsonl", [context_row(n, c, ref=f"db_{n}") for n, c in enumerate(made[:50])])
    leaked = [context_row(100, made[0].upper().replace("CREATE TABLE DOG", "CREATE  TABLE dog"), ref="other")]
    write_lines(
        tmp_path / "dev.jsonl", [context_row(n + 50, c, ref=f"db_{n + 50}") for n, c in enumerate(made[50:])] + leaked
    )
    data = load("create-context", tmp_path)
    assert len(data.test) == 12, "the train row with a dev context joins test"
    seen = [{" ".join(e.inputs["schema"].lower().split()) for e in data.split(split)} for split in SPLITS]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]
    assert sum(len(data.split(split)) for split in SPLITS) == 61
    assert data.validation


def test_create_context_without_a_test_file_holds_schemas_out(tmp_path: Path) -> None:
    rows = [context_row(n, f"CREATE TABLE t{n % 60} (name VARCHAR)") for n in range(120)]
    write_json(tmp_path / "sql_create_context_v4.json", rows)
    data = load("create-context", tmp_path, train_size=5, validation_size=5, test_size=5)
    assert data.test
    assert data.validation
    assert data.licence == "CC BY 4.0"


def test_create_context_refuses_a_row_without_a_table(tmp_path: Path) -> None:
    write_lines(tmp_path / "dev.jsonl", [context_row(0, "no tables here"), context_row(1, contexts(1)[0]), "{torn"])
    data = load("create-context", tmp_path)
    assert [(row.file, row.line) for row in data.broken] == [("dev.jsonl", 1), ("dev.jsonl", 3)]
    assert "'context' must hold CREATE TABLE" in data.broken[0].why
    assert len(data.test) == 1


# ---- wikisql ----------------------------------------------------------------------------------------------

TABLE = {
    "id": "1-1000181-1",
    "header": ["Player", "No.", "Player", "Order"],
    "types": ["text", "real", "text", "text"],
    "rows": [["Ann O'Hara", 12, "x", "1st"], ["Bo", 7.5, "y", None]],
}


def test_wikisql_queries_become_sql_over_the_table() -> None:
    sql = {"sel": 0, "agg": 3, "conds": [[1, 1, "1,000"], [2, 0, "O'Brien"]]}
    made = wikisql_example({"question": "How many?", "table_id": TABLE["id"], "sql": sql}, {str(TABLE["id"]): TABLE})
    assert made.gold == (
        "SELECT COUNT(Player) FROM table_1_1000181_1 WHERE \"No.\" > 1000.0 AND \"Player 2\" = 'O''Brien'"
    )
    connection = sqlite3.connect(":memory:")
    connection.executescript(made.meta["schema"] + made.meta["data"])
    assert connection.execute('SELECT "No.", "Order" FROM table_1_1000181_1 WHERE Player = \'BO\'').fetchall() == [
        (7.5, None)
    ]
    sqlite3.connect(":memory:").executescript(made.inputs["schema"])


@pytest.mark.parametrize(
    "sql",
    [
        None,
        {"sel": 9, "agg": 0, "conds": []},
        {"sel": -1, "agg": 0, "conds": []},
        {"sel": 0, "agg": 6, "conds": []},
        {"sel": 0, "agg": 0, "conds": [[1, 3, "x"]]},
        {"sel": 0, "agg": 0, "conds": [[1, 0]]},
    ],
)
def test_a_wikisql_query_outside_its_table_is_broken(sql: Any) -> None:
    row = {"question": "How many?", "table_id": TABLE["id"], "sql": sql}
    with pytest.raises(ValueError, match="'sql' must be"):
        wikisql_example(row, {str(TABLE["id"]): TABLE})


def test_wikisql_reads_its_official_layout(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "dev", "test")):
        table = {**TABLE, "id": f"1-{number}-1"}
        write_lines(tmp_path / f"{name}.tables.jsonl", [table])
        sql = {"sel": 0, "agg": 0, "conds": [[3, 0, "1st"]]}
        write_lines(tmp_path / f"{name}.jsonl", [{"phase": 1, "question": "Who?", "table_id": table["id"], "sql": sql}])
    data = load("wikisql", tmp_path)
    assert [len(data.split(split)) for split in SPLITS] == [1, 1, 1]
    assert not data.unusable
    assert data.test[0].cluster == "1-2-1"


# ---- a team's own file ------------------------------------------------------------------------------------


def own_row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "question": f"Question {number}?",
        "schema": DOGS,
        "data": DOG_ROWS,
        "gold": "SELECT name FROM dog WHERE age > 4",
        **more,
    }


@pytest.mark.parametrize("key", ["gold", "query", "sql", "answer"])
def test_gold_may_have_any_of_its_usual_names(tmp_path: Path, key: str) -> None:
    row = own_row(0, split="test")
    row[key] = row.pop("gold")
    write_lines(tmp_path / "own.jsonl", [row])
    (example,) = load("jsonl", tmp_path / "own.jsonl").test
    assert example.gold == "SELECT name FROM dog WHERE age > 4"


def test_alternative_golds_are_right_too(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "own.jsonl", [own_row(0, split="test", gold_alternatives=["SELECT age FROM dog WHERE age > 4"])]
    )
    (example,) = load("jsonl", tmp_path / "own.jsonl").test
    assert task.score(example, "SELECT age FROM dog WHERE age >= 5")["execution"].value == 1.0
    assert task.score(example, "SELECT name FROM dog")["execution"].value == 0.0


def test_a_database_path_is_relative_to_the_file(tmp_path: Path) -> None:
    database(tmp_path / "db" / "dogs.sqlite")
    row = own_row(0, split="test", database="db/dogs.sqlite")
    del row["schema"], row["data"]
    write_lines(tmp_path / "own.jsonl", [row])
    data = load("jsonl", tmp_path / "own.jsonl")
    assert not data.broken
    assert not data.unusable
    assert "CREATE TABLE dog" in data.test[0].inputs["schema"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"question": ""}, "'question' must be a non-empty text"),
        ({"gold": None}, "'gold' or 'query' or 'sql' or 'answer' or 'SQL' must be"),
        ({"schema": None}, "'schema' (DDL text) or 'database' (a SQLite file) is needed"),
        ({"database": "nowhere.sqlite"}, "is no file"),
        ({"split": "exam"}, "'split' must be one of train, validation, test, dev, valid, val, got 'exam'"),
        ({"gold_alternatives": "SELECT 1"}, "'gold_alternatives' must be a list"),
        ({"data": 3}, "'data' must be a non-empty text"),
        ({"id": True}, "'id' must be"),
    ],
)
def test_a_broken_own_row_says_file_line_and_what_is_wrong(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    write_lines(tmp_path / "own.jsonl", [own_row(0, split="test"), {**own_row(1, split="test"), **change}])
    data = load("jsonl", tmp_path / "own.jsonl")
    (broken,) = data.broken
    assert (broken.file, broken.line) == ("own.jsonl", 2)
    assert why in broken.why


def test_file_names_are_splits(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("dev", 2), ("test", 1)):
        write_lines(tmp_path / f"{name}.jsonl", [own_row(count * 10 + n) for n in range(count)])
    data = load("jsonl", tmp_path)
    assert [len(data.split(split)) for split in SPLITS] == [3, 2, 1]


def test_many_schemas_are_split_whole_and_one_schema_is_split_by_question(tmp_path: Path) -> None:
    many = [own_row(n, db_id=f"db_{n % 40}") for n in range(80)]
    write_lines(tmp_path / "own.jsonl", many)
    data = load("jsonl", tmp_path / "own.jsonl")
    groups = [{e.cluster for e in data.split(split)} for split in SPLITS]
    assert not groups[0] & groups[2]
    assert "whole schemas" in data.split_rule
    write_lines(tmp_path / "own.jsonl", [own_row(n) for n in range(80)])
    data = load("jsonl", tmp_path / "own.jsonl")
    assert all(data.split(split) for split in SPLITS)
    assert "shared by all splits" in data.split_rule


def test_a_file_without_test_rows_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "own.jsonl", [own_row(0, split="train")])
    with pytest.raises(UserError, match="no row is in the test split"):
        load("jsonl", tmp_path / "own.jsonl")


# ---- names, splits, DDL -----------------------------------------------------------------------------------


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    with pytest.raises(UserError, match="unknown SQL data 'spyder'; did you mean 'spider'"):
        task.load(DataRequest(name="spyder"))


def test_data_that_is_nowhere_says_where_it_was_looked_for() -> None:
    with pytest.raises(UserError, match="TUNEBENCH_DATA"):
        task.load(DataRequest(name="spider", offline=True))


def test_every_source_the_task_names_is_known() -> None:
    from tasks.sql.load import LOADERS

    assert set(task.sources) == set(LOADERS)


def item(name: str, *groups: str) -> Example:
    return Example(id=name, inputs={"groups": list(groups)}, gold="SELECT 1")


def test_linked_groups_move_together_to_the_later_split() -> None:
    splits = {"train": [item("a", "1", "2"), item("b", "3")], "validation": [], "test": [item("c", "2")]}
    moved = without_shared_groups(splits, lambda e: e.inputs["groups"])  # type: ignore[arg-type]
    assert [[e.id for e in moved[split]] for split in SPLITS] == [["b"], [], ["a", "c"]]


def test_ids_are_made_unique_in_order() -> None:
    assert [e.id for e in with_unique_ids([item("a"), item("b"), item("a"), item("a")])] == ["a", "b", "a-2", "a-3"]


def test_ids_do_not_depend_on_the_order_of_the_source(spider: Path) -> None:
    before = load("spider", spider)
    rows = json.loads((spider / "train_spider.json").read_text())
    write_json(spider / "train_spider.json", rows[::-1])
    after = load("spider", spider)
    assert [e.id for e in after.train] == [e.id for e in before.train]


def test_array_rows_counts_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, {"a": 2},\n\n{"a":\n3}, 7]')
    rows = list(array_rows(path))
    assert [line for line, _ in rows] == [1, 1, 3, 4]


def test_names_that_sqlite_refuses_bare_are_quoted() -> None:
    entry = {
        "db_id": "shop",
        "table_names_original": ["order", "line item"],
        "column_names_original": [[-1, "*"], [0, "id"], [0, "group"], [1, "order id"], [1, "no"]],
        "column_types": ["text", "number", "text", "number", "number"],
        "primary_keys": [1, [3, 4]],
        "foreign_keys": [[3, 1]],
    }
    ddl = described_ddl(entry)
    assert ddl == (
        'CREATE TABLE "order" (id NUMERIC PRIMARY KEY, "group" TEXT);\n'
        'CREATE TABLE "line item" ("order id" NUMERIC REFERENCES "order"(id), no NUMERIC, '
        'PRIMARY KEY ("order id", no));'
    )
    sqlite3.connect(":memory:").executescript(ddl)


@pytest.mark.parametrize(
    "word",
    [
        "abort",
        "action",
        "after",
        "column",
        "cross",
        "current_date",
        "desc",
        "end",
        "fail",
        "full",
        "glob",
    ],
)
def test_every_keyword_can_be_a_column(word: str) -> None:
    sqlite3.connect(":memory:").execute(f"CREATE TABLE t ({quoted(word)} TEXT)")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_text("not a database at all, " * 100)
    with pytest.raises(ValueError, match=r"database x\.sqlite"):
        file_ddl(tmp_path / "x.sqlite")


def test_an_entry_of_tables_json_that_contradicts_itself_is_broken() -> None:
    with pytest.raises(ValueError, match=r"tables\.json, database 'shop'"):
        described_ddl({"db_id": "shop", "table_names_original": ["a"], "column_names_original": [[0, "x"]]})


def test_an_answer_to_a_real_data_set_may_be_longer_than_one_to_the_built_in_data(tmp_path: Path) -> None:
    rows = [{"question": f"q {n}", "gold": "SELECT a FROM t", "schema": "CREATE TABLE t (a INTEGER)"} for n in range(9)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps({**row, "split": "test"}) + "\n" for row in rows))
    data = task.load(DataRequest(name="jsonl", path=file))
    assert data.max_new_tokens is not None
    assert data.max_new_tokens > task.max_new_tokens
