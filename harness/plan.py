"""Axes (a preset, a YAML file, flags) -> [RunSpec]. Refused with a clear message when they make no sense.

In: `Axes` values, later sources over earlier ones. Out: the grid of runs, in a stable order, without duplicates. An unknown
key is refused with the nearest known one. A list makes an axis; a single value is a list of one.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from harness.core import ALL_LINEAR, Base, Full, Lora, Method, RunSpec, Schedule, Training, UserError, hosted_name

METHODS = ("base", "lora", "full")
PRESETS = ("quick", "standard", "llama2")


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What a sweep varies. Lists are axes. `alpha` is a number, or "2x" for twice the rank.

    A hosted model (`openai:gpt-4o`) is one base row a prompt style and number of shots; `hosted_few_shot` are its
    numbers of shots where they are not those of `few_shot`.
    """

    task: str = "sql"
    data: str = "builtin"
    models: tuple[str, ...] = ("smollm2-135m",)
    methods: tuple[str, ...] = METHODS
    ranks: tuple[int, ...] = (8,)
    alpha: str = "2x"
    dropout: float = 0.0
    targets: tuple[str, ...] = ALL_LINEAR
    learning_rates: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: {"lora": (1e-3,), "full": (1e-4,)})
    schedule: str = "cosine"
    epochs: tuple[float, ...] = (1.0,)
    batch_size: tuple[int, ...] = (8,)
    max_length: int = 1024
    prompt_styles: tuple[str, ...] = ("instruct",)
    seeds: tuple[int, ...] = (0,)
    train_size: tuple[int | None, ...] = (None,)
    few_shot: tuple[int, ...] = (0,)
    hosted_few_shot: tuple[int, ...] = ()
    validation_size: int | None = None
    test_size: int | None = None
    data_seed: int = 0

    def __post_init__(self) -> None:
        _closed("methods", self.methods, METHODS)
        _closed("schedule", [self.schedule], get_args(Schedule))
        if "lora" in self.methods and not self.ranks:
            raise UserError("methods has lora but ranks is empty; give --ranks 8,32")
        for method in ("lora", "full"):
            if method in self.methods and not self.learning_rates.get(method):
                raise UserError(f"methods has {method} but learning_rates has none for it; give --lrs 1e-4,3e-4")
        if any(shots < 0 for shots in (*self.few_shot, *self.hosted_few_shot)):
            raise UserError("few_shot and hosted_few_shot count solved examples before the question: 0 or more")
        if any(size is not None and size < 1 for size in (*self.train_size, self.validation_size, self.test_size)):
            raise UserError("train_size, validation_size and test_size are positive; leave them out to use all items")


def preset(name: str) -> dict[str, Any]:
    """The axes of a shipped preset. Raises UserError with the nearest name."""
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}{_near(name, PRESETS)} Presets: {', '.join(PRESETS)}")
    return _yaml((files("harness") / "presets" / f"{name}.yaml").read_text(), f"preset {name}")


def sweep_file(path: Path) -> dict[str, Any]:
    """The axes of a YAML sweep file; `preset: NAME` in it starts from a preset."""
    if not path.is_file():
        raise UserError(f"sweep file {path} does not exist")
    body = _yaml(path.read_text(), str(path))
    return {**preset(body.pop("preset")), **body} if "preset" in body else body


def axes(*layers: Mapping[str, Any]) -> Axes:
    """Axes out of layers of keys, later over earlier; None values are not given. Raises UserError on a wrong one."""
    known = [f.name for f in fields(Axes)]
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if key not in known:
                raise UserError(f"unknown axis {key!r}{_near(key, known)} Known axes: {', '.join(known)}")
            if value is not None:
                merged[key] = _typed(key, value)
    return Axes(**merged)


