"""Items in other dialects: SQLite judges what it is shown to mean the same, DuckDB judges the rest, locked down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core import Example, Score
from tasks.sql.duck import DuckDatabase
from tasks.sql.execute import QueryError
from tasks.sql.schema import database_from_text, read_schema
from tasks.sql.score import pair, score

DDL = (
    "CREATE TABLE singer (singer_id SERIAL PRIMARY KEY, name VARCHAR(40) NOT NULL, country TEXT NOT NULL,"
    " age INT NOT NULL, born DATE);"
)
ROWS = (
    "INSERT INTO singer VALUES (1, 'Ann', 'France', 20, '1990-01-02'), (2, 'Bob', 'Chad', 30, '1980-05-05'),"
    " (3, 'Cy', 'France', 30, NULL);"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache-dialects"))


def item(gold: str, dialect: str, data: str = "") -> Example:
    return pair({"id": "x", "gold": gold, "schema": DDL, "dialect": dialect, "data": data or None})


def judged(gold: str, dialect: str, prediction: str, data: str = "") -> dict[str, Score]:
    return score(item(gold, dialect, data), prediction)


def by_duckdb(scores: dict[str, Score]) -> bool:
    return scores["efficiency"].evidence.get("kind") == "DuckDB counts no steps"


LIKE = "SELECT name FROM singer WHERE name LIKE 'A%'"  # letter case counts in PostgreSQL, and not in SQLite
CASES = [
    ("postgres", "SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer WHERE age >= 21", 1.0, "sqlite"),
    ("postgres", "SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer WHERE age >= 20", 0.0, "sqlite"),
    ("postgres", LIKE, "SELECT name FROM singer WHERE left(name, 1) = 'A'", 1.0, "duckdb"),
    ("postgres", LIKE, "SELECT name FROM singer WHERE name ILIKE 'a%'", 0.0, "duckdb"),
    (
        "postgres",
        "SELECT string_agg(name, ',' ORDER BY name) FROM singer",
        "SELECT string_agg(s.name, ',' ORDER BY s.name) FROM singer s",
        1.0,
        "duckdb",
    ),
    (
        "mysql",
        "SELECT `name` FROM singer WHERE YEAR(born) = 1990",
        "SELECT name FROM singer WHERE born BETWEEN '1990-01-01' AND '1990-12-31'",
        1.0,
        "duckdb",
    ),
    ("mysql", "SELECT AVG(age) / 2 FROM singer", "SELECT SUM(age) / COUNT(*) / 2 FROM singer", 1.0, "sqlite"),
    ("tsql", "SELECT TOP 2 name FROM singer ORDER BY age, name", "SELECT TOP 1 name FROM singer ORDER BY age", 0.0, "sqlite"),
    (
        "duckdb",
        "SELECT country, median(age) FROM singer GROUP BY country",
        "SELECT country, quantile_cont(age, 0.5) FROM singer GROUP BY ALL",
        1.0,
        "duckdb",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "gold", "prediction", "value", "executor"), CASES)
def test_the_right_executor_judges(dialect: str, gold: str, prediction: str, value: float, executor: str) -> None:
    scores = judged(gold, dialect, prediction, ROWS)
    assert scores["execution"].value == value, scores["execution"]
    assert by_duckdb(judged(gold, dialect, gold, ROWS)) == (executor == "duckdb")


def test_a_bare_schema_of_another_dialect_is_enough() -> None:
    assert judged(LIKE, "postgres", "SELECT name FROM singer WHERE left(name, 1) = 'A'")["execution"].value == 1.0
    assert judged(LIKE, "postgres", "SELECT name FROM singer WHERE name ILIKE 'a%'")["execution"].value == 0.0


def test_a_prediction_that_only_duckdb_can_say_is_judged_there() -> None:
    gold = "SELECT name FROM singer WHERE name = 'Ann'"
    assert not by_duckdb(judged(gold, "postgres", gold, ROWS))
    scores = judged(gold, "postgres", "SELECT name FROM singer WHERE name ~ '^Ann$'", ROWS)
    assert scores["execution"].value == 1.0
    assert by_duckdb(scores)


@pytest.mark.parametrize(
    ("gold", "dialect", "reason"),
    [
        ("SELECT nme FROM singer", "postgres", "on SQLite"),
        ("SELECT FROM WHERE", "mysql", "dialect mysql"),
    ],
)
def test_a_gold_that_no_executor_can_say_is_unusable_with_both_reasons(gold: str, dialect: str, reason: str) -> None:
    verdict = judged(gold, dialect, "SELECT name FROM singer", ROWS)["execution"]
    assert (verdict.value, verdict.why) == (None, "gold_unusable")
    assert reason in verdict.evidence["kind"]


HOSTILE = [
    ("SELECT * FROM read_csv('/etc/passwd')", "rejected"),
    ("SELECT * FROM read_text('/etc/passwd')", "rejected"),
    ("SELECT * FROM glob('/etc/*')", "rejected"),
    ("SELECT * FROM '/tmp/tunebench_canary.csv'", "rejected"),
    ("COPY singer TO '/tmp/tunebench_canary.csv'", "rejected"),
    ("ATTACH '/tmp/tunebench_canary.db'", "rejected"),
    ("INSTALL httpfs", "rejected"),
    ("LOAD httpfs", "rejected"),
    ("SET memory_limit = '90GB'", "rejected"),
    ("PRAGMA enable_external_access", "rejected"),
    ("EXPORT DATABASE '/tmp/tunebench_canary'", "rejected"),
    ("CREATE TABLE t AS SELECT 1", "rejected"),
    ("SELECT 1; SELECT 2", "rejected"),
    ("SELECT sleep_ms(60000)", "rejected"),
    ("SELECT '\x00'", "rejected"),
    ("SELECT * FROM sqlite_scan('/tmp/x', 'y')", "execution_error"),
    ("SELECT load_extension('x')", "execution_error"),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "execution_error"),
    ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c", "timeout"),
]


@pytest.fixture(scope="module")
def duck() -> DuckDatabase:
    database = database_from_text(DDL, ROWS, "postgres")
    return DuckDatabase(database, read_schema(database))


@pytest.mark.parametrize(("sql", "why"), HOSTILE, ids=[sql[:40] for sql, _ in HOSTILE])
def test_duckdb_reads_its_own_rows_and_nothing_else(duck: DuckDatabase, sql: str, why: str) -> None:
    before = sorted(path.name for path in Path("/tmp").glob("tunebench_canary*"))
    with pytest.raises(QueryError) as failure:
        duck.run(sql, budget_steps=1000)
    assert failure.value.why == why, failure.value
    assert sorted(path.name for path in Path("/tmp").glob("tunebench_canary*")) == before
    assert duck.run("SELECT count(*) FROM singer", budget_steps=1000).rows == [(3,)]


def test_a_query_that_eats_memory_is_the_models_failure_and_the_next_item_is_unaffected() -> None:
    bomb = "SELECT repeat('x', 900000000)"
    assert judged(LIKE, "postgres", bomb, ROWS)["execution"].why in ("memory", "timeout")  # what comes first
    assert judged(LIKE, "postgres", LIKE, ROWS)["execution"].value == 1.0


SPILLS = """
from tests.sql_scorer.test_dialects import DDL, ROWS, DuckDatabase, QueryError, database_from_text, read_schema
database = database_from_text(DDL, ROWS, "postgres")
rows = "SELECT DISTINCT hash(i), i::VARCHAR || repeat('x', 60) FROM range(9000000) t(i) ORDER BY 1"
try:
    DuckDatabase(database, read_schema(database)).run(rows, budget_steps=9_000_000)
