"""`Example.inputs` -> messages, in three styles.

instruct  the schema (functions with their meaning, attributes with their closed values, the order rule), then the text
tags      the same, in tags that mark the parts
plain     the text and a label: what is learned is learned from training alone
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.core import Message

_FORM = "function(attribute[value, value], attribute[value])"


def instruct(inputs: Mapping[str, Any]) -> list[Message]:
    """Schema in the system turn, text in the user turn."""
    system = (
        f"Write the text as {_FORM}, nothing else.\n"
        f"Functions: {_functions(inputs)}\n"
        f"Attributes, in this order: {_slots(inputs)}"
    )
    return [Message(role="system", content=system), Message(role="user", content=str(inputs["text"]))]


def tags(inputs: Mapping[str, Any]) -> list[Message]:
    """One user turn, its parts in tags."""
    body = (
        f"<form>{_FORM}</form>\n<functions>{_functions(inputs)}</functions>\n"
        f"<attributes order=fixed>{_slots(inputs)}</attributes>\n<text>{inputs['text']}</text>"
    )
    return [Message(role="user", content=body)]


def plain(inputs: Mapping[str, Any]) -> list[Message]:
    """The text alone, with a label for the answer."""
    return [Message(role="user", content=f"Text: {inputs['text']}\nRepresentation:")]


def _functions(inputs: Mapping[str, Any]) -> str:
    return _listed(inputs.get("functions", {}), "{name} = {meaning}")


def _slots(inputs: Mapping[str, Any]) -> str:
    return _listed(inputs.get("slots", {}), "{name} ({meaning})")


def _listed(meanings: Mapping[str, str], form: str) -> str:
    parts = (form.format(name=name, meaning=meaning) if meaning else name for name, meaning in meanings.items())
    return "; ".join(parts) or "any"


PROMPTS = {"instruct": instruct, "plain": plain, "tags": tags}
