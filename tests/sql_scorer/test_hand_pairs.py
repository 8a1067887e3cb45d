"""Pairs written by hand: every wrong answer is refuted, every answer that means the same is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.sql.score import pair, score
from tests.sql_scorer.corpus import HandPair, hand_pairs


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path))


def misjudged(pairs: list[HandPair], *, with_data: bool) -> list[tuple[str, str, str]]:
    found = []
    for each in pairs:
        verdict = score(pair(each.row(with_data=with_data)), each.prediction)["execution"]
        if verdict.value != float(each.equal):
            found.append((each.name, verdict.why, str(verdict.evidence)[:300]))
    return found


def test_the_corpus_is_large_and_has_both_kinds() -> None:
    pairs = hand_pairs()
    assert sum(each.equal for each in pairs) >= 150
    assert sum(not each.equal for each in pairs) >= 300
    assert len({each.name for each in pairs}) == len(pairs)


def test_with_a_bare_schema_no_verdict_of_a_sample_is_wrong() -> None:
    assert misjudged(hand_pairs()[::8], with_data=False) == []


@pytest.mark.slow
def test_with_a_bare_schema_no_verdict_is_wrong() -> None:
    assert misjudged(hand_pairs(), with_data=False) == []


@pytest.mark.slow
def test_with_data_no_verdict_is_wrong() -> None:
    assert misjudged([each for each in hand_pairs() if each.data], with_data=True) == []
