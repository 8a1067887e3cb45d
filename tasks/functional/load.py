"""A `DataRequest` -> `Dataset`: builtin, viggo (the official CSVs), or jsonl.

viggo: train/validation/test.csv as on the hub (GEM/viggo), or the authors' viggo-train/valid/test.csv; columns mr, ref.
The direction is text -> representation. 36 of the 1,083 test rows share a representation with a training row: they are
tagged `seen_representation`, not removed, so that figures stay comparable; the tag gives the slice without them.

jsonl: one file, or a folder with train/validation/test.jsonl. A row has `text` and `gold`, optionally `id`, `functions`
and `slots` (name -> meaning, slots in gold's order). Rows of one file are split 80/10/10 by representation. Without
`functions` and `slots` the schema is what the golds of train use, in the order of their first appearance.

Examples of one representation (free of order and case) are one cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.core import BrokenRow, DataRequest, Dataset, Example, UserError, digest
from harness.sources import content_hash, first, locate, read_csv, read_jsonl, shuffled, split_by_group
from tasks.functional import viggo
from tasks.functional.builtin.generate import load_builtin
from tasks.functional.extract import MAX_CHARACTERS, content, extract
from tasks.functional.grammar import MalformedError, parse

_STEMS = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}
Splits = dict[str, list[Example]]


def load(request: DataRequest) -> Dataset:
    """The data set called `request.name`. Raises UserError for an unknown name or data that cannot be found."""
    loaders = {"builtin": load_builtin, "builtin-hard": load_builtin, "viggo": _load_viggo, "jsonl": _load_jsonl}
    if request.name not in loaders:
        raise UserError(f"data {request.name!r} is unknown to the task functional; use one of {', '.join(loaders)}")
    return loaders[request.name](request)


def example_from_row(row: Mapping[str, Any]) -> Example:
    """An example from a row with `text` and `gold` (an unreadable gold is kept, for `unusable` to name it).

    Raises ValueError saying which key is wrong.
    """
    for key in ("text", "gold"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise ValueError(f"key {key!r} must be a non-empty string, got {row.get(key)!r:.60}")
    inputs: dict[str, Any] = {"text": row["text"]}
    for key in ("functions", "slots"):
        if key in row:
            inputs[key] = _meanings(key, row[key])
    gold = row["gold"].strip()
    return Example(
        id=str(row.get("id") or digest([row["text"], gold], 12)),
        inputs=inputs,
        gold=gold,
        cluster=_cluster(gold),
        tags=_tags(gold),
    )


@lru_cache(maxsize=8192)  # several texts share a representation
def gold_error(gold: str) -> str:
    """Why `gold` cannot judge, or an empty text: it must parse, and be read back from a reply that repeats it."""
    try:
        representation = parse(gold)
    except MalformedError as error:
        return f"it is no representation: {error}"
    if extract(gold).representation != representation:
        return f"it is not read back from a reply: over {MAX_CHARACTERS} characters, or it holds <think> or an end mark"
    return ""


def _load_viggo(request: DataRequest) -> Dataset:
    folder = locate("viggo", path=request.path, hub=viggo.HUB, offline=request.offline)
    files = {split: _split_file(folder, split, "csv") for split in _STEMS}
    splits: Splits = {split: [] for split in files}
    broken: list[BrokenRow] = []
    for split, path in files.items():
        for number, row in enumerate(_viggo_rows(path, broken)):
            example = example_from_row({**row, "functions": viggo.FUNCTIONS, "slots": viggo.SLOTS})
            splits[split].append(replace(example, id=f"viggo-{split}-{number:04d}"))
    return _dataset(
        request,
        _marked(splits),
        broken,
        {"revision": content_hash(list(files.values())), "licence": viggo.LICENCE, "split_rule": "the publishers' own"},
    )


def _viggo_rows(path: Path, broken: list[BrokenRow]) -> Iterator[dict[str, str]]:
    for line, row in read_csv(path):
        gold, text = row.get("mr", row.get("meaning_representation")), row.get("ref", row.get("target"))
        if gold and text and gold.strip() and text.strip():
            yield {"gold": gold, "text": text}
        else:
            broken.append(BrokenRow(file=path.name, line=line, why="columns mr and ref are needed, one is empty"))


def _load_jsonl(request: DataRequest) -> Dataset:
    source = locate("jsonl", path=request.path, hub=None, offline=request.offline)
    files = {split: _split_file(source, split, "jsonl") for split in _STEMS} if source.is_dir() else {"train": source}
    broken: list[BrokenRow] = []
    splits: Splits = {split: list(_jsonl_examples(path, broken)) for split, path in files.items()}
    rule = "the files'"
    if not source.is_dir():
        parts = split_by_group(
            shuffled(splits["train"], request.seed), lambda example: example.cluster, (0.1, 0.1), request.seed
        )
        splits, rule = dict(zip(_STEMS, parts, strict=True)), "80/10/10 by representation"
    facts = {"revision": content_hash(list(files.values())), "licence": "unknown", "split_rule": rule}
    return _dataset(request, _marked(_with_schema(splits)), broken, facts)


def _jsonl_examples(path: Path, broken: list[BrokenRow]) -> Iterator[Example]:
    seen: set[str] = set()
    for line, row in read_jsonl(path):
        if isinstance(row, BrokenRow):
            broken.append(row)
            continue
        try:
            example = example_from_row(row)
        except ValueError as error:
            broken.append(BrokenRow(file=path.name, line=line, why=str(error)))
            continue
        if example.id in seen:
            broken.append(BrokenRow(file=path.name, line=line, why=f"id {example.id!r} stands on an earlier line"))
            continue
        seen.add(example.id)
        yield example


def _dataset(request: DataRequest, splits: Splits, broken: Sequence[BrokenRow], facts: Mapping[str, str]) -> Dataset:
    unusable = {
        example.id: f"gold cannot judge: {why}"
        for examples in splits.values()
        for example in examples
        if (why := gold_error(example.gold))
    }
    sizes = {"train": request.train_size, "validation": request.validation_size, "test": request.test_size}
    kept = {split: first(shuffled(examples, request.seed), sizes[split]) for split, examples in splits.items()}
    return Dataset(
        name=request.name,
        revision=facts["revision"],
        licence=facts["licence"],
        split_rule=facts["split_rule"],
        train=kept["train"],
        validation=kept["validation"],
        test=kept["test"],
        broken=tuple(broken),
        unusable=unusable,
    )


def _marked(splits: Splits) -> Splits:
    """`splits` with the tag `seen_representation` where train has the same representation."""
    seen = {example.cluster for example in splits["train"]}
    return {
        split: [
            replace(example, tags=(*example.tags, "seen_representation"))
            if split != "train" and example.cluster in seen
            else example
            for example in examples
        ]
        for split, examples in splits.items()
    }


def _with_schema(splits: Splits) -> Splits:
    """`splits` where each example carries a schema: its own, or the one that train's golds use."""
    functions: dict[str, str] = {}
    slots: dict[str, str] = {}
    for example in splits["train"]:
        if not gold_error(example.gold):
            gold = parse(example.gold)
            functions.setdefault(gold.function, "")
            slots.update({slot.name: "" for slot in gold.slots if slot.name not in slots})
    schema = {"functions": functions, "slots": slots}
    return {
        split: [replace(example, inputs={**schema, **example.inputs}) for example in examples]
        for split, examples in splits.items()
    }


def _split_file(folder: Path, split: str, suffix: str) -> Path:
    names = [f"{prefix}{stem}.{suffix}" for stem in _STEMS[split] for prefix in ("", "viggo-")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} has no file for the {split} split; one of {', '.join(names)} is needed")


def _meanings(key: str, value: Any) -> dict[str, str]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value, "")
    if isinstance(value, Mapping) and all(isinstance(part, str) for item in value.items() for part in item):
        return dict(value)
    raise ValueError(f"key {key!r} must be an object of name -> meaning or a list of names, got {value!r:.60}")


def _cluster(gold: str) -> str:
    return digest(gold if gold_error(gold) else content(parse(gold)), 12)


def _tags(gold: str) -> tuple[str, ...]:
    if gold_error(gold):
        return ()
    representation = parse(gold)
    return (f"function:{representation.function}", f"slots:{len(representation.slots)}")
