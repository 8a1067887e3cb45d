"""Run one hostile query on SQLite: rows and virtual-machine steps come out, or a `QueryError` with a typed reason.

What holds inside the process: an authorizer that allows reading and a list of functions and nothing else, SQLite's
own limits (statement length, expression depth, value size, no ATTACH), a heap limit, a budget of virtual-machine
steps so that a verdict does not depend on the machine's speed, and caps on rows and bytes. What SQLite cannot bound
(one slow function call, the C stack) is bounded by the caller: this module runs inside a `harness.sandbox.Worker`
child that is killed by wall clock and address space.

Sources: https://sqlite.org/security.html, https://sqlite.org/c3ref/c_alter_table.html (authorizer actions),
https://sqlite.org/limits.html. `mode=ro` alone is not enough: ATTACH with CREATE, and VACUUM INTO, still write files.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Row = tuple[object, ...]
FailureWhy = Literal["execution_error", "timeout", "memory", "too_large", "rejected"]

STEP_GRAIN = 40  # the progress handler is called once per so many steps; a call costs about 0.1 us
MAX_ROWS = 100_000
MAX_RESULT_BYTES = 32 << 20
HEAP_BYTES = 256 << 20
MAX_SQL_BYTES = 100_000

ALLOWED_FUNCTIONS = frozenset(
    # one string, because a list of a hundred literals is harder to check
    """-> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws cos cosh count
    cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor format
    glob group_concat hex ifnull iif instr json json_array json_array_length json_each json_extract json_group_array
    json_group_object json_object json_quote json_tree json_type json_valid julianday lag last_value lead length like
    likelihood likely ln log log10 log2 lower ltrim max min mod nth_value ntile nullif percent_rank pi pow power printf
    quote radians rank replace round row_number rtrim sign sin sinh sqrt strftime string_agg substr substring sum tan
    tanh time timediff total trim trunc typeof unicode unixepoch unlikely upper""".split()  # noqa: SIM905
)
_ALLOWED_ACTIONS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})
_FORBIDDEN_TABLE = re.compile(r"^(sqlite_|pragma_|dbstat$|fts[345]|bytecode$|tables_used$|rtree)", re.IGNORECASE)
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 4_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_BYTES,
    sqlite3.SQLITE_LIMIT_COLUMN: 2_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 500,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_ERROR_KINDS = (
    ("no such table", "no_such_table"),
    ("no such column", "no_such_column"),
    ("no such function", "no_such_function"),
    ("ambiguous column", "ambiguous_column"),
    ("wrong number of arguments", "wrong_number_of_arguments"),
    ("misuse of", "misuse_of_aggregate"),
    ("aggregate functions are not allowed", "misuse_of_aggregate"),
    ("same number of result columns", "set_operation_width"),
    ("syntax error", "syntax_error"),
    ("unrecognized token", "syntax_error"),
    ("incomplete input", "syntax_error"),
    ("parser stack overflow", "too_deep"),
    ("expression tree is too large", "too_deep"),
    ("number of bindings", "unbound_parameter"),
    ("row value misused", "row_value_misused"),
    ("order by term", "order_by_term"),
    ("group by term", "group_by_term"),
)


class QueryError(Exception):
    """The query gave no result. `why` is the verdict's word, `kind` its finer class, `detail` SQLite's own words."""

    def __init__(self, why: FailureWhy, kind: str, detail: str = "") -> None:
        super().__init__(f"{why} ({kind}): {detail}")
        self.why: FailureWhy = why
        self.kind = kind
        self.detail = detail[:300]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a query returned: its column names, its rows in order and the steps it took."""

    columns: tuple[str, ...]
    rows: list[Row]
    steps: int


class Executor(Protocol):
    """What runs hostile queries on one database: SQLite here, DuckDB in duck.py."""

    def run(self, sql: str, *, budget_steps: int, reverse: bool = False) -> Result:
        """The result of one statement. Raises QueryError and nothing else."""

    def close(self) -> None:
        """Give back what it holds."""


