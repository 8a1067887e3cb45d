"""The rules of comparison as a table, each with the rows that show it."""

from __future__ import annotations

import random
import time

import pytest

from tasks.sql import compare

DEFAULT = [
    ("same bag", [(1, "a"), (2, "b")], [(2, "b"), (1, "a")], True),
    ("columns swapped", [(1, "a"), (2, "b")], [("a", 1), ("b", 2)], True),
    ("columns swapped in one row only", [(1, 2), (3, 4)], [(2, 1), (3, 4)], False),
    ("values regrouped over rows", [(1, 10), (2, 20)], [(1, 20), (2, 10)], False),
    ("a duplicate lost", [(1,), (1,)], [(1,)], False),
    ("other multiplicities", [(1,), (1,), (2,)], [(1,), (2,), (2,)], False),
    ("whole and floating", [(1,)], [(1.0,)], True),
    ("within tolerance", [(0.3333333,)], [(1 / 3,)], True),
    ("neighbouring whole numbers", [(10_000_000,)], [(10_000_001,)], False),
    ("outside tolerance", [(0.333,)], [(1 / 3,)], False),
    ("text and number", [("1",)], [(1,)], False),
    ("null and zero", [(None,)], [(0,)], False),
    ("null and empty text", [(None,)], [("",)], False),
    ("bytes and text", [(b"a",)], [("a",)], False),
    ("extra column", [(1,)], [(1, 2)], False),
    ("both empty", [], [], True),
]


@pytest.mark.parametrize(("gold", "pred", "same"), [case[1:] for case in DEFAULT], ids=[case[0] for case in DEFAULT])
def test_the_default_profile(gold: list[compare.Row], pred: list[compare.Row], same: bool) -> None:
    assert compare.same_default(gold, None, pred) is same


def test_order_matters_between_runs_and_not_inside_one() -> None:
    gold: list[compare.Row] = [("a",), ("b",), ("c",)]
    assert compare.same_default(gold, [0, 0, 1], [("b",), ("a",), ("c",)])
    assert not compare.same_default(gold, [0, 0, 1], [("a",), ("c",), ("b",)])


def test_an_extra_column_is_a_superset_only_when_whole_rows_agree() -> None:
    gold: list[compare.Row] = [(1, "a"), (2, "b")]
    assert compare.is_superset(gold, None, [("a", 9, 1), ("b", 8, 2)])
    assert not compare.is_superset(gold, None, [("b", 9, 1), ("a", 8, 2)])


@pytest.mark.parametrize("rows", [2, 5, 40])
def test_fourteen_look_alike_columns_are_instant(rows: int) -> None:
    rng = random.Random(rows)
    column = [i % 2 for i in range(rows)]
    columns = [rng.sample(column, rows) for _ in range(14)]
    gold = list(zip(*columns, strict=True))
    pred = list(zip(*rng.sample(columns, 14), strict=True))
    start = time.process_time()
    assert compare.same_default(gold, None, rng.sample(pred, rows))
    assert time.process_time() - start < 1


PUBLISHED = [
    ("bird ignores duplicates", compare.same_bird_ex([(1,), (1,)], [(1,)]), True),
    ("bird keeps column order", compare.same_bird_ex([(1, 2)], [(2, 1)]), False),
    ("the test suite permutes columns", compare.same_test_suite([(1, 2)], [(2, 1)], ordered=False), True),
    ("the test suite orders ties too", compare.same_test_suite([(1,), (2,)], [(2,), (1,)], ordered=True), False),
    ("spider2 allows extra columns", compare.same_spider2([(1,)], [(1, 2)], ordered=False), True),
    ("spider2 rounds", compare.same_spider2([(1.0,)], [(1.005,)], ordered=False), True),
    (
        "spider2 matches columns apart",
        compare.same_spider2([(1, 10), (2, 20)], [(1, 20), (2, 10)], ordered=False),
        True,
    ),
]


@pytest.mark.parametrize(("got", "wanted"), [case[1:] for case in PUBLISHED], ids=[case[0] for case in PUBLISHED])
def test_the_published_profiles(got: bool, wanted: bool) -> None:
    assert got is wanted
