"""A team's own data: one JSON object a line. In: a file, or a folder of train/validation/test .jsonl. Out: a `Dataset`.

| key | what |
|---|---|
| question | the question (needed) |
| gold, or query, sql, answer | the right query (needed) |
| schema or database | DDL text, or a SQLite file's path, relative to the .jsonl file (one is needed) |
| data | INSERT statements for `schema` |
| gold_alternatives, or alternatives | a list of other right queries |
| shown_schema | the schema as the prompt shows it (default: `schema`) |
| dialect | sqlite (default), postgres, mysql, ... |
| evidence | a hint that the prompt shows |
| id, db_id, split | an id; what items belong together; train, validation (or dev) or test |
| tags | a list of texts, the slices of the report |

Splits: a row's `split`, else its file's name, else by whole schemas (`db_id`, database, or schema text) with a stable
hash: 15 % validation, 15 % test. With fewer than five schemas that cannot be done: then items are divided by a stable
hash of their question, the schemas are shared by all splits, and `split_rule` says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from harness.core import SPLITS, BrokenRow, DataRequest, Dataset, Example, Split, UserError, digest
from harness.sources import content_hash, locate, read_jsonl, split_by_group
from tasks.sql.dialect import known_dialect
from tasks.sql.sources_assemble import SQL_KEYS, Source, Splits, assembled, read_examples, text_of
from tasks.sql.sources_ddl import file_ddl

SHARES = (0.15, 0.15)
FEWEST_SCHEMAS = 5
_SPLIT_WORDS: Mapping[str, Split] = {
    **{str(split): split for split in get_args(Split)},
    "dev": "validation",
    "valid": "validation",
    "val": "validation",
}


def load(request: DataRequest) -> Dataset:
    """The file or folder at `request.path` (or `TUNEBENCH_DATA/jsonl`)."""
    path = locate("jsonl", path=request.path, hub=None, offline=request.offline)
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} holds no .jsonl file; give a file, or a folder with train.jsonl and test.jsonl")
    broken: list[BrokenRow] = []
    told: Splits = {split: [] for split in SPLITS}
    untold: list[Example] = []
    for file in files:
        made: dict[str, Split | None] = {}

        def make(row: Mapping[str, Any], line: int, file: Path = file, made: dict[str, Split | None] = made) -> Example:
            example = _example(row, file)
            made[example.id] = _split(row)
            return example

        for example in read_examples(read_jsonl(file), file.name, make, broken):
            split = made[example.id] or _SPLIT_WORDS.get(file.stem.lower())
            (told[split] if split else untold).append(example)
    splits, rule = _divided(untold, told)
    source = Source(name="jsonl", revision=content_hash(files), licence="the owner's", split_rule=rule)
    return assembled(source, splits, broken, request)


def _divided(untold: list[Example], told: Splits) -> tuple[Splits, str]:
    rule = "as the rows or file names say"
    if untold:
        schemas = {example.cluster for example in untold}
        whole = len(schemas) >= FEWEST_SCHEMAS
        parts = split_by_group(untold, (lambda e: e.cluster) if whole else _question, SHARES, seed=0)
        for split, examples in zip(SPLITS, parts, strict=True):
            told[split] += examples
        rule = (
            "whole schemas by a stable hash: 70 % train, 15 % validation, 15 % test"
            if whole
            else "items by a stable hash of the question: 70 % train, 15 % validation, 15 % test; the "
            f"{len(schemas)} "
            "schema(s) are shared by all splits, so the test does not measure new schemas"
        )
    if not told["test"]:
        raise UserError(
            f"no row is in the test split ({sum(map(len, told.values()))} rows read); add rows or 'split' keys"
        )
    return told, rule


def _question(example: Example) -> str:
    return " ".join(str(example.inputs["question"]).lower().split())


def _example(row: Mapping[str, Any], file: Path) -> Example:
    question, gold = text_of(row, "question"), text_of(row, *SQL_KEYS)
    meta = _material(row, file)
    for key in ("data", "dialect"):
        if row.get(key) is not None:
            meta[key] = text_of(row, key)
    if "dialect" in meta:
        meta["dialect"] = known_dialect(meta["dialect"])
    others = row.get("gold_alternatives", row.get("alternatives", []))
    if not (isinstance(others, list) and all(isinstance(other, str) and other.strip() for other in others)):
        raise ValueError(f"'gold_alternatives' must be a list of non-empty texts, got {others!r}")
    name = str(row.get("db_id") or meta.get("database") or digest(str(meta["schema"]), 12))
    shown = text_of(row, "shown_schema") if row.get("shown_schema") is not None else meta["schema"]
    tags = row.get("tags", [])
    if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise ValueError(f"'tags' must be a list of texts, got {tags!r}")
    inputs = {"question": question, "schema": shown}
    if isinstance(row.get("evidence"), str) and row["evidence"].strip():
        inputs["evidence"] = row["evidence"].strip()
    return Example(
        id=_id(row) or f"item-{digest([question, gold, meta['schema']], 16)}",
        inputs=inputs,
        gold=gold,
        meta={"dialect": "sqlite", **meta, "gold_alternatives": list(others)},
        cluster=name,
        tags=tuple(tags),
    )


def _material(row: Mapping[str, Any], file: Path) -> dict[str, str]:
    """`schema`, and `database` when the row names one. Raises ValueError when neither is there or a file is not."""
    meta: dict[str, str] = {}
    if row.get("database") is not None:
        database = file.parent / Path(text_of(row, "database")).expanduser()
        if not database.is_file():
            raise ValueError(f"'database' {row['database']!r} is no file (looked for {database})")
        meta["database"] = str(database)
    if row.get("schema") is not None:
        meta["schema"] = text_of(row, "schema")
    elif "database" in meta:
        meta["schema"] = file_ddl(Path(meta["database"]))
    else:
        raise ValueError("'schema' (DDL text) or 'database' (a SQLite file) is needed, got neither")
    return meta


def _id(row: Mapping[str, Any]) -> str:
    value = row.get("id")
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError(f"'id' must be a non-empty text or an integer, got {value!r}")
    return str(value)


def _split(row: Mapping[str, Any]) -> Split | None:
    value = row.get("split")
    if value is None:
        return None
    if not isinstance(value, str) or value.lower() not in _SPLIT_WORDS:
        raise ValueError(f"'split' must be one of {', '.join(_SPLIT_WORDS)}, got {value!r}")
    return _SPLIT_WORDS[value.lower()]
