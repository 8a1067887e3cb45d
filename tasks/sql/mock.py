"""Table contents that someone else wrote (a hosted model) as one more instance source. In: an item and rows for its tables.
Out: whether they can be used, and which wrong queries they tell from gold, beside the built-in generator.

Rows are data: bound as parameters, refused when they break a key, a CHECK or a foreign key, or when gold says nothing on
them. Used rows stand under `mock_tables` of an item's meta. They count as a `loose` instance: what the schema declares
holds, what joins suggest may not. `child_report` runs in the sandbox child, because rows and queries are not ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from harness.core import Example
from harness.sandbox import Killed
from tasks.sql import parse
from tasks.sql.compare import UndecidableError
from tasks.sql.dialect import DialectError, gold_in_sqlite
from tasks.sql.distil import distilled, oracle_on
from tasks.sql.execute import QueryError, memory_database
from tasks.sql.facts import facts_of
from tasks.sql.instances import Instance, Rows, generated
from tasks.sql.material import GoldError, gold_of, own_database, schema_of
from tasks.sql.mutate import mutants_of
from tasks.sql.oracle import Oracle
from tasks.sql.schema import Schema, quoted

TRIES = 8  # generated instances that are tried until gold says something on one

Tables = Mapping[str, Sequence[Sequence[Any]]]


def tables_of(example: Example) -> dict[str, dict[str, str]]:
    """table -> column -> declared type of the example's schema; {} when it cannot be read."""
    return dict(_asked({"do": "tables", "item": _item(example)}) or {})


def mock_report(example: Example, tables: Tables) -> dict[str, Any]:
    """{"problem": "" or why the rows cannot be used, "mutants": [{kind, text, mock, generated, cover}]}: which of gold's
    mutants the rows kill, which one generated instance does, which the whole built-in cover does."""
    rows = {name: list(map(list, written)) for name, written in tables.items()}
    report = _asked({"do": "mock", "item": _item(example), "tables": rows})
    return {"problem": "gold does not end on these rows", "mutants": []} if report is None else dict(report)


def child_tables(item: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """In the child: what `tables_of` returns."""
    try:
        schema = schema_of(own_database(item)[0])
    except GoldError:
        return {}
    return {table.name: {column.name: column.declared for column in table.columns} for table in schema.tables}


def child_report(item: Mapping[str, Any], tables: Tables) -> dict[str, Any]:
    """In the child: what `mock_report` returns."""
    try:
        schema = schema_of(own_database(item)[0])
        tree = parse.parsed(text := gold_in_sqlite(str(item["gold"]), str(item["dialect"])), schema)
        gold = gold_of(text, tree)
        rows = rows_of(schema, tables)
    except (GoldError, DialectError, ValueError) as error:
        return {"problem": str(error), "mutants": []}
    oracle = oracle_on(schema, gold, Instance(tier="loose", rows=rows))
    if oracle is None:
        return {"problem": "gold's result is empty, or left open, on these rows", "mutants": []}
    facts = facts_of(schema, tree)
    single = next((o for n in range(TRIES) if (o := oracle_on(schema, gold, generated(facts, "0", n, "main")))), None)
    cover = [o for i in distilled(schema, gold, tree, "0").instances if (o := oracle_on(schema, gold, i))]
    mutants = [
        {
            "kind": kind,
            "text": sql,
            "mock": _kills(oracle, sql),
            "generated": single is not None and _kills(single, sql),
            "cover": any(_kills(each, sql) for each in cover),
        }
        for kind, sql in (mutants_of(tree, schema) if tree is not None else [])
    ]
    return {"problem": "", "mutants": mutants}


def rows_of(schema: Schema, tables: Tables) -> Rows:
    """`tables` under the schema's own names. Raises ValueError when a table or a row does not fit the schema."""
    rows: Rows = {}
    for name, written in tables.items():
        table = schema.by_name.get(str(name).lower())
        if table is None or table.name in rows:
            raise ValueError(f"table {name!r} is not one of the schema, or comes twice")
        if any(len(row) != len(table.columns) for row in written):
            raise ValueError(f"table {name!r}: a row does not have {len(table.columns)} cells")
        rows[table.name] = [list(row) for row in written]
    _refuse_broken_rows(schema, rows)
    return rows


def _refuse_broken_rows(schema: Schema, rows: Rows) -> None:
    database = memory_database()
    try:
        database.write("PRAGMA foreign_keys = OFF")
        for table in schema.tables:
            database.write(table.create_sql)
        for table in schema.tables:
            marks = ",".join("?" * len(table.columns))
            for number, row in enumerate(rows.get(table.name, []), start=1):
                try:
                    database.write(f"INSERT INTO {quoted(table.name)} VALUES ({marks})", [tuple(row)])
                except (sqlite3.Error, OverflowError) as error:
                    raise ValueError(f"table {table.name!r}, row {number}: {error}") from None
        try:
            orphans = database.write("PRAGMA foreign_key_check")
        except sqlite3.Error:  # a foreign key that names no key of its parent checks nothing
            return
        if orphans:
            raise ValueError(f"table {orphans[0][0]!r}: a foreign key points to no row of {orphans[0][2]!r}")
    finally:
        database.close()


def mock_oracle(schema: Schema, gold: Any, tables: Tables) -> Oracle | None:
    """Gold on the written rows of an item; None when they no longer fit, or say nothing."""
    try:
        return oracle_on(schema, gold, Instance(tier="loose", rows=rows_of(schema, tables)))
    except ValueError:
        return None


def _asked(request: Mapping[str, Any]) -> Any:
    """The child's answer, None when it was killed. The scorer's own child serves: `score` imports this file, not back."""
    from tasks.sql import score

    try:
        return score.ask(request)
    except Killed:
        return None


def _item(example: Example) -> dict[str, Any]:
    from tasks.sql import score

    return score.item_of(example)


def _kills(oracle: Oracle, sql: str) -> bool:
    try:
        return oracle.refutes(sql)
    except QueryError:
        return True
    except UndecidableError:
        return False
