"""Axes (a preset, a YAML file, flags) -> [RunSpec]. Refused with a clear message when they make no sense.

In: `Axes` values, later sources over earlier ones. Out: the grid of runs, in a stable order, without duplicates. An unknown
key is refused with the nearest known one. A list makes an axis; a single value is a list of one. Several data sets are
several `Axes` (`by_data`): runs on different items are never compared.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from harness.core import (
    ALL_LINEAR,
    Base,
    Curation,
    Full,
    Lora,
    Method,
    RunSpec,
    Schedule,
    Training,
    UserError,
    hosted_name,
)

METHODS = ("base", "lora", "full")
NEVER_EMPTY = (
    "models", "methods", "alpha", "dropout", "targets", "schedule", "epochs", "batch_size", "prompt_styles", "seeds",
    "train_size", "curation", "few_shot",
)  # fmt: skip
TARGET_GROUPS = {"all": ALL_LINEAR, "attention": ALL_LINEAR[:4], "mlp": ALL_LINEAR[4:]}
PRESETS = ("quick", "standard", "llama2")


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What a sweep varies. Lists are axes. An `alpha` is a number, or "2x" for twice the rank; one of `targets` is a set
    of modules. `curation` is raw, clean, or both: clean leaves out what harness/curate would. The sizes of the splits
    and `max_length` belong to the whole sweep.

    A hosted model (`openai:gpt-4o`) is one base row a prompt style and number of shots; `hosted_few_shot` are its
    numbers of shots where they are not those of `few_shot`. Under `finalist_seeds` only the best setting of each method is
    trained again, after validation: what a seed changes is then known where it matters, at a small part of the cost.
    """

    task: str = "sql"
    data: str = "builtin"
    models: tuple[str, ...] = ("smollm2-135m",)
    methods: tuple[str, ...] = METHODS
    ranks: tuple[int, ...] = (8,)
    alpha: tuple[str, ...] = ("2x",)
    dropout: tuple[float, ...] = (0.0,)
    targets: tuple[tuple[str, ...], ...] = (ALL_LINEAR,)
    learning_rates: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: {"lora": (1e-3,), "full": (1e-4,)})
    schedule: tuple[str, ...] = ("cosine",)
    epochs: tuple[float, ...] = (1.0,)
    batch_size: tuple[int, ...] = (8,)
    max_length: int = 1024
    prompt_styles: tuple[str, ...] = ("instruct",)
    seeds: tuple[int, ...] = (0,)
    finalist_seeds: tuple[int, ...] = ()
    train_size: tuple[int | None, ...] = (None,)
    curation: tuple[str, ...] = ("raw",)
    few_shot: tuple[int, ...] = (0,)
    hosted_few_shot: tuple[int, ...] = ()
    validation_size: int | None = None
    test_size: int | None = None
    data_seed: int = 0

    def __post_init__(self) -> None:
        _closed("methods", self.methods, METHODS)
        _closed("schedule", self.schedule, get_args(Schedule))
        _closed("curation", self.curation, get_args(Curation))
        if "lora" in self.methods and not self.ranks:
            raise UserError("methods has lora but ranks is empty; give --ranks 8,32")
        for method in ("lora", "full"):
            if method in self.methods and not self.learning_rates.get(method):
                raise UserError(f"methods has {method} but learning_rates has none for it; give --lrs 1e-4,3e-4")
        if any(shots < 0 for shots in (*self.few_shot, *self.hosted_few_shot)):
            raise UserError("few_shot and hosted_few_shot count solved examples before the question: 0 or more")
        for axis in NEVER_EMPTY:
            if not getattr(self, axis):
                raise UserError(f"axis {axis!r} is empty; leave it out for its default, or give a value")
        if any(size is not None and size < 1 for size in (*self.train_size, self.validation_size, self.test_size)):
            raise UserError("train_size, validation_size and test_size are positive; leave them out to use all items")


def preset(name: str) -> dict[str, Any]:
    """The axes of a shipped preset. Raises UserError with the nearest name."""
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}{nearest(name, PRESETS)} Presets: {', '.join(PRESETS)}")
    return _yaml((files("harness") / "presets" / f"{name}.yaml").read_text(), f"preset {name}")


