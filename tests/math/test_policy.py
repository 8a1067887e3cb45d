"""The policy, rule by rule, on labelled pairs; and the same pairs as figures: agreement and false positives."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import pytest

from harness.core import Example
from tasks.math import task
from tasks.math.score import UNPARSED, WHYS
from tests.math import (
    cases_commitment,
    cases_forms,
    cases_last_rounds,
    cases_relations,
    cases_replies,
    cases_values,
    pairs,
    pairs_replies,
)
from tests.math.pairs import UNDECIDED

_LINES = Path(__file__).with_name("blind_rounds.jsonl").read_text(encoding="utf-8").splitlines()
BLIND = {  # written before the code was run on them
    f"round {number}": [(row["gold"], row["prediction"], row["right"]) for row in rows]
    for number, rows in groupby(map(json.loads, _LINES), key=lambda row: row["round"])
}
RULES = {
    **pairs.RULES,
    **pairs_replies.RULES,
    **cases_commitment.RULES,
    **cases_values.RULES,
    **cases_relations.RULES,
    **cases_replies.RULES,
    **cases_forms.RULES,
    **cases_last_rounds.RULES,
    **BLIND,
}
ALL = [(rule, *pair) for rule, pairs in RULES.items() for pair in pairs]


def example(gold: str) -> Example:
    return task.pair({"id": "1", "gold": gold})


@pytest.mark.parametrize("rule", RULES)
def test_every_pair_of_the_rule_gets_its_label(rule: str) -> None:
    wrong = []
    for gold, prediction, right in RULES[rule]:
        score = task.score(example(gold), prediction)["answer"]
        if score.value != float(right):
            wrong.append((gold, prediction, right, score.value, score.why, score.answer))
    assert not wrong, f"{len(wrong)} of {len(RULES[rule])}: {wrong[:5]}"


def test_there_are_many_hundreds_of_pairs_of_both_labels() -> None:
    right = sum(label for *_, label in ALL)
    assert right > 1000
    assert len(ALL) - right > 500


@pytest.mark.parametrize(("gold", "prediction"), UNDECIDED)
def test_what_cannot_be_evaluated_is_unscored_with_its_reason(gold: str, prediction: str) -> None:
    score = task.score(example(gold), prediction)["answer"]
    assert score.value is None
    assert score.why == "undecided"
    assert score.evidence["verdict"]


def test_every_reason_is_of_the_closed_vocabulary() -> None:
    seen = {score.why for _, gold, prediction, _ in ALL for score in task.score(example(gold), prediction).values()}
    assert seen <= WHYS
    assert UNPARSED < WHYS
    assert {"correct", "wrong_value", "wrong_type", "hedge", "no_answer", "truncated_answer", "multiple"} <= seen


def test_every_score_stores_the_span_and_rule_of_its_extraction() -> None:
    text = "So she makes 9 * 2 = 18 dollars. The answer is 18."
    score = task.score(example("18"), text)["answer"]
    start, end = score.evidence["span"]
    assert text[start:end].strip().rstrip(".") == "18"
    assert score.evidence["rule"] == "phrase"
    assert score.answer == "18"


@pytest.mark.parametrize(
    ("gold", "prediction", "generous", "strict"),
    [
        ("2 * 9 = 18\n#### 18", "2 * 9 = 18\n#### 18", 1.0, 1.0),
        ("2 * 9 = 18\n#### 18", "The answer is 18.", 1.0, 0.0),
        ("2 * 9 = 18\n#### 18", "#### 17", 0.0, 0.0),
        ("2 * 9 = 18\n#### 18", "#### 18\n\nQuestion: what is 1+1?\n#### 2", 1.0, 0.0),
        ("so \\boxed{\\frac12}", "Thus \\boxed{1/2}.", 1.0, 1.0),
        ("so \\boxed{\\frac12}", "The answer is 1/2.", 1.0, 0.0),
        ("18", "The answer is 18.", 1.0, 1.0),  # a bare gold trained no format
    ],
)
def test_strict_wants_the_trained_format(gold: str, prediction: str, generous: float, strict: float) -> None:
    scores = task.score(example(gold), prediction)
    assert (scores["answer"].value, scores["strict"].value) == (generous, strict)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("18", "18"),
        ("Janet sells <<16-3=13>>13.\n#### 1,300", "1,300"),
        ("We get $\\boxed{\\frac{3}{56}}.$", "\\frac{3}{56}"),
        ("$x=\\boxed{x=5}$The answer is: x=5", "x=5"),
    ],
)
def test_a_gold_may_be_an_answer_or_a_whole_solution(gold: str, answer: str) -> None:
    assert example(gold).meta["answer"] == answer


@pytest.mark.parametrize("row", [{"id": "1"}, {"id": "1", "gold": None}, {"id": "1", "gold": ""}, {"gold": ["5"]}])
def test_a_row_without_a_usable_gold_names_the_key(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="gold"):
        task.pair(row)
