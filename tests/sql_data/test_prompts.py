"""The prompt styles of the SQL task."""

from __future__ import annotations

import pytest

from harness.core import DataRequest
from tasks.sql import task
from tasks.sql.prompts import PROMPTS

INPUTS = {"question": "How many dogs?", "schema": "CREATE TABLE dog (dog_id INTEGER PRIMARY KEY);"}


@pytest.mark.parametrize("style", PROMPTS)
def test_every_style_shows_question_and_schema_once(style: str) -> None:
    text = "".join(message.content for message in PROMPTS[style](INPUTS))
    assert text.count(INPUTS["question"]) == 1
    assert text.count(INPUTS["schema"]) == 1


@pytest.mark.parametrize("style", PROMPTS)
def test_every_style_ends_with_a_user_turn(style: str) -> None:
    assert PROMPTS[style](INPUTS)[-1].role == "user"


@pytest.mark.parametrize("style", PROMPTS)
def test_a_hint_is_shown_where_there_is_one_and_nothing_stands_in_for_it(style: str) -> None:
    hint = "dogs are in the table dog"
    assert hint in "".join(message.content for message in PROMPTS[style]({**INPUTS, "evidence": hint}))
    assert PROMPTS[style]({**INPUTS, "evidence": ""}) == PROMPTS[style](INPUTS)


def test_instruct_asks_for_sql_and_nothing_else() -> None:
    system = PROMPTS["instruct"](INPUTS)[0]
    assert system.role == "system"
    assert "SQLite" in system.content
    assert "SQL only" in system.content


def test_tags_holds_markers_and_no_prose() -> None:
    (message,) = PROMPTS["tags"](INPUTS)
    assert message.content == f"<SCHEMA>{INPUTS['schema']}</SCHEMA><Q>{INPUTS['question']}</Q><SQL>"


@pytest.mark.parametrize("style", PROMPTS)
def test_no_prompt_holds_gold_or_data(style: str) -> None:
    for example in task.load(DataRequest(train_size=1, validation_size=1, test_size=40)).test:
        text = "".join(message.content for message in PROMPTS[style](example.inputs))
        assert example.gold not in text
        assert "INSERT" not in text


def test_inputs_hold_only_what_a_prompt_may_see() -> None:
    for example in task.load(DataRequest(train_size=40, validation_size=1, test_size=40)).test:
        assert set(example.inputs) == {"question", "schema"}
