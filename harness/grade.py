"""Completions + scorers -> scores. In: a task, its examples and what models answered. Out: score rows.

Scorers run in killable child processes. A crash or a kill of a scorer is our failure: the item is unscored with the
reason, never 0. `harness score` grades pair files made anywhere through the same path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.core import BrokenRow, Completion, Example, Score, Task, UserError, outcome, to_json
from harness.registry import load_task
from harness.sandbox import Killed, RemoteError, run_all
from harness.sources import json_row

MEMORY_BYTES = 4 << 30


def default_workers() -> int:
    """One scoring process for each core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def grade(
    task: Task, pairs: Iterable[tuple[Example, Completion]], *, workers: int | None = None
) -> Iterator[dict[str, Any]]:
    """One score row for each (example, completion), in order: example_id, split, outcome, finish, scores."""
    kept: list[tuple[Example, Completion]] = []

    def payloads() -> Iterator[Any]:
        for example, completion in pairs:
            kept.append((example, completion))
            failed = completion.finish == "error"  # there is no answer: unscored with the reason, never a 0
            yield None if failed else [task.name, to_json(example), completion.text]

    for index, reply in enumerate(_replies(task, payloads(), workers)):
        example, completion = kept[index]
        if completion.finish == "error":
            scores = dict.fromkeys(task.scorers, _unanswered(completion.error))
        else:
            scores = _scores(task, reply)
        yield {
            "example_id": example.id,
            "split": completion.split,
            "outcome": outcome(scores[task.primary], completion.finish, task.unparsed_reasons),
            "finish": completion.finish,
            "scores": {name: asdict(score) for name, score in scores.items()},
        }


def grade_pairs(task: Task, path: Path, *, workers: int | None = None) -> Iterator[dict[str, Any]]:
    """One row for each line of a pair file, in order: id, scores, why, answer and the primary scorer's evidence.

    A broken line comes out as a row with `error` and its line number.
    """
    return (row for row, _, _, _ in graded_pairs(task, path, workers=workers))


def graded_pairs(
    task: Task, path: Path, *, workers: int | None = None
) -> Iterator[tuple[dict[str, Any], Example | None, str, Score | None]]:
    """`grade_pairs` with what a judge needs: (row, example, prediction, primary score); a broken line has no example."""
    lines: list[tuple[int, Mapping[str, Any], str, Example | None]] = []

    def payloads() -> Iterator[Any]:
        for number, row in _every_line(path):
            body, problem = ({}, row.why) if isinstance(row, BrokenRow) else (row, "")
            example = None
            if not problem:
                try:
                    example = task.pair(body)
                    if not isinstance(body.get("prediction"), str):
                        raise ValueError(
                            f"key 'prediction' must be a string, got {type(body.get('prediction')).__name__}"
                        )
                except Exception as error:  # becomes the line's error row
                    told = isinstance(error, ValueError | UserError)
                    problem = str(error) if told else f"{type(error).__name__}: {error}"
            lines.append((number, body, problem, example))
            yield None if problem else [task.name, to_json(example), body["prediction"]]

    for index, reply in enumerate(_replies(task, payloads(), workers)):
        number, body, problem, example = lines[index]
        if problem:
            broken = {"id": body.get("id"), "error": problem, "line": number, "scores": None, "why": "broken_line"}
            yield broken, None, "", None
            continue
        scores = _scores(task, reply)
        primary = scores[task.primary]
        row = {
            "id": body.get("id"),
            "scores": {name: score.value for name, score in scores.items()},
            "why": primary.why,
            "answer": primary.answer,
            **{key: value for key, value in primary.evidence.items() if key not in ("id", "scores", "why", "answer")},
        }
        yield row, example, body["prediction"], primary


def _every_line(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BrokenRow]]:
    """Every line, blank ones as broken: what comes out has as many lines as what went in."""
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            yield number, json_row(line, path.name, number)


def score_one(payload: Sequence[Any] | None) -> dict[str, Any] | None:
    """In the child: score one [task name, example, text]. None passes through (a broken line, or no answer)."""
    if payload is None:
        return None
    name, body, text = payload
    example = Example(**{**body, "tags": tuple(body["tags"])})
    return {scorer: asdict(score) for scorer, score in _task(name).score(example, text).items()}


@lru_cache(maxsize=4)
def _task(name: str) -> Task:
    return load_task(name)


def _replies(task: Task, payloads: Iterator[Any], workers: int | None) -> Iterator[Any]:
    return run_all(
        "harness.grade:score_one",
        payloads,
        workers=workers or default_workers(),
        timeout_s=task.score_timeout_s,
        memory_bytes=MEMORY_BYTES,
        max_file_bytes=1 << 30,  # scorers may keep a cache; what a model wrote runs in the task's own, stricter child
    )


def _unanswered(error: str) -> Score:
    """The score of an answer that is not there: its reason is the word before the colon, the rest stands as evidence."""
    why, _, detail = error.partition(":")
    return Score(value=None, why=why or "not_sampled", evidence={"detail": detail.strip()} if detail else {})


def _scores(task: Task, reply: Any) -> dict[str, Score]:
    if isinstance(reply, Killed | RemoteError):
        why = f"scorer_{reply.reason}" if isinstance(reply, Killed) else "scorer_error"
        return {name: Score(value=None, why=why, evidence={"detail": str(reply)[:500]}) for name in task.scorers}
    missing = [name for name in task.scorers if name not in reply]
    scores = {name: Score(**body) for name, body in reply.items()}
    return scores | {name: Score(value=None, why="scorer_silent") for name in missing}
