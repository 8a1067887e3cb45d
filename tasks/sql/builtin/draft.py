"""What a question pattern makes, and the registry of patterns.

A pattern is a function (database, draw) -> Draft or None. It is registered with a name, a difficulty and its tags;
the pattern's name and the schema's id together are what no two splits share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tasks.sql.builtin.draw import Draw
from tasks.sql.builtin.filters import Database
from tasks.sql.builtin.schema import Column, Table

Difficulty = Literal["easy", "medium", "hard"]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A question with its gold SQL, not yet checked against the rows.

    `unlike` are queries that must not give gold's result: the query without its condition, its usual misreadings.
    `sort_keys` is a query for the sort key of every row in gold's order: the first `limit` + 1 must all differ.
    """

    question: str
    sql: str
    tags: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    sort_keys: str = ""
    limit: int = 0


PatternFunction = Callable[[Database, Draw], Draft | None]


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A registered pattern. `share` is how many of its items go into one round of all patterns."""

    name: str
    difficulty: Difficulty
    tags: tuple[str, ...]
    make: PatternFunction
    share: int = field(default=1)


PATTERNS: dict[str, Pattern] = {}


def pattern(
    name: str, difficulty: Difficulty, *tags: str, share: int = 1
) -> Callable[[PatternFunction], PatternFunction]:
    """Registers the function under `name`. Raises ValueError when the name is taken."""

    def register(make: PatternFunction) -> PatternFunction:
        if name in PATTERNS:
            raise ValueError(f"two question patterns are called {name!r}; rename one")
        PATTERNS[name] = Pattern(name=name, difficulty=difficulty, tags=tags, make=make, share=share)
        return make

    return register


def some_table(db: Database, draw: Draw, *kinds: str) -> Table | None:
    """A table that has a column of every kind in `kinds`."""
    fitting = [table for table in db.schema.tables if all(any(c.kind == kind for c in table.columns) for kind in kinds)]
    return draw.one(fitting) if fitting else None


def some_column(table: Table, draw: Draw, *kinds: str) -> Column | None:
    """A column of one of the kinds, or None. Nullable ones are left out: a NULL group or sort key surprises people."""
    fitting = [column for column in table.columns if column.kind in kinds and not column.null_share]
    return draw.one(fitting) if fitting else None
