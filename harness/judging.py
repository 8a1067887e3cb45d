"""Answers that exact scorers have seen -> verdicts of a hosted judge: one more scorer column. In: a task, examples,
completions and their score rows. Out: judged.jsonl of each run, or `Score`s.

Exact scorers come first; `when` says which answers are worth a second opinion, the others keep the exact verdict. A
verdict that could not be had is unscored with its reason, never 0, and is asked for again by the next invocation; one
that was given is not asked for again while nothing it depends on has changed.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core import Completion, Example, Score, Split, Task, UserError, digest, to_json
from harness.grade import graded_pairs
from harness.hosted import (
    Bill,
    HostedRequest,
    Tell,
    call_log,
    estimate_words,
    judge_config,
    refuse_without_key,
    spend_words,
)
from harness.store import Run, Sweep, append_lines

if TYPE_CHECKING:
    from harness.prepare import Prepared
    from harness.registry import judges

UNAVAILABLE = "judge_unavailable"
CHUNK = 500  # lines of a pair file that are judged at a time
Graded = tuple[dict[str, Any], Example | None, str, Score | None]  # row, example, prediction, primary score


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One answer that needs a verdict. `key` is the hash of everything the verdict depends on."""

    run: Run
    split: Split
    item: judges.JudgeItem
    example_id: str
    key: str


def judge_item(task: Task, item_id: str, example: Example, text: str, exact: Score | None) -> judges.JudgeItem:
    """What the judge is shown of one answer: question, the task's context, reference. The exact verdict is withheld."""
    from harness.registry import judges

    return judges.JudgeItem(
        id=item_id,
        question=question_of(task, example),
        submission=text,
        reference=example.gold,
        context=task.judge_context(example),
        exact=exact,
        cluster=example.cluster or example.id,
    )


def question_of(task: Task, example: Example) -> str:
    """The question as text: the input called `question` or `text`, else the last user turn of the prompt."""
    for name in ("question", "text"):
        if isinstance(example.inputs.get(name), str) and example.inputs[name].strip():
            return str(example.inputs[name])
    turns = task.prompts["instruct"](example.inputs)
    return next((turn.content for turn in reversed(turns) if turn.role == "user"), "")


def judge_split(
    prepared: Prepared, hosted: HostedRequest, bill: Bill, runs: Sequence[Run], split: Split, tell: Tell
) -> str:
    """Give every graded answer of `runs` on `split` its verdict, in judged.jsonl. Returns why none could be had, or ""."""
    from harness.registry import judges

    judge = judges.Judge(judge_config(hosted, prepared.task.name, bill.account("judge")))
    examples = {example.id: example for example in prepared.dataset.usable(split)}
    waiting: list[Waiting] = []
    for run in runs:
        unanswered, asked = _sorted_out(prepared.task, judge, run, split, examples)
        append_lines(run.folder / "judged.jsonl", unanswered)
        waiting += asked
    scores, problem = verdicts(judge, [one.item for one in waiting], tell)
    rows: dict[str, list[dict[str, Any]]] = {}
    for one in waiting:
        rows.setdefault(one.run.name, []).append(
            _row(one.split, one.example_id, judge.column, one.key, scores[one.item.id])
        )
    for run in runs:
        append_lines(run.folder / "judged.jsonl", rows.get(run.name, []))
    rubric = f"{judge.rubric.name}@{judge.rubric.version}"
    bill.note("judge", judge.spend(), column=judge.column, when=hosted.when, rubric=rubric)
    return problem


def verdicts(judge: judges.Judge, items: Sequence[judges.JudgeItem], tell: Tell | None) -> tuple[dict[str, Score], str]:
    """(a score for each item by id, why the judge could not be asked at all). A judge that cannot be reached, refuses
    the key or does not exist leaves every item unscored: the exact scores stand without it."""
    from harness.registry import judges

    try:
        return judge.grade(items, tell), ""
    except (UserError, judges.BatchError) as error:
        problem = str(error)
        lost = Score(value=None, why=UNAVAILABLE, evidence={"detail": problem[:500]})
        return {item.id: lost for item in items}, problem


