"""What an evaluation is made of -> a hash for each part. In: a task, its data, the engine's settings. Out: hashes and versions.

Two numbers may be compared when their parts are equal. "data" is the identity of the source and not its rows, so that runs
on more items, or trained on fewer rows, stay comparable; "rows" is everything that was loaded, and each scored item carries
`content_hash`, by which a changed row is seen. "scorers" covers every source file beside the score function, "prompts" the
prompt functions' files and what they render.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.core import SPLITS, Dataset, Example, Task, digest, to_json

RENDERED_ITEMS = 3  # few, so that splits of other sizes render the same ones: sources shuffle first and cut last


def evaluation_hashes(task: Task, dataset: Dataset, seed: int = 0) -> dict[str, str]:
    """16 hex digits for each of task, data, rows, prompts and scorers; `seed` is the one the data was loaded with."""
    settings = [task.name, task.version, task.scorers, task.unparsed_reasons, task.max_new_tokens]
    rows = {split: [[e.id, e.inputs, e.gold] for e in dataset.split(split)] for split in SPLITS}
    return {
        "task": digest(settings, 16),
        "data": digest([dataset.name, dataset.revision, dataset.split_rule, seed], 16),
        "rows": digest([rows, dataset.unusable], 16),
        "prompts": digest([prompt_fingerprint(task, dataset, style) for style in task.prompts], 16),
        "scorers": scorers_hash(task),
    }


def versions(task: Task, dataset: Dataset, seed: int, engine: Mapping[str, Any]) -> dict[str, str]:
    """What results are kept and compared under: each part's name for people, and its hash."""
    found = evaluation_hashes(task, dataset, seed)
    return {
        "task": f"{task.name} {task.version} ({found['task']})",
        "data": f"{dataset.name} {dataset.revision} seed {seed} ({found['data']})",
        "prompts": found["prompts"],
        "scorers": found["scorers"],
        "engine": f"{engine['sampler']} {engine['version']} {engine['device']} ({engine_hash(engine)})",
    }


def engine_settings(task: Task, sampler: str, device: str) -> dict[str, Any]:
    """What decides a greedy completion besides weights and prompt."""
    return {
        "sampler": sampler,
        "version": package_version(sampler),
        "device": device.partition(":")[0],
        "dtype": "bfloat16",
        "temperature": 0.0,
        "max_new_tokens": task.max_new_tokens,
    }


def engine_hash(settings: Mapping[str, Any]) -> str:
    """16 hex digits of `engine_settings`."""
    return digest(settings, 16)


def content_hash(example: Example) -> str:
    """8 hex digits of what an item asks and what is right: equal ids with unequal hashes are different items."""
    return digest([example.inputs, example.gold, example.meta])


def prompt_fingerprint(task: Task, dataset: Dataset, style: str) -> Any:
    """One style's source file and the prompts of the first test items: changes when the prompt function does."""
    prompt = task.prompts[style]
    shown = [to_json(list(prompt(example.inputs))) for example in dataset.test[:RENDERED_ITEMS]]
    return [style, shown, _file_text(prompt)]


def scorers_hash(task: Task) -> str:
    """16 hex digits of a task's scorers: their names and the source files beside the score function."""
    file = _file(task.score)
    if file is None:
        return digest([task.scorers, []], 16)
    files = sorted(file.parent.rglob("*.py")) if (file.parent / "__init__.py").exists() else [file]
    sources = [[str(f.relative_to(file.parent)), f.read_text(encoding="utf-8")] for f in files]
    return digest([task.scorers, sources], 16)


def package_version(package: str) -> str:
    """The installed version of a package, or of its CPU edition."""
    for name in (package, f"{package}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "not installed"


def content_problems(old: Mapping[str, str], new: Mapping[str, str]) -> Sequence[str]:
    """Ids whose content differs where both sides know it ("" is unknown)."""
    return sorted(key for key, known in old.items() if known and new.get(key) and new[key] != known)


def _file_text(function: Callable[..., Any]) -> str:
    file = _file(function)
    return file.read_text(encoding="utf-8") if file is not None else ""


def _file(function: Callable[..., Any]) -> Path | None:
    while isinstance(function, functools.partial):
        function = function.func
    try:
        found = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:  # an object with __call__, or one written in C
        found = inspect.getsourcefile(type(function)) if not inspect.isbuiltin(function) else None
    return Path(found) if found is not None else None
