"""What a query says about its data: constants beside columns, columns that join, counts that matter. Trees in, Facts
out.

Everything here steers the generation of instances and nothing decides a verdict, so a fact that is missed costs power
and never correctness.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

from sqlglot import exp

from tasks.sql.constants import (
    Constant,
    around,
    around_argument,
    around_computed,
    around_pattern,
    around_sum,
    dates_around,
    literal_of,
)
from tasks.sql.names import ColumnId, Names
from tasks.sql.schema import Schema, Table
from tasks.sql.solve import MAX_EQUATIONS, Equation, equations_of, folded

_KEY_NAMES = frozenset({"id", "uid", "code", "key", "no", "number", "pk"})
_MAX_CONSTANTS = 24
MAX_LIMIT = 200  # a LIMIT above it is not tested: it would take too many rows
MAX_COUNT = 200  # the same for the size of a group
_TEXT_FUNCTIONS = ("instr", "replace", "trim", "ltrim", "rtrim", "split_part")


@dataclass(kw_only=True)
class ColumnFacts:
    """What is known of one column. `hits` make a predicate true, `misses` nearly do."""

    hits: list[Constant] = field(default_factory=list)
    misses: list[Constant] = field(default_factory=list)
    numeric: bool = False
    averaged: bool = False
    ordered: bool = False
    grouped: bool = False
    paired: bool = False  # rows of one table are compared by it: a self-join, a set operation, IN over the same column
    null_tested: bool = False
    dated: bool = False  # a date function reads it
    date_hits: list[Constant] = field(default_factory=list)  # whole dates, for columns that hold dates
    date_misses: list[Constant] = field(default_factory=list)
    cores: list[str] = field(default_factory=list)  # LIKE patterns without their wildcards

    def add_dates(self, hits: list[Constant], misses: list[Constant]) -> None:
        """More dates that satisfy a predicate, and more that nearly do."""
        self.date_hits += hits
        self.date_misses += misses


@dataclass(kw_only=True)
class Facts:
    """Facts of one or two queries over a schema."""

    schema: Schema
    columns: dict[ColumnId, ColumnFacts] = field(default_factory=dict)
    joins: list[tuple[ColumnId, ColumnId]] = field(default_factory=list)
    pools: list[tuple[ColumnId, ColumnId]] = field(
        default_factory=list
    )  # columns whose values are compared, not joined
    counts: list[int] = field(default_factory=list)  # sizes of groups that HAVING asks about
    limits: list[int] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)
    equations: list[Equation] = field(default_factory=list)  # computed comparisons, to be met exactly by some row
    either: bool = False  # a predicate has OR: a row that narrowly misses has to miss several columns at once
    universal: bool = False  # the query asks for what goes with all rows of another table: few parents, many children
    whole: bool = True  # fill the tables of a small schema that no query reads as well: a prediction may read them

    def of(self, column: ColumnId) -> ColumnFacts:
        """The facts of `column`, empty ones when there are none yet."""
        return self.columns.setdefault(column, ColumnFacts())

    @cached_property
    def inferred_parents(self) -> set[ColumnId]:
        """The columns that inferred foreign keys point to."""
        return {parent for _, parent in self.inferred_foreign_keys}

    @cached_property
    def _partners(self) -> dict[ColumnId, list[ColumnId]]:
        directed = {frozenset(edge) for edge in self.inferred_foreign_keys}
        found: dict[ColumnId, list[ColumnId]] = {}
        for left, right in [*self.pools, *(j for j in self.joins if frozenset(j) not in directed)]:
            found.setdefault(left, []).append(right)
            found.setdefault(right, []).append(left)
        return found

    def partners(self, column: ColumnId) -> list[ColumnId]:
        """The columns whose values a query compares with those of `column`, beside what foreign keys fill."""
        return self._partners.get(column, [])

    @cached_property
    def inferred_foreign_keys(self) -> list[tuple[ColumnId, ColumnId]]:
        """(child, parent) for each join on columns that no declared foreign key explains and that shows a direction."""
        found = []
        for left, right in self.joins:
            if left[0] == right[0] or self._declared(left, right) or self._declared(right, left):
                continue
            ranks = (self._key_rank(left, right), self._key_rank(right, left))
            if ranks[0] != ranks[1]:
                edge = (right, left) if ranks[0] > ranks[1] else (left, right)
                if edge not in found:
                    found.append(edge)
        return found

    def _declared(self, child: ColumnId, parent: ColumnId) -> bool:
        return any(
            key.parent.lower() == parent[0] and (child[1], parent[1]) in _pairs(key.columns, key.parent_columns)
            for key in self.schema.by_name[child[0]].foreign_keys
        )

    def _key_rank(self, column: ColumnId, other: ColumnId) -> int:
        """How much `column` looks like the key that `other` points to."""
        table, name = self.schema.by_name[column[0]], column[1]
        rank = 8 if any(len(key) == 1 and key[0].lower() == name for key in table.keys) else 0
        stem = _stem(column[0])
        bare = name.replace("_", "")
        if name in _KEY_NAMES:
            rank += 3
        if bare.startswith(stem) and bare[len(stem) :] in _KEY_NAMES:
            rank += 3
        if other[1].replace("_", "").startswith(stem):
            rank += 1
        return rank


def facts_of(schema: Schema, *trees: exp.Expr | None) -> Facts:
    """The facts of all `trees` together; a tree of None adds nothing."""
    facts = Facts(schema=schema)
    for tree in trees:
        if tree is not None:
            _Reader(facts, tree).read(tree)
    _share(facts)
    return facts


class _Reader:
    """Walks one tree and writes what it finds into the facts."""

    def __init__(self, facts: Facts, tree: exp.Expr) -> None:
        self.facts = facts
        self.names = Names(facts.schema, tree)

    def read(self, tree: exp.Expr) -> None:
        names = {table.name.lower() for table in tree.find_all(exp.Table)}
        self.facts.tables |= names & self.facts.schema.by_name.keys()
        self.facts.either |= tree.find(exp.Or) is not None
        for node in tree.walk():
            if isinstance(node, exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Is | exp.NullSafeEQ):
                self._comparison(node)
                self._equations(node)
            elif isinstance(node, exp.Like | exp.ILike | exp.Glob):
                self._pattern(node)
            elif isinstance(node, exp.Between):
                for bound in (node.args["low"], node.args["high"]):
                    self._constant(node.this, bound, node)
                self._equations(node)
            elif isinstance(node, exp.In):
                self._membership(node)
            elif isinstance(node, exp.Sum | exp.Avg | exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Mod):
                for column in self._columns(node):
                    self.facts.of(column).numeric = True
                    self.facts.of(column).averaged |= isinstance(node, exp.Avg)
            elif isinstance(node, exp.Max | exp.Min | exp.Ordered):
                for column in self._columns(node):
                    self.facts.of(column).ordered = True
            elif isinstance(node, exp.Group):
                for column in self._columns(node):
                    self.facts.of(column).grouped = True
            elif isinstance(node, exp.Limit | exp.Offset):
                self.facts.limits += _whole(node.expression)
            elif isinstance(node, exp.SetOperation):
                self._set_operation(node)
            elif isinstance(node, exp.Join):
                self._using(node)
            elif isinstance(node, exp.Coalesce):
                for column in self._columns(node):
                    self.facts.of(column).null_tested = True
            elif isinstance(node, exp.Exists):
                self.facts.universal |= isinstance(node.parent, exp.Not) and _denies_again(node)
            elif _reads_text(node):
                self._argument(node)

    def _equations(self, node: exp.Expr) -> None:
        if len(self.facts.equations) < MAX_EQUATIONS:
            self.facts.equations += [e for e in equations_of(node, self.names.resolve) if e not in self.facts.equations]

    def _argument(self, node: exp.Expr) -> None:
        """The columns of a text function hold the texts that it looks for: '@' of instr(email, '@')."""
        texts = [str(literal.this) for literal in node.find_all(exp.Literal) if literal.is_string]
        blank = [" "] if isinstance(node, exp.Trim) else []
        for table, name in self._columns(node):
            declared = self.facts.schema.by_name[table].by_name[name].declared.upper()
            for text in [] if "DATE" in declared or "TIME" in declared else texts[:4] or blank:
                hits, misses = around_argument(text)
                self.facts.of((table, name)).hits += hits
                self.facts.of((table, name)).misses += misses

    def _comparison(self, node: exp.Expr) -> None:
        left, right = node.this, node.expression
        self.facts.universal |= left.find(exp.Count) is not None and right.find(exp.Count) is not None
        if isinstance(node, exp.Is) or isinstance(right, exp.Null):
            for column in self._columns(left):
                self.facts.of(column).null_tested = True
            return
        if isinstance(left, exp.Column) and isinstance(right, exp.Column):
            a, b = self.names.resolve(left), self.names.resolve(right)
            if a and b and a != b:
                (self.facts.joins if isinstance(node, exp.EQ) else self.facts.pools).append((a, b))
            elif a and isinstance(node, exp.EQ):
                self.facts.of(a).paired = True
            return
        for side, other in ((left, right), (right, left)):
            subquery = other.find(exp.Select) if isinstance(other, exp.Subquery) else None
            if subquery is not None and isinstance(side, exp.Column) and subquery.expressions:
                self._pool(side, subquery.expressions[0])
            else:
                self._constant(side, other, node)

    def _constant(self, side: exp.Expr, other: exp.Expr, node: exp.Expr) -> None:
        value = literal_of(other)
        value = folded(other) if value is None else value
        if value is None:
            return
        if side.find(exp.Count) is not None:
            self.facts.counts += [int(value)] if isinstance(value, int | float) and 0 <= value <= MAX_COUNT else []
            return
        for column in self._columns(side):
            facts = self.facts.of(column)
            if isinstance(value, int | float) and isinstance(side, exp.Column | exp.AggFunc):
                facts.numeric = True
            if _adds_up(side) and isinstance(value, int | float):
                hits, misses = around_sum(value)
            elif isinstance(side, exp.Column | exp.Neg | exp.AggFunc | exp.Paren):
                hits, misses = around(value, node)
            else:
                hits, misses = around_computed(value, side)
                facts.dated = facts.dated or _reads_dates(side)
                facts.add_dates(*dates_around(str(value), exact=True))
            facts.hits += hits
            facts.misses += misses

    def _pattern(self, node: exp.Expr) -> None:
        value = literal_of(node.expression)
        if isinstance(value, str):
            for column in self._columns(node.this):
                facts = self.facts.of(column)
                hits, misses = around_pattern(value)
                facts.hits += hits
                facts.misses += misses
                facts.cores.append(value.strip("%*"))
                facts.add_dates(*dates_around(value, exact=False))

    def _membership(self, node: exp.In) -> None:
        query = node.args.get("query")
        select = query.find(exp.Select) if query is not None else None
        if select is not None and select.expressions and isinstance(node.this, exp.Column):
            inner = select.expressions[0].unalias()
            a = self.names.resolve(node.this)
            b = self.names.resolve(inner) if isinstance(inner, exp.Column) else None
            if a and b and a != b:
                self.facts.joins.append((a, b))
            elif a and b:
                self.facts.of(a).paired = True
        for item in node.expressions:
            self._constant(node.this, item, exp.EQ())

    def _set_operation(self, node: exp.SetOperation) -> None:
        left, right = node.this.find(exp.Select), node.expression.find(exp.Select)
        if left is None or right is None:
            return
        for a, b in zip(left.expressions, right.expressions, strict=False):
            if isinstance(a.unalias(), exp.Column):
                self._pool(a.unalias(), b)

    def _pool(self, left: exp.Expr, right: exp.Expr) -> None:
        a = next(iter(self._columns(left)), None)
        b = next(iter(self._columns(right)), None)
        if a and b and a != b:
            self.facts.pools.append((a, b))
        elif a and b:
            self.facts.of(a).paired = True

    def _using(self, join: exp.Join) -> None:
        select = join.find_ancestor(exp.Select)
        names = [i.name.lower() for i in join.args.get("using") or []]
        if select is None or not names:
            return
        tables = [t.name.lower() for t in select.find_all(exp.Table) if t.name.lower() in self.facts.schema.by_name]
        for name in names:
            owners = [t for t in dict.fromkeys(tables) if name in self.facts.schema.by_name[t].by_name]
            for other in owners[1:]:
                self.facts.joins.append(((owners[0], name), (other, name)))

    def _columns(self, node: exp.Expr) -> Iterator[ColumnId]:
        for column in node.find_all(exp.Column):
            found = self.names.resolve(column)
            if found is not None:
                yield found


def _adds_up(side: exp.Expr) -> bool:
    """Whether `side` is a sum, or arithmetic over more than one column."""
    if side.find(exp.Sum) is not None:
        return True
    arithmetic = isinstance(side, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Paren)
    return arithmetic and len(list(side.find_all(exp.Column))) > 1


def _reads_dates(side: exp.Expr) -> bool:
    name = type(side).__name__.lower()
    return "time" in name or "date" in name or (isinstance(side, exp.Anonymous) and "julian" in str(side.this).lower())


def _reads_text(node: exp.Expr) -> bool:
    called = node.name.lower() if isinstance(node, exp.Anonymous) else ""
    return isinstance(node, exp.StrPosition | exp.Trim | exp.Replace) or called in _TEXT_FUNCTIONS


def _denies_again(node: exp.Expr) -> bool:
    """Whether there is a further NOT EXISTS, NOT IN or EXCEPT below: "all" in SQL's words."""
    inner = [found for found in node.find_all(exp.Not) if found.find(exp.Query) is not None]
    return bool(inner) or node.find(exp.Except) is not None


