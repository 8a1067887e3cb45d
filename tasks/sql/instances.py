"""Small databases that a query can be told apart on. Schema, facts and a seed in; rows for each table out.

Every instance is decided by its seed text alone. The tiers differ in what holds: `main` keeps every declared and
inferred constraint and has NULLs only where a query asks about them; `loose` keeps the declared ones and breaks the
inferred ones (orphans, repeated keys); `adversarial` adds NULLs wherever the schema allows them, and empties a table
now and then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from tasks.sql.facts import MAX_COUNT, MAX_LIMIT, ColumnFacts, ColumnId, Facts
from tasks.sql.links import Link, key_positions, links_of, parents_first
from tasks.sql.oracle import Tier
from tasks.sql.schema import Table
from tasks.sql.solve import Equation, solved
from tasks.sql.values import Aim, Cell, Slot, Style, cell, distinct_cell, fitted, number_of, slot_of

GENERATOR_VERSION = "7"
_Place = tuple[str, int]  # a table's name, the position of a column
Rows = dict[str, list[list[Cell]]]  # table name -> rows, each in the order of the table's columns

STYLES = (
    Style(rows=(6, 9), hit=0.8, spread=True, numeric_text=False, hub=False, twins=0.35),
    Style(rows=(8, 12), hit=0.9, spread=False, numeric_text=True, hub=True, twins=0.4),
    Style(rows=(4, 6), hit=0.7, spread=True, numeric_text=True, hub=True, twins=0.6),
    Style(rows=(14, 20), hit=0.6, spread=False, numeric_text=False, hub=False, twins=0.35),
    Style(rows=(10, 14), hit=0.95, spread=True, numeric_text=True, hub=True, twins=0.4),
    Style(rows=(3, 3), hit=0.9, spread=True, numeric_text=False, hub=False, twins=0.3),
    Style(rows=(7, 10), hit=0.5, spread=False, numeric_text=False, hub=False, twins=0.5),
    Style(rows=(18, 26), hit=0.85, spread=True, numeric_text=True, hub=True, twins=0.4),
)
_NULL_RATE = {"main": 0.0, "loose": 0.0, "adversarial": 0.3, "data": 0.0}
_TESTED_NULL_RATE = 0.35  # of columns that the query asks IS NULL about: there NULL is the question, not a corner case
_TRIES = 12
_MAX_ROWS = 2 * MAX_COUNT + 1
_LEVEL_RATE = 0.35
_EVEN_RATE = 0.2  # of the tables that are levelled
_ORPHAN_RATE = 0.3
_REPEAT_RATE = 0.35
_PARTNER_RATE = 0.5
_LARGE_LIMIT = 20  # a LIMIT above it is met in one instance of five: many rows are slow
_LARGE_COUNT = 55  # the same for the size of a group
_MEETINGS = 2  # rows of an instance that each computed comparison is met on


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One generated database."""

    tier: Tier
    rows: Rows


def generated(facts: Facts, seed: str, number: int, tier: Tier) -> Instance:
    """The `number`-th instance of a seed. The same arguments give the same rows, on every machine."""
    rng = Random(f"{GENERATOR_VERSION}:{seed}:{tier}:{number}")
    style = STYLES[number % len(STYLES)]
    filler = _Filler(facts=facts, style=style, rng=rng, tier=tier, number=number)
    for table in parents_first(facts, tier):
        filler.fill(table)
    filler.close_cycles()
    for equation in facts.equations:
        for _ in range(_MEETINGS):
            filler.meet(equation)
    if tier == "adversarial" and number % 2 == 1 and filler.rows:
        _empty(facts, filler.rows, rng.choice(sorted(filler.rows)))
    return Instance(tier=tier, rows=filler.rows)


def _empty(facts: Facts, rows: Rows, name: str) -> None:
    """Take every row of a table, and of the tables whose declared foreign keys need them."""
    rows[name] = []
    for table in facts.schema.tables:
        points_there = any(key.parent.lower() == name.lower() for key in table.foreign_keys)
        if points_there and rows.get(table.name):
            _empty(facts, rows, table.name)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """What is decided for a whole table before its first row. Lists and numbers go by the position of a column."""

    table: Table
    tier: Tier
    links: list[Link]
    keys: list[tuple[int, ...]]
    facts: list[ColumnFacts]
    slots: list[Slot]
    plans: Mapping[Link, list[int]]
    grouped: Mapping[int, list[Cell]]
    sources: list[
        tuple[_Place | None, _Place | None] | None
    ]  # columns to borrow from: itself, the one it is compared with

    @cached_property
    def single_keys(self) -> set[int]:
        """The columns that are keys by themselves."""
        return {key[0] for key in self.keys if len(key) == 1}

    @cached_property
    def tested(self) -> list[int]:
        """The columns that the query's predicates test."""
        return [place for place, slot in enumerate(self.slots) if slot.hits and slot.misses]

    @cached_property
    def null_rates(self) -> Mapping[int, float]:
        """How often a column is NULL, for those that ever are."""
        usual = _NULL_RATE[self.tier]
        return {
            place: max(usual, _TESTED_NULL_RATE if self.facts[place].null_tested else 0.0)
            for place, column in enumerate(self.table.columns)
            if (usual or self.facts[place].null_tested)
            and not (column.not_null or any(place in key for key in self.keys))
        }


