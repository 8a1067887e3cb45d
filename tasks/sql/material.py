"""What an item brings along, and gold made ready on it. An item's JSON in, a `Prepared` out; runs in the sandbox
child.

The order of oracles is the order of judging: the item's own data first, then the generated instances.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlglot import exp

from tasks.sql import parse
from tasks.sql.execute import Database, Executor, QueryError, file_database
from tasks.sql.foreign import Mirror
from tasks.sql.instances import Instance
from tasks.sql.oracle import Gold, Oracle
from tasks.sql.schema import Schema, SchemaError, database_from_text, read_schema
from tasks.sql.variants import variants_of

DATA_BUDGET_STEPS = 20_000_000
_CLOCK = re.compile(r"\bcurrent_(?:date|time|timestamp)\b|['\"]now['\"]", re.IGNORECASE)


class GoldError(Exception):
    """Why the gold query of an item cannot judge, in words for the report."""


@dataclass(kw_only=True)
class Prepared:
    """One gold query on all its databases. `oracles` are in the order of judging."""

    gold: Gold
    tree: exp.Expr | None
    schema: Schema
    oracles: list[Oracle]
    corners: list[Instance] = field(default_factory=list)  # of the adversarial tier; few predictions need them
    kill_rate: float | None = None
    num_mutants: int = 0
    dialect: str = "sqlite"  # of the item's own texts
    mirrors: list[Mirror] = field(
        default_factory=list
    )  # where a query of another dialect is shown to be well translated
    second: Prepared | None = None  # the same gold on DuckDB, once a prediction needed it
    item: Mapping[str, Any] = field(default_factory=dict)
    fresh_cover: dict[str, Any] | None = None  # a cover that was distilled in this process and is not yet on disk

    @property
    def has_data(self) -> bool:
        """Whether the item came with rows of its own."""
        return any(oracle.tier == "data" for oracle in self.oracles)

    def close(self) -> None:
        """Give back every database."""
        for oracle in self.oracles:
            oracle.database.close()
        for mirror in self.mirrors:
            mirror.duck.close()
        if self.second is not None:
            self.second.close()


def own_database(item: Mapping[str, Any]) -> tuple[Database, bool]:
    """(the item's database, whether it has rows). Raises GoldError when it cannot be built."""
    try:
        if item.get("database"):
            return file_database(Path(str(item["database"]))), True
        database = database_from_text(str(item["schema"]), str(item.get("data") or ""), str(item["dialect"]))
        return database, bool(item.get("data"))
    except SchemaError as error:
        raise GoldError(f"schema: {error}") from None
    except QueryError as error:
        raise GoldError(f"database: {error.detail}") from None


def schema_of(database: Database) -> Schema:
    """The schema of the item's database. Raises GoldError."""
    try:
        return read_schema(database)
    except SchemaError as error:
        raise GoldError(f"schema: {error}") from None


def gold_of(sql: str, tree: exp.Expr | None, dialect: parse.Dialect = "sqlite") -> Gold:
    """The gold query with what is read off its tree. Raises GoldError when its meaning depends on the clock."""
    sql = sql.strip().rstrip(";").strip()
    if not sql:
        raise GoldError("gold is empty")
    if _CLOCK.search(sql):
        raise GoldError("not deterministic: gold depends on the current date or time")
    return Gold(
        sql=sql,
        ordering=parse.ordering(tree, dialect) if tree is not None else None,
        cut=parse.cut(tree, dialect) if tree is not None else None,
        without_distinct=without_distinct(sql),
        variants=variants_of(tree, dialect) if tree is not None else (),
        dialect=dialect,
    )


def data_oracle(database: Executor, gold: Gold) -> Oracle:
    """Gold on the item's own rows. Raises GoldError when it does not run or comes back empty."""
    try:
        oracle = Oracle(database, gold, "data", min_budget_steps=DATA_BUDGET_STEPS)
    except QueryError as error:
        raise GoldError(f"does not run: {error.detail or error.why}") from None
    if not oracle.result.rows:
        raise GoldError("empty result on the item's own data")
    if all(cell is None for row in oracle.result.rows for cell in row):
        raise GoldError("only NULLs on the item's own data")
    return oracle


def all_tables_empty(database: Database, schema: Schema, tree: exp.Expr | None) -> bool:
    """Whether every table that gold reads is empty (any table, when gold was not parsed)."""
    named = {table.name.lower() for table in tree.find_all(exp.Table)} if tree is not None else set(schema.by_name)
    names = [name for name in named if name in schema.by_name] or list(schema.by_name)
    return not any(
        database.write(f'SELECT 1 FROM "{schema.by_name[name].name.replace(chr(34), chr(34) * 2)}" LIMIT 1')
        for name in names
    )


def without_distinct(sql: str) -> str:
    """`sql` with the keyword DISTINCT removed outside quotes, as the test suite does by default."""
    pieces = re.split(r"('(?:[^']|'')*'|\"[^\"]*\")", sql)
    return "".join(p if i % 2 else re.sub(r"\bdistinct\b", " ", p, flags=re.IGNORECASE) for i, p in enumerate(pieces))
