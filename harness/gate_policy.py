"""YAML or flags in, a Policy out: the checks a checkpoint must pass, for which tasks, against which baselines.

    confidence: 0.95            # of the two-sided interval: each claim errs at most (1 - confidence) / 2
    minimum_coverage: 0.95      # share of the asked items that must come back
    maximum_unscored: 0.01
    generalise_to: clusters     # or items: the claim is about the clusters (databases, templates) that were asked, not new ones
    tasks:
      sql:
        baseline: results/baselines/sql.json
        checks:
          - {metric: score, margin: 0.02}               # may drop by less than 2 points
          - {metric: format_failures, margin: 0.01}     # may rise by less than 1 point
          - {metric: truncation, margin: 0.01}
          - {metric: latency, max_ratio: 1.2}           # geometric mean of seconds an answer; on the baseline's device
          - {metric: score, slice: "difficulty:hard", floor: 0.5}   # mean on items with that tag, whatever the baseline

Each check has exactly one limit: margin, max_ratio (latency only) or floor. Unknown keys are refused with the nearest
one.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from harness.core import UserError

Metric = Literal["score", "format_failures", "truncation", "latency"]
METRICS: tuple[Metric, ...] = get_args(Metric)
Population = Literal["clusters", "items"]


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The metric may be worse than the baseline's by less than this, in score points of [0, 1]."""

    value: float

    def __post_init__(self) -> None:
        if not 0.0 < self.value < 1.0:
            raise ValueError(f"a margin is in (0, 1), got {self.value}; 0.02 means two points")


@dataclass(frozen=True, kw_only=True)
class MaxRatio:
    """The latency may be less than this many times the baseline's."""

    value: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 1.0):
            raise ValueError(f"max_ratio is above 1, got {self.value}; 1.2 means up to 20 % slower")


@dataclass(frozen=True, kw_only=True)
class Floor:
    """The candidate's own mean must be above this; the baseline plays no part. For failures it is the share without."""

    value: float

    def __post_init__(self) -> None:
        if not 0.0 < self.value < 1.0:
            raise ValueError(f"a floor is in (0, 1), got {self.value}")


Limit = Margin | MaxRatio | Floor


@dataclass(frozen=True, kw_only=True)
class Check:
    """One claim about one task. An empty `slice` is all items, else the items that carry this tag."""

    metric: Metric
    limit: Limit
    slice: str = ""

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}; known: {', '.join(METRICS)}")
        if (self.metric == "latency") != isinstance(self.limit, MaxRatio):
            raise ValueError(f"max_ratio goes with latency and latency with max_ratio, got {self.metric} {self.limit}")


@dataclass(frozen=True, kw_only=True)
class TaskPolicy:
    """The checks of one task. `num_items` asks for that many of the baseline's items first; None asks for all."""

    task: str
    baseline: Path
    checks: tuple[Check, ...]
    num_items: int | None = None

    def __post_init__(self) -> None:
        if not self.checks:
            raise ValueError(f"task {self.task!r} has no checks; a gate that checks nothing would let everything pass")
        if len(set(self.checks)) != len(self.checks):
            raise ValueError(f"task {self.task!r} lists the same check twice")
        if self.num_items is not None and self.num_items < 2:
            raise ValueError(f"task {self.task!r}: num_items is at least 2, got {self.num_items}")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """All of it. `alpha` is the level of each one-sided claim, before Holm's adjustment across checks.

    `generalise_to` says what the claims are about: "clusters" counts items that share a database or template as one
    sample of it and needs many of them; "items" takes those that were asked as given, and every item as independent.
    """

    tasks: tuple[TaskPolicy, ...]
    confidence: float = 0.95
    minimum_coverage: float = 0.95
    maximum_unscored: float = 0.01
    generalise_to: Population = "clusters"

    def __post_init__(self) -> None:
        if self.generalise_to not in get_args(Population):
            raise ValueError(f"generalise_to is {' or '.join(get_args(Population))}, got {self.generalise_to!r}")
        if not self.tasks:
            raise ValueError("a policy needs at least one task")
        if not 0.5 < self.confidence < 1.0:
            raise ValueError(f"confidence is in (0.5, 1), got {self.confidence}")
        if not 0.5 <= self.minimum_coverage <= 1.0:
            raise ValueError(f"minimum_coverage is in [0.5, 1], got {self.minimum_coverage}")
        if not 0.0 <= self.maximum_unscored <= 0.05:
            raise ValueError(f"maximum_unscored is in [0, 0.05], got {self.maximum_unscored}")

    @property
    def alpha(self) -> float:
        """The level of each one-sided claim."""
        return (1.0 - self.confidence) / 2.0


