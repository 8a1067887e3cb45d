"""Which keys and foreign keys hold in a tier: declared ones always, inferred ones in `main`, softly in `loose`. Facts in,
positions out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.sql.facts import Facts, referenced_tables
from tasks.sql.oracle import Tier
from tasks.sql.schema import Table


@dataclass(frozen=True, kw_only=True)
class Link:
    """A foreign key to fill in: columns of the child and of the parent, by position in their tables. A soft one, of the
    loose tier, has orphans."""

    columns: tuple[int, ...]
    parent: str
    parent_columns: tuple[int, ...]
    soft: bool = False


def parents_first(facts: Facts, tier: Tier) -> list[Table]:
    """The tables to fill, each after the tables it points to; cycles in the schema's own order."""
    waiting = referenced_tables(facts)
    done: list[Table] = []
    while waiting:
        names = {table.name for table in waiting}
        free = [t for t in waiting if not any(link.parent in names - {t.name} for link in links_of(t, facts, tier))]
        done += free or waiting[:1]
        waiting = [table for table in waiting if table not in done]
    return done


def links_of(table: Table, facts: Facts, tier: Tier) -> Iterator[Link]:
    """The foreign keys that hold in `tier`, the inferred ones softly in the loose tier."""
    positions = {column.name.lower(): place for place, column in enumerate(table.columns)}
    taken: set[int] = set()
    for key in table.foreign_keys:
        parent = facts.schema.by_name[key.parent.lower()]
        places = {column.name.lower(): place for place, column in enumerate(parent.columns)}
        link = Link(
            columns=tuple(positions[name.lower()] for name in key.columns),
            parent=parent.name,
            parent_columns=tuple(places[name.lower()] for name in key.parent_columns),
        )
        taken.update(link.columns)
        yield link
    for child, (parent_table, parent_column) in facts.inferred_foreign_keys:
        if child[0] == table.name.lower() and positions[child[1]] not in taken:
            parent = facts.schema.by_name[parent_table]
            place = [column.name.lower() for column in parent.columns].index(parent_column)
            taken.add(positions[child[1]])
            soft = tier == "loose"
            yield Link(columns=(positions[child[1]],), parent=parent.name, parent_columns=(place,), soft=soft)


def key_positions(table: Table, facts: Facts, tier: Tier) -> list[tuple[int, ...]]:
    """The declared keys, and outside the loose tier the columns that inferred foreign keys point to."""
    positions = {column.name.lower(): place for place, column in enumerate(table.columns)}
    keys = [tuple(positions[name.lower()] for name in key) for key in table.keys]
    if tier != "loose":
        keys += [
            (positions[column],) for column in sorted(inferred_keys(table, facts)) if (positions[column],) not in keys
        ]
    return keys


def inferred_keys(table: Table, facts: Facts) -> set[str]:
    """Columns of `table` that joins show to be keys though nothing declares them."""
    found = {parent[1] for _, parent in facts.inferred_foreign_keys if parent[0] == table.name.lower()}
    declared = {key[0].lower() for key in table.keys if len(key) == 1}
    return set() if table.keys and found - declared and len(table.keys[0]) > 1 else found - declared


def has_inferred_constraints(facts: Facts) -> bool:
    """Whether the loose tier differs from the main one."""
    return bool(facts.inferred_foreign_keys)
