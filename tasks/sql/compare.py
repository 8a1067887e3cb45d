"""Whether two results are the same, by a named profile. Two lists of rows in, a verdict out. Version 1.

| profile | rows | columns | order | numbers |
|---|---|---|---|---|
| `default` | bag | any order, matched by content | by the gold's ORDER BY, ties free | relative 1e-6, 1 = 1.0 |
| `strict` | bag | in place | by the gold's ORDER BY, ties free | relative 1e-12, 1 = 1.0 |
| `bird_ex` | set | in place | none | as Python compares |
| `test_suite` | bag, without DISTINCT | any order | list equality when gold has ORDER BY | as Python compares |
| `spider2` | per column | gold's columns among the prediction's | as gold | absolute 1e-2 |

NULL equals only NULL, text never equals a number, bytes never equal text, in every profile of ours.

Sources: bird_ex is `set(predicted) == set(gold)` of AlibabaResearch/DAMO-ConvAI bird/llm/src/evaluation.py;
test_suite is `result_eq` of taoyds/test-suite-sql-eval exec_eval.py (default flags: distinct removed, values not
plugged in); spider2 is `compare_pandas_table` of xlang-ai/Spider2 evaluate.py (no condition columns; it ignores order
unless told otherwise, here: unless gold has a top-level ORDER BY).

Columns are matched by refinement and a search with a node limit, never by trying all permutations. Beyond the limit
`UndecidableError` is raised: that is our failure, not the prediction's.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Sequence

PROFILE_VERSION = "1"
PROFILES = ("default", "strict", "bird_ex", "test_suite", "spider2")
RELATIVE_TOLERANCE = 1e-6
STRICT_TOLERANCE = 1e-12
SPIDER2_TOLERANCE = 1e-2
_NODE_LIMIT = 4_000

Row = tuple[object, ...]


class UndecidableError(Exception):
    """The column search met its node limit."""


def same_default(gold: Sequence[Row], runs: Sequence[int] | None, pred: Sequence[Row]) -> bool:
    """Equal under `default`. `runs[i]` numbers the run of tied rows that gold row i is in; None: order is free."""
    if not _same_shape(gold, pred):
        return False
    if not gold or (runs is None and list(gold) == list(pred)):
        return True
    pred = snapped(gold, pred, RELATIVE_TOLERANCE)
    if Counter(_tagged(gold, runs)) == Counter(_tagged(pred, runs)):
        return True
    return column_mapping(gold, pred, runs) is not None


def same_strict(gold: Sequence[Row], runs: Sequence[int] | None, pred: Sequence[Row]) -> bool:
    """Equal under `strict`: the columns stand where gold has them."""
    if not _same_shape(gold, pred):
        return False
    return Counter(_tagged(gold, runs)) == Counter(_tagged(snapped(gold, pred, STRICT_TOLERANCE), runs))


def is_superset(gold: Sequence[Row], runs: Sequence[int] | None, pred: Sequence[Row]) -> bool:
    """The prediction has every gold column, row by row, and further ones."""
    if len(gold) != len(pred) or not gold or len(pred[0]) <= len(gold[0]):
        return False
    return column_mapping(gold, snapped(gold, pred, RELATIVE_TOLERANCE), runs) is not None


def same_bird_ex(gold: Sequence[Row], pred: Sequence[Row]) -> bool:
    """BIRD's execution accuracy: the same set of tuples."""
    return set(gold) == set(pred)


def same_test_suite(gold: Sequence[Row], pred: Sequence[Row], *, ordered: bool) -> bool:
    """The test suite's `result_eq`: some column order makes the bags (or, ordered, the lists) equal."""
    if not gold and not pred:
        return True
    if not _same_shape(gold, pred):
        return False
    runs = range(len(gold)) if ordered else None
    return column_mapping(gold, pred, runs) is not None


def same_spider2(gold: Sequence[Row], pred: Sequence[Row], *, ordered: bool) -> bool:
    """Spider 2's table comparison: each gold column equals some column of the prediction, each for itself."""
    gold_columns, pred_columns = _columns(gold, ordered), _columns(pred, ordered)
    if not gold:
        return not pred
    return all(any(_spider2_vectors(column, other) for other in pred_columns) for column in gold_columns)


def snapped(gold: Sequence[Row], pred: Sequence[Row], tolerance: float) -> list[Row]:
    """`pred` with each number that gold lacks replaced by gold's nearest one within the relative `tolerance`.

    Two whole numbers are only equal when they are the same; so no rounding bucket can split or join values.
    """
    known = {cell for row in gold for cell in row if isinstance(cell, int | float)}
    wanted = {cell for row in pred for cell in row if isinstance(cell, int | float)} - known
    if not wanted or not known:
        return list(pred)
    ordered = sorted(known)
    nearest: dict[object, object] = {}
    for value in wanted:
        place = bisect.bisect_left(ordered, value)
        near = [other for other in ordered[max(0, place - 1) : place + 1] if _close(value, other, tolerance)]
        if near:
            nearest[value] = min(near, key=lambda other: abs(other - value))
    if not nearest:
        return list(pred)
    return [tuple(nearest.get(cell, cell) if isinstance(cell, int | float) else cell for cell in row) for row in pred]


