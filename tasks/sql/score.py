"""The SQL scorers: an example and a model's text in, one `Score` per scorer out.

The first scorer, `execution`, decides. Its `why` is one word of WHY:

| why | value | meaning |
|---|---|---|
| correct | 1 | equal on every database; evidence says how many, and how many wrong queries they tell apart |
| refuted_corner | 1 | equal but for NULLs or empty tables: beside the headline; `execution_strict` counts it |
| refuted | 0 | differs on a database that the evidence shows |
| superset | 0 | has every gold column and further ones |
| unparsed | 0 | no SQL in the text |
| rejected | 0 | SQL that is not one reading query, or breaks a limit |
| execution_error | 0 | SQLite refuses it; evidence has the kind |
| timeout, memory, too_large | 0 | the query broke the step budget or wall clock, the memory cap, the result cap |
| gold_unusable | None | gold cannot judge this item; evidence says why |
| undecided, scorer_error | None | our failure, never the model's |

The work is done in a child process (judge.py) that is killed on time and memory; one child per thread of the caller.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.core import Example, Mutant, Score, digest
from harness.sandbox import Killed, RemoteError, Worker
from harness.sources import cache_dir
from tasks.sql.dialect import known_dialect

SCORER_VERSION = "2"
SCORERS = (
    "execution",
    "execution_strict",
    "bird_ex",
    "test_suite",
    "spider2",
    "exact_match",
    "component_match",
    "efficiency",
)
WHY = (
    "correct", "refuted_corner", "refuted", "superset", "different_parse", "slower", "unparsed", "rejected",
    "execution_error", "timeout", "memory", "too_large", "gold_unusable", "undecided", "scorer_error",
)  # fmt: skip
UNPARSED_REASONS = frozenset({"unparsed"})
MEMORY_BYTES = 1 << 30
DUCKDB_MEMORY_BYTES = 2 << 30  # of address space, most of it reserved and never touched; its own limit is 256 MB
PREPARE_TIMEOUT_S = 90.0
JUDGE_TIMEOUT_S = 20.0
MAX_SENT_CHARS = 400_000  # extraction looks at no more than its first 300,000

NASTY: tuple[str, ...] = (
    "",
    " ",
    "\x00",
    "None",
    "[" * 10_000,
    "A" * 1_000_000,
    "\u202e\ud7ff\U0001f600",
    "SELECT",
    "SELECT " + "(" * 10_000 + "1" + ")" * 10_000,
    "SELECT '\x00' FROM sqlite_master",
    "SELECT '" + "x" * 10_000_000 + "'",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
    "SELECT load_extension('/tmp/x.so')",
    "SELECT writefile('/tmp/tunebench_canary', 'x')",
    "SELECT fts3_tokenizer('simple', x'00')",
    "SELECT zeroblob(2000000000)",
    "SELECT printf('%2000000000d', 1)",
    "ATTACH DATABASE '/tmp/tunebench_canary.db' AS canary",
    "VACUUM INTO '/tmp/tunebench_canary.db'",
    "PRAGMA writable_schema = 1",
    "DROP TABLE singer",
    "SELECT 1; DROP TABLE singer",
    "SELECT random()",
    "SELECT * FROM pragma_database_list",
)

_local = threading.local()


def score(example: Example, text: str) -> dict[str, Score]:
    """One Score for every name in SCORERS. Never raises for what `text` holds."""
    golds = [example.gold, *(str(gold) for gold in example.meta.get("gold_alternatives") or ())]
    best: dict[str, Score] = {}
    for gold in golds:
        scores = _score_against(_item(example, gold), text)
        best = scores if not best else {name: _better(best[name], scores[name]) for name in SCORERS}
        if best["execution"].value == 1.0:
            break
    return best


def pair(row: Mapping[str, Any]) -> Example:
    """The Example of one line of `harness score sql`. Raises ValueError saying which key is wrong.

    Keys: id, gold, prediction (not read here), schema (DDL) or database (path), optional data (INSERTs), dialect,
    question, gold_alternatives.
    """
    for key in ("id", "gold"):
        if not isinstance(row.get(key), str | int) or not str(row[key]).strip():
            raise ValueError(f"key {key!r} must be a non-empty string, got {row.get(key)!r}")
    for key in ("schema", "data", "database", "dialect", "question"):
        if not isinstance(row.get(key), str | None):
            raise ValueError(f"key {key!r} must be a string, got {type(row[key]).__name__}")
    if not (row.get("schema") or row.get("database")):
        raise ValueError("a pair needs 'schema' (DDL text) or 'database' (a path to a SQLite file), got neither")
    alternatives = row.get("gold_alternatives") or []
    if not isinstance(alternatives, list) or not all(isinstance(item, str) for item in alternatives):
        raise ValueError(f"key 'gold_alternatives' must be a list of strings, got {alternatives!r}")
    meta = {key: row[key] for key in ("schema", "data", "database") if row.get(key)}
    if row.get("dialect"):
        meta["dialect"] = known_dialect(row["dialect"])
    return Example(
        id=str(row["id"]),
        inputs={"question": row.get("question") or "", "schema": row.get("schema") or ""},
        gold=str(row["gold"]),
        meta={**meta, "gold_alternatives": list(alternatives)},
    )


def gold_problem(example: Example) -> str | None:
    """Why the gold of `example` cannot judge, None when it can. Looks at the item's own data only when it has any."""
    item = _item(example, example.gold)
    try:
        reply = _worker(item["dialect"]).call({"do": "check", "item": item}, PREPARE_TIMEOUT_S)
    except Killed as killed:
        return f"gold could not be prepared: {killed}"
    return None if reply["problem"] is None else str(reply["problem"])


