"""Replies -> verdicts, votes, panels, `when`, and pairs in both orders."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.core import Score, UserError
from judges.config import JudgeConfig
from judges.grader import Judge, judge
from judges.pairwise import Pair, compare, first_place_share
from tests.judges.conftest import items
from tests.judges.server import Say, field_text, verdict

GOOD = '{"reason": "equal", "verdict": "correct"}'
REPLIES = {
    "a verdict": (Say(text=GOOD), 1.0, "judged_correct"),
    "the other verdict": (verdict("incorrect"), 0.0, "judged_incorrect"),
    "in a code fence": (Say(text=f"```json\n{GOOD}\n```"), 1.0, "judged_correct"),
    "a refusal": (Say(text=None, refusal="I cannot"), None, "judge_refused"),
    "a content filter": (Say(text=GOOD, finish="content_filter"), None, "judge_refused"),
    "a cut reply, even a whole-looking one": (Say(text=GOOD, finish="length"), None, "cut_reply"),
    "an empty reply": (Say(text=""), None, "empty_reply"),
    "no content": (Say(text=None), None, "empty_reply"),
    "blank": (Say(text=" \n "), None, "empty_reply"),
    "a verdict not on offer": (verdict("mostly correct"), None, "verdict_not_on_offer"),
    "another case": (verdict("Correct"), None, "verdict_not_on_offer"),
    "a number": (Say(text='{"reason": "", "verdict": 1}'), None, "verdict_not_on_offer"),
    "null": (Say(text='{"reason": "", "verdict": null}'), None, "verdict_not_on_offer"),
    "prose": (Say(text="GRADE: correct"), None, "invalid_json"),
    "JSON inside prose": (Say(text=f"Here it is: {GOOD}"), None, "invalid_json"),
    "two objects": (Say(text=GOOD + GOOD), None, "invalid_json"),
    "a verdict given twice": (Say(text='{"verdict": "incorrect", "verdict": "correct"}'), None, "invalid_json"),
    "a list": (Say(text=f"[{GOOD}]"), None, "invalid_json"),
    "no verdict": (Say(text='{"reason": "hm"}'), None, "invalid_json"),
    "deep nesting": (Say(text="[" * 100_000), None, "invalid_json"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_a_verdict_or_unscored_with_its_reason(name: str, start: Callable, config: Callable) -> None:
    reply, value, why = REPLIES[name]
    server = start(lambda body, number: reply)
    score = Judge(config(server)).grade(items(1))["i0"]
    assert (score.value, score.why) == (value, why)
    assert len(server.chats) == (2 if why == "invalid_json" else 1)  # only invalid JSON gets one repair


def test_the_repair_shows_the_bad_reply_and_happens_once(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: Say(text="correct!") if number == 0 else verdict("incorrect"))
    score = Judge(config(server)).grade(items(1))["i0"]
    assert score.value == 0.0
    assert [m["role"] for m in server.chats[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert server.chats[1]["messages"][2]["content"] == "correct!"


def test_the_verdict_is_asked_as_a_strict_json_schema(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))
    Judge(config(server)).grade(items(1))
    form = server.chats[0]["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    schema = form["json_schema"]["schema"]
    assert list(schema["properties"]) == ["reason", "verdict"]
    assert schema["properties"]["verdict"]["enum"] == ["correct", "incorrect"]
    assert schema["additionalProperties"] is False


def test_the_execution_verdict_is_withheld_from_the_judge(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))
    item = replace(items(1)[0], exact=Score(value=0.0, why="refuted_xyz", evidence={"w": "witness_xyz"}), human=0)
    Judge(config(server)).grade([item])
    assert "xyz" not in json.dumps(server.chats)


def test_without_a_reference_none_is_shown(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))
    score = Judge(config(server)).grade([replace(items(1)[0], reference=None)])["i0"]
    assert score.value == 1.0
    assert "no reference answer" in server.chats[0]["messages"][1]["content"]
    assert field_text(server.chats[0], "reference") == ""


VOTES = {
    "two of three": (["correct", "incorrect", "correct"], 1.0, "judged_correct"),
    "one of three": (["incorrect", "incorrect", "correct"], 0.0, "judged_incorrect"),
    "a tie": (["correct", "incorrect"], None, "votes_tied"),
    "one silent of three": (["correct", "bogus", "correct"], 1.0, "judged_correct"),
    "one silent, then a tie": (["correct", "bogus", "incorrect"], None, "votes_tied"),
    "two silent of three": (["correct", "bogus", "bogus"], None, "verdict_not_on_offer"),
}


@pytest.mark.parametrize("name", VOTES)
def test_votes_are_counted_by_majority(name: str, start: Callable, config: Callable) -> None:
    words, value, why = VOTES[name]
    server = start(lambda body, number: verdict(words[body["seed"]]))
    score = Judge(config(server, votes=len(words))).grade(items(1))["i0"]
    assert (score.value, score.why) == (value, why)
    assert [vote["verdict"] for vote in score.evidence["votes"]] == [w if w != "bogus" else None for w in words]
    assert {body["temperature"] for body in server.chats} == {1.0}


def test_votes_at_temperature_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="same question"):
        JudgeConfig(model="m", votes=3, temperature=0.0)


def test_a_panel_of_models_votes_together(start: Callable, config: Callable) -> None:
    words = {"judge": "incorrect", "second": "correct", "third": "correct"}
    server = start(lambda body, number: replace(verdict(words[body["model"]]), model=body["model"]))
    score = Judge(config(server, panel=("second", "third"))).grade(items(1))["i0"]
    assert score.value == 1.0
    assert [vote["model"] for vote in score.evidence["votes"]] == ["judge", "second", "third"]


EXACT = {
    "right": Score(value=1.0, why="correct"),
    "partial": Score(value=0.8, why="slots"),
    "wrong": Score(value=0.0, why="refuted"),
    "undecided": Score(value=None, why="gold_unusable"),
    "none": None,
}
WHEN = {
    "all": {"right", "partial", "wrong", "undecided", "none"},
    "wrong": {"partial", "wrong", "undecided", "none"},
    "undecided": {"undecided", "none"},
}


@pytest.mark.parametrize("when", WHEN)
def test_only_the_items_that_need_a_second_opinion_are_paid(when: str, start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))
    some = [replace(items(1)[0], id=name, question=name, exact=exact) for name, exact in EXACT.items()]
    scores = Judge(config(server, when=when)).grade(some)
    assert {field_text(body, "question") for body in server.chats} == WHEN[when]
    assert list(scores) == list(EXACT)
    for name in set(EXACT) - WHEN[when]:
        assert (scores[name].value, scores[name].why) == (EXACT[name].value, "kept_exact")  # type: ignore[union-attr]


def test_repeated_ids_are_refused(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))
    with pytest.raises(UserError, match="unique"):
        Judge(config(server)).grade([*items(1), *items(1)])


def test_it_works_inside_a_running_event_loop(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))

    async def notebook() -> float | None:
        return Judge(config(server)).grade(items(1))["i0"].value

    assert asyncio.run(notebook()) == 1.0


def test_progress_is_told_to_the_end(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))
    seen: list[tuple[int, int, float]] = []
    Judge(config(server)).grade(items(3), lambda *told: seen.append(told))
    assert [done for done, _, _ in seen][:3] == [1, 2, 3]
    assert seen[-1][:2] == (3, 3)
    assert seen[-1][2] == pytest.approx(0.009)


def test_judge_makes_one_more_scorer_from_a_name(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("correct"))
    settings = config(server)
    one = judge("judge", cache_dir=settings.cache_dir, price=settings.price, connection=settings.connection)
    assert one.column == "judge:judge"
    assert one.grade(items(1))["i0"].value == 1.0


def _prefers(better: str) -> Callable[[dict, int], Say]:
    def script(body: dict, number: int) -> Say:
        first, second = field_text(body, "first"), field_text(body, "second")
        return verdict("A" if first == better else "B" if second == better else "tie")

    return script


PAIRS = {
    "the same winner in both orders": (_prefers("good"), "first", False, "agreed"),
    "the second wins in both orders": (_prefers("bad"), "second", False, "agreed"),
    "always the first place": (lambda body, number: verdict("A"), "tie", True, "flipped"),
    "a tie in both orders": (lambda body, number: verdict("tie"), "tie", False, "agreed"),
    "a verdict in one order only": (lambda b, n: verdict("A" if n == 0 else "C"), None, False, "verdict_not_on_offer"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_is_asked_in_both_orders_and_a_flip_is_a_tie(name: str, start: Callable, config: Callable) -> None:
    script, winner, flipped, why = PAIRS[name]
    server = start(script)
    one = Judge(config(server, link={"max_concurrent": 1}))
    (result,) = compare(one, [Pair(item=items(1)[0], first="good", second="bad")])
    assert (result.winner, result.flipped, result.why) == (winner, flipped, why)
    assert len(server.chats) == 2


def test_position_bias_is_a_number(start: Callable, config: Callable) -> None:
    server = start(lambda body, number: verdict("A"))
    results = compare(Judge(config(server)), [Pair(item=item, first="x", second="y") for item in items(5)])
    assert sum(result.flipped for result in results) == 5
    assert first_place_share(results) == (10, 10)