class Database:
    """A SQLite connection that a hostile query cannot use for anything but reading.

    The owner may use `write` before the first query; `run` never can.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._trusted = True
        self._steps = 0
        self._budget_steps = 0
        self._reverse = False
        connection.isolation_level = None
        connection.text_factory = _readable
        connection.execute(f"PRAGMA hard_heap_limit={HEAP_BYTES}")
        connection.execute("PRAGMA temp_store=MEMORY")
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        connection.set_authorizer(self._authorize)
        connection.set_progress_handler(self._progress, STEP_GRAIN)

    def write(self, sql: str, parameters: list[Row] | None = None) -> list[Row]:
        """Run the owner's own statement (schema, rows, savepoints), outside the authorizer and the step budget."""
        self._trusted = True
        if parameters is not None:
            self._connection.executemany(sql, parameters)
            return []
        return self._connection.execute(sql).fetchall()

    def run(self, sql: str, *, budget_steps: int, reverse: bool = False) -> Result:
        """The result of one hostile statement within `budget_steps`. Raises QueryError and nothing else.

        `reverse` makes SQLite scan in the opposite order wherever the query left the order open: a result that
        changes with it is one that the query does not define.
        """
        if reverse != self._reverse:
            self.write(f"PRAGMA reverse_unordered_selects={int(reverse)}")
            self._reverse = reverse
        self._trusted, self._steps, self._budget_steps = False, 0, budget_steps
        try:
            cursor = self._connection.execute(sql)
            rows = _fetch(cursor)
        except QueryError:
            raise
        except (sqlite3.Error, sqlite3.Warning, ValueError, UnicodeError, OverflowError) as error:
            raise _failure(error) from None
        except MemoryError as error:
            raise QueryError("memory", "heap_limit", str(error)) from None
        finally:
            self._trusted = True
        if cursor.description is None:
            raise QueryError("rejected", "no_result", "the statement returns no rows")
        return Result(columns=tuple(item[0] for item in cursor.description), rows=rows, steps=max(self._steps, 1))

    def copy(self) -> Database:
        """A writable copy in memory."""
        target = sqlite3.connect(":memory:", cached_statements=0, check_same_thread=False)
        self._trusted = True
        self._connection.backup(target)
        return Database(target)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _progress(self) -> int:
        if self._trusted:
            return 0
        self._steps += STEP_GRAIN
        return int(self._steps > self._budget_steps)

    def _authorize(self, action: int, first: str | None, second: str | None, *_: object) -> int:
        if self._trusted or action in _ALLOWED_ACTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and not _FORBIDDEN_TABLE.match(first or ""):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in ALLOWED_FUNCTIONS:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY


def memory_database() -> Database:
    """An empty database in memory."""
    return Database(sqlite3.connect(":memory:", cached_statements=0, check_same_thread=False))


def file_database(path: Path) -> Database:
    """The database file at `path`, read-only and without locks. Raises QueryError when it cannot be opened."""
    if not path.is_file():
        raise QueryError("execution_error", "no_database", f"{path} is not a file")
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    try:
        database = Database(sqlite3.connect(uri, uri=True, cached_statements=0, check_same_thread=False))
        database.write("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        raise QueryError("execution_error", "no_database", f"{path}: {error}") from None
    return database


def _fetch(cursor: sqlite3.Cursor) -> list[Row]:
    rows: list[Row] = []
    size = 0
    for row in cursor:  # one by one: five hundred rows of a hostile width would not fit into memory
        rows.append(row)
        size += sum([len(cell) if isinstance(cell, str | bytes) else 16 for cell in row])
        if len(rows) > MAX_ROWS or size > MAX_RESULT_BYTES:
            cursor.close()
            raise QueryError("too_large", "result_cap", f"more than {MAX_ROWS} rows or {MAX_RESULT_BYTES} bytes")
    return rows


def _failure(error: Exception) -> QueryError:
    text = str(error)
    lower = text.lower()
    if "interrupted" in lower:
        return QueryError("timeout", "step_budget", text)
    if "out of memory" in lower:
        return QueryError("memory", "heap_limit", text)
    if "not authorized" in lower or "prohibited" in lower or "authorizer" in lower:
        return QueryError("rejected", "not_authorized", text)
    if "one statement at a time" in lower:
        return QueryError("rejected", "several_statements", text)
    if "null character" in lower or "null byte" in lower or isinstance(error, UnicodeError):
        return QueryError("rejected", "bad_character", text)
    if "too big" in lower or "query string is too large" in lower or "too many" in lower:
        return QueryError("rejected", "too_big", text)
    for needle, kind in _ERROR_KINDS:
        if needle in lower:
            return QueryError("execution_error", kind, text)
    return QueryError("execution_error", "other", text)


def _readable(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
