"""Pairs a second on one core, ours beside Math-Verify when that is installed. Run: python -m tests.math.bench

Goes in: the labelled pairs of test_policy.py (and MATH-500 where TUNEBENCH_DATA has it). Comes out: a table with
speed, agreement with the labels, false positives and false negatives. CPU time, not wall time.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

from harness.core import DataRequest, UserError
from tasks.math import symbolic, task
from tasks.math.read import read
from tests.math.test_policy import RULES

Pair = tuple[str, str, bool]


def ours(gold: str, prediction: str) -> bool:
    """Our verdict; an undecided pair counts as no."""
    return task.score(task.pair({"id": "1", "gold": gold}), prediction)["answer"].value == 1.0


def math_verify() -> Callable[[str, str], bool] | None:
    """Math-Verify's verdict with its default extraction, or None when it is not installed."""
    if importlib.util.find_spec("math_verify") is None:
        return None
    from math_verify import parse, verify

    def verdict(gold: str, prediction: str) -> bool:
        return bool(verify(parse(f"${gold}$"), parse(prediction)))

    return verdict


def measured(name: str, grader: Callable[[str, str], bool], pairs: list[Pair]) -> str:
    """One row of the table."""
    read.cache_clear()
    began = time.process_time()
    said = [grader(gold, prediction) for gold, prediction, _ in pairs]
    spent = time.process_time() - began
    false_yes = sum(got and not right for got, (*_, right) in zip(said, pairs, strict=True))
    false_no = sum(right and not got for got, (*_, right) in zip(said, pairs, strict=True))
    agreed = len(pairs) - false_yes - false_no
    return (
        f"{name:12s} {len(pairs):6d} pairs  {len(pairs) / spent:8.0f} pairs/s  agreement {agreed / len(pairs):6.1%}  "
        f"false positives {false_yes}  false negatives {false_no}"
    )


def main() -> None:
    """Print the table."""
    pairs = [pair for table in RULES.values() for pair in table]
    graders = [("tunebench", ours)]
    other = math_verify()
    if other is not None:
        graders.append(("Math-Verify", other))
    symbolic.start()
    for name, grader in graders:
        print("labelled   ", measured(name, grader, pairs))
    try:
        data = task.load(DataRequest(name="math500", offline=True))
    except UserError as error:
        print(f"MATH-500 left out: {error}")
        return
    real = [(str(e.meta["answer"]), e.gold, True) for e in data.test]
    for name, grader in graders:
        print("MATH-500   ", measured(name, grader, real))


if __name__ == "__main__":
    main()