@dataclass(kw_only=True)
class _Filler:
    facts: Facts
    style: Style
    rng: Random
    tier: Tier
    number: int = 0
    rows: Rows = field(default_factory=dict)
    postponed: list[tuple[Table, Link]] = field(default_factory=list)
    layouts: dict[str, _Layout] = field(default_factory=dict)

    @cached_property
    def parents(self) -> set[str]:
        """The tables that foreign keys lead to."""
        return {link.parent for table in self.facts.schema.tables for link in links_of(table, self.facts, self.tier)}

    @property
    def large(self) -> bool:
        """Whether this instance has the rows for a large LIMIT or group."""
        return self.number % 5 == 4

    @property
    def crossed(self) -> bool:
        """Whether this instance has few parents, so that some of them go with all of another table."""
        return self.facts.universal and self.number % 3 != 1

    def fill(self, table: Table) -> None:
        """Rows for `table`; its parents have theirs already, but for cycles."""
        links = list(links_of(table, self.facts, self.tier))
        keys = key_positions(table, self.facts, self.tier)
        facts = [self.facts.of((table.name.lower(), column.name.lower())) for column in table.columns]
        slots = [slot_of(column, known, self.style) for column, known in zip(table.columns, facts, strict=True)]
        plans = {link: self._plan(link) for link in links}
        grouped = self._grouped_plans(facts, slots, {i for link in links for i in link.columns})
        layout = _Layout(
            table=table,
            tier=self.tier,
            links=links,
            keys=keys,
            facts=facts,
            slots=slots,
            plans=plans,
            grouped=grouped,
            sources=[self._sources((table.name.lower(), column.name.lower())) for column in table.columns],
        )
        self.layouts[table.name.lower()] = layout
        planned = {*grouped, *(i for link in links for i in link.columns)} if self.facts.counts else set()
        fixed = planned | {i for key in keys for i in key}
        rows: list[list[Cell]] = []
        self.rows[table.name] = rows
        seen: list[set[tuple[Cell, ...]]] = [set() for _ in keys]
        for number in range(self._size(table, [*plans.values(), *grouped.values()])):
            for _ in range(_TRIES):
                row = self._row(layout, number)
                if rows and self.rng.random() < self.style.twins:
                    self._repeat(row, self.rng.choice(rows), fixed)
                marks = [tuple(_folded(row[i]) for i in key) for key in keys]
                if all(mark not in taken for mark, taken in zip(marks, seen, strict=True)):
                    for mark, taken in zip(marks, seen, strict=True):
                        taken.add(mark)
                    rows.append(row)
                    break
        self._level(layout)

    def _level(self, layout: _Layout) -> None:
        """Now and then make one row's value the average of all, or all alike: only there `>` differs from `>=`."""
        rows = self.rows[layout.table.name]
        taken = {place for key in layout.keys for place in key} | {i for link in layout.links for i in link.columns}
        for place, slot in enumerate(layout.slots):
            counted = slot.kind in ("integer", "real", "numeric_text")
            if not (
                layout.facts[place].averaged and counted and place not in taken and self.rng.random() < _LEVEL_RATE
            ):
                continue
            numbers = [number for row in rows if (number := number_of(row[place])) is not None]
            if len(rows) < 3 or len(numbers) < len(rows):
                continue
            mean = round(sum(numbers) / len(numbers))
            shown: Cell = f"{mean}.0" if slot.affinity == "text" else mean  # as avg() is written beside a text
            if self.rng.random() < _EVEN_RATE:
                for row in rows:
                    row[place] = shown
                continue
            first, second = self.rng.sample(range(len(rows)), 2)
            rest = sum(numbers) - numbers[first] - numbers[second]
            rows[first][place] = shown
            rows[second][place] = fitted(mean * (len(rows) - 1) - rest, slot)

    def _repeat(self, row: list[Cell], earlier: list[Cell], kept: set[int]) -> None:
        """Make `row` a twin of an `earlier` one: DISTINCT, boundaries and shared names show on such pairs."""
        free = [place for place in range(len(row)) if place not in kept]
        if free and self.rng.random() < 0.5:
            free.remove(self.rng.choice(free))
        for place in free:
            row[place] = earlier[place]

    def close_cycles(self) -> None:
        """Point the links that were left open, because their parent came later, at rows that exist by now."""
        for table, link in self.postponed:
            parents = self.rows.get(link.parent) or []
            for row in self.rows[table.name]:
                if parents:
                    chosen = self.rng.choice(parents)
                    for mine, theirs in zip(link.columns, link.parent_columns, strict=True):
                        row[mine] = chosen[theirs]

    def meet(self, equation: Equation) -> None:
        """Change one cell so that some rows, joined where their tables are, meet a computed comparison or nearly do."""
        chosen: dict[str, tuple[str, list[Cell]]] = {}
        for reference in equation.references:
            if reference.row not in chosen:
                row = self._row_beside(reference.column[0], list(chosen.values()))
                if row is None:
                    return
                chosen[reference.row] = (reference.column[0], row)
        places = [self._place(reference.column) for reference in equation.references]
        rows = [chosen[reference.row][1] for reference in equation.references]
        free = [n for n, reference in enumerate(equation.references) if self._is_free(reference.column)]
        if free:
            target = self.rng.choice(free)
            known = {n: row[place] for n, (row, place) in enumerate(zip(rows, places, strict=True))}
            value = solved(equation, known, target, self.rng)
            if value is not None:
                layout = self.layouts[equation.references[target].column[0]]
                rows[target][places[target]] = fitted(value, layout.slots[places[target]])

    def _row_beside(self, name: str, others: list[tuple[str, list[Cell]]]) -> list[Cell] | None:
        """A row of table `name`: one that a foreign key joins to a row among `others`, else any; None when it has none."""
        layout = self.layouts.get(name)
        rows = self.rows[layout.table.name] if layout is not None else []
        if layout is None or not rows:
            return None
        for other, row in others:
            for link in self.layouts[other].links:
                if link.parent.lower() == name:
                    joined = [
                        r
                        for r in rows
                        if all(row[a] == r[b] for a, b in zip(link.columns, link.parent_columns, strict=True))
                    ]
                    return self.rng.choice(joined or rows)
            for link in layout.links:
                if link.parent.lower() == other:
                    joined = [
                        r
                        for r in rows
                        if all(r[a] == row[b] for a, b in zip(link.columns, link.parent_columns, strict=True))
                    ]
                    return self.rng.choice(joined or rows)
        return self.rng.choice(rows)

    def _place(self, column: ColumnId) -> int:
        return [c.name.lower() for c in self.facts.schema.by_name[column[0]].columns].index(column[1])

    def _is_free(self, column: ColumnId) -> bool:
        """Whether no key and no foreign key fixes the column's values."""
        layout, place = self.layouts[column[0]], self._place(column)
        linked = any(place in link.columns for link in layout.links)
        return not linked and not any(place in key for key in layout.keys) and column not in self.facts.inferred_parents

    def _size(self, table: Table, plans: Sequence[Sequence[object]]) -> int:
        low, high = self.style.rows
        if self.crossed:
            low, high = (2, 3) if table.name in self.parents else (4, 10)
        wanted = self.rng.randint(low, high)
        top = MAX_LIMIT if self.large else _LARGE_LIMIT
        limits = [limit for limit in self.facts.limits if limit <= top]
        needed = max((limit + 2 if limit <= _LARGE_LIMIT else 3 * limit for limit in limits), default=0)
        if self.facts.counts and plans:
            needed = max(needed, min(_MAX_ROWS, max(len(plan) for plan in plans)))
        return max(wanted, needed)

    def _plan(self, link: Link) -> list[int]:
        """Which parent (by rank) each child row takes, drawn so that group sizes differ and meet HAVING's bounds."""
        if self.crossed:
            return []
        counts = [count for count in self.facts.counts if (count > _LARGE_COUNT) <= self.large]
        if counts and self.rng.random() < 0.8:
            base = self.rng.choice(counts)
            sizes = [base, base + 1, max(base - 1, 0)] if base <= _LARGE_COUNT else [base, base + 1]
            if base <= 12:
                sizes.append(base + (2 if self.style.spread else 0))
        elif self.style.hub:
            sizes = [4, 2, 1, 3] if self.style.spread else [3, 3, 1, 2]
        else:
            sizes = [2, 1, 3, 1, 1] if self.style.spread else [2, 2, 1, 1]
        self.rng.shuffle(sizes)
        plan = [rank for rank, size in enumerate(sizes) for _ in range(size)]
        self.rng.shuffle(plan)
        return plan

    def _grouped_plans(self, facts: list[ColumnFacts], slots: list[Slot], linked: set[int]) -> dict[int, list[Cell]]:
        """Values with chosen multiplicities for columns that a query groups by and no foreign key fills."""
        plans: dict[int, list[Cell]] = {}
        for position, known in enumerate(facts):
            if (known.grouped or known.paired) and position not in linked:
                drawn = [cell(slots[position], self.style, self.rng, "hit") for _ in range(9)]
                values = list(dict.fromkeys(drawn))[:5]
                fixed = Link(columns=(position,), parent="", parent_columns=())
                ranks = self._plan(fixed) if known.grouped else [0, 1, 0, 1, 0, 1, 2, 0, 1, 2]
                plans[position] = [values[rank % len(values)] for rank in ranks]
        return plans

    def _row(self, layout: _Layout, number: int) -> list[Cell]:
        aims = self._aims(layout)
        row: list[Cell] = []
        for position, slot in enumerate(layout.slots):
            if position in layout.single_keys:
                row.append(distinct_cell(slot, self.style, self.rng, number))
            elif number < len(layout.grouped.get(position, ())) and (self.facts.counts or self.rng.random() < 0.85):
                row.append(layout.grouped[position][number])
            else:
                borrowed = self._borrowed(*sources) if (sources := layout.sources[position]) else None
                row.append(
                    cell(slot, self.style, self.rng, aims[position]) if borrowed is None else fitted(borrowed, slot)
                )
        for link in layout.links:
            self._follow(layout.table, row, link, layout.plans[link], number)
        for position, rate in layout.null_rates.items():
            if self.rng.random() < rate:
                row[position] = None
        return row

    def _aims(self, layout: _Layout) -> Sequence[Aim]:
        """What each column of a row aims at: all at their predicates, all but one, or none."""
        luck = self.rng.random()
        if luck > 0.87:
            return ["any"] * len(layout.slots)
        aims: list[Aim] = ["hit"] * len(layout.slots)
        if luck > 0.6 and layout.tested:
            aims[self.rng.choice(layout.tested)] = "miss"
            for place in layout.tested if self.facts.either else ():
                aims[place] = "miss" if self.rng.random() < 0.5 else aims[place]
        return aims

    def _follow(self, table: Table, row: list[Cell], link: Link, plan: list[int], number: int) -> None:
        parents = self.rows.get(link.parent)
        if link.soft and self.rng.random() < _ORPHAN_RATE:
            return
        if parents is None:
            if (table, link) not in self.postponed:
                self.postponed.append((table, link))
            return
        own = link.parent == table.name
        if not parents:
            chosen = row if own else None
        elif number < len(plan):
            chosen = parents[plan[number] % len(parents)]
        else:
            childless = 0 if self.crossed and self.number % 2 == 0 else 1  # the last parent keeps no child
            chosen = parents[self.rng.randrange(max(1, len(parents) - childless))]
        if own and self.rng.random() < 0.1:
            chosen = row
        if chosen is not None:
            for mine, theirs in zip(link.columns, link.parent_columns, strict=True):
                row[mine] = chosen[theirs]

    def _sources(self, column: ColumnId) -> tuple[_Place | None, _Place | None] | None:
        """Where `_borrowed` may look for `column`; None when nowhere."""
        repeats = self.tier == "loose" and column in self.facts.inferred_parents
        partners = self.facts.partners(column)
        chosen = (column if repeats else None, partners[0] if partners else None)
        names = self.facts.schema.by_name
        own, partner = (None if found is None else (names[found[0]].name, self._place(found)) for found in chosen)
        return (own, partner) if own or partner else None

    def _borrowed(self, own: _Place | None, partner: _Place | None) -> Cell:
        """A value out of a column that the query compares with this one, or one this column had before; often None."""
        if own is not None and self.rng.random() < _REPEAT_RATE:
            partner = own
        elif partner is None or self.rng.random() >= _PARTNER_RATE:
            return None
        rows = self.rows.get(partner[0])
        return self.rng.choice(rows)[partner[1]] if rows else None


def _folded(value: Cell) -> Cell:
    """Keys that an INTEGER or TEXT column would store alike count as one."""
    return float(value) if isinstance(value, int | float) and abs(value) < 2**52 else value
