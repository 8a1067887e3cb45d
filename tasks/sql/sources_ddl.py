"""Schemas of real databases as compact DDL. In: an entry of Spider's or BIRD's tables.json, or a SQLite file. Out:
text.

One CREATE TABLE a line, as in the generated data: `name TYPE [PRIMARY KEY] [REFERENCES table(column)]`. The text runs
in SQLite. Sources: https://github.com/taoyds/spider (tables.json: column_names_original, column_types, primary_keys,
foreign_keys)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TYPES = {"text": "TEXT", "number": "NUMERIC", "time": "DATE", "boolean": "BOOLEAN", "others": "TEXT"}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# the words SQLite refuses as a bare column name; https://sqlite.org/lang_keywords.html, tried one by one on 3.40
_REFUSED = frozenset(
    """add all alter and as autoincrement between case check collate commit constraint create default deferrable delete
    distinct drop else escape except exists foreign from group having if in index insert intersect into is isnull join
    limit not notnull null on or order primary references returning select set table then to transaction union unique
    update using values when where""".split()  # noqa: SIM905
)


@dataclass(frozen=True, kw_only=True)
class TableText:
    """One table to write: (column, type) pairs, its key, and (column, table, column) links."""

    name: str
    columns: Sequence[tuple[str, str]]
    key: Sequence[str]
    links: Sequence[tuple[str, str, str]]


def described_ddl(entry: Mapping[str, Any]) -> str:
    """The DDL of one entry of tables.json. Raises ValueError when the entry contradicts itself."""
    try:
        names = [str(name) for name in entry["table_names_original"]]
        columns = [(int(table), str(name)) for table, name in entry["column_names_original"]]
        kinds = [_TYPES.get(str(kind), "TEXT") for kind in entry["column_types"]]
        keys = {place for key in entry["primary_keys"] for place in (key if isinstance(key, list) else [key])}
        links = [(columns[child], columns[parent]) for child, parent in entry["foreign_keys"]]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"tables.json, database {entry.get('db_id')!r}: {type(error).__name__} {error}") from None
    tables = [
        TableText(
            name=name,
            columns=[(column, kinds[place]) for place, (owner, column) in enumerate(columns) if owner == number],
            key=[column for place, (owner, column) in enumerate(columns) if owner == number and place in keys],
            links=[(child[1], names[parent[0]], parent[1]) for child, parent in links if child[0] == number],
        )
        for number, name in enumerate(names)
    ]
    return "\n".join(map(table_ddl, tables))


def file_ddl(path: Path) -> str:
    """The DDL of the tables in a SQLite file. Raises ValueError when SQLite cannot read it."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            return "\n".join(map(table_ddl, _file_tables(connection)))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ValueError(f"database {path.name}: {error}") from None


def table_ddl(table: TableText) -> str:
    """One CREATE TABLE on one line."""
    targets = {column: f" REFERENCES {quoted(to)}({quoted(key)})" for column, to, key in reversed(table.links)}
    parts = []
    for name, kind in table.columns:
        key = " PRIMARY KEY" if list(table.key) == [name] else ""
        parts.append(f"{quoted(name)} {kind}".rstrip() + key + targets.get(name, ""))
    if len(table.key) > 1:
        parts.append(f"PRIMARY KEY ({', '.join(map(quoted, table.key))})")
    return f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)});"


def quoted(name: str) -> str:
    """An identifier, in double quotes where SQLite needs them."""
    if _PLAIN.fullmatch(name) and name.lower() not in _REFUSED:
        return name
    return '"' + name.replace('"', '""') + '"'


def _file_tables(connection: sqlite3.Connection) -> list[TableText]:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
    ).fetchall()
    tables = []
    for (name,) in names:
        columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
        links = connection.execute('SELECT "from", "table", "to" FROM pragma_foreign_key_list(?)', (name,)).fetchall()
        keys = [column for column, _, place in sorted(columns, key=lambda row: int(row[2])) if place]
        tables.append(
            TableText(
                name=name,
                columns=[(column, kind.split("(")[0].strip()) for column, kind, _ in columns],
                key=keys,
                links=[(child, to, key) for child, to, key in links if key],
            )
        )
    return tables
