"""Result files that lm-eval and Inspect really wrote (made_elsewhere/README.md) are read as their own harness reads them."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from harness.compare import compare
from harness.compare_formats import load_items

FOLDER = Path(__file__).parent / "made_elsewhere"


@pytest.mark.parametrize(("scorer", "score", "unparsed"), [("exact_match,flexible", 0.125, 0), (None, 0.0, 8)])
def test_lm_evals_samples_give_lm_evals_score(scorer: str | None, score: float, unparsed: int) -> None:
    found = load_items(FOLDER / "samples_sums.jsonl", scorer=scorer)
    assert mean(item.value for item in found.items if item.value is not None) == score
    assert [item.outcome for item in found.items].count("unparsed") == unparsed
    assert len(found.items) == 8


def test_two_filters_of_one_run_are_compared_by_item() -> None:
    path = FOLDER / "samples_sums.jsonl"
    found = compare(
        load_items(path, scorer="exact_match,strict-match"), load_items(path, scorer="exact_match,flexible")
    )
    assert (len(found.flips.gained), len(found.flips.lost)) == (1, 0)


@pytest.mark.parametrize("scorer", [None, "match", "includes"])
def test_an_inspect_log_gives_inspects_score(scorer: str | None) -> None:
    pytest.importorskip("inspect_ai", reason="the optional extra `inspect` is not installed")
    found = load_items(FOLDER / "sums.eval", scorer=scorer)
    assert found.scorer == (scorer or "match")
    assert mean(item.value for item in found.items if item.value is not None) == pytest.approx(0.7)
    assert {item.id: item.value for item in found.items}["q4"] == 0.5
