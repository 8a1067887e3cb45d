"""A few instances that tell gold from its mutants. Gold's tree and schema in; a `Cover` out, the same for the same
seed.

Candidates come one by one; one is kept when it kills a mutant that is still alive, or while there are fewer than
MIN_KEPT. A candidate on which gold comes back empty, or leaves its rows open, judges nothing and is not kept. Cf.
Zhong, Yu and Klein (2020, "Semantic evaluation for text-to-SQL with distilled test suites"), who distil by neighbour
queries too, from random rows without constraints or constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from harness.core import digest
from tasks.sql.compare import UndecidableError
from tasks.sql.duck import DuckDatabase
from tasks.sql.execute import Executor, QueryError
from tasks.sql.facts import Facts, facts_of
from tasks.sql.instances import GENERATOR_VERSION, Instance, generated
from tasks.sql.links import has_inferred_constraints
from tasks.sql.mutate import MAX_MUTANTS, mutants_of
from tasks.sql.oracle import Gold, Oracle, Tier
from tasks.sql.schema import Schema, built

DISTILLER_VERSION = "4"
INSTANCE_BUDGET_STEPS = 400_000
MAX_CANDIDATES = 30
MIN_KEPT = 5
MAX_KEPT = 12
_DUCK_CANDIDATES, _DUCK_MUTANTS = 10, 60  # filling a DuckDB database takes ten times as long
_PATIENCE = 9  # candidates in a row that kill nothing
_NUM_ADVERSARIAL = 6
LOW_KILL_RATE = 0.8


@dataclass(frozen=True, kw_only=True)
class Cover:
    """The kept instances, and how many of gold's mutants they tell from gold."""

    instances: tuple[Instance, ...]
    num_mutants: int
    num_killed: int

    @property
    def kill_rate(self) -> float | None:
        """The share of mutants told from gold; None when gold has none (it was not parsed)."""
        return self.num_killed / self.num_mutants if self.num_mutants else None


def distilled(schema: Schema, gold: Gold, tree: exp.Expr | None, seed: str) -> Cover:
    """The cover of `gold`. `tree` of None (gold that sqlglot cannot read) still gives instances, without mutants."""
    facts = facts_of(schema, tree)
    alive = [sql for _, sql in mutants_of(tree, schema, gold.dialect)] if tree is not None else []
    alive = alive[: MAX_MUTANTS if gold.dialect == "sqlite" else _DUCK_MUTANTS]
    num_mutants = len(alive)
    kept: list[Instance] = []
    idle = 0
    for number in range(MAX_CANDIDATES if gold.dialect == "sqlite" else _DUCK_CANDIDATES):
        if len(kept) >= MAX_KEPT or (len(kept) >= MIN_KEPT and (not alive or idle >= _PATIENCE)):
            break
        instance = generated(facts, seed, number, _tier(facts, number))
        oracle = oracle_on(schema, gold, instance)
        idle += 1
        if oracle is None:
            continue
        survivors = [sql for sql in alive if not _kills(oracle, sql)]
        oracle.database.close()
        if len(survivors) < len(alive) or len(kept) < MIN_KEPT:
            kept.append(instance)
            idle = 0 if len(survivors) < len(alive) else idle
        alive = survivors
    adversarial = [generated(facts, seed, number, "adversarial") for number in range(_NUM_ADVERSARIAL)]
    kept = [instance for instance in kept if instance.tier == "main"] + [i for i in kept if i.tier != "main"]
    return Cover(instances=(*kept, *adversarial), num_mutants=num_mutants, num_killed=num_mutants - len(alive))


def is_fixed_on_two(schema: Schema, gold: Gold, tree: exp.Expr | None, seed: str) -> bool:
    """Whether gold's result is fixed on two of the instances that `distilled` keeps whatever they kill: its first ones.

    A fifth of the work of a cover, and enough to know that gold can judge; False says nothing.
    """
    facts = facts_of(schema, tree)
    fixed = 0
    for number in range(MIN_KEPT):
        oracle = oracle_on(schema, gold, generated(facts, seed, number, _tier(facts, number)))
        if oracle is not None:
            fixed += oracle.decisive
            oracle.database.close()
        if fixed == 2:
            return True
    return False


def cover_key(schema: Schema, gold: Gold, seed: str) -> str:
    """What a cover depends on, hashed: nothing else may change it."""
    tables = [*(table.create_sql for table in schema.tables), *schema.extra_sql]
    return digest([DISTILLER_VERSION, GENERATOR_VERSION, tables, gold.sql, gold.dialect, seed], 32)


def cover_to_json(cover: Cover) -> dict[str, Any]:
    """A cover as JSON values."""
    instances = [{"tier": instance.tier, "rows": instance.rows} for instance in cover.instances]
    return {"instances": instances, "num_mutants": cover.num_mutants, "num_killed": cover.num_killed}


def cover_from_json(body: Mapping[str, Any]) -> Cover:
    """The cover that `cover_to_json` wrote."""
    instances = tuple(Instance(tier=item["tier"], rows=item["rows"]) for item in body["instances"])
    return Cover(instances=instances, num_mutants=int(body["num_mutants"]), num_killed=int(body["num_killed"]))


def oracle_on(schema: Schema, gold: Gold, instance: Instance) -> Oracle | None:
    """Gold on `instance`, None when it says nothing there: it fails, is empty, or leaves even its size open."""
    oracle = any_oracle_on(schema, gold, instance)
    return oracle if oracle is not None and oracle.informative else None


def any_oracle_on(schema: Schema, gold: Gold, instance: Instance) -> Oracle | None:
    """Gold on `instance`, informative or not; None when it fails there."""
    try:
        filled = built(schema, instance.rows)
        database: Executor = DuckDatabase(filled, schema) if gold.dialect == "duckdb" else filled
        return Oracle(database, gold, instance.tier, min_budget_steps=INSTANCE_BUDGET_STEPS)
    except (QueryError, UndecidableError):
        return None


def aware_of(
    schema: Schema, trees: tuple[exp.Expr | None, exp.Expr | None], seed: str, count: int
) -> Iterator[Instance]:
    """Up to `count` instances built from the constants of two queries: what could tell this prediction from this gold."""
    facts, gold_facts = facts_of(schema, *trees), facts_of(schema, trees[0])
    facts.whole = None in trees
    for column, found in facts.columns.items():
        found.null_tested = gold_facts.of(column).null_tested  # a NULL only the prediction asks about is a corner
    for number in range(count):
        yield generated(facts, f"aware:{seed}", number, _tier(facts, number))


def _tier(facts: Facts, number: int) -> Tier:
    return "loose" if number % 3 == 2 and has_inferred_constraints(facts) else "main"


def _kills(oracle: Oracle, sql: str) -> bool:
    try:
        return oracle.refutes(sql)
    except QueryError:
        return True
    except UndecidableError:
        return False
