"""Items -> scores: the judge as one more scorer, exact scorers first.

Goes in: `JudgeItem`s (question, context, reference or none, submission, the exact scorer's verdict), a `JudgeConfig`.
Comes out: one `Score` an item, with the votes as evidence. `when` says which items are worth money: those the exact
scorer could not decide, those it did not find right, or all. The others keep the exact verdict, marked as such.

Votes are counted by majority over all models of the panel; a tie is unscored. Method: Zheng et al. 2023
(arXiv 2306.05685) for the reference-based prompt and both orders; Zhao et al. 2025 (arXiv 2507.08794) for the master
keys the rubrics warn of.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.core import Message, Score, UserError
from judges.caller import Caller, Outcome
from judges.calls import Call, Estimate, Reply, Spend
from judges.config import JudgeConfig, JudgeItem, ProgressFunction
from judges.prices import reply_limit
from judges.prompt import TooLongError
from judges.rubrics import grading_messages, load_rubric
from judges.verdict import VERDICTS, Verdict, repair_call, verdict_of, verdict_schema

LIKELY_REPLY_TOKENS = 80  # for estimates: two sentences and the verdict; assumed, not measured
KEPT_EXACT = "kept_exact"


class Judge:
    """A model with a rubric, usable as one more scorer. What it spent so far is `spend()`."""

    def __init__(self, config: JudgeConfig) -> None:
        self.config = config
        self.rubric = load_rubric(config.rubric)
        self.caller = Caller(config)

    @property
    def column(self) -> str:
        """The value of this judge in the `scorer` column."""
        return self.config.column

    def grade(self, items: Sequence[JudgeItem], progress: ProgressFunction | None = None) -> dict[str, Score]:
        """One score for each item, by id. Raises UserError for repeated ids, or when the model cannot be asked."""
        _refuse_repeats(items)
        scores: dict[str, Score] = {}
        ballots: dict[str, list[Call]] = {}
        for item in items:
            if not is_asked(item, self.config):
                scores[item.id] = _kept(item)
                continue
            try:
                ballots[item.id] = self._ballot(item)
            except TooLongError as error:
                scores[item.id] = Score(value=None, why="too_long", evidence={"detail": str(error)})
        calls = [call for ballot in ballots.values() for call in ballot]
        verdicts = iter(self.verdicts(calls, VERDICTS, progress))
        for item_id, ballot in ballots.items():
            votes = [(call, *next(verdicts)) for call in ballot]
            scores[item_id] = self._score(votes)
        return {item.id: scores[item.id] for item in items}

    def verdicts(
        self, calls: Sequence[Call], words: tuple[str, ...], progress: ProgressFunction | None = None
    ) -> list[tuple[Outcome, Verdict]]:
        """(outcome, verdict) of each call; those whose reply was not JSON are asked once more."""
        outcomes = self.caller.answers(calls, progress)
        results = [(outcome, verdict_of(outcome, words)) for outcome in outcomes]
        broken = [
            (index, repair_call(calls[index], outcome))
            for index, (outcome, verdict) in enumerate(results)
            if verdict.why == "invalid_json" and isinstance(outcome, Reply)
        ]
        repaired = self.caller.answers([call for _, call in broken])
        for (index, _), outcome in zip(broken, repaired, strict=True):
            results[index] = (outcome, verdict_of(outcome, words))
        return results

    def call(self, messages: tuple[Message, ...], words: tuple[str, ...], model: str, vote: int = 0) -> Call:
        """The call that asks `model` for one of `words`."""
        config = self.config
        return Call(
            model=model,
            messages=messages,
            max_tokens=reply_limit(model, config.max_tokens),
            temperature=config.sampling_temperature,
            seed=vote,
            vote=vote,
            purpose=self.rubric.version,
            schema_name="verdict",
            schema=verdict_schema(words, config.reason_max_chars) if config.structured == "json_schema" else None,
            structured=config.structured,
        )

    def as_shown(self, item: JudgeItem) -> JudgeItem:
        """`item` without its reference when the judge is to work without one."""
        return replace(item, reference=None) if self.config.reference_free else item

    def estimate(self, items: Sequence[JudgeItem]) -> Estimate:
        """What `grade(items)` would ask and cost, without sending anything; a text over its limit asks nothing."""
        calls: list[Call] = []
        for item in items:
            if is_asked(item, self.config):
                with contextlib.suppress(TooLongError):
                    calls += self._ballot(item)
        return self.caller.estimate(calls, LIKELY_REPLY_TOKENS)

    def spend(self) -> Spend:
        """Calls, tokens and dollars so far."""
        return self.caller.spend()

    def _ballot(self, item: JudgeItem) -> list[Call]:
        messages = grading_messages(self.rubric, self.as_shown(item))
        return [
            self.call(messages, VERDICTS, model, vote)
            for model in self.config.models
            for vote in range(self.config.votes)
        ]

    def _score(self, votes: Sequence[tuple[Call, Outcome, Verdict]]) -> Score:
        cast = [
            {
                "model": call.model,
                "snapshot": outcome.snapshot if isinstance(outcome, Reply) else "",
                "verdict": verdict.word,
                "why": verdict.why,
                "reason": verdict.reason,
                "cost_usd": outcome.cost_usd if isinstance(outcome, Reply) else None,
                "from_cache": outcome.from_cache if isinstance(outcome, Reply) else False,
            }
            for call, outcome, verdict in votes
        ]
        evidence: dict[str, Any] = {"rubric": f"{self.rubric.name}@{self.rubric.version}", "votes": cast}
        counts = Counter(verdict.word for _, _, verdict in votes if verdict.word is not None)
        num_silent = len(votes) - counts.total()
        if num_silent * 2 >= len(votes):  # half a ballot or less is no ballot
            why, _ = Counter(verdict.why for _, _, verdict in votes if verdict.word is None).most_common(1)[0]
            return Score(value=None, why=why, evidence=evidence)
        if counts["correct"] == counts["incorrect"]:
            return Score(value=None, why="votes_tied", evidence=evidence)
        word = "correct" if counts["correct"] > counts["incorrect"] else "incorrect"
        reason = next(verdict.reason for _, _, verdict in votes if verdict.word == word)
        return Score(value=float(word == "correct"), why=f"judged_{word}", answer=reason, evidence=evidence)


def judge(name: str, **settings: Any) -> Judge:
    """The Judge of a model's name; `settings` are fields of JudgeConfig."""
    return Judge(JudgeConfig(model=name, **settings))


def grade(
    items: Sequence[JudgeItem], config: JudgeConfig, progress: ProgressFunction | None = None
) -> dict[str, Score]:
    """One score for each item, by id: `Judge(config).grade(items)`, for callers that do not need the bill."""
    return Judge(config).grade(items, progress)


def is_asked(item: JudgeItem, config: JudgeConfig) -> bool:
    """Whether `when` sends this item to the judge. An item without an exact verdict is undecided."""
    exact = item.exact.value if item.exact is not None else None
    if config.when == "all" or exact is None:
        return True
    return config.when == "wrong" and exact < 1.0


def _kept(item: JudgeItem) -> Score:
    assert item.exact is not None
    return replace(item.exact, why=KEPT_EXACT, evidence={"exact_why": item.exact.why})


def _refuse_repeats(items: Sequence[JudgeItem]) -> None:
    repeated = [item_id for item_id, count in Counter(item.id for item in items).items() if count > 1]
    if repeated:
        raise UserError(f"{len(repeated)} item ids occur twice, the first is {repeated[0]!r}; ids must be unique")
