"""Gold made ready to judge: its databases, its distilled instances, its executor. An item's JSON in, a `Prepared` out.

Runs in the sandbox child, before any prediction does. Whatever makes gold unable to judge is a `GoldError` that says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlglot import Dialect

from tasks.sql import parse
from tasks.sql.dialect import DialectError, gold_in_sqlite
from tasks.sql.distil import (
    Cover,
    cover_from_json,
    cover_key,
    cover_to_json,
    distilled,
    is_fixed_on_two,
    oracle_on,
)
from tasks.sql.duck import DuckDatabase
from tasks.sql.execute import Database, QueryError
from tasks.sql.foreign import disagreement, in_duckdb, mirrors_of
from tasks.sql.material import (
    DATA_BUDGET_STEPS,
    GoldError,
    Prepared,
    all_tables_empty,
    data_oracle,
    gold_of,
    own_database,
    schema_of,
)
from tasks.sql.mock import mock_oracle


def prepared_item(item: Mapping[str, Any]) -> Prepared:
    """Gold on its databases, by the executor that can say it. Raises GoldError."""
    dialect = str(item.get("dialect") or "sqlite")
    if dialect not in Dialect.classes:
        raise GoldError(f"unknown dialect {dialect!r}; known are {', '.join(sorted(filter(None, Dialect.classes)))}")
    return prepared_native(item) if dialect == "sqlite" else prepared_foreign(item)


def prepared_native(item: Mapping[str, Any]) -> Prepared:
    """Gold, or its translation, on SQLite. Raises GoldError."""
    prepared, database = on_own_data(item)
    _run_without_rows(prepared, database)
    return _with_instances(prepared, item)


def check_gold(item: Mapping[str, Any]) -> None:
    """Raises the GoldError of `prepared_item`, if any; where gold is plainly fixed, without the work of distilling it."""
    if str(item.get("dialect") or "sqlite") == "sqlite":
        prepared, database = on_own_data(item)
        _run_without_rows(prepared, database)
        fixed = any(oracle.decisive for oracle in prepared.oracles) or is_fixed_on_two(
            prepared.schema, prepared.gold, prepared.tree, str(item.get("seed", 0))
        )
        database.close()
        if fixed:
            return
    prepared_item({**item, "cache": None}).close()


def _run_without_rows(prepared: Prepared, database: Database) -> None:
    """Gold on its schema's empty tables, where the item has no rows that it ran on. Raises GoldError."""
    if prepared.has_data:
        return
    try:
        database.run(prepared.gold.sql, budget_steps=DATA_BUDGET_STEPS)
    except QueryError as error:
        raise GoldError(f"does not run: {error.detail or error.why}") from None


def prepared_foreign(item: Mapping[str, Any]) -> Prepared:
    """Gold of another dialect on SQLite when its translation is shown to agree with DuckDB's, else on DuckDB."""
    gold, dialect = str(item["gold"]), str(item["dialect"])
    duck = in_duckdb(gold, dialect)
    try:
        prepared = prepared_native(item)
        prepared.mirrors = mirrors_of(prepared.oracles, prepared.schema)
        problem = disagreement(prepared.mirrors, prepared.gold.sql, duck) if duck else "DuckDB cannot say it"
        if problem is None:
            return prepared
        prepared.close()
    except GoldError as error:
        problem = str(error)
    if duck is None:
        raise GoldError(f"dialect {dialect}: {problem}, and sqlglot cannot say it in DuckDB's dialect either")
    try:
        return on_duckdb(item)
    except GoldError as error:
        raise GoldError(f"dialect {dialect}: on SQLite: {problem}; on DuckDB: {error}") from None


def on_duckdb(item: Mapping[str, Any]) -> Prepared:
    """Gold on DuckDB. Raises GoldError."""
    database, has_data = own_database(item)
    schema = schema_of(database)
    text = in_duckdb(str(item["gold"]), str(item["dialect"]))
    if text is None:
        raise GoldError("sqlglot cannot say it in DuckDB's dialect")
    tree = parse.parsed(text, schema, "duckdb")
    gold = gold_of(text, tree, "duckdb")
    prepared = Prepared(gold=gold, tree=tree, schema=schema, oracles=[], dialect=str(item["dialect"]), item=item)
    own = DuckDatabase(database, schema)
    try:
        if has_data:
            if own.num_refused:
                raise GoldError(f"{own.num_refused} rows of the item's own data do not fit their column's type")
            prepared.oracles.append(data_oracle(own, gold))
        else:
            own.run(gold.sql, budget_steps=DATA_BUDGET_STEPS)
    except QueryError as error:
        raise GoldError(f"does not run: {error.detail or error.why}") from None
    return _with_instances(prepared, item)


def _with_instances(prepared: Prepared, item: Mapping[str, Any]) -> Prepared:
    """`prepared` with the instances that gold was distilled to. Raises GoldError when gold is fixed on none."""
    cover = _cover(prepared, item)
    prepared.kill_rate, prepared.num_mutants = cover.kill_rate, cover.num_mutants
    prepared.corners = [instance for instance in cover.instances if instance.tier == "adversarial"]
    for instance in cover.instances:
        oracle = oracle_on(prepared.schema, prepared.gold, instance) if instance.tier != "adversarial" else None
        prepared.oracles += [oracle] if oracle is not None else []
    written = mock_oracle(prepared.schema, prepared.gold, item["mock"]) if item.get("mock") else None
    prepared.oracles += [written] if written is not None else []
    fixed = [oracle for oracle in prepared.oracles if oracle.decisive]
    by_luck = len(fixed) == 1 and len(prepared.oracles) > 1 and fixed[0].tier != "data"  # such as all rows alike
    if not fixed or by_luck:
        raise GoldError(
            "not deterministic: which rows come back is left open on the item's own data and on every instance"
            if prepared.has_data
            else "no generated instance gives gold a result that is not empty and is fixed by the query"
        )
    return prepared


def on_own_data(item: Mapping[str, Any]) -> tuple[Prepared, Database]:
    """(gold on the item's own rows, if any, and no instance; that database). Raises GoldError."""
    database, has_data = own_database(item)
    schema = schema_of(database)
    dialect = str(item.get("dialect") or "sqlite")
    try:
        text = gold_in_sqlite(str(item["gold"]), dialect)
    except DialectError as error:
        raise GoldError(f"dialect: {error}") from None
    tree = parse.parsed(text, schema)
    gold = gold_of(text, tree)
    prepared = Prepared(gold=gold, tree=tree, schema=schema, oracles=[], dialect=dialect, item=item)
    if has_data:
        if all_tables_empty(database, schema, tree):
            raise GoldError("the item's own database has no rows in the tables that gold reads")
        prepared.oracles.append(data_oracle(database, gold))
    return prepared, database


def _cover(prepared: Prepared, item: Mapping[str, Any]) -> Cover:
    """The cover of gold, from the cache folder when it is there."""
    seed = str(item.get("seed", 0))
    key = cover_key(prepared.schema, prepared.gold, seed)
    folder = item.get("cache")
    path = Path(str(folder)) / key[:2] / f"{key}.json" if folder else None
    if path is not None and path.is_file():
        try:
            return cover_from_json(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # an unreadable cache file is distilled again
    cover = distilled(prepared.schema, prepared.gold, prepared.tree, seed)
    if path is not None:
        prepared.fresh_cover = {"path": str(path), "body": cover_to_json(cover)}
    return cover
