"""A caller who knows only the table of harness.stats: lists, arrays, Series, DataFrames, NA; and what a slip is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness import stats

SCORES = [1, 0, 1, 1, 0, None, 1, 0, 1, 1]
OTHER = [1, 1, 0, 1, 0, 0, 1, 0, 1, 0]
LABELS = list("aabbccddee")
FLOATS = [np.nan if score is None else float(score) for score in SCORES]
FORMS: dict[str, Any] = {
    "tuple": tuple(SCORES),
    "array": np.array(FLOATS, dtype=np.float32),
    "Series": pd.Series(FLOATS, index=range(100, 110)),
    "Int64": pd.Series(SCORES, dtype="Int64"),
    "boolean": pd.Series([None if score is None else bool(score) for score in SCORES], dtype="boolean"),
}


def everything(scores: Any, clusters: Any) -> list[Any]:
    return [
        stats.mean_and_error(scores),
        stats.mean_interval(scores, clusters),
        stats.clustered_wilson_interval(scores, clusters),
        stats.ungraded_share(scores),
        stats.paired_counts(scores, OTHER),
        stats.paired_difference(scores, OTHER, clusters),
        stats.paired_interval(scores, OTHER, clusters),
        stats.non_inferiority(scores, OTHER, 0.3, clusters),
        stats.cluster_bootstrap(scores, clusters, resamples=50),
        stats.best_set([scores, OTHER], clusters, draws=50),
        stats.prediction_powered_mean(scores, OTHER, [1, 0, 1]),
        stats.cohen_kappa(scores, OTHER),
        stats.clustered_cohen_kappa(scores, OTHER, clusters),
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("clusters", [np.repeat(range(5), 2), pd.Series(LABELS, dtype="category")])
def test_every_container_of_the_same_scores_gives_the_same_numbers(form: str, clusters: Any) -> None:
    assert everything(FORMS[form], clusters) == everything(SCORES, LABELS)


def test_the_rows_of_a_data_frame_are_the_runs_or_items() -> None:
    rows = [OTHER, OTHER[::-1]]
    for table in (pd.DataFrame(rows, dtype="Int64"), np.array(rows)):
        assert stats.max_t(table, draws=50) == stats.max_t(rows, draws=50)
        assert stats.fleiss_kappa(table) == stats.fleiss_kappa(rows)


def test_a_series_by_item_id_is_paired_by_its_index() -> None:
    found = stats.pair_by_id(pd.Series({"x": 1, "y": 0}), pd.Series({"y": 1, "x": 0}))
    assert (found.ids, found.a, found.b) == (("x", "y"), (1, 0), (0, 1))


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        (lambda: stats.pair_by_id([1, 0], [1, 0]), "item id -> score"),  # type: ignore[arg-type]
        (lambda: stats.mean_and_error({"x": 1, "y": 0}), "one list of numbers"),  # type: ignore[arg-type]
        (lambda: stats.mean_and_error("101"), "one list of numbers"),  # type: ignore[arg-type]
        (lambda: stats.best_set([1, 0, 1]), "one list of numbers"),  # type: ignore[list-item]
        (lambda: stats.fleiss_kappa(["yes", "no"]), "one list of labels an item"),
        (lambda: stats.holm([0.1, None]), r"in \[0, 1\]"),  # type: ignore[list-item]
    ],
)
def test_a_slip_is_told_what_is_taken(slip: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        slip()


def test_clusters_with_the_number_0_are_clusters_like_others() -> None:
    a, b = [1, 0, 1, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 0, 1, 0]
    numbered = stats.clustered_cohen_kappa(a, b, [0, 0, 0, 0, 1, 1, 1, 1])
    assert numbered == stats.clustered_cohen_kappa(a, b, list("aaaabbbb"))