def mutants(example: Example) -> Iterable[Mutant]:
    """Wrong answers made from gold, one or a few of each kind, that mean something else on ordinary data."""
    item = _item(example, example.gold)
    try:
        reply = _worker(item["dialect"]).call({"do": "mutants", "item": item}, PREPARE_TIMEOUT_S)
    except Killed:
        return []  # gold is unusable then, and `gold_problem` says so
    return [Mutant(kind=str(kind), text=str(text)) for kind, text in reply]


def ask(request: Mapping[str, Any]) -> Any:
    """The answer of the scoring child to one request about an item's own material. Raises Killed."""
    return _worker().call(request, PREPARE_TIMEOUT_S)


def item_of(example: Example) -> dict[str, Any]:
    """What the scoring child is told of an example."""
    return _item(example, example.gold)


def _score_against(item: Mapping[str, Any], text: str) -> dict[str, Score]:
    key = digest([SCORER_VERSION, item], 32)
    worker = _worker(item["dialect"])
    try:
        ready = worker.call({"do": "prepare", "key": key, "item": item}, PREPARE_TIMEOUT_S)
    except Killed as killed:
        return _all(Score(value=None, why="gold_unusable", evidence={"kind": f"gold could not be prepared: {killed}"}))
    except RemoteError as error:
        return _all(Score(value=None, why="scorer_error", evidence={"kind": str(error)}))
    _keep(ready.get("fresh"))
    if ready["problem"] is not None:
        return _all(Score(value=None, why="gold_unusable", evidence={"kind": ready["problem"]}))
    sent = text[:MAX_SENT_CHARS]
    try:
        reply = worker.call({"do": "judge", "key": key, "item": item, "text": sent}, JUDGE_TIMEOUT_S)
    except Killed as killed:
        why = {"timeout": "timeout", "memory": "memory", "crash": "memory", "oversized": "too_large"}[killed.reason]
        return _all(Score(value=0.0, why=why, answer=text[:1000], evidence={"kind": f"killed: {killed}"}))
    except RemoteError as error:
        return _all(Score(value=None, why="scorer_error", answer=text[:1000], evidence={"kind": str(error)}))
    return {name: Score(**reply[name]) for name in SCORERS}


def _keep(fresh: Mapping[str, Any] | None) -> None:
    """Write a cover that was distilled now; where nothing can be written it is distilled again next time."""
    if fresh is None:
        return
    path = Path(fresh["path"])
    temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(fresh["body"]))
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)


def _cache_folder() -> str | None:
    try:
        return str(cache_dir() / "sql-covers")
    except OSError:
        return None


def _item(example: Example, gold: str) -> dict[str, Any]:
    meta = example.meta
    return {
        "gold": gold,
        "schema": str(meta.get("schema") or example.inputs.get("schema") or ""),
        "data": meta.get("data") or "",
        "database": str(meta.get("database") or ""),
        "dialect": str(meta.get("dialect") or "sqlite"),
        "cache": _cache_folder(),
        **({"mock": meta["mock_tables"]} if meta.get("mock_tables") else {}),
    }


def _worker(dialect: str = "sqlite") -> Worker:
    """This thread's child for items of `dialect`: one for SQLite's, one for all others, which may load DuckDB."""
    name, memory_bytes = ("worker", MEMORY_BYTES) if dialect == "sqlite" else ("duckdb_worker", DUCKDB_MEMORY_BYTES)
    worker: Worker | None = getattr(_local, name, None)
    if worker is None:
        worker = Worker("tasks.sql.judge:serve", memory_bytes=memory_bytes)
        setattr(_local, name, worker)
    return worker


def _better(left: Score, right: Score) -> Score:
    rank = [-1.0 if s.value is None else s.value for s in (left, right)]
    return right if rank[1] > rank[0] else left


def _all(score: Score) -> dict[str, Score]:
    return dict.fromkeys(SCORERS, score)
