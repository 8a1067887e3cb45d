"""Which of two submissions is better, asked in both orders. A judge that changes its mind with the order has none.

Goes in: `Pair`s. Comes out: `PairResult`s with the winner, whether the verdict flipped, and how often the first place
won. A flip is a tie, and counted: position bias is a number here, not an accident (Wang et al. 2023, arXiv 2305.17926).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from judges.calls import Call
from judges.config import JudgeItem, ProgressFunction
from judges.grader import Judge
from judges.prompt import TooLongError
from judges.rubrics import pair_messages
from judges.verdict import PAIR_VERDICTS, Verdict

Winner = Literal["first", "second", "tie"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two submissions to one question (`item.submission` is not used)."""

    item: JudgeItem
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class PairResult:
    """`winner` None: no verdict in one of the orders, for the reason `why`. `orders`: the winner in each order."""

    id: str
    winner: Winner | None
    flipped: bool
    why: str
    orders: tuple[Winner | None, Winner | None]
    reasons: tuple[str, str]


def compare(judge: Judge, pairs: Sequence[Pair], progress: ProgressFunction | None = None) -> list[PairResult]:
    """One result a pair: two calls each, with the submissions in both orders."""
    calls, too_long = pair_calls(judge, pairs)
    verdicts = iter(judge.verdicts(calls, PAIR_VERDICTS, progress))
    results = []
    for index, pair in enumerate(pairs):
        if index in too_long:
            results.append(_silent(pair, "too_long", too_long[index]))
        else:
            (_, straight), (_, swapped) = next(verdicts), next(verdicts)
            results.append(_decided(pair, straight, swapped))
    return results


def pair_calls(judge: Judge, pairs: Sequence[Pair]) -> tuple[list[Call], dict[int, str]]:
    """(two calls a pair, in both orders, {index of a pair that is too long: why})."""
    calls: list[Call] = []
    too_long: dict[int, str] = {}
    for index, pair in enumerate(pairs):
        try:
            for first, second in ((pair.first, pair.second), (pair.second, pair.first)):
                messages = pair_messages(judge.rubric, judge.as_shown(pair.item), first, second)
                calls.append(judge.call(messages, PAIR_VERDICTS, judge.config.model))
        except TooLongError as error:
            too_long[index] = str(error)
    return calls, too_long


def first_place_share(results: Sequence[PairResult]) -> tuple[int, int]:
    """(verdicts for whatever stood first, verdicts for either side). Half of them is no position bias."""
    first = sum((result.orders[0] == "first") + (result.orders[1] == "second") for result in results)
    sided = sum(winner in ("first", "second") for result in results for winner in result.orders)
    return first, sided


def _decided(pair: Pair, straight: Verdict, swapped: Verdict) -> PairResult:
    names: dict[str | None, Winner | None] = {"A": "first", "B": "second", "tie": "tie", None: None}
    turned: dict[str | None, Winner | None] = {"A": "second", "B": "first", "tie": "tie", None: None}
    one, two = names[straight.word], turned[swapped.word]
    silent = one is None or two is None
    return PairResult(
        id=pair.item.id,
        winner=None if silent else one if one == two else "tie",
        flipped=not silent and one != two,
        why=(straight.why or swapped.why) if silent else "flipped" if one != two else "agreed",
        orders=(one, two),
        reasons=(straight.reason, swapped.reason),
    )


def _silent(pair: Pair, why: str, detail: str) -> PairResult:
    return PairResult(
        id=pair.item.id, winner=None, flipped=False, why=why, orders=(None, None), reasons=(detail, detail)
    )
