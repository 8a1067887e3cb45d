"""A hosted model as a row of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.core import Message, UserError, hosted_name
from judges.baseline import BaselinePrompt, Shot, baseline, baseline_estimate, with_shots
from tests.judges.server import Fault, Say

SYSTEM, USER = Message(role="system", content="rules"), Message(role="user", content="question")


def prompts(count: int = 3) -> list[BaselinePrompt]:
    return [
        BaselinePrompt(
            example_id=f"e{n}", split="test", messages=(SYSTEM, Message(role="user", content=f"question {n}"))
        )
        for n in range(count)
    ]


def test_completions_come_in_order_with_the_same_prompts(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Say(text="answer to " + body["messages"][-1]["content"]))
    result = baseline(prompts(), config(server), max_new_tokens=64)
    assert [c.text for c in result.completions] == [f"answer to question {n}" for n in range(3)]
    assert [c.example_id for c in result.completions] == ["e0", "e1", "e2"]
    assert {(c.finish, c.num_prompt_tokens, c.num_tokens) for c in result.completions} == {("stop", 100, 20)}
    body = server.chats[0]
    assert body["messages"][0] == {"role": "system", "content": "rules"}
    assert (body["max_tokens"], body["temperature"]) == (64, 0.0)
    assert "response_format" not in body
    assert result.snapshots == ("judge-2024-08-06",)
    assert result.spend.cost_usd == pytest.approx(0.009)


def test_a_second_run_is_free_and_equal(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Say(text=f"reply {number}"))
    first = baseline(prompts(), config(server), max_new_tokens=64)
    second = baseline(prompts(), config(server), max_new_tokens=64)
    assert second.completions == first.completions
    assert second.spend.cost_usd == 0
    assert len(server.chats) == 3


OUTCOMES = {
    "cut": (Say(text="half", finish="length"), "length", "half", ""),
    "filtered": (Say(text="", finish="content_filter"), "error", "", "content_filter"),
    "refused": (Say(text=None, refusal="I will not"), "stop", "I will not", ""),
    "failed": (Fault(kind="status", status=400), "error", "", "bad_request"),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_outcome_is_a_completion(name: str, start: Callable, config: Callable) -> None:
    reply, finish, text, error = OUTCOMES[name]
    server = start(lambda body, number: reply)
    (completion,) = baseline(prompts(1), config(server), max_new_tokens=8).completions
    assert (completion.finish, completion.text) == (finish, text)
    assert completion.error.startswith(error)
    assert bool(completion.error) == bool(error)


def test_few_shot_puts_worked_examples_before_the_question(start: Callable, config: Callable) -> None:
    shot = Shot(messages=(SYSTEM, Message(role="user", content="example")), answer="gold")
    assert [(m.role, m.content) for m in with_shots((SYSTEM, USER), [shot])] == [
        ("system", "rules"), ("user", "example"), ("assistant", "gold"), ("user", "question"),
    ]  # fmt: skip
    server = start(lambda body, number: Say(text="x"))
    baseline(prompts(1), config(server), max_new_tokens=8, shots=[shot])
    baseline(prompts(1), config(server), max_new_tokens=8)
    assert [len(body["messages"]) for body in server.chats] == [4, 2]


def test_a_dry_run_of_a_baseline_bounds_its_bill(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Say(text="x"))
    dry = baseline_estimate(prompts(), config(server), max_new_tokens=64)
    assert server.chats == []
    assert dry.num_calls == 3
    assert dry.most_usd is not None
    assert baseline(prompts(), config(server), max_new_tokens=64).spend.cost_usd <= dry.most_usd


def test_the_name_says_whether_a_model_is_hosted() -> None:
    assert hosted_name("openai:gpt-4o") == "gpt-4o"
    assert hosted_name("smollm2-135m") is None
    with pytest.raises(UserError, match="openai:gpt-4o"):
        hosted_name("openai:")


def test_a_failed_item_is_asked_again_by_the_next_run(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Fault(kind="status", status=400) if number == 1 else Say(text="ok"))
    settings = replace(config(server), connection=replace(config(server).connection, max_concurrent=1))
    first = baseline(prompts(), settings, max_new_tokens=8)
    assert [c.finish for c in first.completions] == ["stop", "error", "stop"]
    second = baseline(prompts(), settings, max_new_tokens=8)
    assert [c.finish for c in second.completions] == ["stop", "stop", "stop"]
    assert len(server.chats) == 4