def single_check_policy(
    task: str, baseline: Path, margin: float, num_items: int | None = None, generalise_to: Population = "clusters"
) -> Policy:
    """The policy of `harness gate CHECKPOINT --task T --baseline B --margin M`. Raises UserError on a bad margin."""
    try:
        check = Check(metric="score", limit=Margin(value=margin))
        part = TaskPolicy(task=task, baseline=baseline, checks=(check,), num_items=num_items)
        return Policy(tasks=(part,), generalise_to=generalise_to)
    except ValueError as error:
        raise UserError(str(error)) from error


def load_policy(path: Path) -> Policy:
    """The policy in a YAML file; a relative baseline is found from the current directory. Raises UserError."""
    import yaml

    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"no policy at {path}; README.md shows one") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"policy {path} is not readable YAML: {error}") from error
    try:
        return _policy(_mapping(body, "the policy"))
    except ValueError as error:
        raise UserError(f"policy {path}: {error}") from error


def _policy(body: Mapping[str, Any]) -> Policy:
    numbers = ("confidence", "minimum_coverage", "maximum_unscored")
    _known(body, (*numbers, "generalise_to", "tasks"), "the policy")
    tasks = _mapping(body.get("tasks"), "tasks")
    return Policy(
        tasks=tuple(_task(str(name), value) for name, value in tasks.items()),
        generalise_to=body.get("generalise_to", "clusters"),
        **{key: _number(body[key], key) for key in numbers if key in body},
    )


def _task(name: str, value: Any) -> TaskPolicy:
    where = f"task {name!r}"
    body = _mapping(value, where)
    _known(body, ("baseline", "checks", "num_items"), where)
    if not isinstance(body.get("baseline"), str):
        raise ValueError(f"{where} needs `baseline`, the path that `harness bless` wrote, got {body.get('baseline')!r}")
    checks = body.get("checks")
    if not isinstance(checks, list):
        raise ValueError(f"{where}: `checks` is a list, got {type(checks).__name__}")
    num_items = body.get("num_items")
    if num_items is not None and (isinstance(num_items, bool) or not isinstance(num_items, int)):
        raise ValueError(f"{where}: num_items is a whole number, got {num_items!r}")
    return TaskPolicy(
        task=name,
        baseline=Path(body["baseline"]),
        checks=tuple(_check(check, f"{where}, check {place}") for place, check in enumerate(checks, start=1)),
        num_items=num_items,
    )


def _check(value: Any, where: str) -> Check:
    body = _mapping(value, where)
    limits: dict[str, type[Margin] | type[MaxRatio] | type[Floor]] = {
        "margin": Margin,
        "max_ratio": MaxRatio,
        "floor": Floor,
    }
    _known(body, ("metric", "slice", *limits), where)
    given = [key for key in limits if key in body]
    if len(given) != 1:
        raise ValueError(f"{where} needs exactly one of {', '.join(limits)}, got {', '.join(given) or 'none'}")
    try:
        limit = limits[given[0]](value=_number(body[given[0]], given[0]))
        return Check(metric=body.get("metric", ""), limit=limit, slice=str(body.get("slice", "")))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{where} is a mapping of keys, got {type(value).__name__}")
    return value


def _known(body: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    allowed = list(known)
    for key in body:
        if key not in allowed:
            near = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{where}: unknown key {key!r}{hint} Known keys: {', '.join(allowed)}")


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is a number, got {value!r}")
    return float(value)