except (QueryError, MemoryError) as error:
    print(type(error).__name__)
"""


def test_a_query_that_wants_to_spill_leaves_no_folder_where_the_process_stands(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", SPILLS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("MemoryError", "QueryError")  # out of memory, or out of time on a slow machine
    assert list(tmp_path.iterdir()) == []


FOREIGN_DDL = [
    (
        "mysql",
        "CREATE TABLE `emp` (`id` int(11) NOT NULL AUTO_INCREMENT, `sex` enum('m','f') DEFAULT 'm', `at` timestamp NOT NULL"
        " DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, `d` int, PRIMARY KEY (`id`), KEY `k` (`d`), CONSTRAINT `f`"
        " FOREIGN KEY (`d`) REFERENCES `dep` (`id`) ON DELETE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8;"
        " CREATE TABLE dep (id int primary key);",
    ),
    (
        "postgres",
        "CREATE TABLE public.emp (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sex character varying(1), at timestamp"
        " with time zone NOT NULL DEFAULT now(), d integer REFERENCES dep(id)); CREATE TABLE dep (id serial PRIMARY KEY);",
    ),
    (
        "sqlite",  # said to be SQLite's, and is not
        "CREATE TABLE emp (id INT UNSIGNED PRIMARY KEY, sex ENUM('m','f'), at DATETIME NOT NULL, d INT REFERENCES dep(id),"
        " KEY k (d)) ENGINE=InnoDB; CREATE TABLE dep (id int primary key);",
    ),
]


@pytest.mark.parametrize(("dialect", "ddl"), FOREIGN_DDL, ids=[dialect for dialect, _ in FOREIGN_DDL])
def test_ddl_of_other_dialects_keeps_names_types_and_keys(dialect: str, ddl: str) -> None:
    emp = read_schema(database_from_text(ddl, "", dialect)).by_name["emp"]
    assert [(c.name, c.affinity) for c in emp.columns][:2] == [("id", "integer"), ("sex", "text")]
    assert [c.name for c in emp.columns] == ["id", "sex", "at", "d"]
    assert emp.by_name["at"].not_null
    assert emp.keys == (("id",),)
    assert [(key.columns, key.parent, key.parent_columns) for key in emp.foreign_keys] == [(("d",), "dep", ("id",))]


@pytest.mark.parametrize(
    ("spelled", "name"), [("PostgreSQL", "postgres"), ("SQL Server", "tsql"), ("MySQL", "mysql"), ("sqlite3", "sqlite")]
)
def test_a_dialect_is_known_however_it_is_spelled(spelled: str, name: str) -> None:
    row = {"id": "1", "gold": "SELECT 1", "schema": "CREATE TABLE t(a INTEGER)", "dialect": spelled}
    assert pair(row).meta["dialect"] == name


def test_an_unknown_dialect_is_a_broken_line_that_names_the_known_ones() -> None:
    row = {"id": "1", "gold": "SELECT 1", "schema": "CREATE TABLE t(a INTEGER)", "dialect": "klingon"}
    with pytest.raises(ValueError, match=r"key 'dialect' must be one of .*postgres.*got 'klingon'"):
        pair(row)
