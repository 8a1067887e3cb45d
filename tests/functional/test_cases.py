"""Every labelled reply gets its label: exact match, function, slot counts, well-formedness.

The replies are in cases.py and, those written before the code was run on them, in blind_rounds.jsonl.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.functional import task
from tests.functional.cases import RULES


@pytest.mark.parametrize("rule", RULES)
def test_every_reply_of_the_rule_gets_its_label(rule: str) -> None:
    wrong = []
    for gold, reply, exact, function, counts, well_formed in RULES[rule]:
        scores = task.score(task.pair({"id": "1", "gold": gold}), reply)
        seen = scores["exact_match"].evidence
        got_counts = (seen["slot_tp"], seen["slot_fp"], seen["slot_fn"])
        got = (scores["exact_match"].value, scores["function_accuracy"].value, got_counts, seen["well_formed"])
        if got != (exact, function, counts, well_formed):
            wrong.append((gold, reply, got, scores["exact_match"].why))
    assert not wrong, f"{len(wrong)} of {len(RULES[rule])}: {wrong[:3]}"


def test_every_reply_of_the_blind_rounds_gets_its_label() -> None:
    lines = Path(__file__).with_name("blind_rounds.jsonl").read_text(encoding="utf-8").splitlines()
    wrong = []
    for line in lines:
        wanted = json.loads(line)
        gold, reply = wanted.pop("gold"), wanted.pop("prediction")
        scores = task.score(task.pair({"id": "1", "gold": gold}), reply)
        seen = {name: score.value for name, score in scores.items()} | dict(scores["exact_match"].evidence)
        got = {key: seen[key] for key in wanted}
        if got != wanted:
            wrong.append((gold, reply, got, wanted))
    assert len(lines) > 290
    assert not wrong, f"{len(wrong)} of {len(lines)}: {wrong[:3]}"


def test_there_are_hundreds_of_replies() -> None:
    assert sum(map(len, RULES.values())) > 200
