"""The anatomies and rows of the tasks that ship: what is doubted, and that a cleaned copy reads back and certifies."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from harness.certify import check_task
from harness.core import SPLITS, DataRequest, Dataset, Example, Message, UserError
from harness.curate.clean import write_clean_copy
from harness.curate.examine import Measure, anatomised, cleaning, examine
from harness.curate.lengths import length_findings, token_lengths
from harness.registry import load_task
from tests.curate.planted import TASK, clean_set, found

SCHEMA = (
    "CREATE TABLE singer (id INTEGER, name TEXT, age INTEGER); "
    "CREATE TABLE song (id INTEGER, singer_id INTEGER, title TEXT)"
)
ROWS = "INSERT INTO singer VALUES (1, 'Ann', 20), (2, 'Bob', 30); INSERT INTO song VALUES (1, 1, 'Hey'), (2, 2, 'Ho')"

ZEROS = "gold gives only zeros and NULLs on its own data"
ONE_ROW = "gold gives one row many times on its own data"
ALWAYS = "gold says the same whatever the data is"
NAMES_ITSELF = "gold shows only values that it names itself"


def sql(question: str, gold: str) -> Example:
    meta = {"schema": SCHEMA, "data": ROWS, "dialect": "sqlite"}
    return Example(id="item", inputs={"question": question, "schema": SCHEMA}, gold=gold, meta=meta)


@pytest.mark.parametrize(
    ("question", "gold", "doubts"),
    [
        ("How old is Ann?", "SELECT age FROM singer WHERE name = 'Ann'", []),
        ("Who is older than twenty?", "SELECT name FROM singer WHERE age > 20", []),
        ("How old is she?", "SELECT age FROM singer WHERE name = 'Ann'", ["a value of gold is not in the question"]),
        ("Which Italians sing?", "SELECT age FROM singer WHERE name = 'Italy'", []),
        ("Songs of each?", "SELECT singer.name, song.title FROM singer, song", ["tables that no condition joins"]),
        (
            "Names of singers?",
            "SELECT singer.name FROM singer JOIN song ON singer.id = song.singer_id",
            ["a joined table gives no column"],
        ),
        ("Titles by name?", "SELECT a.name, b.title FROM singer a JOIN song b ON a.id = b.singer_id", []),
        (
            "Ann and Bob?",
            "SELECT age FROM singer WHERE name = 'Ann' AND name = 'Bob'",
            ["a condition of gold can never hold"],
        ),
        ("What?", "SELECT 1", ["gold reads no table"]),
        ("How many Zoes?", "SELECT count(*) FROM singer WHERE name = 'Zoe'", [ZEROS]),
        ("How old is Zoe at most?", "SELECT max(age) FROM singer WHERE name = 'Zoe'", [ZEROS]),
        ("Which Ann?", "SELECT name FROM singer WHERE name = 'Ann' AND age > 1", [NAMES_ITSELF]),
        ("Which Ann, and how old?", "SELECT name, age FROM singer WHERE name = 'Ann'", []),
        ("Ann or who is 30?", "SELECT name FROM singer WHERE name = 'Ann' OR age = 30", []),
        ("How many counts?", "SELECT count(*) FROM (SELECT count(*) FROM song)", [ALWAYS]),
        ("Is there one?", "SELECT count(*) > 0 FROM singer", [ALWAYS]),
        ("Any singer's sign?", "SELECT 'yes' FROM singer LIMIT 1", [NAMES_ITSELF]),
        ("How many names like Ann?", "SELECT count(DISTINCT name) FROM singer WHERE name = 'Ann'", [ALWAYS]),
        ("How many like Ann?", "SELECT count(*) FROM singer WHERE name = 'Ann'", []),
        ("How many?", "SELECT count(*) FROM singer", []),
        ("Each?", "SELECT count(*) FROM singer GROUP BY id UNION ALL SELECT count(*) FROM song GROUP BY id", [ONE_ROW]),
    ],
)
def test_the_doubts_about_a_query(question: str, gold: str, doubts: list[str]) -> None:
    assert [doubt.kind for doubt in load_task("sql").anatomy(sql(question, gold)).doubts] == doubts


def test_two_spellings_of_a_query_have_one_normal_form_and_two_queries_have_two() -> None:
    task = load_task("sql")
    forms = [
        task.anatomy(sql("Who?", gold))
        for gold in (
            "SELECT name FROM singer WHERE age > 20",
            "select T1.name from singer as T1 where 20 < T1.age;",
            "SELECT name FROM singer WHERE age > 21",
        )
    ]
    assert forms[0].answer == forms[1].answer != forms[2].answer
    assert forms[0].template == forms[2].template


@pytest.mark.parametrize(
    "gold", ["", "SELECT (", "DROP TABLE singer", "(" * 5000, "SELECT '" + "x" * 200_000 + "'", "\x00"]
)
def test_a_gold_that_is_no_query_has_an_anatomy_all_the_same(gold: str) -> None:
    assert load_task("sql").anatomy(sql("What?", gold)).answer == " ".join(gold.split())


@pytest.mark.parametrize(
    ("solution", "doubts"),
    [
        ("5 * 3 = 15 apples\n15 - 4 = 11\n#### 11", []),
        ("So it cost 192*100=$1920\n#### 1920", ["the arithmetic of gold does not hold"]),
        ("4+4+6 = 18 hot dogs\n#### 18", ["the arithmetic of gold does not hold"]),
        ("80 x 3/4 = 60 red roses\n#### 60", []),
        ("10/3 = 3.33\n10/3 = 3\n1/5 = 20%\n20% * 50 = 10\n#### 10", []),
        ("300/ 2/5 = 750\nAt 6:00+48=6:48 PM it ends after 750\n#### 750", []),
        ("x + 3 * 2 = 10 so 3^2 = 9 and 5 boxes * 2 = 10\n#### 10", []),
        ("5 * 3 = 15\n#### 90", ["the final answer is not in the solution's steps"]),
        ("9**9**9**9 = 1 and (((((((1 = 1\n" + "(" * 3000 + "\n#### 1", []),
    ],
)
def test_the_doubts_about_a_solution(solution: str, doubts: list[str]) -> None:
    answer = solution.rpartition("####")[2].strip()
    item = Example(id="a", inputs={"question": "How many?"}, gold=solution, meta={"answer": answer})
    assert [doubt.kind for doubt in load_task("math").anatomy(item).doubts] == doubts


@pytest.mark.parametrize(
    ("text", "gold", "doubts"),
    [
        ("Portal is from 2007.", "inform(name[Portal], year[2007])", []),
        ("Portal is old.", "inform(name[Portal], year[2007])", ["a value of gold is not in the text"]),
        ("Portal, Portal.", "inform(name[Portal], name[Portal])", ["an attribute stands twice"]),
        ("Portal is fun.", "inform(name[Portal], mood[fun])", ["an attribute is not in the schema"]),
        ("Portal is well liked.", "inform(name[Portal], rating[good])", []),
    ],
)
def test_the_doubts_about_a_representation(text: str, gold: str, doubts: list[str]) -> None:
    slots = {"name": "", "year": "", "rating": "poor/good"}
    item = Example(id="a", inputs={"text": text, "functions": {"inform": ""}, "slots": slots}, gold=gold)
    assert [doubt.kind for doubt in load_task("functional").anatomy(item).doubts] == doubts


# ---- the cleaned copy -------------------------------------------------------------------------------------


def dirty(task: str) -> Dataset:
    """A built-in set whose training split has a repeated item and one with mojibake."""
    data = load_task(task).load(DataRequest(train_size=60, validation_size=20, test_size=60))
    first = data.train[0]
    key = "text" if "text" in first.inputs else "question"
    again = replace(first, id="again")
    broken = replace(
        data.train[1], id="broken", inputs={**data.train[1].inputs, key: "The cafÃ© " + str(first.inputs[key])}
    )
    return replace(data, train=(*data.train, again, broken))


def prompt_view(example: Example) -> Mapping[str, Any]:
    return {"id": example.id, "inputs": example.inputs, "gold": example.gold}


@pytest.mark.parametrize("name", [pytest.param("sql", marks=pytest.mark.slow), "functional", "math"])
def test_a_cleaned_copy_reads_back_as_the_same_items_and_certifies(name: str, tmp_path: Path) -> None:
    task, data = load_task(name), dirty(name)
    removals = cleaning(task, data)
    assert {"broken"} <= set(removals)
    assert "again" in removals or name == "math"  # the math source drops an equal question at its door
    copy, written = write_clean_copy(task, data, removals, tmp_path)
    back = task.load(DataRequest(name="jsonl", path=copy))
    for split in SPLITS:
        kept = [e for e in data.split(split) if split != "train" or e.id not in removals]
        mine, theirs = ({e.id: prompt_view(e) for e in items} for items in (kept, back.split(split)))
        assert theirs == mine
        assert written[split] == len(kept)
    assert back.broken == ()
    log = [json.loads(line) for line in (tmp_path / "removed.jsonl").read_text().splitlines()]
    assert {row["id"]: row["why"] for row in log} == removals
    assert cleaning(task, back) == {}
    certificate = check_task(task, back, sample=4, request=DataRequest(name="jsonl", path=copy))
    assert certificate.passed, certificate.summary


def test_a_task_without_rows_cannot_have_a_cleaned_copy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="row"):
        write_clean_copy(replace(TASK, row=None), clean_set(), {}, tmp_path)


def test_items_over_the_limits_are_told_with_what_would_fit() -> None:
    class Words:
        """A chat format whose tokens are words."""

        def prompt_ids(self, messages: Sequence[Message]) -> list[str]:
            return [word for message in messages for word in message.content.split()]

        def answer_ids(self, answer: str) -> list[str]:
            return [*answer.split(), "<end>"]

    long = replace(clean_set().train[0], id="long", inputs={"question": "word " * 300}, gold="answer " * 200)
    items = anatomised(TASK, clean_set(train=(long,)))
    told = length_findings(token_lengths(items, TASK, cast(Any, Words()), "instruct"), 256, 128, "words")
    by_key = {finding.key: finding for finding in told.findings}
    assert (by_key["too-long"].count, by_key["long-gold"].count) == (1, 1)
    assert "give --max-length 501" in by_key["too-long"].remedy
    assert by_key["length"].bars


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "name", "needed", "counts"),
    [
        ("functional", "viggo", "viggo", {"known-meanings": 36, "exact-duplicates": 8, "unusable-gold": 0}),
        ("math", "gsm8k", "gsm8k", {"leaked-input": 0, "unusable-gold": 0}),
    ],
)
def test_the_findings_on_real_data_are_those_that_were_counted_by_hand(
    task: str, name: str, needed: str, counts: dict[str, int]
) -> None:
    root = os.environ.get("TUNEBENCH_DATA")
    if not root or not (Path(root) / needed).is_dir():
        pytest.skip(f"TUNEBENCH_DATA has no folder {needed}")
    told = examine(load_task(task), load_task(task).load(DataRequest(name=name)), Measure(chat=None, model="none"))
    assert {key: found(told, key).count for key in counts} == counts
