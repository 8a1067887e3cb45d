"""The second executor: one hostile query on DuckDB, for dialects that SQLite cannot serve. Rows come out, or a
`QueryError` with a typed reason, as from `execute.py`.

What holds inside the process: a database in memory without access to files or the network, no extension is loaded or
installed, the configuration is locked, one thread, a memory limit without a spill folder, one SELECT statement, an
interrupt after a time, caps on rows and bytes. The caller's sandbox kills what that leaves (address space, wall clock, no
file writes). DuckDB counts no steps, so a time-out here depends on the machine; and it has no switch for the scan order, so
"reversed" is a copy whose rows were inserted from the last to the first.

Sources: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview (external access, locked configuration).
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

from tasks.sql.execute import MAX_RESULT_BYTES, MAX_ROWS, MAX_SQL_BYTES, Database, QueryError, Result, Row
from tasks.sql.schema import Column, Schema, quoted

MEMORY_LIMIT = "256MB"
SHORT_S = 2.0  # on an instance
LONG_S = 8.0  # on the item's own data
_LONG_BUDGET_STEPS = 5_000_000  # a step budget above it means own data
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": MEMORY_LIMIT,
    "temp_directory": "",  # a size of 0 alone still makes the folder .tmp where the process stands
    "max_temp_directory_size": "0MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
}
_LOCKS = (
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)  # last: the first forbids temp_directory
_TYPES = {"integer": "BIGINT", "real": "DOUBLE", "numeric": "DOUBLE", "text": "VARCHAR", "blob": "VARCHAR"}
_ERRORS = {
    "ParserException": ("execution_error", "syntax_error"),
    "SyntaxException": ("execution_error", "syntax_error"),
    "CatalogException": ("execution_error", "no_such_name"),
    "BinderException": ("execution_error", "binding"),
    "ConversionException": ("execution_error", "conversion"),
    "PermissionException": ("rejected", "not_authorized"),
    "InterruptException": ("timeout", "time_budget"),
}
_numbers = itertools.count()
_MUTED = ("sleep_ms(", "write_log(")  # functions of no use to a question


class DuckDatabase:
    """A copy in DuckDB of what a SQLite database holds, for hostile queries. `num_refused` rows did not fit their type."""

    def __init__(self, source: Database, schema: Schema) -> None:
        self.num_refused = 0
        self._schema = schema
        self._rows = {table.name: source.write(f"SELECT * FROM {quoted(table.name)}") for table in schema.tables}
        self._schemas: list[str] = []
        self._connections = {False: self._filled(reverse=False)}

    def run(self, sql: str, *, budget_steps: int, reverse: bool = False) -> Result:
        """The result of one hostile statement; its steps are 0, unknown. Raises QueryError, or MemoryError past the limit."""
        import duckdb

        if reverse not in self._connections:
            self._connections[reverse] = self._filled(reverse=reverse)
        connection = self._connections[reverse]
        if len(sql) > MAX_SQL_BYTES:
            raise QueryError("rejected", "too_big", f"more than {MAX_SQL_BYTES} characters")
        limit_s = LONG_S if budget_steps > _LONG_BUDGET_STEPS else SHORT_S
        timer = threading.Timer(limit_s, connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            statement = _one_select(connection, sql)
            cursor = connection.execute(statement)
            names = tuple(str(item[0]) for item in cursor.description or ())
            return Result(columns=names, rows=_fetch(cursor), steps=0)
        except QueryError:
            raise
        except duckdb.OutOfMemoryException as error:
            raise MemoryError(
                str(error)[:200]
            ) from None  # the sandbox ends this process: DuckDB hung after some of these
        except Exception as error:  # becomes the prediction's typed failure: DuckDB has some thirty classes of its own
            why, kind = _ERRORS.get(type(error).__name__, ("execution_error", "other"))
            raise QueryError(why, kind, str(error)) from None  # type: ignore[arg-type]
        finally:
            timer.cancel()

    def shown(self, limit: int = 30) -> dict[str, Any]:
        """The rows of each filled table, as a report shows them."""
        return {
            table.name: {"columns": [c.name for c in table.columns], "rows": [list(r) for r in rows[:limit]]}
            for table in self._schema.tables
            if (rows := self._rows[table.name])
        }

    def close(self) -> None:
        """Drop its tables and close its connections; the instance of DuckDB stays for the next."""
        for name in self._schemas:
            _instance().execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        self._schemas.clear()
        for connection in self._connections.values():
            connection.close()

    def _filled(self, *, reverse: bool) -> Any:
        """A connection whose default schema, new, holds the rows."""
        connection, name = _instance().cursor(), f"rows_{next(_numbers)}"
        connection.execute(f"CREATE SCHEMA {name}")
        connection.execute(f"USE {name}")
        self._schemas.append(name)
        self.num_refused = 0
        for table in self._schema.tables:
            columns = ", ".join(f"{quoted(column.name)} {_type(column)}" for column in table.columns)
            connection.execute(f"CREATE TABLE {quoted(table.name)} ({columns})")
            rows = self._rows[table.name]
            self.num_refused += _insert(connection, table.name, rows[::-1] if reverse else rows)
        return connection


@cache
def _instance() -> Any:
    """The one DuckDB of this process: a second would reserve some 70 MB of address space and eight threads more."""
    import duckdb

    connection = duckdb.connect(":memory:", config=_CONFIG)
    for statement in _LOCKS:
        connection.execute(statement)
    return connection


def _type(column: Column) -> str:
    declared = column.declared.upper()
    if "BOOL" in declared:
        return "BOOLEAN"
    if "TIMESTAMP" in declared or "DATETIME" in declared:
        return "TIMESTAMP"
    return "DATE" if declared == "DATE" else _TYPES[column.affinity]


def _insert(connection: Any, table: str, rows: Sequence[Row], chunk: int = 500) -> int:
    """Insert `rows`; the number of those that their types refuse."""
    import duckdb

    refused = 0
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        marks = f"({', '.join('?' * len(part[0]))})"
        head = f"INSERT INTO {quoted(table)} VALUES "
        try:
            connection.execute(head + ", ".join([marks] * len(part)), [cell for row in part for cell in row])
        except duckdb.Error:
            if len(part) == 1:
                refused += 1
            else:
                refused += _insert(connection, table, part, max(1, len(part) // 4))
    return refused


def _one_select(connection: Any, sql: str) -> Any:
    """The statement of `sql`. Raises QueryError unless it is one SELECT."""
    if "\x00" in sql:
        raise QueryError("rejected", "bad_character", "a NUL character")
    squeezed = "".join(sql.lower().split())
    if any(name in squeezed for name in _MUTED):
        raise QueryError("rejected", "not_authorized", f"one of the functions {_MUTED}")
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError("rejected", "several_statements", f"one statement is needed, got {len(statements)}")
    if statements[0].type.name != "SELECT":
        raise QueryError("rejected", "not_authorized", f"a SELECT is needed, got {statements[0].type.name}")
    return statements[0]


def _fetch(cursor: Any) -> list[Row]:
    rows: list[Row] = []
    size = 0
    while (row := cursor.fetchone()) is not None:
        rows.append(tuple(_plain(cell) for cell in row))
        size += sum([len(cell) if isinstance(cell, str | bytes) else 16 for cell in rows[-1]])
        if len(rows) > MAX_ROWS or size > MAX_RESULT_BYTES:
            raise QueryError("too_large", "result_cap", f"more than {MAX_ROWS} rows or {MAX_RESULT_BYTES} bytes")
    return rows


def _plain(cell: object) -> object:
    """A value as SQLite would give it: numbers, text, bytes, NULL. A moment at midnight is written with its time."""
    if cell is None or isinstance(cell, str | bytes):
        return cell
    if isinstance(cell, bool):
        return int(cell)
    if isinstance(cell, int | float):
        return cell
    if isinstance(cell, decimal.Decimal):
        return int(cell) if cell == cell.to_integral_value() and abs(cell) < 2**53 else float(cell)
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, datetime.date | datetime.time) else str(cell)
