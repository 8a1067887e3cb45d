"""A typed schema out of DDL text or a database file, as SQLite itself reads it.

DDL goes into an empty in-memory database and comes back through SQLite's own catalogue, so quoting, odd types and
inline constraints mean here what they mean at execution. DDL that SQLite refuses is transpiled by sqlglot and tried
again. Foreign keys that are not declared are not here: `facts.py` infers them from the joins of a query.

Sources: https://sqlite.org/datatype3.html section 3.1 for affinity; https://sqlite.org/pragma.html for the catalogue.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

from tasks.sql.execute import Database, QueryError, Row, memory_database

Affinity = Literal["integer", "real", "numeric", "text", "blob"]
_SKIPPED = re.compile(
    r"\s*(?:PRAGMA|BEGIN|COMMIT|END|ROLLBACK|SET|USE|LOCK|UNLOCK|DROP\s+TABLE|ANALYZE)\b", re.IGNORECASE
)
_ACCEPTED = re.compile(r"\s*(?:CREATE\s+(?!VIRTUAL|TRIGGER)|INSERT|REPLACE|ALTER\s+TABLE|UPDATE|DELETE)", re.IGNORECASE)

_REFUSALS = (sqlite3.Error, OverflowError, UnicodeError, ValueError)  # of a row, by the constants of a hostile query


class SchemaError(Exception):
    """The schema or its data could not be built: the text says which statement and what SQLite said."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. `domain` is what its declared type says its values are."""

    name: str
    declared: str
    not_null: bool

    @property
    def affinity(self) -> Affinity:
        """SQLite's affinity of the declared type."""
        return affinity(self.declared)


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """`columns` of the owning table point to `parent_columns` of `parent`."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table with its constraints. `keys` are the sets of columns declared unique, the primary key first."""

    name: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]
    create_sql: str

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """Column by lower-case name."""
        return {column.name.lower(): column for column in self.columns}


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Every table of a database; names are looked up in lower case, as SQLite does."""

    tables: tuple[Table, ...]
    extra_sql: tuple[str, ...] = ()  # views and indexes, run after the tables

    @cached_property
    def by_name(self) -> Mapping[str, Table]:
        """Table by lower-case name."""
        return {table.name.lower(): table for table in self.tables}

    @cached_property
    def empty(self) -> Database:
        """A database of these tables without rows, to be copied: that is three times as fast as its statements."""
        database = memory_database()
        for table in self.tables:
            database.write(table.create_sql)
        for extra in self.extra_sql:
            with contextlib.suppress(sqlite3.Error):  # a view over a table that is not there: what uses it fails itself
                database.write(extra)
        return database


@cache
def affinity(declared: str) -> Affinity:
    """The affinity of a declared type, by SQLite's five rules in their order."""
    upper = declared.upper()
    if "INT" in upper:
        return "integer"
    if any(part in upper for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in upper or not upper.strip():
        return "blob"
    return "real" if any(part in upper for part in ("REAL", "FLOA", "DOUB")) else "numeric"


def database_from_text(ddl: str, data: str = "", dialect: str = "sqlite") -> Database:
    """An in-memory database with `ddl` and `data` run in it. Raises SchemaError."""
    database = memory_database()
    for text in (ddl, data):
        for statement in _statements(text):
            _apply(database, statement, dialect)
    return database


def read_schema(database: Database) -> Schema:
    """The schema of an open database. Raises SchemaError when it has no table."""
    tables, extra = [], []
    for kind, name, sql in database.write("SELECT type, name, sql FROM sqlite_master ORDER BY rowid"):
        if kind == "table" and not str(name).lower().startswith("sqlite_") and sql:
            tables.append(_table(database, str(name), str(sql)))
        elif kind in ("view", "index") and sql:
            extra.append(str(sql))
    if not tables:
        raise SchemaError("the schema has no table")
    return Schema(tables=tuple(_with_parent_keys(tables)), extra_sql=tuple(extra))


def quoted(name: str) -> str:
    """`name` as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _table(database: Database, name: str, sql: str) -> Table:
    info = database.write(f"PRAGMA table_info({quoted(name)})")
    primary = tuple(str(row[1]) for row in sorted((r for r in info if r[5]), key=lambda r: int(str(r[5]))))
    columns = tuple(
        Column(name=str(row[1]), declared=str(row[2] or ""), not_null=bool(row[3]) or str(row[1]) in primary)
        for row in info
    )
    keys = [primary] if primary else []
    for index in database.write(f"PRAGMA index_list({quoted(name)})"):
        if index[2] and not index[4]:
            members = database.write(f"PRAGMA index_info({quoted(str(index[1]))})")
            key = tuple(str(row[2]) for row in members)
            if key not in keys and all(row[2] is not None for row in members):
                keys.append(key)
    groups: dict[object, list[tuple[object, ...]]] = {}
    for row in database.write(f"PRAGMA foreign_key_list({quoted(name)})"):
        groups.setdefault(row[0], []).append(row)
    foreign = [
        ForeignKey(
            columns=tuple(str(row[3]) for row in rows),
            parent=str(rows[0][2]),
            parent_columns=tuple(str(row[4]) for row in rows if row[4] is not None),
        )
        for _, rows in sorted(groups.items(), key=lambda item: -int(str(item[0])))
    ]
    return Table(name=name, columns=columns, keys=tuple(keys), foreign_keys=tuple(foreign), create_sql=sql)


def _with_parent_keys(tables: list[Table]) -> Iterator[Table]:
    """Tables whose foreign keys name their parent's columns; one that points nowhere is dropped: SQLite ignores it."""
    by_name = {table.name.lower(): table for table in tables}
    for table in tables:
        kept = []
        for key in table.foreign_keys:
            parent = by_name.get(key.parent.lower())
            if parent is None:
                continue
            columns = key.parent_columns or (parent.keys[0] if parent.keys else ())
            if len(columns) == len(key.columns) and all(name.lower() in parent.by_name for name in columns):
                kept.append(ForeignKey(columns=key.columns, parent=parent.name, parent_columns=columns))
        yield Table(
            name=table.name,
            columns=table.columns,
            keys=table.keys,
            foreign_keys=tuple(kept),
            create_sql=table.create_sql,
        )


def _statements(text: str) -> Iterator[str]:
    pending = ""
    for piece in re.split(r"(?<=;)", text):
        pending += piece
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending


def _apply(database: Database, statement: str, dialect: str) -> None:
    bare = _without_comments(statement)
    if not bare.strip(" \t\r\n;") or _SKIPPED.match(bare):
        return
    if not _ACCEPTED.match(bare):
        raise SchemaError(f"a schema may create tables and insert rows, got: {bare.strip()[:80]!r}")
    try:
        if dialect != "sqlite":
            raise sqlite3.OperationalError(f"written in {dialect}")
        database.write(statement)
    except sqlite3.Error as error:
        _apply_translated(database, statement, dialect, error)


def _apply_translated(database: Database, statement: str, dialect: str, error: sqlite3.Error) -> None:
    """Run `statement` as sqlglot says it in SQLite, else its plain tables. DDL that names no dialect and is not SQLite's is
    read as MySQL's and PostgreSQL's too. Raises SchemaError."""
    first = error
    for texts in _translations(statement, dialect):
        database.write("SAVEPOINT ddl")
        try:
            for text in texts:
                database.write(text)
            database.write("RELEASE ddl")
            return
        except sqlite3.Error as second:
            first = second if dialect != "sqlite" else first
            database.write("ROLLBACK TO ddl")
            database.write("RELEASE ddl")
    raise SchemaError(f"{first} in: {_without_comments(statement).strip()[:120]!r}") from None


def _translations(statement: str, dialect: str) -> Iterator[list[str]]:
    import sqlglot
    from sqlglot.errors import SqlglotError

    from tasks.sql.plain_ddl import plain_tables

    for source in ("mysql", "postgres", "sqlite") if dialect == "sqlite" else (dialect,):
        with contextlib.suppress(SqlglotError, RecursionError, ValueError):
            yield sqlglot.transpile(statement, read=source, write="sqlite", identify=True)
        plain = plain_tables(statement, source)
        if plain:
            yield plain


def _without_comments(statement: str) -> str:
    return re.sub(r"^(?:\s*--[^\n]*\n|\s*/\*.*?\*/)+", "", statement, flags=re.DOTALL)


def rows_of(database: Database, table: Table, limit: int) -> list[tuple[object, ...]]:
    """Up to `limit` rows of `table`, in the order SQLite stores them. Raises QueryError when it cannot be read."""
    try:
        return database.write(f"SELECT * FROM {quoted(table.name)} LIMIT {limit}")
    except sqlite3.Error as error:
        raise QueryError("execution_error", "unreadable_table", f"{table.name}: {error}") from None


def built(schema: Schema, rows: Mapping[str, Sequence[Sequence[object]]]) -> Database:
    """An in-memory database of `schema` holding `rows`. Rows that SQLite refuses (a CHECK, a key, a type) are left out."""
    database = schema.empty.copy()
    database.write("BEGIN")
    for table in schema.tables:
        cells = rows.get(table.name)
        if cells:
            marks = ",".join("?" * len(table.columns))
            names = ",".join(quoted(column.name) for column in table.columns)
            statement = f"INSERT OR IGNORE INTO {quoted(table.name)} ({names}) VALUES ({marks})"
            _insert(database, table, statement, [tuple(row) for row in cells])
    database.write("COMMIT")
    return database


def _insert(database: Database, table: Table, statement: str, rows: list[Row]) -> None:
    try:
        database.write(statement, rows)
    except _REFUSALS:
        database.write(f"DELETE FROM {quoted(table.name)}")
        for row in rows:
            with contextlib.suppress(*_REFUSALS):
                database.write(statement, [row])
