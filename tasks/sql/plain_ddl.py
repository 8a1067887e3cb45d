"""CREATE TABLE of any dialect -> one that SQLite takes: names, types, keys and foreign keys, and nothing else.

For schemas with engines, character sets, enumerations, indexes or sequences that SQLite refuses and sqlglot copies. What is
left out (defaults, checks, comments) does not decide a query's result on given rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

_TYPES = (
    (exp.DataType.INTEGER_TYPES | {exp.DataType.Type.SERIAL, exp.DataType.Type.BIGSERIAL}, "INTEGER"),
    (exp.DataType.REAL_TYPES, "REAL"),
    ({exp.DataType.Type.BOOLEAN}, "BOOLEAN"),
    ({exp.DataType.Type.DATE}, "DATE"),
    (exp.DataType.TEMPORAL_TYPES, "DATETIME"),
)


def plain_tables(statement: str, dialect: str) -> list[str]:
    """The CREATE TABLE statements of `statement` in plain SQLite; none when it has none or cannot be read."""
    try:
        trees = parse(statement, read=dialect)
    except (SqlglotError, RecursionError, ValueError):
        return []
    return [_table(tree) for tree in trees if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema)]


def _table(create: exp.Create) -> str:
    schema = create.this
    parts = [part for item in schema.expressions for part in _part(item)]
    return f"CREATE TABLE {_quoted(schema.this.name)} ({', '.join(parts)})"


def _part(item: exp.Expr) -> Iterator[str]:
    if isinstance(item, exp.ColumnDef):
        kinds = [constraint.args.get("kind") for constraint in item.args.get("constraints") or []]
        words = [_quoted(item.name), _type(item.args.get("kind"))]
        if any(isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null") for kind in kinds):
            words.append("NOT NULL")
        if any(isinstance(kind, exp.PrimaryKeyColumnConstraint) for kind in kinds):
            words.append("PRIMARY KEY")
        if any(isinstance(kind, exp.UniqueColumnConstraint) for kind in kinds):
            words.append("UNIQUE")
        words += [_target(kind) for kind in kinds if isinstance(kind, exp.Reference)]
        yield " ".join(words)
    elif isinstance(item, exp.Constraint):
        for inner in item.expressions:
            yield from _part(inner)
    elif isinstance(item, exp.PrimaryKey):
        yield f"PRIMARY KEY ({_names(item.expressions)})"
    elif isinstance(item, exp.UniqueColumnConstraint) and isinstance(item.this, exp.Schema):
        yield f"UNIQUE ({_names(item.this.expressions)})"
    elif isinstance(item, exp.ForeignKey) and item.args.get("reference") is not None:
        yield f"FOREIGN KEY ({_names(item.expressions)}) {_target(item.args['reference'])}"


def _target(reference: exp.Expr) -> str:
    to = reference.this
    if isinstance(to, exp.Schema):
        return f"REFERENCES {_quoted(to.this.name)} ({_names(to.expressions)})"
    return f"REFERENCES {_quoted(to.name)}"


def _type(kind: exp.Expr | None) -> str:
    if isinstance(kind, exp.DataType):
        return next((name for types, name in _TYPES if kind.this in types), "TEXT")
    return "TEXT"


def _names(items: list[exp.Expr]) -> str:
    return ", ".join(_quoted(item.name) for item in items)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
