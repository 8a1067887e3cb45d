"""The math task: word problems and competition mathematics, scored by typed, exact comparison of the final answer.

`task` is the one export. See README.md for what counts as correct, beside the public graders.
"""

from __future__ import annotations

from harness.core import Example, Task
from tasks.math.anatomy import anatomy, row
from tasks.math.data import load
from tasks.math.mutants import mutants
from tasks.math.prompts import PROMPTS
from tasks.math.score import SCORERS, UNPARSED, pair, score

NASTY = (
    "", " ", "\x00", "None", "[" * 10_000, "A" * 1_000_000, "\u202e\ud7ff\U0001f600", "9**9**9**9", "9" * 1_000_000,
    "\\boxed{" * 5_000, "\\boxed{9^{9^{9^{9^{9}}}}}", "\\boxed{1000000!}", "\\boxed{" + "(" * 3_000 + "}",
    "#### __import__('os').system('true')", "<think>" * 20_000, "#### " * 50_000, "$" * 100_000,
    "the answer is " * 20_000,
)  # fmt: skip


def _judge_context(example: Example) -> str:
    return f"Problem:\n{example.inputs['question']}"


task = Task(
    name="math",
    version="1",
    summary="word problems and competition mathematics to a final answer, compared as exact typed values",
    sources=("builtin", "gsm8k", "math500", "math", "jsonl"),
    load=load,
    prompts=PROMPTS,
    score=score,
    scorers=SCORERS,
    pair=pair,
    mutants=mutants,
    nasty=NASTY,
    unparsed_reasons=UNPARSED,
    max_new_tokens=192,
    judge_context=_judge_context,
    anatomy=anatomy,
    row=row,
)

__all__ = ["task"]