def sweep_file(path: Path) -> dict[str, Any]:
    """The axes of a YAML sweep file; `preset: NAME` in it starts from a preset."""
    if not path.is_file():
        raise UserError(f"sweep file {path} does not exist")
    try:
        body = _yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"sweep file {path} cannot be read: {error}") from None
    return {**preset(body.pop("preset")), **body} if "preset" in body else body


def axes(*layers: Mapping[str, Any]) -> Axes:
    """Axes out of layers of keys, later over earlier; None values are not given. Raises UserError on a wrong one."""
    merged = _merged(layers)
    names = merged.pop("data", [Axes.data])
    if len(names) != 1:
        raise UserError(
            f"one data set makes one sweep, got {len(names)}: {', '.join(names)}; `harness sweep` takes several"
        )
    return Axes(data=names[0], **merged)


def by_data(*layers: Mapping[str, Any]) -> list[Axes]:
    """The same as `axes`, one for each data set: each is a sweep of its own. Raises UserError on a wrong key or value."""
    merged = _merged(layers)
    return [Axes(data=name, **merged) for name in dict.fromkeys(merged.pop("data", [Axes.data]))]


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error's first sentence: the nearest known spelling, or a full stop."""
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def _merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    known = [f.name for f in fields(Axes)]
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if key not in known:
                raise UserError(f"unknown axis {key!r}{nearest(key, known)} Known axes: {', '.join(known)}")
            if value is not None:
                merged[key] = _typed(key, value)
    return merged


def plan(given: Axes) -> list[RunSpec]:
    """Every run of the grid, base first, then LoRA by rank and learning rate, then full; no run twice.

    Raises UserError for a setting that no run can have.
    """
    try:
        unique = list(dict.fromkeys(_grid(given)))
    except ValueError as error:  # the nouns check themselves: LoRA's rank, the learning rate, ...
        raise UserError(str(error)) from None
    if not unique:
        raise UserError("the axes make no run; `methods` needs base, lora or full")
    return unique


def more_seeds(finalists: Iterable[RunSpec], seeds: Sequence[int]) -> list[RunSpec]:
    """The settings of trained finalists under each of `seeds`; a setting that two finalists share is there once."""
    settings = dict.fromkeys(replace(spec, seed=0) for spec in finalists if spec.training is not None)
    return [replace(setting, seed=seed) for setting in settings for seed in dict.fromkeys(seeds)]


def _grid(given: Axes) -> Iterator[RunSpec]:
    for model, style, shots, seed in _outer(given):
        common = RunSpec(
            task=given.task, data=given.data, model=model, method=Base(), training=None,
            prompt_style=style, few_shot=shots,
        )  # fmt: skip
        hosted = hosted_name(model) is not None
        if hosted or "base" in given.methods:
            yield common  # greedy decoding of an untrained model has no seed
        if hosted:
            continue
        amounts = list(itertools.product(given.train_size, given.curation))
        grid = itertools.product(_methods(given), given.schedule, given.epochs, given.batch_size, amounts)
        for (method, rate), schedule, epochs, batch, (size, curation) in grid:
            training = Training(
                learning_rate=rate,
                epochs=epochs,
                batch_size=batch,
                schedule=schedule,  # type: ignore[arg-type]  # checked in Axes
                max_length=given.max_length,
            )
            trained = replace(common, method=method, training=training, seed=seed, train_size=size)
            yield replace(trained, curation=curation)  # type: ignore[arg-type]  # checked in Axes


def _outer(given: Axes) -> Iterator[tuple[str, str, int, int]]:
    for model in given.models:
        shots = given.hosted_few_shot if hosted_name(model) is not None else ()
        yield from itertools.product([model], given.prompt_styles, shots or given.few_shot, given.seeds)


