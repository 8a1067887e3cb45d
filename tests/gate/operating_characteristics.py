"""How often the gate errs, measured by simulation.

Run `python -m tests.gate.operating_characteristics [repetitions]`. Each row is a world: items asked, true drop,
discordance (share of items that one side alone has right), cluster size, correlation inside clusters; and how often
the gate says PASS, FAIL or INCONCLUSIVE there at the margin of 2 points and 95 % confidence. At a true drop of
exactly the margin every PASS is a false PASS, and every FAIL is false too. A correlation of rho lets an item copy its
cluster's common fate with probability sqrt(rho). `looks` is 1 for one decision, more for --until-decided.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.gate import TaskEvidence, Verdict, _looks, decide, item_order
from harness.gate_policy import Policy, single_check_policy
from harness.items import Item, ItemSet
from tests.gate.material import VERSIONS

MARGIN = 0.02


@dataclass(frozen=True, kw_only=True)
class World:
    """One line of the table."""

    n: int
    drop: float
    discordance: float
    cluster_size: int = 1
    correlation: float = 0.0
    until_decided: bool = False
    partial_credit: bool = False


AT_THE_MARGIN = (
    World(n=100, drop=0.02, discordance=0.02),
    World(n=200, drop=0.02, discordance=0.02),
    World(n=200, drop=0.02, discordance=0.06),
    World(n=500, drop=0.02, discordance=0.1),
    World(n=1000, drop=0.02, discordance=0.05),
    World(n=500, drop=0.02, discordance=0.1, partial_credit=True),
    World(n=200, drop=0.02, discordance=0.05, cluster_size=5, correlation=0.5),
    World(n=500, drop=0.02, discordance=0.1, cluster_size=5, correlation=0.3),
    World(n=500, drop=0.02, discordance=0.02, cluster_size=10, correlation=1.0),
    World(n=1000, drop=0.02, discordance=0.1, cluster_size=25, correlation=0.2),
    World(n=2000, drop=0.02, discordance=0.1, cluster_size=4, correlation=0.1),
    World(n=1000, drop=0.02, discordance=0.02, cluster_size=5, correlation=0.7),
    World(n=1000, drop=0.02, discordance=0.05, cluster_size=10, correlation=0.3),
    World(n=1000, drop=0.02, discordance=0.05, cluster_size=10, correlation=0.3, partial_credit=True),
    World(n=800, drop=0.02, discordance=0.1, until_decided=True),
    World(n=800, drop=0.02, discordance=0.02, until_decided=True),
    World(n=2000, drop=0.02, discordance=0.1, cluster_size=4, correlation=0.1, until_decided=True),
)
ELSEWHERE = (
    World(n=200, drop=0.0, discordance=0.05),
    World(n=500, drop=0.0, discordance=0.05),
    World(n=1000, drop=0.0, discordance=0.05),
    World(n=1000, drop=0.0, discordance=0.05, until_decided=True),
    World(n=1000, drop=0.0, discordance=0.05, cluster_size=5, correlation=0.2),
    World(n=200, drop=0.05, discordance=0.1),
    World(n=500, drop=0.05, discordance=0.1),
    World(n=1000, drop=0.05, discordance=0.1),
    World(n=1000, drop=0.05, discordance=0.1, until_decided=True),
    World(n=200, drop=0.1, discordance=0.15),
)


def rates(world: World, repetitions: int, seed: int = 0) -> dict[str, float]:
    """{verdict: share of repetitions}, and the mean share of items used under "items"."""
    generator = np.random.default_rng(seed)
    counts = {"PASS": 0.0, "FAIL": 0.0, "INCONCLUSIVE": 0.0, "items": 0.0}
    policy = single_check_policy("sql", "unused", MARGIN)  # type: ignore[arg-type]
    for _ in range(repetitions):
        baseline, candidate = _sides(world, generator)
        verdict, used = _decided(world, policy, baseline, candidate)
        assert verdict.decision in counts, verdict.problems
        counts[verdict.decision] += 1 / repetitions
        counts["items"] += used / world.n / repetitions
    return counts


def _sides(world: World, generator: np.random.Generator) -> tuple[ItemSet, ItemSet]:
    num_clusters = -(-world.n // world.cluster_size)
    shape = (num_clusters, world.cluster_size)
    copies = generator.random(shape) < np.sqrt(world.correlation)
    fate = np.where(copies, generator.random((num_clusters, 1)), generator.random(shape)).ravel()[: world.n]
    lost = fate < (world.discordance + world.drop) / 2
    gained = ~lost & (fate < world.discordance)
    ordinary = generator.random(world.n) < 0.7
    before, after = (
        np.where(lost, 1.0, np.where(gained, 0.0, ordinary)),
        np.where(lost, 0.0, np.where(gained, 1.0, ordinary)),
    )
    if world.partial_credit:  # the same share of credit on both sides of a concordant item: the drop stays
        share = np.where(lost | gained, 1.0, generator.choice([0.25, 0.5, 1.0], world.n))
        before, after = before * share, after * share
    labels = [f"c{place // world.cluster_size}" if world.cluster_size > 1 else "" for place in range(world.n)]
    return _items("old", before, labels), _items("new", after, labels)


def _items(name: str, values: np.ndarray, labels: list[str]) -> ItemSet:
    items = tuple(
        Item(id=f"q{place}", value=float(value), outcome="right" if value >= 1 else "wrong", cluster=labels[place])
        for place, value in enumerate(values)
    )
    return ItemSet(name=name, task="sql", split="test", scorer="execution", items=items, versions=VERSIONS)


def _decided(world: World, policy: Policy, baseline: ItemSet, candidate: ItemSet) -> tuple[Verdict, int]:
    order = item_order(baseline)
    spent = 0
    plan = [look["sql"] for look in _looks(policy, {"sql": baseline}, world.until_decided)]
    for size in plan:
        level = policy.alpha * (size - spent) / plan[-1]
        spent = size
        evidence = TaskEvidence(task="sql", asked=order[:size], baseline=baseline, candidate=candidate)
        verdict = decide("new", [evidence], policy, level=level)
        if verdict.decision != "INCONCLUSIVE":
            break
    return verdict, spent


COLUMNS = (
    "n",
    "drop",
    "discordance",
    "cluster",
    "rho",
    "looks",
    "credit",
    "PASS",
    "FAIL",
    "INCONCLUSIVE",
    "items used",
)


def table(repetitions: int) -> Iterator[str]:
    """The lines of the printed table."""
    yield f"margin {MARGIN}, 95 % confidence, {repetitions} repetitions a row; false verdicts carry a *"
    yield "  ".join(f"{name:>11}" for name in COLUMNS)
    for world in (*AT_THE_MARGIN, *ELSEWHERE):
        found = rates(world, repetitions)
        cells = (
            world.n,
            world.drop,
            world.discordance,
            world.cluster_size,
            world.correlation,
            "many" if world.until_decided else "one",
            "partial" if world.partial_credit else "0 or 1",
            f"{found['PASS']:.3f}{'*' if world.drop >= MARGIN else ' '}",
            f"{found['FAIL']:.3f}{'*' if world.drop <= MARGIN else ' '}",
            f"{found['INCONCLUSIVE']:.3f}",
            f"{found['items']:.2f}",
        )
        yield "  ".join(f"{cell:>11}" for cell in cells)


def main() -> None:
    for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000):
        print(line, flush=True)


if __name__ == "__main__":
    main()