def _share(facts: Facts) -> None:
    """Columns that are joined or compared share their constants."""
    declared = [
        ((table.name.lower(), child), (key.parent.lower(), parent))
        for table in facts.schema.tables
        for key in table.foreign_keys
        for child, parent in _pairs(key.columns, key.parent_columns)
    ]
    for _ in range(3):
        for left, right in [*facts.joins, *facts.pools, *declared]:
            a, b = facts.of(left), facts.of(right)
            a.hits, b.hits = _union(a.hits, b.hits), _union(b.hits, a.hits)
            a.misses, b.misses = _union(a.misses, b.misses), _union(b.misses, a.misses)
            a.date_hits, b.date_hits = _union(a.date_hits, b.date_hits), _union(b.date_hits, a.date_hits)
            a.date_misses, b.date_misses = _union(a.date_misses, b.date_misses), _union(b.date_misses, a.date_misses)
    for column in facts.columns.values():
        both = [f"{left} {right}" for left, right in combinations(dict.fromkeys(column.cores), 2)]
        column.hits, column.misses = _union([*both[:3], *column.hits], []), _union(column.misses, [])


def _union(left: list[Constant], right: list[Constant]) -> list[Constant]:
    return list(dict.fromkeys([*left, *right]))[:_MAX_CONSTANTS]


def _whole(node: exp.Expr | None) -> list[int]:
    value = literal_of(node) if node is not None else None
    return [value] if isinstance(value, int) and 0 <= value <= MAX_LIMIT else []


def _pairs(columns: tuple[str, ...], parents: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(child.lower(), parent.lower()) for child, parent in zip(columns, parents, strict=False)]


def _stem(table: str) -> str:
    bare = table.replace("_", "")
    return bare[:-3] + "y" if bare.endswith("ies") else bare[:-1] if bare.endswith("s") else bare


def referenced_tables(facts: Facts) -> list[Table]:
    """The tables worth filling: those queried and what their foreign keys lead to; all of a small schema when `whole`."""
    if facts.whole and len(facts.schema.tables) <= 8:
        return list(facts.schema.tables)
    wanted = set(facts.tables)
    while True:
        more = {key.parent.lower() for name in wanted for key in facts.schema.by_name[name].foreign_keys} - wanted
        if not more:
            return [table for table in facts.schema.tables if table.name.lower() in wanted]
        wanted |= more
