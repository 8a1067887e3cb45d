"""Verdicts of the SQL scorer: tables of named pairs, hostile text, and the promises every scorer keeps."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.core import Example
from tasks.sql.score import NASTY, SCORERS, UNPARSED_REASONS, WHY, gold_problem, mutants, pair, score
from tests.sql_scorer.equivalents import DDL, EQUIVALENTS, Case


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def example(gold: str, **more: object) -> Example:
    return pair({"id": "x", "gold": gold, "schema": DDL, **more})


ROWS = (
    "INSERT INTO singer VALUES (1,'Ann','France',20),(2,'Bob','Chad',30),(3,'Cy','France',30);"
    "INSERT INTO concert VALUES (1,1,2014,9.5),(2,1,2015,3.0),(3,2,2014,NULL);"
)

DIFFERENT = [
    ("boundary", "SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer WHERE age >= 20", "refuted"),
    ("extra column", "SELECT name FROM singer", "SELECT name, age FROM singer", "superset"),
    ("lost distinct", "SELECT DISTINCT country FROM singer", "SELECT country FROM singer", "refuted"),
    ("lost order", "SELECT name FROM singer ORDER BY age", "SELECT name FROM singer", "refuted"),
    ("other direction", "SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age DESC", "refuted"),
    (
        "ties of a maximum",
        "SELECT name FROM singer WHERE age = (SELECT max(age) FROM singer)",
        "SELECT name FROM singer ORDER BY age DESC LIMIT 1",
        "refuted",
    ),
    (
        "shared names lose rows under DISTINCT",
        "SELECT name FROM singer WHERE singer_id IN (SELECT singer_id FROM concert)",
        "SELECT DISTINCT name FROM singer s JOIN concert c ON s.singer_id = c.singer_id",
        "refuted",
    ),
    (
        "singers without concerts",
        "SELECT s.name, count(*) FROM singer s JOIN concert c ON s.singer_id = c.singer_id GROUP BY s.singer_id",
        "SELECT s.name, count(*) FROM singer s LEFT JOIN concert c ON s.singer_id = c.singer_id GROUP BY s.singer_id",
        "refuted",
    ),
    (
        "a count threshold",
        "SELECT country FROM singer GROUP BY country HAVING count(*) >= 2",
        "SELECT country FROM singer GROUP BY country HAVING count(*) > 2",
        "refuted",
    ),
    ("whole-number division", "SELECT avg(age) FROM singer", "SELECT sum(age) / count(*) FROM singer", "refuted"),
    ("text is no number", "SELECT count(*) FROM singer", "SELECT CAST(count(*) AS TEXT) FROM singer", "refuted"),
    (
        "letter case",
        "SELECT name FROM singer WHERE country = 'France'",
        "SELECT name FROM singer WHERE country = 'france'",
        "refuted",
    ),
    ("missing table", "SELECT name FROM singer", "SELECT name FROM singers", "execution_error"),
    ("no SQL", "SELECT name FROM singer", "I cannot answer that.", "unparsed"),
    ("a write", "SELECT name FROM singer", "DELETE FROM singer", "rejected"),
    ("a write behind the answer", "SELECT name FROM singer", "SELECT name FROM singer; DROP TABLE singer", "rejected"),
]


@pytest.mark.parametrize("data", ["", ROWS], ids=["schema", "data"])
@pytest.mark.parametrize(("gold", "prediction", "why"), [case[1:] for case in DIFFERENT], ids=[c[0] for c in DIFFERENT])
def test_a_wrong_answer_scores_zero_with_its_reason(gold: str, prediction: str, why: str, data: str) -> None:
    verdict = score(example(gold, data=data), prediction)["execution"]
    assert (verdict.value, verdict.why) == (0.0, why), verdict


@pytest.mark.parametrize("case", EQUIVALENTS, ids=[case.name for case in EQUIVALENTS])
def test_an_equivalent_rewrite_is_right(case: Case) -> None:
    verdict = score(pair(case.row()), case.prediction)["execution"]
    assert verdict.value == 1.0, verdict


CORNERS = [
    ("count of a nullable column", "SELECT count(*) FROM concert", "SELECT count(fee) FROM concert"),
    ("not equal and NULL", "SELECT year FROM concert WHERE fee <> 5", "SELECT year FROM concert WHERE fee IS NOT 5"),
    ("a prediction that asks for NULLs", "SELECT year FROM concert", "SELECT year FROM concert WHERE fee IS NOT NULL"),
]


@pytest.mark.parametrize(("gold", "prediction"), [case[1:] for case in CORNERS], ids=[case[0] for case in CORNERS])
def test_a_difference_that_needs_null_stays_beside_the_headline(gold: str, prediction: str) -> None:
    scores = score(example(gold), prediction)
    assert (scores["execution"].value, scores["execution"].why) == (1.0, "refuted_corner")
    assert scores["execution_strict"].value == 0.0


@pytest.mark.parametrize("gold", [case.gold for case in EQUIVALENTS], ids=[case.name for case in EQUIVALENTS])
def test_gold_scores_one_with_every_scorer(gold: str) -> None:
    assert {name: s.value for name, s in score(example(gold), gold).items()} == dict.fromkeys(SCORERS, 1.0)


@pytest.mark.parametrize("text", NASTY, ids=[repr(text[:24]) for text in NASTY])
def test_hostile_text_ends_typed_in_time_and_without_side_effects(text: str, tmp_path: Path) -> None:
    before = set(os.listdir("/tmp"))
    start = time.process_time()
    scores = score(example("SELECT name FROM singer", data=ROWS), text)
    assert time.process_time() - start < 10
    assert all(s.value == 0.0 and s.why in WHY for s in list(scores.values())[:5]), scores["execution"]
    assert not [name for name in set(os.listdir("/tmp")) - before if "canary" in name]
    assert score(example("SELECT name FROM singer", data=ROWS), "SELECT name FROM singer")["execution"].value == 1.0


EXPLOSIONS = [
    ("26-way product", "SELECT count(*) FROM " + ", ".join(f"singer s{i}" for i in range(26)), {"timeout"}),
    (
        "endless rows",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT n FROM c",
        {"timeout", "too_large"},
    ),
    (
        "doubling text",
        "WITH RECURSIVE c(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM c) SELECT max(length(s)) FROM c",
        {"rejected", "memory", "timeout"},
    ),
    ("deep nesting", "SELECT " + "NOT " * 5000 + "1", {"execution_error", "rejected"}),
    ("fts tokenizer", "SELECT fts3_tokenizer('simple')", {"rejected"}),
    ("pragma function", "SELECT * FROM pragma_table_info('singer')", {"rejected"}),
    ("catalogue", "SELECT sql FROM sqlite_master", {"rejected"}),
]


@pytest.mark.parametrize(("text", "whys"), [case[1:] for case in EXPLOSIONS], ids=[case[0] for case in EXPLOSIONS])
def test_an_exploding_query_is_the_models_failure(text: str, whys: set[str]) -> None:
    verdict = score(example("SELECT name FROM singer", data=ROWS), text)["execution"]
    assert verdict.value == 0.0
    assert verdict.why in whys, verdict


UNUSABLE = [
    ("does not run", {"gold": "SELECT nme FROM singer"}, "does not run"),
    ("empty on its data", {"gold": "SELECT name FROM singer WHERE age > 99", "data": ROWS}, "empty result"),
    ("a limit without an order", {"gold": "SELECT name FROM singer LIMIT 1", "data": ROWS}, "not deterministic"),
    ("the clock", {"gold": "SELECT date('now')"}, "not deterministic"),
    ("a broken schema", {"gold": "SELECT 1", "schema": "CREATE TABEL x (a)"}, "schema"),
]


@pytest.mark.parametrize(("row", "reason"), [case[1:] for case in UNUSABLE], ids=[case[0] for case in UNUSABLE])
def test_a_gold_that_cannot_judge_is_unscored_with_its_reason(row: dict[str, str], reason: str) -> None:
    verdict = score(pair({"id": "x", "schema": DDL, **row}), "SELECT name FROM singer")["execution"]
    assert (verdict.value, verdict.why) == (None, "gold_unusable")
    assert reason in verdict.evidence["kind"]


def test_a_refutation_shows_few_rows_and_both_results() -> None:
    witness = score(example("SELECT name FROM singer WHERE age > 20"), "SELECT name FROM singer WHERE age >= 20")
    evidence = witness["execution"].evidence["witness"]
    assert sum(len(table["rows"]) for table in evidence["tables"].values()) == 1
    assert evidence["gold_result"]["rows"] != evidence["prediction_result"]["rows"]


def test_a_refutation_keeps_a_row_where_nothing_would_do_too() -> None:
    verdicts = score(example("SELECT count(*), age FROM singer GROUP BY age"), "SELECT count(*) FROM singer")
    evidence = verdicts["execution"].evidence
    assert sum(len(table["rows"]) for table in evidence["witness"]["tables"].values()) == 1


def test_an_alternative_gold_is_accepted() -> None:
    item = example("SELECT name FROM singer", gold_alternatives=["SELECT name, age FROM singer"])
    assert score(item, "SELECT name, age FROM singer")["execution"].value == 1.0


def test_a_slower_query_is_less_efficient() -> None:
    item = example("SELECT count(*) FROM singer", data=ROWS)
    slow = "SELECT count(*) FROM singer WHERE singer_id IN (SELECT a.singer_id FROM singer a, singer b, singer c)"
    assert 0 < (score(item, slow)["efficiency"].value or 0) < 1


def test_a_postgres_pair_is_judged_in_sqlite() -> None:
    item = example("SELECT name FROM singer WHERE age::text = '20'", dialect="postgres")
    assert score(item, "SELECT name FROM singer WHERE CAST(age AS TEXT) = '20'")["execution"].value == 1.0
    assert score(item, "SELECT name FROM singer WHERE age = 21")["execution"].value == 0.0


def test_a_verdict_does_not_change_when_it_is_asked_again() -> None:
    item = example("SELECT name FROM singer WHERE age > 20")
    first, second = (score(item, "SELECT name FROM singer WHERE age >= 20") for _ in range(2))
    assert first == second


def test_mutants_of_gold_are_told_from_it() -> None:
    item = example("SELECT name FROM singer WHERE age > 20 AND country = 'France'")
    made = list(mutants(item))
    assert len(made) > 5
    assert all((score(item, mutant.text)["execution"].value or 0.0) < 1 for mutant in made)


@pytest.mark.parametrize("key", ["id", "gold"])
def test_a_pair_without_a_needed_key_names_it(key: str) -> None:
    row = {"id": "1", "gold": "SELECT 1", "schema": DDL}
    with pytest.raises(ValueError, match=key):
        pair({**row, key: ""})


def test_only_missing_sql_counts_as_unparsed() -> None:
    assert frozenset({"unparsed"}) == UNPARSED_REASONS
    assert gold_problem(example("SELECT name FROM singer")) is None
