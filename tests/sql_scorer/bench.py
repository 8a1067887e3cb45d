"""How far the SQL scorer can be trusted, and how fast it is: prints false accepts, false rejects and pairs/s.

Run: TUNEBENCH_DATA=... python -m tests.sql_scorer.bench [items per source]

False accepts are measured on held-aside mutants: edits of kinds that the distiller does not use (two edits at once,
swapped constants, swapped join keys, another aggregate argument). A held-aside mutant counts as wrong when a search
of 150 instances with seeds of its own, or the item's own data, tells it from gold; so a mutant that nobody can tell
is not counted.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlglot import exp

from harness.core import Example
from tasks.sql import parse
from tasks.sql.compare import UndecidableError
from tasks.sql.distil import oracle_on
from tasks.sql.execute import QueryError
from tasks.sql.facts import facts_of
from tasks.sql.instances import generated
from tasks.sql.links import has_inferred_constraints
from tasks.sql.material import GoldError
from tasks.sql.mutate import mutants_of
from tasks.sql.oracle import Tier
from tasks.sql.prepare import on_own_data
from tasks.sql.score import _item, pair, score
from tests.sql_scorer.corpus import hand_pairs
from tests.sql_scorer.equivalents import EQUIVALENTS

SEARCH = 150


def items(root: Path, count: int, seed: int = 7) -> Iterator[tuple[str, Example]]:
    """(source, example): `count` of create-context and `count` of Spider dev whose database is there."""
    rows = [json.loads(line) for line in (root / "sql_create_context" / "dev.jsonl").read_text().splitlines()]
    for n, row in enumerate(random.Random(seed).sample(rows, count)):
        yield "schema", pair({"id": f"c{n}", "gold": row["answer"], "schema": row["context"]})
    folders = {path.stem.lower(): path for path in (root / "spider" / "database").glob("*/*.sqlite")}
    dev = json.loads((root / "spider" / "dev.json").read_text())
    for n, row in enumerate(random.Random(seed).sample(dev, count)):
        yield "data", pair({"id": f"s{n}", "gold": row["query"], "database": str(folders[row["db_id"].lower()])})


def held_aside(tree: exp.Expr, schema: Any, rng: random.Random) -> list[tuple[str, str]]:
    """Mutants of kinds that the distiller does not use."""
    found: list[tuple[str, str]] = []
    single = mutants_of(tree, schema)
    for _, text in rng.sample(single, min(4, len(single))):
        again = parse.parsed(text, schema)
        if again is not None:
            twice = mutants_of(again, schema)
            found += [("two_edits", sql) for _, sql in rng.sample(twice, min(2, len(twice)))]
    literals = list(tree.find_all(exp.Literal))
    if len(literals) > 1:
        copy = tree.copy()
        a, b = list(copy.find_all(exp.Literal))[:2]
        left, right = a.copy(), b.copy()
        a.replace(right)
        b.replace(left)
        found.append(("swapped_constants", parse.text(copy)))
    for literal in literals:
        copy = tree.copy()
        twin = list(copy.find_all(exp.Literal))[literals.index(literal)]
        far = exp.Literal.string("q" + str(literal.this)) if literal.is_string else exp.Literal.number(977)
        if not isinstance(twin.parent, exp.Limit):
            twin.replace(far)
            found.append(("far_constant", parse.text(copy)))
    for n, _ in enumerate(tree.find_all(exp.Count)):
        copy = tree.copy()
        count = list(copy.find_all(exp.Count))[n]
        columns = list(copy.find_all(exp.Column))
        if columns:
            count.replace(exp.Count(this=exp.Distinct(expressions=[rng.choice(columns).copy()])))
            found.append(("count_of_other", parse.text(copy)))
    columns = list(tree.find_all(exp.Column))
    if len(columns) > 2:
        copy = tree.copy()
        first, second = rng.sample(list(copy.find_all(exp.Column)), 2)
        one, two = first.copy(), second.copy()
        first.replace(two)
        second.replace(one)
        found.append(("swapped_columns", parse.text(copy)))
    where = tree.args.get("where")
    if where is not None:
        copy = tree.copy()
        copy.args["where"].set("this", exp.Not(this=exp.Paren(this=copy.args["where"].this.copy())))
        found.append(("where_negated", parse.text(copy)))
    gold = parse.text(tree)
    return [pair_ for pair_ in dict.fromkeys(found) if pair_[1] != gold]


def differs(example: Example, sql: str) -> bool:
    """Whether the item's own data or one of SEARCH instances with other seeds tells `sql` from gold."""
    prepared, _ = on_own_data(_item(example, example.gold))
    facts = facts_of(prepared.schema, prepared.tree, parse.parsed(sql, prepared.schema))
    try:
        if any(oracle.decisive and oracle.opinion(sql).disagreement for oracle in prepared.oracles):
            return True
        for number in range(SEARCH):
            tier: Tier = "loose" if number % 3 == 0 and has_inferred_constraints(facts) else "main"
            oracle = oracle_on(prepared.schema, prepared.gold, generated(facts, "bench", number, tier))
            if oracle is not None:
                told = oracle.opinion(sql).disagreement is not None
                oracle.database.close()
                if told:
                    return True
    except (QueryError, UndecidableError, sqlite3.Error):
        return False  # a mutant that does not run is no test of the comparison
    return False


