"""How a problem is put to a model: instruct (task in words), plain (the problem alone), tags (structure by tags).

Goes in: `inputs` (question, and which answer format the gold solutions use: "hash" or "boxed"). Comes out: messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.core import Message

_FINISH = {
    "hash": "End with a line that has #### and then the final answer as a number.",
    "boxed": "Put the final answer in \\boxed{}.",
}


def _finish(inputs: Mapping[str, Any]) -> str:
    return _FINISH["boxed" if inputs.get("format") == "boxed" else "hash"]


def instruct(inputs: Mapping[str, Any]) -> list[Message]:
    """The task in words, then the problem."""
    rules = f"Solve the math problem. Write one short calculation per line. {_finish(inputs)}"
    return [Message(role="system", content=rules), Message(role="user", content=str(inputs["question"]))]


def plain(inputs: Mapping[str, Any]) -> list[Message]:
    """The problem and nothing else."""
    return [Message(role="user", content=str(inputs["question"]))]


def tags(inputs: Mapping[str, Any]) -> list[Message]:
    """The problem and the wanted form between tags, without prose."""
    wanted = "boxed" if inputs.get("format") == "boxed" else "####"
    return [Message(role="user", content=f"<problem>{inputs['question']}</problem>\n<format>{wanted}</format>")]


PROMPTS = {"instruct": instruct, "plain": plain, "tags": tags}
