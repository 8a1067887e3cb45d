"""Plain sequences in, checked numpy arrays out: the one place that decides what an ungraded item or a count is.

Goes in: scores (numbers, None, NaN or pandas' NA for an ungraded item), counts, confidences, cluster labels. Comes out: float
arrays with NaN for ungraded, non-negative ints, dense cluster codes. A score that is infinite or not a number raises.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Scores = Sequence[float | None] | Sequence[float] | Sequence[int] | Sequence[bool] | FloatArray
Clusters = Sequence[Hashable]


def score_array(scores: Scores) -> FloatArray:
    """The scores as floats, NaN where a score is None or NaN. Raises ValueError on infinity and on text."""
    if not isinstance(scores, Iterable) or isinstance(scores, str | bytes | Mapping):
        raise ValueError(f"scores are one list of numbers, None or NaN, got {scores!r:.80}")
    values = np.array([_number(score, place) for place, score in enumerate(scores)], dtype=np.float64)
    if np.isinf(values).any():
        raise ValueError(f"score {int(np.argmax(np.isinf(values)))} is infinite; a score is finite, None or NaN")
    return values


def paired_arrays(
    a: Scores, b: Scores, clusters: Clusters | None
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]:
    """(a, b, cluster codes) at the items that both sides graded. Raises ValueError on unequal lengths."""
    values_a, values_b = score_array(a), score_array(b)
    if len(values_a) != len(values_b):
        raise ValueError(
            f"paired scores need equal lengths, got {len(values_a)} and {len(values_b)}; pair them with pair_by_id"
        )
    codes = cluster_codes(clusters, len(values_a))
    both = ~(np.isnan(values_a) | np.isnan(values_b))
    return values_a[both], values_b[both], np.unique(codes[both], return_inverse=True)[1]


def graded_arrays(scores: Scores, clusters: Clusters | None) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """(graded scores, their cluster codes 0..G-1)."""
    values = score_array(scores)
    codes = cluster_codes(clusters, len(values))
    kept = ~np.isnan(values)
    return values[kept], np.unique(codes[kept], return_inverse=True)[1]


def score_matrix(
    rows: Sequence[Scores], clusters: Clusters | None, name: str
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """(rows x items, cluster codes) at the items that every row graded. Raises ValueError on ragged rows."""
    arrays = [score_array(row) for row in table_rows(rows)]
    if not arrays:
        raise ValueError(f"{name} needs at least one row of scores, got none")
    if len({len(row) for row in arrays}) != 1:
        raise ValueError(f"{name}: all rows need one score an item, got lengths {sorted({len(row) for row in arrays})}")
    matrix = np.stack(arrays)
    codes = cluster_codes(clusters, matrix.shape[1])
    kept = ~np.isnan(matrix).any(axis=0)
    return matrix[:, kept], np.unique(codes[kept], return_inverse=True)[1]


def cluster_codes(clusters: Clusters | None, num_items: int) -> npt.NDArray[np.intp]:
    """A code per item, equal for items of one cluster. No clusters, None, NaN or "" make an item its own cluster."""
    if clusters is None:
        return np.arange(num_items, dtype=np.intp)
    if len(clusters) != num_items:
        raise ValueError(f"one cluster label an item is needed, got {len(clusters)} labels for {num_items} items")
    known: dict[Any, int] = {}
    return np.array(
        [known.setdefault((place,) if _alone(label) else label, len(known)) for place, label in enumerate(clusters)],
        dtype=np.intp,
    )


def count(value: Any, name: str) -> int:
    """A non-negative whole number. Raises ValueError on a fraction, a negative number or text."""
    try:
        whole = operator.index(value)
    except TypeError:
        if not (isinstance(value, float) and value.is_integer()):
            raise ValueError(f"{name} is a whole number, got {value!r}") from None
        whole = int(value)
    if whole < 0:
        raise ValueError(f"{name} cannot be negative, got {whole}")
    return whole


def fraction(value: float, name: str) -> float:
    """A number strictly between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} is strictly between 0 and 1, got {value}")
    return float(value)


def is_missing(value: Any) -> bool:
    """True for None, NaN and pandas' NA, which is known by its type's name: pandas need not be there."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def table_rows(table: Any) -> Any:
    """The rows of a list of lists, an array or a DataFrame (which would iterate over its column names)."""
    return table.to_numpy(dtype=object) if hasattr(table, "columns") else table


def is_binary(*arrays: FloatArray) -> bool:
    """True when every value is 0 or 1."""
    return all(bool(np.isin(values, (0.0, 1.0)).all()) for values in arrays)


def _number(score: Any, place: int) -> float:
    if is_missing(score):
        return math.nan
    if isinstance(score, str | bytes):
        raise ValueError(f"score {place} is text ({score!r}); a score is a number, None or NaN")
    try:
        return float(score)
    except (TypeError, ValueError) as error:
        raise ValueError(f"score {place} is no number: {score!r}; a score is a number, None or NaN") from error


def _alone(label: Hashable) -> bool:
    return is_missing(label) or label == ""