def main(count: int) -> None:
    """Print the figures."""
    root = Path(os.environ["TUNEBENCH_DATA"])
    rng = random.Random(3)
    wrong: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    for source, example in items(root, count):
        try:
            prepared, _ = on_own_data(_item(example, example.gold))
        except GoldError:
            continue
        if prepared.tree is None or score(example, example.gold)["execution"].value is None:
            continue
        pairs = held_aside(prepared.tree, prepared.schema, rng)
        for kind, sql in rng.sample(pairs, min(6, len(pairs))):
            if differs(example, sql):
                wrong[source] += 1
                if score(example, sql)["execution"].value == 1.0:
                    accepted[source] += 1
                    print(f"  accepted: {kind}: {example.gold!r} / {sql!r}")
    for source in wrong:
        print(f"false accepts, {source}: {accepted[source]} of {wrong[source]}")
    rejected = [case for case in EQUIVALENTS if score(pair(case.row()), case.prediction)["execution"].value != 1.0]
    print(f"false rejects on equivalent rewrites: {len(rejected)} of {len(EQUIVALENTS)}")
    for case in rejected:
        print("  rejected:", case.name)
    _by_hand()
    _speed([example for _, example in items(root, count, seed=11)])


def _by_hand() -> None:
    """The hand-made pairs, which no mutator of ours made."""
    for with_data in (False, True):
        pairs = [each for each in hand_pairs() if each.data or not with_data]
        values = [
            (each, score(pair(each.row(with_data=with_data)), each.prediction)["execution"].value) for each in pairs
        ]
        name = "with data" if with_data else "bare schema"
        for equal, label, bad in ((False, "false accepts", 1.0), (True, "false rejects", 0.0)):
            mine = [(each, value) for each, value in values if each.equal == equal]
            wrong = [each.name for each, value in mine if value == bad]
            print(f"{label} on hand-made pairs, {name}: {len(wrong)} of {len(mine)}", *wrong, sep="\n  ")


def _speed(examples: list[Example]) -> None:
    """Cold: gold is new and its instances are made. Warm: they are in the cache. Each thread has a child of its own."""
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
            os.environ["TUNEBENCH_CACHE"] = folder
            list(pool.map(lambda example: score(example, example.gold), examples[:workers]))  # children start
            for label in ("cold", "warm"):
                start = time.perf_counter()
                list(pool.map(lambda example: score(example, example.gold + " "), examples[workers:]))
                seconds = time.perf_counter() - start
                rate = len(examples[workers:]) / seconds
                print(f"{label}, {workers} workers: {rate:.1f} pairs/s, {1000 / rate:.1f} ms a pair")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
