"""Choosing on validation, confirming on test, on small sweeps written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.core import UserError
from harness.selection import confirm, select

COSTS: dict[str, dict[str, Any]] = {
    "base": {"method": "base", "trainable_parameters": 0, "checkpoint_bytes": 0, "train_seconds": 0.0},
    "lora-8": {"method": "lora", "trainable_parameters": 1000, "checkpoint_bytes": 4000, "train_seconds": 60.0},
    "lora-64": {"method": "lora", "trainable_parameters": 8000, "checkpoint_bytes": 32000, "train_seconds": 70.0},
    "full": {"method": "full", "trainable_parameters": 10**6, "checkpoint_bytes": 10**7, "train_seconds": 90.0},
}
ACCURACY = {"base": 0.05, "lora-8": 0.72, "lora-64": 0.74, "full": 0.75}


def sweep(accuracy: dict[str, float] = ACCURACY, n: int = 200) -> tuple[pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(0)
    runs = pd.DataFrame([{"run": name, "status": "done", "scorer": "execution", **COSTS[name]} for name in accuracy])
    rows = []
    for split in ("validation", "test"):
        hardness = generator.random(n)
        for name, level in accuracy.items():
            right = hardness + generator.normal(0, 0.03, n) < level
            for item in range(n):
                row = {"run": name, "split": split, "example_id": f"{split}-{item}", "cluster": f"db{item // 2}"}
                rows.append({**row, "scorer": "execution", "value": float(right[item])})
                rows.append({**row, "scorer": "string_match", "value": 0.0})
    return runs, pd.DataFrame(rows)


def test_the_cheapest_run_not_told_apart_from_the_best_is_recommended() -> None:
    chosen = select(*sweep())
    assert chosen.best in ("lora-64", "full")
    assert chosen.recommended == chosen.tied[0] == "lora-8"
    assert "base" not in chosen.tied
    assert chosen.p_values["base"] < 0.01


def test_finalists_are_the_base_the_best_of_each_method_the_recommended_and_the_baseline() -> None:
    chosen = select(*sweep(), baseline="lora-64")
    assert set(chosen.finalists) == {"base", "lora-8", "lora-64", "full"}
    assert list(chosen.best_of_method) == ["base", "full", "lora"]
    assert chosen.finalists[0] == "base"


def test_test_scores_play_no_part_in_the_choice() -> None:
    runs, scores = sweep()
    flipped = scores.copy()
    flipped.loc[flipped["split"] == "test", "value"] = 1 - flipped.loc[flipped["split"] == "test", "value"]
    assert select(runs, scores) == select(runs, flipped)


def test_an_unknown_cost_is_never_the_cheapest() -> None:
    runs, scores = sweep()
    runs["trainable_parameters"] = runs["trainable_parameters"].astype(float)
    runs.loc[runs["run"] == "lora-8", "trainable_parameters"] = float("nan")
    chosen = select(runs, scores)
    assert chosen.tied[-1] == "lora-8"
    assert chosen.recommended != "lora-8"


def failed(runs: pd.DataFrame, scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return runs.assign(status=runs["status"].where(runs["run"] != "full", "failed")), scores


def partly_unscored(runs: pd.DataFrame, scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    hit = scores["run"].eq("full") & (scores["example_id"].str[-1] == "7")
    return runs, scores.assign(value=scores["value"].mask(hit))


def short_of_items(runs: pd.DataFrame, scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return runs, scores.drop(scores[scores["run"].eq("full")].index[:40])


def without_scores(runs: pd.DataFrame, scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return runs, scores[scores["run"] != "full"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (failed, "failed"),
        (partly_unscored, "10.0% of its validation items are unscored"),
        (short_of_items, "scored on 180 of 200 validation items"),
        (without_scores, "no scores on validation"),
    ],
)
def test_a_run_that_cannot_be_compared_is_named_with_its_reason(damage: Any, reason: str) -> None:
    chosen = select(*damage(*sweep()))
    assert reason in chosen.excluded["full"]
    assert "full" not in chosen.means


def test_nothing_to_compare_is_an_error_that_names_the_reasons() -> None:
    runs, scores = sweep({"base": 0.1})
    runs["status"] = "failed"
    with pytest.raises(UserError, match="base: failed"):
        select(runs, scores)


def test_an_unknown_baseline_and_a_double_item_are_errors() -> None:
    runs, scores = sweep()
    with pytest.raises(UserError, match="not in this sweep"):
        select(runs, scores, baseline="nobody")
    with pytest.raises(UserError, match="twice"):
        select(runs, pd.concat([scores, scores.iloc[:1]]))


def test_the_optimism_is_validation_minus_test_beside_the_expected_one() -> None:
    runs, scores = sweep()
    chosen = select(runs, scores)
    result = confirm(chosen, runs, scores)
    final = next(final for final in result.finals if final.run == chosen.best)
    assert result.optimism == pytest.approx(chosen.means[chosen.best] - final.mean)
    assert result.optimism_low is not None
    assert result.optimism_high is not None
    assert result.optimism_low < result.optimism < result.optimism_high
    assert 0 <= result.expected_optimism < 0.05
    assert chosen.largest_optimism is not None
    assert result.expected_optimism < chosen.largest_optimism


def test_finalists_are_compared_with_the_base_on_the_same_test_items() -> None:
    runs, scores = sweep()
    result = confirm(select(runs, scores), runs, scores)
    gains = {final.run: final for final in result.finals}
    assert gains["base"].gain is None
    assert gains["full"].gain == pytest.approx(gains["full"].mean - gains["base"].mean)
    assert gains["full"].p_value is not None
    assert gains["full"].p_value < 1e-6


def test_a_finalist_without_test_scores_is_missing_with_the_reason() -> None:
    runs, scores = sweep()
    chosen = select(runs, scores)
    scores = scores[~(scores["run"].eq(chosen.best) & scores["split"].eq("test"))]
    result = confirm(chosen, runs, scores)
    assert result.missing == {chosen.best: "no scores on test"}
    assert result.optimism is None


def test_equal_runs_look_better_than_they_are_by_about_the_stated_optimism() -> None:
    generator = np.random.default_rng(1)
    costs = {"status": "done", "scorer": "s", **COSTS["lora-8"]}
    runs = pd.DataFrame([{"run": f"r{place}", **costs} for place in range(8)])
    surplus, expected = [], []
    for _ in range(12):
        values = (generator.random((8, 100)) < 0.5).astype(float)
        rows = pd.DataFrame(values, index=runs["run"]).rename_axis("run").reset_index()
        scores = rows.melt(id_vars="run", var_name="example_id").assign(split="validation", cluster="", scorer="s")
        chosen = select(runs, scores)
        surplus.append(chosen.means[chosen.best] - 0.5)
        expected.append(chosen.expected_optimism)
    assert np.mean(surplus) == pytest.approx(0.071, abs=0.02)  # expected_best_of(8, 100, .5)
    assert np.mean(expected) == pytest.approx(np.mean(surplus), abs=0.035)


def test_a_hosted_model_goes_to_test_and_is_never_chosen() -> None:
    COSTS["gpt-4o"] = {"method": "hosted"}
    COSTS["gpt-4o 4-shot"] = {"method": "hosted"}
    accuracy = {"base": 0.05, "lora-8": 0.6, "gpt-4o": 0.9, "gpt-4o 4-shot": 0.95}
    chosen = select(*sweep(accuracy))
    assert (chosen.best, chosen.recommended) == ("lora-8", "lora-8")
    assert "gpt-4o 4-shot" in chosen.finalists
    assert "gpt-4o" not in chosen.finalists
    assert set(chosen.means) == {"base", "lora-8"}
    confirmed = confirm(chosen, *sweep(accuracy))
    assert {final.run for final in confirmed.finals} == {"base", "lora-8"}
    assert confirmed.missing == {}
    alone = select(*sweep({"gpt-4o": 0.9, "gpt-4o 4-shot": 0.95}))
    assert alone.best == "gpt-4o 4-shot"  # there is nothing else to choose
