"""What a model writes is kept only when the task's own checks pass, is labelled, and stays out of the test split."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from harness.core import DataRequest, Dataset, Example, Message, Mutant, Score, Task, UserError
from judges.author import add_synthetic, paraphrases, task_check, written_cases
from judges.author_tables import MockInstance, SchemaRequest, kill_rates, mock_tables
from tests.judges.server import Say

REQUEST = SchemaRequest(id="db", tables={"people": {"name": "TEXT", "age": "INT"}, "pets": {"owner": "TEXT"}})
ROWS = [{"name": "people", "rows": [["Ann", 3], ["ann", None]]}, {"name": "pets", "rows": [["Ann"]]}]


def says(body: Any) -> Callable[[dict, int], Say]:
    return lambda request, number: Say(text=json.dumps(body))


def changed(table: int, rows: Any) -> dict[str, Any]:
    tables = json.loads(json.dumps(ROWS))
    tables[table]["rows"] = rows
    return {"tables": tables}


def test_rows_for_a_schema_are_kept_when_the_task_accepts_them(start: Callable, config: Callable) -> None:
    server = start(says({"tables": ROWS}))
    result = mock_tables([REQUEST], config(server), accept=lambda instance: "")
    assert result.refused == ()
    (instance,) = result.kept
    assert instance.tables == {"people": (("Ann", 3), ("ann", None)), "pets": (("Ann",),)}
    assert instance.source == "synthetic:judge-2024-08-06"
    assert "people(name TEXT, age INT)" in server.chats[0]["messages"][0]["content"]
    assert result.spend.cost_usd > 0


BAD_TABLES: dict[str, Any] = {
    "no tables": {"rows": []},
    "tables is a text": {"tables": "people"},
    "an invented table": {"tables": [*ROWS, {"name": "users; DROP TABLE people", "rows": [["x"]]}]},
    "a table twice": {"tables": [*ROWS, ROWS[0]]},
    "a table missing": {"tables": ROWS[:1]},
    "too few cells": changed(0, [["Ann"]]),
    "too many cells": changed(1, [["Ann", "Bob"]]),
    "no rows": changed(1, []),
    "too many rows": changed(1, [["x"]] * 51),
    "a cell that is a list": changed(1, [[["x"]]]),
    "a cell too long": changed(1, [["x" * 201]]),
    "an integer too big for SQL": changed(1, [[2**63]]),
    "an infinite number": changed(1, [[float("inf")]]),
    "a list": [],
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_rows_that_do_not_fit_the_schema_are_refused(name: str, start: Callable, config: Callable) -> None:
    result = mock_tables([REQUEST], config(start(says(BAD_TABLES[name]))), accept=lambda instance: "")
    assert result.kept == ()
    assert [refusal.id for refusal in result.refused] == ["db"]
    assert result.refused[0].why


def test_the_task_has_the_last_word_on_rows(start: Callable, config: Callable) -> None:
    result = mock_tables(
        [REQUEST], config(start(says({"tables": ROWS}))), accept=lambda instance: "gold result is empty"
    )
    assert [refusal.why for refusal in result.refused] == ["gold result is empty"]


def test_the_kill_rate_counts_each_mutant_once() -> None:
    instances = [MockInstance(id="db", tables={"t": ((n,),)}, source="synthetic:x") for n in (1, 2)]
    mutants = {
        "db": [Mutant(kind="op", text="1"), Mutant(kind="op", text="2"), Mutant(kind="col", text="9")],
        "other": [Mutant(kind="op", text="1")],
    }
    rates = kill_rates(instances, mutants, lambda instance, mutant: str(instance.tables["t"][0][0]) == mutant.text)
    assert [(rate.kind, rate.killed, rate.total) for rate in rates] == [("col", 0, 1), ("op", 2, 3), ("all", 2, 4)]
    assert 0 <= rates[-1].low < 0.5 < rates[-1].high <= 1


EXAMPLE = Example(id="e", inputs={"question": "How many people are older than 30?"}, gold="SELECT 1 WHERE age > 30")


def test_a_paraphrase_is_labelled_and_keeps_its_gold(start: Callable, config: Callable) -> None:
    text = "Count everyone above 30 years."
    result = paraphrases([EXAMPLE], config(start(says({"texts": [text]}))), check=lambda example: "")
    (new,) = result.kept
    assert (new.id, new.inputs, new.gold, new.cluster) == ("e~paraphrase0", {"question": text}, EXAMPLE.gold, "e")
    assert "synthetic" in new.tags
    assert new.meta["synthetic"] == {"kind": "paraphrase", "origin": "e", "snapshot": "judge-2024-08-06"}
    assert result.origins == {"e~paraphrase0": "e"}


PARAPHRASES = {
    "the same text": ("how many people are older than 30", "repeats"),
    "a lost number": ("Count the people who are adults.", "'30'"),
    "empty": (" ", "repeats"),
    "not a text": (7, "no draft"),
    "refused by the task": ("Count those older than 30, please.", "task says no"),
}


@pytest.mark.parametrize("name", PARAPHRASES)
def test_a_bad_paraphrase_is_refused_with_its_reason(name: str, start: Callable, config: Callable) -> None:
    text, why = PARAPHRASES[name]
    result = paraphrases([EXAMPLE], config(start(says({"texts": [text]}))), check=lambda example: "task says no")
    assert result.kept == ()
    assert why in result.refused[0].why


def adding_task(score: Callable[[Example, str], float]) -> Task:
    def messages(inputs: Mapping[str, Any]) -> list[Message]:
        return [Message(role="user", content=str(inputs["question"]))]

    def load(request: DataRequest) -> Dataset:
        raise NotImplementedError

    def mutants(example: Example) -> Iterable[Mutant]:
        yield Mutant(kind="more", text=str(int(example.gold) + 1))

    return Task(
        name="adding", version="1", summary="", sources=(), load=load, prompts={"instruct": messages},
        score=lambda example, text: {"exact": Score(value=score(example, text), why="x")}, scorers=("exact",),
        pair=lambda row: EXAMPLE, mutants=mutants,
    )  # fmt: skip


def evaluate(example: Example, text: str) -> float:
    left, right = str(example.inputs["question"]).split("+")
    return float(text == str(int(left) + int(right)))


def test_a_written_case_is_kept_when_its_gold_passes_the_tasks_checks(start: Callable, config: Callable) -> None:
    origin = Example(id="a", inputs={"question": "1+1"}, gold="2")
    drafts = [
        {"inputs": {"question": "2+3"}, "answer": "5"},
        {"inputs": {"question": "2+4"}, "answer": "7"},
        {"inputs": {"question": "1+1"}, "answer": "2"},
        {"inputs": {"other": "9+9"}, "answer": "18"},
        {"inputs": {"question": "2+3"}, "answer": "5"},
    ]
    result = written_cases(
        [origin], config(start(says({"items": drafts}))), check=task_check(adding_task(evaluate)), per_example=5
    )
    assert [(example.inputs["question"], example.gold) for example in result.kept] == [("2+3", "5")]
    whys = " ".join(refusal.why for refusal in result.refused)
    for part in ("gold scores 0.0", "repeats its model", "fields of its model", "written already"):
        assert part in whys


def test_a_task_that_cannot_say_no_accepts_nothing() -> None:
    check = task_check(adding_task(lambda example, text: 1.0))
    assert "wrong answer (more) scores 1" in check(Example(id="a", inputs={"question": "1+1"}, gold="2"))


@pytest.mark.parametrize("reply", [Say(text="no"), Say(text="{}", finish="length"), Say(text=None, refusal="no")])
def test_a_reply_that_is_no_draft_is_a_refusal(reply: Say, start: Callable, config: Callable) -> None:
    result = paraphrases([EXAMPLE], config(start(lambda body, number: reply)), check=lambda example: "")
    assert result.kept == ()
    assert len(result.refused) == 1


def dataset() -> Dataset:
    parts = {
        name: (Example(id=name, inputs={"question": f"{name} 30?"}, gold="30"),)
        for name in ("train", "validation", "test")
    }
    return Dataset(name="d", revision="r1", licence="MIT", split_rule="", **parts)


def test_synthetic_examples_never_enter_a_test_split_silently(start: Callable, config: Callable) -> None:
    data = dataset()
    server = start(says({"texts": ["another 30, in new words"]}))
    of_train = paraphrases(data.train, config(server), check=lambda example: "")
    of_test = paraphrases(data.test, config(server), check=lambda example: "")
    grown = add_synthetic(data, of_train.kept, of_train.origins, "train")
    assert [example.id for example in grown.train] == ["train", "train~paraphrase0"]
    assert grown.test == data.test
    assert grown.revision.startswith("r1+synthetic-")
    with pytest.raises(UserError, match="test split"):
        add_synthetic(data, of_test.kept, of_test.origins, "test")
    with pytest.raises(UserError, match="leak"):
        add_synthetic(data, of_test.kept, of_test.origins, "train")
    with pytest.raises(UserError, match="already"):
        add_synthetic(grown, of_train.kept, of_train.origins, "train")
    allowed = add_synthetic(data, of_test.kept, of_test.origins, "test", allow_test=True)
    assert "synthetic" in allowed.test[1].tags


def test_a_text_field_that_does_not_exist_is_named(start: Callable, config: Callable) -> None:
    server = start(says({}))
    with pytest.raises(UserError, match="'question'"):
        paraphrases([EXAMPLE], config(server), check=lambda example: "", field="text")
    assert server.chats == []
