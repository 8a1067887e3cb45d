"""Scores of a task that is under suspicion: its scorer may hang, crash or raise. In: pairs. Out: a verdict for each.

Every call is made in a child process that is killed on time: registered tasks through `harness.grade`, the very path of
a sweep, other `Task` values in a fork.
"""

from __future__ import annotations

import json
import multiprocessing
import warnings
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from harness.core import Completion, Example, Score, Task
from harness.grade import grade
from harness.registry import load_task, task_names

KILLS_TO_GIVE_UP = 3  # a scorer that hangs everywhere costs three time limits, not one for each item

Pair = tuple[Example, str]
Scores = Mapping[str, Score]


class Referee:
    """Scores pairs of one task in killable children, and gives up for good after some kills."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._kills = 0
        registered = task.name in task_names() and load_task(task.name).score is task.score
        self._stream = _graded if registered else _forked

    def scores(self, pairs: Sequence[Pair]) -> list[Scores]:
        """A score for each pair. What was not scored is None with the reason as `why`: `scorer_timeout` and so on."""
        out: list[Scores] = []
        if self._kills < KILLS_TO_GIVE_UP:
            stream = self._stream(self._task, pairs)
            for scores in stream:
                out.append(scores)
                self._kills += scores[self._task.primary].why in ("scorer_timeout", "scorer_memory", "scorer_crash")
                if self._kills >= KILLS_TO_GIVE_UP:
                    stream.close()
                    break
        return out + [_unscored(self._task, "scorer_given_up")] * (len(pairs) - len(out))


def _graded(task: Task, pairs: Sequence[Pair]) -> Generator[Scores, None, None]:
    completions = (
        (e, Completion(example_id=e.id, split="test", text=text, finish="stop", num_prompt_tokens=0, num_tokens=0))
        for e, text in pairs
    )
    for row in grade(task, completions):
        yield {name: Score(**body) for name, body in row["scores"].items()}


def _forked(task: Task, pairs: Sequence[Pair]) -> Generator[Scores, None, None]:
    """Forked, because a task that no package registers has no name that a fresh interpreter could load it by."""
    position = 0
    while position < len(pairs):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("fork").Process(
            target=_serve, args=(task, pairs[position:], theirs), daemon=True
        )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # 3.12 warns of forks beside threads: the child is killable
            child.start()
        theirs.close()
        try:
            while position < len(pairs):
                try:
                    reply = json.loads(ours.recv_bytes()) if ours.poll(task.score_timeout_s) else "timeout"
                except (EOFError, OSError):
                    reply = "crash"
                position += 1
                if isinstance(reply, str):
                    yield _unscored(task, f"scorer_{reply.partition(':')[0]}", reply)
                else:
                    silent = _unscored(task, "scorer_silent")
                    yield {**silent, **{name: Score(**body) for name, body in reply.items()}}
                if reply in ("timeout", "crash"):
                    break
        finally:
            child.kill()
            child.join()
            ours.close()


def _serve(task: Task, pairs: Sequence[Pair], replies: Connection) -> None:
    for example, text in pairs:
        try:
            body: Any = {name: asdict(score) for name, score in task.score(example, text).items()}
            reply = json.dumps(body)
        except Exception as error:  # becomes a recorded row, as in harness.grade
            reply = json.dumps(f"error: {type(error).__name__}: {error}"[:500])
        replies.send_bytes(reply.encode())


def _unscored(task: Task, why: str, detail: str = "") -> Scores:
    return {name: Score(value=None, why=why, evidence={"detail": detail} if detail else {}) for name in task.scorers}