def plan(given: Axes) -> list[RunSpec]:
    """Every run of the grid, base first, then LoRA by rank and learning rate, then full; no run twice."""
    specs: list[RunSpec] = []
    for model, style, shots, seed in _outer(given):
        common = RunSpec(
            task=given.task, data=given.data, model=model, method=Base(), training=None,
            prompt_style=style, few_shot=shots,
        )  # fmt: skip
        hosted = hosted_name(model) is not None
        if hosted or "base" in given.methods:
            specs.append(common)  # greedy decoding of an untrained model has no seed
        if hosted:
            continue
        grid = itertools.product(_methods(given), given.epochs, given.batch_size, given.train_size)
        for (method, rate), epochs, batch, size in grid:
            training = Training(
                learning_rate=rate,
                epochs=epochs,
                batch_size=batch,
                schedule=given.schedule,  # type: ignore[arg-type]  # checked in Axes
                max_length=given.max_length,
            )
            specs.append(replace(common, method=method, training=training, seed=seed, train_size=size))
    unique = list(dict.fromkeys(specs))
    if not unique:
        raise UserError("the axes make no run; `methods` needs base, lora or full")
    return unique


def _outer(given: Axes) -> Iterator[tuple[str, str, int, int]]:
    for model in given.models:
        shots = given.hosted_few_shot if hosted_name(model) is not None else ()
        yield from itertools.product([model], given.prompt_styles, shots or given.few_shot, given.seeds)


def _methods(given: Axes) -> list[tuple[Method, float]]:
    pairs: list[tuple[Method, float]] = []
    if "lora" in given.methods:
        for rank, rate in itertools.product(given.ranks, given.learning_rates["lora"]):
            lora = Lora(rank=rank, alpha=_alpha(given.alpha, rank), dropout=given.dropout, targets=given.targets)
            pairs.append((lora, rate))
    if "full" in given.methods:
        pairs += [(Full(), rate) for rate in given.learning_rates["full"]]
    return pairs


def _alpha(text: str, rank: int) -> float:
    try:
        return float(text[:-1]) * rank if text.endswith("x") else float(text)
    except ValueError:
        raise UserError(f"alpha is a number or a multiple of the rank such as 2x, got {text!r}") from None


def _typed(key: str, value: Any) -> Any:
    """`value` as the type that Axes declares for `key`. Raises UserError naming the key."""
    scalars: dict[str, type] = {
        "task": str, "data": str, "alpha": str, "dropout": float, "schedule": str, "max_length": int,
        "validation_size": int, "test_size": int, "data_seed": int,
    }  # fmt: skip
    items: dict[str, type] = {
        "models": str, "methods": str, "ranks": int, "targets": str, "epochs": float, "batch_size": int,
        "prompt_styles": str, "seeds": int, "train_size": int, "few_shot": int,
        "hosted_few_shot": int,
    }  # fmt: skip
    try:
        if key == "learning_rates":
            return _rates(value)
        if key in scalars:
            return _number(value, scalars[key])
        listed = value if isinstance(value, list | tuple) else [value]
        return tuple(None if item is None else _number(item, items[key]) for item in listed)
    except (TypeError, ValueError) as error:
        raise UserError(f"axis {key!r} cannot be {value!r}: {error}") from None


def _number(value: Any, kind: type) -> Any:
    if isinstance(value, dict | list):
        raise TypeError(f"one {kind.__name__} is needed")
    if kind is int and float(value) != int(float(value)):
        raise ValueError("a whole number is needed")
    return kind(float(value)) if kind is int else kind(value)


def _rates(value: Any) -> dict[str, tuple[float, ...]]:
    if isinstance(value, Mapping):
        _closed("learning_rates", list(value), ("lora", "full"))
        return {method: _floats(rates) for method, rates in value.items()}
    return {"lora": _floats(value), "full": _floats(value)}


def _floats(value: Any) -> tuple[float, ...]:
    rates = tuple(float(item) for item in (value if isinstance(value, list | tuple) else [value]))
    if any(not rate > 0 for rate in rates):
        raise ValueError("learning rates are positive")
    return rates


def _closed(axis: str, given: Sequence[str], allowed: Sequence[str]) -> None:
    for value in given:
        if value not in allowed:
            raise UserError(f"{axis} cannot be {value!r}{_near(value, allowed)} Allowed: {', '.join(allowed)}")


def _near(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def _yaml(text: str, where: str) -> dict[str, Any]:
    import yaml

    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{where} is not YAML: {error}") from None
    if not isinstance(body, dict):
        raise UserError(f"{where} must map axes to values, got {type(body).__name__}")
    return body
