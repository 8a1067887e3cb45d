"""The item browser's data, packed. Goes in: ReportData. Comes out: base64 text blocks that the page opens lazily.

The index (ids, titles, outcomes by run) is one block; prompts, golds, answers and evidence come in blocks of
`CHUNK_ITEMS` items, opened when one of their items is looked at. A block is JSON, deflated, in base64: no byte of model
text is visible to the HTML parser. Equal answers of several runs to one item are stored once. When the blocks would
outgrow `BUDGET_BYTES`, long texts are cut harder, and a cut text says how much is missing and where the whole is.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.core import OUTCOMES
from harness.report.data import ReportData, is_missing, records
from harness.store import encodable

CHUNK_ITEMS = 50
BUDGET_BYTES = 14_000_000  # of the 20 MB a report may have: figures and text take below 3
TEXT_LIMITS = (20_000, 4_000, 1_000, 250)
TITLE_CHARACTERS = 140
OUTCOME_LETTERS = dict(zip(OUTCOMES, "rwutx", strict=True))  # "-" where a run has no answer to an item


@dataclass(frozen=True, kw_only=True)
class PackedItems:
    """`index` and `chunks` are base64; `text_limit` is the length at which a text was cut."""

    index: str
    chunks: tuple[str, ...]
    text_limit: int
    num_items: int


def packed_items(data: ReportData) -> PackedItems:
    """All items that have a score, smallest id first within validation and test."""
    runs = [str(run) for run in data.runs["run"]]
    answers = _answers_by_item(data, runs)
    order = [example_id for example_id in data.examples.index if example_id in answers]
    for limit in TEXT_LIMITS:
        chunks = tuple(
            pack([_detail(data, example_id, answers[example_id], limit) for example_id in order[at : at + CHUNK_ITEMS]])
            for at in range(0, len(order), CHUNK_ITEMS)
        )
        if sum(map(len, chunks)) <= BUDGET_BYTES:
            break
    index = pack(_index(data, order, answers))
    return PackedItems(index=index, chunks=chunks, text_limit=limit, num_items=len(order))


def pack(value: Any) -> str:
    """`value` as base64 of deflated JSON (zlib format, what DecompressionStream calls "deflate")."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False, default=str)
    return base64.b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii")


def unpack(block: str) -> Any:
    """What `pack` packed."""
    return json.loads(zlib.decompress(base64.b64decode(block)))


def plain(value: Any) -> Any:
    """`value` as JSON types: NaN becomes null, numpy numbers become numbers, anything else its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if is_missing(value) or (isinstance(value, float) and value in (float("inf"), float("-inf"))):
        return None if is_missing(value) else str(value)
    return value if isinstance(value, str | int | float | bool) else str(value)


def _answers_by_item(data: ReportData, runs: list[str]) -> dict[str, list[dict[str, Any]]]:
    """example id -> one record a run: its place among the runs, the primary row, and the other scorers' values."""
    place = {run: number for number, run in enumerate(runs)}
    others: dict[tuple[str, str], dict[str, Any]] = {}
    for row in records(data.scores[data.scores["scorer"] != data.scorer]):
        others.setdefault((row["run"], row["example_id"]), {})[str(row["scorer"])] = plain(row["value"])
    found: dict[str, list[dict[str, Any]]] = {}
    for row in records(data.primary):
        if row["run"] in place:
            more = others.get((row["run"], row["example_id"]), {})
            found.setdefault(row["example_id"], []).append({**row, "place": place[row["run"]], "others": more})
    return found


def _index(data: ReportData, order: list[str], answers: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    tags: dict[str, int] = {}
    items = []
    for example_id in order:
        letters, whys = ["-"] * len(data.runs), [-1] * len(data.runs)
        for row in answers[example_id]:
            letters[row["place"]] = OUTCOME_LETTERS[row["outcome"]]
            whys[row["place"]] = reasons.setdefault(str(row["why"]), len(reasons))
        example = data.examples.loc[example_id]
        items.append(
            {
                "id": str(example_id),
                "title": _title(example["inputs"]),
                "split": str(example["split"]),
                "tags": [tags.setdefault(str(tag), len(tags)) for tag in plain(example["tags"]) or []],
                "outcomes": "".join(letters),
                "why": whys,
            }
        )
    runs = [
        {"label": str(row["label"]), "run": str(row["run"]), "style": str(row["prompt_style"])}
        for row in records(data.runs)
    ]
    return {"runs": runs, "reasons": list(reasons), "tags": list(tags), "items": items, "chunk": CHUNK_ITEMS}


def _title(inputs: Any) -> str:
    """The shortest text of the inputs: the question, not the schema."""
    texts = [value for value in inputs.values() if isinstance(value, str) and value.strip()] if inputs else []
    title = inputs.get("question") if isinstance(inputs, Mapping) and isinstance(inputs.get("question"), str) else None
    return " ".join((title or min(texts, key=len, default="")).split())[:TITLE_CHARACTERS]


def _detail(data: ReportData, example_id: str, rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    example = data.examples.loc[example_id]
    styles = {style: prompts[example_id] for style, prompts in data.prompts.items() if example_id in prompts}
    groups: dict[str, dict[str, Any]] = {}
    for row in rows:
        answer = _answer(row, limit)
        group = groups.setdefault(json.dumps(answer, sort_keys=True, default=str), {**answer, "runs": []})
        group["runs"].append(row["place"])
    return {
        "gold": _cut(example["gold"], limit),
        "cluster": str(example["cluster"] or ""),
        "prompts": {style: _cut(text, limit) for style, text in styles.items()},
        "inputs": {} if styles else _cut_json(example["inputs"], limit),
        "answers": list(groups.values()),
    }


def _answer(row: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {
        "outcome": row["outcome"],
        "why": str(row["why"]),
        "value": plain(row["value"]),
        "answer": _cut(row["answer"], limit),
        "text": _cut(row["text"], limit),
        "finish": str(row["finish"]),
        "tokens": plain(row["num_tokens"]),
        "evidence": _cut_json(row["evidence"], limit),
        "others": row["others"],
    }


def _cut(text: Any, limit: int) -> str:
    whole = "" if is_missing(text) else str(text)
    if len(whole) <= limit:
        return whole
    return f"{whole[:limit]}\n[{len(whole) - limit:,} more characters; the whole text is in completions.jsonl]"


def _cut_json(value: Any, limit: int) -> Any:
    """A JSON value small enough for the page, or a note that it was too long."""
    body = plain(value) or {}
    size = len(json.dumps(body))
    if size <= 2 * limit:
        return body
    return {"left out": f"{size:,} characters of evidence; the whole is in scores.jsonl"}


def flat_scores(data: ReportData) -> pd.DataFrame:
    """`scores` with evidence as JSON text: what items.parquet holds, one row a (run, split, example, scorer)."""
    table = data.scores.copy()
    table["evidence"] = [json.dumps(plain(value), sort_keys=True) for value in table["evidence"]]
    for column in ("run", "split", "example_id", "scorer", "why", "outcome", "answer", "finish", "text"):
        table[column] = [None if is_missing(value) else encodable(str(value)) for value in table[column]]
    for column in {"cluster", "tags"} & set(table.columns):
        table[column] = [
            json.dumps(plain(value)) if column == "tags" else encodable(str(value)) for value in table[column]
        ]
    table["value"] = table["value"].astype(float)
    labels = dict(zip(data.runs["run"], data.runs["label"], strict=True))
    table.insert(1, "label", [encodable(str(labels.get(run, run))) for run in table["run"]])
    return table
