"""Every labelled reply of cases.py gets its label: exact match, function, slot counts, well-formedness."""

from __future__ import annotations

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


def test_there_are_hundreds_of_replies() -> None:
    assert sum(map(len, RULES.values())) > 200
