"""The prompt styles of the SQL task. In: `Example.inputs` (question, schema, optional evidence). Out: chat messages.

`tags` follows the structure-by-tags prompts of Anyscale's fine-tuning talk (2023): markers instead of prose, which
cost fewer tokens and are easy to learn. No style sees gold or data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.core import Message, PromptFunction

TASK = "Write one SQLite query that answers the question. Reply with the SQL only."


def instruct(inputs: Mapping[str, Any]) -> Sequence[Message]:
    """The task and the schema in the system turn, the question in the user turn."""
    return (
        Message(role="system", content=f"{TASK}\n\n{inputs['schema']}"),
        Message(role="user", content=_question(inputs, "\nHint: ")),
    )


def plain(inputs: Mapping[str, Any]) -> Sequence[Message]:
    """Schema and question, no instruction."""
    return (Message(role="user", content=f"{inputs['schema']}\n\n{_question(inputs, chr(10))}"),)


def tags(inputs: Mapping[str, Any]) -> Sequence[Message]:
    """Schema and question between tags, no prose."""
    hint = f"<HINT>{inputs['evidence']}</HINT>" if inputs.get("evidence") else ""
    return (Message(role="user", content=f"<SCHEMA>{inputs['schema']}</SCHEMA>{hint}<Q>{inputs['question']}</Q><SQL>"),)


PROMPTS: Mapping[str, PromptFunction] = {"instruct": instruct, "plain": plain, "tags": tags}


def _question(inputs: Mapping[str, Any], before_hint: str) -> str:
    """The question, with the source's hint (BIRD calls it evidence) where there is one."""
    return (
        f"{inputs['question']}{before_hint}{inputs['evidence']}" if inputs.get("evidence") else str(inputs["question"])
    )
