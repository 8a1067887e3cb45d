"""Gold as prediction on real data sets; run with TUNEBENCH_DATA set."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tasks.sql.score import SCORERS, score
from tests.sql_scorer.bench import items

DATA = os.environ.get("TUNEBENCH_DATA", "")


@pytest.mark.skipif(not DATA, reason="TUNEBENCH_DATA is not set: no Spider and no create-context to read")
def test_gold_scores_one_with_every_scorer_whatever_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path))
    examples = [example for _, example in items(Path(DATA), 60)]
    first = {example.id: score(example, example.gold) for example in examples}
    random.Random(5).shuffle(examples)
    assert {example.id: score(example, example.gold) for example in examples} == first
    usable = [scores for scores in first.values() if scores["execution"].value is not None]
    assert len(usable) > 90
    assert all(scores[name].value == 1.0 for scores in usable for name in SCORERS)
