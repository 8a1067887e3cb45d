"""Faults planted one by one: each is caught by the check that is named for it, and by no exception."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.certificate import Certificate, Check
from harness.certify import check_task
from harness.certify_format import Inference, check_format
from harness.chat import TokenizedExample
from harness.core import Base, DataRequest, Dataset, Example, Lora, Message, Mutant, RunSpec, Score, Task, Training
from harness.registry import load_task


def example(number: int, id: str | None = None) -> Example:
    gold = f"answer {number}"
    return Example(id=id or f"item-{number}", inputs={"question": f"Question {number}?"}, gold=gold)


def load(request: DataRequest) -> Dataset:
    size = request.train_size or 100
    return Dataset(
        name="toy",
        revision="1",
        licence="none",
        split_rule="by number",
        train=tuple(example(n) for n in range(size)),
        validation=tuple(example(n) for n in range(1000, 1020)),
        test=tuple(example(n) for n in range(2000, 2400)),
    )


def score(example: Example, text: str) -> Mapping[str, Score]:
    right = text == example.gold
    return {"exact": Score(value=float(right), why="correct" if right else "wrong_value")}


def mutants(example: Example) -> Iterator[Mutant]:
    yield Mutant(kind="suffix", text=example.gold + "0")
    yield Mutant(kind="empty", text="")


TASK = Task(
    name="toy",
    version="1",
    summary="a task that no package registers",
    sources=("toy",),
    load=load,
    prompts={"instruct": lambda inputs: [Message(role="user", content=inputs["question"])]},
    score=score,
    scorers=("exact",),
    pair=lambda row: example(0),
    mutants=mutants,
    score_timeout_s=2.0,
)
DATA = load(DataRequest())


def found(checks: Sequence[Check] | Certificate) -> dict[str, str]:
    checks = checks.checks if isinstance(checks, Certificate) else checks
    return {check.name: check.status for check in checks}


def failed(checks: Sequence[Check] | Certificate) -> set[str]:
    return {name for name, status in found(checks).items() if status == "fail"}


def named(certificate: Certificate, name: str) -> Check:
    return next(check for check in certificate.checks if check.name == name)


def scored(score: Callable[[Example, str], Mapping[str, Score]], **changes: Any) -> Certificate:
    return check_task(replace(TASK, score=score, **changes), sample=8)


# ---- the task ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sql", "functional", "math"])
def test_the_built_in_tasks_pass(name: str) -> None:
    certificate = check_task(load_task(name), sample=15)
    assert certificate.passed, certificate.summary


def test_a_sound_task_passes_every_check() -> None:
    statuses = found(check_task(TASK))
    assert statuses.pop("gate margin") == "warn", "400 items decide no margin of 2 points"
    assert set(statuses.values()) == {"pass"}


def test_the_certificate_is_json_with_a_hash_for_each_part() -> None:
    certificate = check_task(TASK, sample=8)
    body = json.loads(json.dumps(certificate.to_json()))
    assert set(body) == {"parts", "hashes", "summary"}
    assert set(body["parts"][0]) == {"part", "name", "status", "detail", "examples"}
    assert set(body["hashes"]) == {"task", "data", "rows", "prompts", "scorers"}
    assert body["summary"] == "9 of 10 checks passed; warn: gate margin"
    assert body["hashes"] == check_task(TASK, sample=4).to_json()["hashes"], "the sample does not change a hash"


def test_a_changed_row_changes_the_hash_of_the_rows_alone() -> None:
    first = replace(DATA.train[0], gold="another")
    changed = replace(DATA, train=(first, *DATA.train[1:]))
    before, after = (check_task(TASK, data, sample=4).hashes for data in (DATA, changed))
    assert {part for part in before if before[part] != after[part]} == {"rows"}


# ---- data -------------------------------------------------------------------------------------------------


def test_a_leaked_test_row_is_caught_through_case_and_white_space() -> None:
    leaked = Example(id="new", inputs={"question": "  QUESTION\n2003? "}, gold="answer 2003")
    certificate = check_task(TASK, replace(DATA, train=(*DATA.train, leaked)), sample=8)
    assert failed(certificate) == {"disjoint splits"}
    assert named(certificate, "disjoint splits").examples == ("test item-2003 is train new",)


def test_duplicate_ids_are_caught() -> None:
    twice = replace(DATA, test=(*DATA.test, example(9999, "item-2003")))
    assert failed(check_task(TASK, twice, sample=8)) == {"unique ids"}


def test_ids_that_depend_on_the_place_in_the_file_are_caught() -> None:
    def by_place(request: DataRequest) -> Dataset:
        data = load(request)
        shuffled = random.Random(request.seed).sample(data.test, len(data.test))
        return replace(data, test=tuple(replace(e, id=f"test-{n}") for n, e in enumerate(shuffled)))

    assert failed(check_task(replace(TASK, load=by_place), sample=8)) == {"stable ids"}


def test_ids_that_change_at_each_load_are_caught() -> None:
    fresh = itertools.count()

    def by_count(request: DataRequest) -> Dataset:
        data = load(request)
        return replace(data, test=tuple(replace(e, id=f"test-{next(fresh)}") for e in data.test))

    assert failed(check_task(replace(TASK, load=by_count), sample=8)) == {"stable ids"}


def test_a_test_split_that_cannot_show_ten_points_is_a_warning() -> None:
    certificate = check_task(TASK, replace(DATA, test=DATA.test[:40]), sample=8, request=None)
    assert certificate.passed
    assert found(certificate)["power"] == "warn"


def test_a_prompt_that_drops_its_input_is_caught() -> None:
    blind = {"instruct": lambda inputs: [Message(role="user", content="Answer.")]}
    assert failed(check_task(replace(TASK, prompts=blind), sample=8)) == {"prompts"}


# ---- scorers ----------------------------------------------------------------------------------------------


def test_a_scorer_that_always_says_1_is_caught() -> None:
    certificate = scored(lambda example, text: {"exact": Score(value=1.0, why="correct")})
    assert failed(certificate) == {"wrong answers", "nasty text scores 0"}
    assert named(certificate, "wrong answers").detail.endswith("answer_of_another_item 0/8, empty 0/8, suffix 0/8")


def test_a_scorer_that_says_0_to_its_own_gold_is_caught_with_the_item() -> None:
    def unfair(example: Example, text: str) -> Mapping[str, Score]:
        return {"exact": Score(value=0.0, why="wrong_value")} if example.id == "item-2003" else score(example, text)

    certificate = scored(unfair)
    assert failed(certificate) == {"gold scores 1"}
    assert named(certificate, "gold scores 1").examples == ("item-2003: exact 0.0 (wrong_value)",)


def test_a_scorer_that_is_silent_about_one_of_its_names_is_caught() -> None:
    assert failed(scored(score, scorers=("exact", "other"))) == {"gold scores 1"}


def test_a_scorer_that_hangs_is_killed_and_given_up() -> None:
    def hangs(example: Example, text: str) -> Mapping[str, Score]:
        time.sleep(600)
        return {}

    started = time.monotonic()
    certificate = scored(hangs, score_timeout_s=0.3)
    assert {"gold scores 1", "wrong answers", "nasty text scores 0"} <= failed(certificate)
    assert "scorer_timeout" in named(certificate, "gold scores 1").examples[0]
    assert time.monotonic() - started < 5


def test_a_scorer_that_dies_is_caught_and_the_other_items_are_scored() -> None:
    def dies(example: Example, text: str) -> Mapping[str, Score]:
        if example.id == "item-2003" and text == example.gold:
            raise SystemExit(1)
        return score(example, text)

    certificate = scored(dies)
    assert named(certificate, "gold scores 1").examples == ("item-2003: exact None (scorer_crash: crash)",)


def test_a_scorer_that_raises_on_nasty_text_is_caught_with_its_error() -> None:
    def brittle(example: Example, text: str) -> Mapping[str, Score]:
        if "\x00" in text:
            raise ValueError("null byte")
        return score(example, text)

    certificate = scored(brittle)
    assert failed(certificate) == {"nasty text scores 0"}
    assert "null byte" in named(certificate, "nasty text scores 0").examples[0]


def test_a_scorer_that_is_not_deterministic_is_caught() -> None:
    def fickle(example: Example, text: str) -> Mapping[str, Score]:
        return {"exact": replace(score(example, text)["exact"], answer=str(random.random()))}

    assert failed(scored(fickle)) == {"repeatable"}


def test_a_scorer_that_remembers_is_caught() -> None:
    seen: list[str] = []

    def remembers(example: Example, text: str) -> Mapping[str, Score]:
        seen.append(text)
        return {"exact": replace(score(example, text)["exact"], answer=seen[-2] if len(seen) > 1 else "")}

    assert "repeatable" in failed(scored(remembers))


# ---- format -----------------------------------------------------------------------------------------------

BOS, END = 1, 2
TRAINED = RunSpec(
    task="toy", data="toy", model="m", method=Lora(rank=1, alpha=1.0), training=Training(learning_rate=1e-4)
)
UNTRAINED = RunSpec(task="toy", data="toy", model="m", method=Base(), training=None, few_shot=2)


class FakeChat:
    """One token for each character, after one BOS."""

    end_id = END
    bos_id: int | None = BOS

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return (BOS, *(ord(c) for message in messages for c in message.content))

    def answer_ids(self, answer: str) -> tuple[int, ...]:
        return (*(ord(c) for c in answer), END)

    def example(self, id: str, messages: Sequence[Message], answer: str) -> TokenizedExample:
        return TokenizedExample(id=id, prompt_ids=self.prompt_ids(messages), answer_ids=self.answer_ids(answer))

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(chr(token) for token in token_ids if token not in (BOS, END))

    def visible_text(self, content: str) -> str:
        return content


class NoEnd(FakeChat):
    def answer_ids(self, answer: str) -> tuple[int, ...]:
        return super().answer_ids(answer)[:-1]


class SwallowsDigits(FakeChat):
    def answer_ids(self, answer: str) -> tuple[int, ...]:
        return super().answer_ids(answer.translate(str.maketrans("", "", "0123456789")))


class OtherBos(FakeChat):
    bos_id = 77


class TwoEnds(FakeChat):
    def answer_ids(self, answer: str) -> tuple[int, ...]:
        return (*super().answer_ids(answer), END)


class DoubleBos(FakeChat):
    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return (BOS, *super().prompt_ids(messages))


class TrainsOnAnother(FakeChat):
    def example(self, id: str, messages: Sequence[Message], answer: str) -> TokenizedExample:
        ids = self.prompt_ids(messages)
        return TokenizedExample(id=id, prompt_ids=ids[:-1], answer_ids=self.answer_ids(answer))


class Dated(FakeChat):
    def __init__(self) -> None:
        self.calls = itertools.count(100)

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return (*super().prompt_ids(messages), next(self.calls))


def format_of(chat: Any, *specs: RunSpec, task: Task = TASK, **inference: Any) -> list[Check]:
    told = Inference(**{"max_new_tokens": 20, **inference})
    return check_format(task, DATA, specs or (TRAINED, UNTRAINED), chat, told)


def test_a_sound_format_passes_every_check() -> None:
    assert set(found(format_of(FakeChat())).values()) == {"pass"}


@pytest.mark.parametrize(
    ("chat", "checks"),
    [
        (NoEnd(), {"one end token", "loss mask", "stop token"}),
        (TwoEnds(), {"one end token", "loss mask"}),
        (DoubleBos(), {"one BOS"}),
        (TrainsOnAnother(), {"one rendering", "loss mask"}),
        (SwallowsDigits(), {"answer spelled"}),
    ],
)
def test_a_fault_of_the_format_is_caught(chat: FakeChat, checks: set[str]) -> None:
    assert failed(format_of(chat)) == checks


def test_a_prompt_that_changes_between_renderings_is_caught() -> None:
    assert failed(format_of(Dated())) == {"stable rendering", "one rendering", "loss mask"}


def test_a_missing_bos_is_a_warning_when_its_id_is_known() -> None:
    assert found(format_of(OtherBos()))["one BOS"] == "warn"


def test_an_engine_that_stops_at_another_token_than_the_trained_one_is_caught() -> None:
    checks = format_of(FakeChat(), end_id=9)
    assert failed(checks) == {"stop token"}
    assert "trained to end with 2, the engine stops at 9" in next(c for c in checks if c.name == "stop token").examples


def test_gold_that_the_token_budget_cuts_is_caught() -> None:
    assert failed(format_of(FakeChat(), max_new_tokens=5)) == {"gold fits"}


def test_a_prompt_too_long_for_the_engine_is_a_failure_though_training_took_it() -> None:
    assert failed(format_of(FakeChat(), max_model_len=30)) == {"maximum length"}
    assert failed(format_of(FakeChat(), max_model_len=120)) == set()


def test_training_items_left_out_for_their_length_are_a_warning_and_none_left_is_a_failure() -> None:
    some, none = (replace(TRAINED, training=Training(learning_rate=1e-4, max_length=n)) for n in (22, 5))
    assert found(format_of(FakeChat(), some))["maximum length"] == "warn"
    assert failed(format_of(FakeChat(), none)) == {"maximum length"}


def test_a_data_set_s_own_answer_length_goes_before_the_task_s() -> None:
    assert TASK.fitted_to(DATA) is TASK
    fitted = TASK.fitted_to(replace(DATA, max_new_tokens=7))
    assert (fitted.max_new_tokens, TASK.max_new_tokens) == (7, 128)
    assert found(check_task(fitted, DATA))["gold scores 1"] == "pass"