def _methods(given: Axes) -> list[tuple[Method, float]]:
    pairs: list[tuple[Method, float]] = []
    if "lora" in given.methods:
        kinds = itertools.product(given.ranks, given.alpha, given.dropout, given.targets, given.learning_rates["lora"])
        for rank, alpha, dropout, targets, rate in kinds:
            pairs.append((Lora(rank=rank, alpha=_alpha(alpha, rank), dropout=dropout, targets=targets), rate))
    if "full" in given.methods:
        pairs += [(Full(), rate) for rate in given.learning_rates["full"]]
    return pairs


def _alpha(text: str, rank: int) -> float:
    try:
        return _finite(text[:-1]) * rank if text.endswith("x") else _finite(text)
    except ValueError:
        raise UserError(f"alpha is a number or a multiple of the rank such as 2x, got {text!r}") from None


def _typed(key: str, value: Any) -> Any:
    """`value` as the type that Axes declares for `key`. Raises UserError naming the key."""
    scalars: dict[str, Any] = {
        "task": str, "max_length": _whole, "validation_size": _whole, "test_size": _whole, "data_seed": _whole,
    }  # fmt: skip
    items: dict[str, Any] = {
        "data": str, "models": str, "methods": str, "ranks": _whole, "alpha": str, "dropout": _finite, "schedule": str,
        "epochs": _finite, "batch_size": _whole, "prompt_styles": str, "seeds": _whole,
        "finalist_seeds": _whole, "train_size": _whole,
        "curation": str, "few_shot": _whole, "hosted_few_shot": _whole,
    }  # fmt: skip
    listed = list(value) if isinstance(value, list | tuple) else [value]
    try:
        if key == "learning_rates":
            return _rates(value)
        if key == "targets":
            return _target_sets(listed)
        if key in scalars:
            return _single(value, scalars[key])
        return tuple(None if item is None else _single(item, items[key]) for item in listed)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"axis {key!r} cannot be {value!r}: {error}") from None


def _single(value: Any, kind: Any) -> Any:
    if isinstance(value, dict | list):
        raise TypeError("a single value is needed here")
    return kind(value)


def _whole(value: Any) -> int:
    if float(value) != int(float(value)):
        raise ValueError("a whole number is needed")
    return int(value) if isinstance(value, int) else int(float(value))


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a finite number is needed")
    return number


def _target_sets(listed: Sequence[Any]) -> tuple[tuple[str, ...], ...]:
    """Sets of modules. An item is a group (`all`, `attention`, `mlp`), modules joined by +, or a list of modules; a list
    of single modules alone is one set, as peft writes it."""
    single = [item for item in listed if isinstance(item, str) and "+" not in item and item not in TARGET_GROUPS]
    if listed and len(single) == len(listed):
        return (_modules(single),)
    return tuple(_modules(item.split("+") if isinstance(item, str) else item) for item in listed)


def _modules(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError("modules are names, a group, or a list of names")
    modules = dict.fromkeys(module for name in names for module in TARGET_GROUPS.get(name.strip(), (name.strip(),)))
    order = {module: place for place, module in enumerate(ALL_LINEAR)}
    return tuple(sorted(modules, key=lambda module: (order.get(module, len(order)), module)))


def _rates(value: Any) -> dict[str, tuple[float, ...]]:
    if isinstance(value, Mapping):
        _closed("learning_rates", list(value), ("lora", "full"))
        return {method: _floats(rates) for method, rates in value.items()}
    return {"lora": _floats(value), "full": _floats(value)}


def _floats(value: Any) -> tuple[float, ...]:
    rates = tuple(_finite(item) for item in (value if isinstance(value, list | tuple) else [value]))
    if any(not rate > 0 for rate in rates):
        raise ValueError("learning rates are positive")
    return rates


def _closed(axis: str, given: Sequence[str], allowed: Sequence[str]) -> None:
    for value in given:
        if value not in allowed:
            raise UserError(f"{axis} cannot be {value!r}{nearest(value, allowed)} Allowed: {', '.join(allowed)}")


def _yaml(text: str, where: str) -> dict[str, Any]:
    import yaml

    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{where} is not YAML{place}: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(body, dict):
        raise UserError(f"{where} must map axes to values, got {type(body).__name__}")
    return body
