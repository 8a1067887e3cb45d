"""What data curation compares of a SQL item, and the item as a line of the source `jsonl`. In: an `Example`. Out: an
`Anatomy`, or a row.

The query is taken apart in a child process (dissect.py) that is killed on time and memory: golds come from data sets. A
gold that cannot be taken apart keeps its words as its normal form.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from harness.core import Anatomy, Doubt, Example, masked_values
from harness.sandbox import Killed, RemoteError, Worker

MEMORY_BYTES = 1 << 30
TIMEOUT_S = 20.0
_local = threading.local()


def anatomy(example: Example) -> Anatomy:
    """Question, schema and query of `example` in normal forms, with what is doubtful about the query."""
    question = " ".join(str(example.inputs.get(key) or "") for key in ("question", "evidence")).strip()
    try:
        found = _worker().call(_item(example, question), TIMEOUT_S)
    except (Killed, RemoteError):  # what happened to gold is said by `gold_problem`; here its words stand in
        found = {"answer": " ".join(example.gold.split()), "context": _words(_schema(example))}
    context = str(found["context"])
    return Anatomy(
        text=question,
        context=context,
        answer=str(found["answer"]),
        template=str(found.get("template") or masked_values(example.gold)),
        meaning=f"{context} {found['answer']}",
        parts=tuple((str(kind), str(name)) for kind, name in found.get("parts", ())),
        doubts=tuple(Doubt(kind=kind, seen=seen, certain=certain) for kind, seen, certain in found.get("doubts", ())),
    )


def row(example: Example) -> dict[str, Any]:
    """`example` as a line that sources_jsonl reads back: the same id, prompt, gold and data."""
    meta, inputs = example.meta, example.inputs
    schema = str(meta.get("schema") or inputs["schema"])
    kept: dict[str, Any] = {
        "id": example.id,
        "question": inputs["question"],
        "gold": example.gold,
        "schema": schema,
        "db_id": example.cluster,
        "tags": list(example.tags),
    }
    if inputs["schema"] != schema:
        kept["shown_schema"] = inputs["schema"]
    kept |= {key: meta[key] for key in ("data", "database", "dialect", "gold_alternatives") if meta.get(key)}
    return {**kept, "evidence": inputs["evidence"]} if inputs.get("evidence") else kept


def _schema(example: Example) -> str:
    return str(example.meta.get("schema") or example.inputs.get("schema") or "")


def _words(text: str) -> str:
    return " ".join(text.casefold().split())


def _item(example: Example, question: str) -> Mapping[str, Any]:
    meta = {key: str(example.meta.get(key) or "") for key in ("data", "database", "dialect")}
    return {**meta, "question": question, "schema": _schema(example), "gold": example.gold}


def _worker() -> Worker:
    worker: Worker | None = getattr(_local, "worker", None)
    if worker is None:
        worker = Worker("tasks.sql.dissect:serve", memory_bytes=MEMORY_BYTES)
        _local.worker = worker
    return worker
