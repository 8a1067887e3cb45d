"""WikiSQL in its official layout: questions over one table each. In: a folder. Out: a `Dataset`.

Zhong et al. 2017 (https://github.com/salesforce/WikiSQL, BSD-3-Clause): {train,dev,test}.jsonl with a query as
numbers (selected column, aggregate, conditions) and {train,dev,test}.tables.jsonl with header, types and rows, in the
folder or its data/. The official splits share no table; a table found in two splits anyway goes to the later one with
all its questions.

Differences from the official executor: columns keep their headers instead of col0, col1, ...; instead of lower-casing
table and query, text columns compare without case (COLLATE NOCASE), which gives the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core import SPLITS, BrokenRow, DataRequest, Dataset, Example, Split, UserError, digest
from harness.sources import content_hash, locate, read_jsonl
from tasks.sql.sources_assemble import Source, Splits, assembled, read_examples, text_of, without_shared_groups
from tasks.sql.sources_ddl import quoted

AGGREGATES = ("", "MAX", "MIN", "COUNT", "SUM", "AVG")
SIGNS = ("=", ">", "<")
FILES: Mapping[Split, str] = {"train": "train", "validation": "dev", "test": "test"}
RULE = "the official splits, which share no table; validation is dev.jsonl"


def load(request: DataRequest) -> Dataset:
    """WikiSQL from `request.path` or `TUNEBENCH_DATA/wikisql`. Raises UserError when a file is missing."""
    folder = locate("wikisql", path=request.path, hub=None, offline=request.offline)
    folder = folder / "data" if (folder / "data" / "train.jsonl").is_file() else folder
    names = [f"{name}{end}" for name in FILES.values() for end in (".jsonl", ".tables.jsonl")]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} lacks {', '.join(missing)}; unpack WikiSQL's data.tar.bz2 there")
    broken: list[BrokenRow] = []
    splits: Splits = {split: _examples(folder, FILES[split], broken) for split in SPLITS}
    source = Source(
        name="wikisql",
        revision=content_hash([folder / name for name in names]),
        licence="BSD-3-Clause",
        split_rule=RULE,
    )
    return assembled(source, without_shared_groups(splits, lambda example: [example.cluster]), broken, request)


def _examples(folder: Path, name: str, broken: list[BrokenRow]) -> list[Example]:
    tables: dict[str, Mapping[str, Any]] = {}
    for line, row in read_jsonl(folder / f"{name}.tables.jsonl"):
        if isinstance(row, BrokenRow):
            broken.append(row)
        elif not isinstance(row.get("id"), str):
            broken.append(
                BrokenRow(file=f"{name}.tables.jsonl", line=line, why=f"'id' must be a text, got {row.get('id')!r}")
            )
        else:
            tables[row["id"]] = row

    def make(row: Mapping[str, Any], line: int) -> Example:
        return example(row, tables)

    return read_examples(read_jsonl(folder / f"{name}.jsonl"), f"{name}.jsonl", make, broken)


def example(row: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> Example:
    """One question. Raises ValueError saying what is wrong with the row."""
    question, table_id = text_of(row, "question"), text_of(row, "table_id")
    if table_id not in tables:
        raise ValueError(f"table {table_id!r} is not in the tables file")
    table = tables[table_id]
    names, kinds = _columns(table)
    name = "table_" + table_id.replace("-", "_")
    gold = _gold(row.get("sql"), name, names, kinds)
    typed = list(zip(names, kinds, strict=True))
    parts = ", ".join(
        f"{quoted(column)} {'REAL' if kind == 'real' else 'TEXT COLLATE NOCASE'}" for column, kind in typed
    )
    shown = ", ".join(f"{quoted(column)} {'REAL' if kind == 'real' else 'TEXT'}" for column, kind in typed)
    return Example(
        id=f"wikisql-{digest([table_id, question, gold], 16)}",
        inputs={"question": question, "schema": f"CREATE TABLE {name} ({shown});"},
        gold=gold,
        meta={
            "schema": f"CREATE TABLE {name} ({parts});",
            "data": _inserts(name, table, len(names)),
            "dialect": "sqlite",
        },
        cluster=table_id,
    )


def _columns(table: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    header, kinds = table.get("header"), table.get("types")
    if not (isinstance(header, list) and isinstance(kinds, list) and header and len(header) == len(kinds)):
        raise ValueError(f"table {table.get('id')!r}: 'header' and 'types' must be lists of one length")
    names: list[str] = []
    for place, column in enumerate(header):
        plain = " ".join(str(column).split()) or f"col{place}"
        names.append(plain if plain.lower() not in {name.lower() for name in names} else f"{plain} {place}")
    return names, [str(kind) for kind in kinds]


def _gold(sql: Any, table: str, names: list[str], kinds: list[str]) -> str:
    try:
        column, aggregate = names[_place(sql["sel"])], AGGREGATES[_place(sql["agg"])]
        tests = [
            f"{quoted(names[_place(place)])} {SIGNS[_place(sign)]} {_literal(value, kinds[place])}"
            for place, sign, value in sql["conds"]
        ]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"'sql' must be {{sel, agg, conds}} with places inside the table, got {sql!r} ({error})"
        ) from None
    head = f"{aggregate}({quoted(column)})" if aggregate else quoted(column)
    return f"SELECT {head} FROM {table}" + (f" WHERE {' AND '.join(tests)}" if tests else "")


def _place(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a place in a list")
    return value


def _literal(value: Any, kind: str) -> str:
    if kind == "real":
        try:
            return repr(float(str(value).replace(",", "")))
        except ValueError:
            pass  # a text compared with a number column: kept as text, it matches nothing, as at the source
    return "'" + str(value).replace("'", "''") + "'"


def _inserts(name: str, table: Mapping[str, Any], width: int) -> str:
    rows = table.get("rows")
    if not isinstance(rows, list) or any(not isinstance(row, list) or len(row) != width for row in rows):
        raise ValueError(f"table {table.get('id')!r}: 'rows' must be a list of rows with {width} values each")
    lines = [f"({', '.join('NULL' if value is None else _value(value) for value in row)})" for row in rows]
    return f"INSERT INTO {name} VALUES\n" + ",\n".join(lines) + ";" if lines else ""


def _value(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(value) if number else "'" + str(value).replace("'", "''") + "'"
