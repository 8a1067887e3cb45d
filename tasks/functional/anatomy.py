"""What data curation compares of a functional item, and the item as a line of the source `jsonl`. In: an `Example`. Out:
an `Anatomy`, or a row.

A doubt, never certain: an attribute that the schema leaves open (no list of values) has a value of which no word stands
in the text; an attribute that stands twice, or that the schema does not have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from harness.core import Anatomy, Doubt, Example, plain_anatomy
from tasks.functional.extract import content
from tasks.functional.grammar import MalformedError, Representation, parse

_CLOSED = frozenset({"", "yes", "no", "none", "true", "false"})


def anatomy(example: Example) -> Anatomy:
    """Text, schema and representation of `example` in normal forms, with what is doubtful about the representation."""
    text, schema = str(example.inputs.get("text") or ""), _schema(example)
    try:
        gold = parse(example.gold)
    except MalformedError:  # `unusable` names it; its words stand in
        plain = plain_anatomy(example)
        return Anatomy(text=text, context=schema, answer=plain.answer, template=plain.template)
    answer = repr(content(gold))
    names = tuple(slot.name for slot in gold.slots)
    return Anatomy(
        text=text,
        context=schema,
        answer=answer,
        template=f"{gold.function}({', '.join(sorted(names))})",
        meaning=answer,
        parts=(
            ("function", gold.function),
            *(("slot", name) for name in dict.fromkeys(names)),
            ("slots", str(len(names))),
        ),
        doubts=tuple(_doubts(text, gold, example)),
    )


def row(example: Example) -> dict[str, Any]:
    """`example` as a line that load.py reads back: the same id, text, schema and gold."""
    schema = {key: dict(example.inputs[key]) for key in ("functions", "slots") if key in example.inputs}
    return {"id": example.id, "text": example.inputs["text"], "gold": example.gold, **schema}


def _schema(example: Example) -> str:
    names = {key: sorted(example.inputs.get(key) or ()) for key in ("functions", "slots")}
    return json.dumps(names) if any(names.values()) else ""


def _doubts(text: str, gold: Representation, example: Example) -> Iterator[Doubt]:
    known = example.inputs.get("slots") or {}
    words = " ".join(re.findall(r"\w+", text.casefold()))
    names = [slot.name for slot in gold.slots]
    if twice := [name for name in names if names.count(name) > 1]:
        yield Doubt(kind="an attribute stands twice", seen=twice[0])
    if known and (strange := [name for name in names if name not in known]):
        yield Doubt(kind="an attribute is not in the schema", seen=strange[0])
    for slot in gold.slots:
        if known.get(slot.name):
            continue  # the schema lists its values, which English need not repeat
        for value in slot.values:
            if value.casefold() not in _CLOSED and not _told(value, words):
                yield Doubt(kind="a value of gold is not in the text", seen=f"{slot.name}[{value}]"[:100])
                return


def _told(value: str, words: str) -> bool:
    parts = re.findall(r"\w+", value.casefold())
    return not parts or any(part[:4] in words for part in parts)