class ScoreFile:
    """The rows of `harness score` for one pair file, with the judge's verdict beside the exact scores when one is asked."""

    def __init__(self, task: Task, path: Path, hosted: HostedRequest, workers: int | None) -> None:
        from harness.registry import judges

        self.task, self.path, self.hosted, self.workers = task, path, hosted, workers
        self._judge: judges.Judge | None = None
        self._silent: Counter[str] = Counter()
        self._problem = ""
        if hosted.judges:
            with path.open("rb") as stream:
                account = f"score-{hashlib.file_digest(stream, 'sha256').hexdigest()[:16]}"
            self._judge = judges.Judge(judge_config(hosted, task.name, account))

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row a line, in order, as `grade_pairs` gives them; a judge's value is among `scores`, the rest in `judge`."""
        graded = graded_pairs(self.task, self.path, workers=self.workers)
        if self._judge is None:
            yield from (row for row, _, _, _ in graded)
            return
        refuse_without_key()
        while chunk := list(itertools.islice(graded, CHUNK)):
            yield from self._judged(self._judge, chunk)

    def estimate(self) -> str:
        """What the judge would be asked and cost, after exact scoring; nothing is sent."""
        if self._judge is None:
            return "no --judge is given: exact scoring costs nothing"
        graded = list(graded_pairs(self.task, self.path, workers=self.workers))
        words = estimate_words([self._judge.estimate(_items(self.task, graded))], self.hosted)
        return f"{self._judge.column}: {words}"

    def spent(self) -> str:
        """What the judge was asked and cost, for the last line; "" without one."""
        if self._judge is None:
            return ""
        reasons = ", ".join(f"{why} {count}" for why, count in self._silent.most_common())
        spend = spend_words(self._judge.spend())
        problem = f" ({self._problem})" if self._problem else ""
        return f"; {self._judge.column}: {spend}; without a verdict: {reasons or 'none'}{problem}"

    def _judged(self, judge: judges.Judge, chunk: Sequence[Graded]) -> Iterator[dict[str, Any]]:
        with call_log():
            scores, problem = verdicts(judge, _items(self.task, chunk), None)
        self._problem = self._problem or problem
        for number, (row, example, _, _) in enumerate(chunk):
            if example is None:
                yield row
                continue
            score = scores[str(number)]
            self._silent.update([score.why] if score.value is None else [])
            told = {"scorer": judge.column, "why": score.why, "reason": score.answer, **to_json(score.evidence)}
            yield {**row, "scores": {**row["scores"], judge.column: score.value}, "judge": told}


def _items(task: Task, graded: Iterable[Graded]) -> list[judges.JudgeItem]:
    return [
        judge_item(task, str(number), example, text, exact)
        for number, (_, example, text, exact) in enumerate(graded)
        if example is not None
    ]


def judge_estimate(prepared: Prepared, hosted: HostedRequest, sweep: Sweep) -> str:
    """What judging the sweep would ask and cost, in a sentence; nothing is sent.

    The answers are not known yet: gold stands for each of them, all of them are asked about, and each is new.
    """
    from harness.registry import judges

    known = sweep.hosted()
    account = f"{known['account']}/judge" if known else ""
    judge = judges.Judge(judge_config(hosted, prepared.task.name, account))
    num_finalists = min(len(prepared.specs), len({type(spec.method) for spec in prepared.specs}) + 2)
    parts: list[judges.Estimate] = []
    for split, times in (("validation", len(prepared.specs)), ("test", num_finalists)):
        items = [
            judge_item(prepared.task, example.id, example, example.gold, None)
            for example in prepared.dataset.usable(split)  # type: ignore[arg-type]  # a literal of the line above
        ]
        parts += [judge.estimate(items)] * times
    bound = "" if hosted.when == "all" else f" if every answer is {hosted.when}"
    return f"{judge.column}: {estimate_words(parts, hosted)}{bound} (answers assumed as long as gold)"


def _sorted_out(
    task: Task, judge: judges.Judge, run: Run, split: Split, examples: Mapping[str, Example]
) -> tuple[list[dict[str, Any]], list[Waiting]]:
    """(rows of answers that are not there to be judged, answers that need a verdict)."""
    known = {row["example_id"]: row for row in run.judged(split) if row["scorer"] == judge.column}
    exacts = {row["example_id"]: row["scores"][task.primary] for row in run.scores(split)}
    unanswered, waiting = [], []
    for completion in run.completions(split):
        example, exact = examples.get(completion.example_id), exacts.get(completion.example_id)
        if example is None or exact is None:
            continue
        item = judge_item(task, f"{run.name}/{example.id}", example, completion.text, Score(**exact))
        key = _key(judge, item, completion)
        row = known.get(example.id)
        if row is not None and row["key"] == key and row["score"]["value"] is not None:
            continue
        if completion.finish == "error":
            score = Score(value=None, why="not_answered", evidence={"detail": completion.error[:500]})
            unanswered.append(_row(split, example.id, judge.column, key, score))
        else:
            waiting.append(Waiting(run=run, split=split, item=item, example_id=example.id, key=key))
    return unanswered, waiting


def _key(judge: judges.Judge, item: judges.JudgeItem, completion: Completion) -> str:
    config = judge.config
    settings = [judge.column, judge.rubric.version, config.when, config.votes, config.reference_free]
    settings += [config.max_tokens, config.reason_max_chars]
    shown = [item.question, item.context, item.reference, item.submission, completion.finish]
    return digest([*settings, *shown, item.exact.value if item.exact else None], 16)


def _row(split: Split, example_id: str, scorer: str, key: str, score: Score) -> dict[str, Any]:
    return {"split": split, "example_id": example_id, "scorer": scorer, "key": key, "score": asdict(score)}