def column_mapping(gold: Sequence[Row], pred: Sequence[Row], runs: Sequence[int] | None) -> tuple[int, ...] | None:
    """For each gold column the prediction's column that plays it, so that whole rows agree; None when there is none.

    Raises UndecidableError beyond the node limit. Values are compared exactly: snap first.
    """
    if len(gold) != len(pred):
        return None
    codes: dict[object, int] = {}
    gold_columns = _coded(gold, codes)
    pred_columns = _coded(pred, codes)
    tags = list(runs) if runs is not None else [0] * len(gold)
    return _search(gold_columns, pred_columns, tags)


def _search(gold: list[list[int]], pred: list[list[int]], tags: list[int]) -> tuple[int, ...] | None:
    rows = len(tags)
    gold_marks = [tuple(sorted(zip(tags, column, strict=True))) for column in gold]
    pred_marks = [tuple(sorted(zip(tags, column, strict=True))) for column in pred]
    if len(gold) == len(pred):
        gold_marks, pred_marks = _refined(gold, pred, gold_marks, pred_marks)
    options = [[j for j, mark in enumerate(pred_marks) if mark == wanted] for wanted in gold_marks]
    if not all(options):
        return None
    order = sorted(range(len(gold)), key=lambda i: (len(options[i]), i))
    chosen: dict[int, int] = {}
    nodes = 0

    def extend(depth: int, gold_prefix: list[int], pred_prefix: list[int]) -> bool:
        nonlocal nodes
        if depth == len(order):
            return True
        column = order[depth]
        tried: set[tuple[int, ...]] = set()
        labels: dict[tuple[int, int], int] = {}
        gold_next = [labels.setdefault(pair, len(labels)) for pair in zip(gold_prefix, gold[column], strict=True)]
        gold_bag = Counter(gold_next)
        for candidate in options[column]:
            vector = tuple(pred[candidate])
            if candidate in chosen.values() or vector in tried:
                continue
            tried.add(vector)
            nodes += 1
            if nodes > _NODE_LIMIT:
                raise UndecidableError(
                    f"{len(gold)} columns, {rows} rows: more than {_NODE_LIMIT} column pairings tried"
                )
            pred_next = [labels.get(pair, -1) for pair in zip(pred_prefix, vector, strict=True)]
            if Counter(pred_next) != gold_bag:
                continue
            chosen[column] = candidate
            if extend(depth + 1, gold_next, pred_next):
                return True
            del chosen[column]
        return False

    found = extend(0, list(tags), list(tags))
    return tuple(chosen[i] for i in range(len(gold))) if found else None


Marks = list[tuple[tuple[int, int], ...]]


def _refined(gold: list[list[int]], pred: list[list[int]], gold_marks: Marks, pred_marks: Marks) -> tuple[Marks, Marks]:
    """Column marks split further by the rows they sit in (two rounds of colour refinement, Weisfeiler and Leman)."""
    if len(set(gold_marks)) == len(gold_marks):
        return gold_marks, pred_marks
    for _ in range(2):
        colours: dict[object, int] = {}
        row_colours: dict[object, int] = {}
        sides = []
        for columns, marks in ((gold, gold_marks), (pred, pred_marks)):
            column_colours = [colours.setdefault(mark, len(colours)) for mark in marks]
            rows = zip(*columns, strict=True)
            shades = [
                row_colours.setdefault(tuple(sorted(zip(column_colours, row, strict=True))), len(row_colours))
                for row in rows
            ]
            fresh: Marks = [
                (*sorted(zip(shades, column, strict=True)), (-1, colour))
                for colour, column in zip(column_colours, columns, strict=True)
            ]
            sides.append(fresh)
        gold_marks, pred_marks = sides
    return gold_marks, pred_marks


def _same_shape(gold: Sequence[Row], pred: Sequence[Row]) -> bool:
    return len(gold) == len(pred) and (not gold or len(gold[0]) == len(pred[0]))


def _tagged(rows: Sequence[Row], runs: Sequence[int] | None) -> Sequence[object]:
    return rows if runs is None else list(zip(runs, rows, strict=True))


def _coded(rows: Sequence[Row], codes: dict[object, int]) -> list[list[int]]:
    """The columns of `rows`, each value replaced by a small number; 1 and 1.0 share one, "1" has another."""
    return [[codes.setdefault(cell, len(codes)) for cell in column] for column in zip(*rows, strict=True)]


def _close(value: float, other: float, tolerance: float) -> bool:
    if isinstance(value, int) and isinstance(other, int):
        return False
    try:
        return math.isclose(value, other, rel_tol=tolerance, abs_tol=tolerance * 1e-3)
    except OverflowError:
        return False


def _columns(rows: Sequence[Row], ordered: bool) -> list[list[object]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns if ordered else [sorted(column, key=_spider2_key) for column in columns]


def _spider2_key(cell: object) -> tuple[bool, str, bool]:
    return cell is None, str(cell), isinstance(cell, int | float)


def _spider2_vectors(gold: list[object], pred: list[object]) -> bool:
    if len(gold) != len(pred):
        return False
    for left, right in zip(gold, pred, strict=True):
        if left is None and right is None:
            continue
        if isinstance(left, int | float) and isinstance(right, int | float):
            if not math.isclose(left, right, rel_tol=1e-9, abs_tol=SPIDER2_TOLERANCE):
                return False
        elif left != right:
            return False
    return True
