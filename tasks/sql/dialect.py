"""Queries of other dialects as SQLite's. A text and its dialect in; SQLite text out, or a `DialectError` saying why
not.

Gold's translation must first agree with itself as a text: translated to SQLite, back, and to SQLite once more it must be
the same query. Whether it also gives the same results is for `foreign.py` to show. Predictions are translated by the same
function. What sqlglot marks as unsupported is refused.
"""

from __future__ import annotations

from tasks.sql.parse import fits_parser

OTHER_NAMES = {"postgresql": "postgres", "mssql": "tsql", "sqlserver": "tsql", "mariadb": "mysql", "sqlite3": "sqlite"}


class DialectError(Exception):
    """The query cannot be said in SQLite, or sqlglot does not know it."""


def known_dialect(name: str) -> str:
    """sqlglot's name of a dialect, however it is spelled. Raises ValueError with the names there are."""
    from sqlglot.dialects.dialect import Dialects

    names = sorted(dialect.value for dialect in Dialects if dialect.value)
    asked = name.strip().lower().replace(" ", "").replace("_", "")
    found = OTHER_NAMES.get(asked, asked)
    if found not in names:
        raise ValueError(f"key 'dialect' must be one of {', '.join(names)}; got {name[:60]!r}")
    return found


def in_sqlite(sql: str, dialect: str) -> str:
    """`sql` as SQLite text; SQLite's own comes back unchanged. Raises DialectError."""
    if dialect == "sqlite":
        return sql
    return translated(sql, dialect, "sqlite")


def gold_in_sqlite(sql: str, dialect: str) -> str:
    """The same for gold, after a round trip that must end where it began. Raises DialectError."""
    once = in_sqlite(sql, dialect)
    if dialect != "sqlite":
        again = in_sqlite(translated(once, "sqlite", dialect), dialect)
        if again != once:
            raise DialectError(f"{dialect} to SQLite and back changes the query: {once[:200]!r} became {again[:200]!r}")
    return once


def translated(sql: str, source: str, target: str) -> str:
    """The one statement of `sql`, said in another dialect. Raises DialectError."""
    import sqlglot
    from sqlglot.errors import ErrorLevel, SqlglotError

    if not fits_parser(sql):
        raise DialectError("too long or too deep to be translated")
    try:
        texts = sqlglot.transpile(sql, read=source, write=target, unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, RecursionError, ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise DialectError(f"{source}: {str(error)[:200]}") from None
    if len(texts) != 1:
        raise DialectError(f"one statement is needed, got {len(texts)}")
    return texts[0]
