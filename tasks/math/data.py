"""The data sets of the math task. Goes in: a DataRequest. Comes out: a Dataset of three disjoint splits.

Sources (licence MIT for all three; Cobbe et al. 2021, arXiv 2110.14168; Hendrycks et al. 2021, arXiv 2103.03874; the
  500 of
Lightman et al. 2023, arXiv 2305.20050), pinned:
- gsm8k    openai/gsm8k @ 740312add88f781978c0658806c59bc2815b9866, configuration "main"
- math     EleutherAI/hendrycks_math @ 21a5633873b6a120296cce3e2df9d5550074f4a3, seven subjects
- math500  HuggingFaceH4/MATH-500 @ 6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be
- jsonl    rows with question and answer (an answer, or a solution with #### or \\boxed{}), optionally id, split,
           cluster and tags
- builtin  generate.py

Folders are read as published (JSON lines or parquet; `math` also as the original tree of JSON files). Validation is a
part of the official train split, by a stable hash of the question. A row whose question occurs in an earlier split
(test, then validation) is left out and reported as broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.core import BrokenRow, DataRequest, Dataset, Example, Split, UserError, digest
from harness.sources import content_hash, first, locate, read_jsonl, shuffled, stable_fraction
from tasks.math.generate import SIZES, build
from tasks.math.gold import gold_answer, without_calculator_marks, without_tail

NAMES = ("builtin", "gsm8k", "math500", "math", "jsonl")
# Tokens of the default model: gsm8k's longest solution has 342, MATH-500's 1,549.
LONGEST_SOLUTION = {"gsm8k": 400, "math": 2048, "math500": 2048}
HUB = {
    "gsm8k": ("openai/gsm8k", "740312add88f781978c0658806c59bc2815b9866"),
    "math": ("EleutherAI/hendrycks_math", "21a5633873b6a120296cce3e2df9d5550074f4a3"),
    "math500": ("HuggingFaceH4/MATH-500", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"),
}
_VALIDATION_SHARE = 0.07  # of an official train split
_SPLIT_WORDS: dict[str, Split] = {
    "train": "train", "validation": "validation", "valid": "validation", "dev": "validation",
    "test": "test"}  # fmt: skip
Row = tuple[str, int, Split | None, Mapping[str, Any]]


def load(request: DataRequest) -> Dataset:
    """The data set that `request` names. Raises UserError naming what is known."""
    if request.name == "builtin":
        return _builtin(request)
    if request.name not in NAMES:
        raise UserError(f"math has no data set {request.name!r}; it knows {', '.join(NAMES)}")
    if request.name == "jsonl" and request.path is None:
        raise UserError("data 'jsonl' needs --data-path: a file, or a folder with train.jsonl and test.jsonl")
    folder = locate(request.name, path=request.path, hub=HUB.get(request.name), offline=request.offline)
    files = _files(folder)
    if not files:
        raise UserError(f"data {request.name!r}: {folder} has no .jsonl, .json or .parquet file")
    rule = f"official test split; validation is {_VALIDATION_SHARE:.0%} of train by a hash of the question"
    rows = list(_rows(folder, files))
    if request.name == "math500":
        train_rows, rule = _math_train(request)
        rows = [(file, line, "test", row) for file, line, _, row in rows] + train_rows
    if request.name == "jsonl" and not any(split for _, _, split, _ in rows):
        rule = "80 / 10 / 10 by a hash of the question"
    return _dataset(request, rows, content_hash(files), rule)


def _builtin(request: DataRequest) -> Dataset:
    wanted: dict[Split, int | None] = {
        "train": request.train_size, "validation": request.validation_size, "test": request.test_size}  # fmt: skip
    made = build(request.seed, {split: SIZES[split] if size is None else size for split, size in wanted.items()})
    return Dataset(
        name="builtin",
        revision=f"generator-1-seed-{request.seed}",
        licence="Apache-2.0",
        split_rule="whole templates (setting and path of steps) by a hash; no arithmetic occurs twice anywhere",
        train=made["train"],
        validation=made["validation"],
        test=made["test"],
    )


def _math_train(request: DataRequest) -> tuple[list[Row], str]:
    """MATH's train split for math500, where it can be had; math500 itself is test only."""
    try:
        folder = locate("math", path=None, hub=HUB["math"], offline=request.offline)
    except UserError:
        return [], "test only: the 500 problems; the MATH train split was not found (set TUNEBENCH_DATA with math/)"
    rows = [row for row in _rows(folder, _files(folder)) if row[2] != "test"]
    return rows, "test: the 500 problems; train and validation: MATH's official train split, by a hash of the question"


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".jsonl", ".parquet", ".json"))
    found = [path for path in found if "socratic" not in path.parts and not path.name.startswith(("dataset_info", "."))]
    preferred = [path for path in found if path.suffix in (".jsonl", ".parquet")]
    return preferred or found


def _rows(folder: Path, files: list[Path]) -> Iterator[Row]:
    """(file, line, split if the file or row says it, row)."""
    for path in files:
        name = path.name if path == folder else str(path.relative_to(folder))
        split = next((_SPLIT_WORDS[w] for w in re.split(r"[^a-z]+", name.lower()) if w in _SPLIT_WORDS), None)
        for line, row in _records(path):
            own = _SPLIT_WORDS.get(str(row.get("split", "")).lower()) if isinstance(row, Mapping) else None
            yield name, line, own or split, row if isinstance(row, Mapping) else {"": row}


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BrokenRow]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        yield from enumerate(pyarrow.parquet.read_table(path).to_pylist(), start=1)
    elif path.suffix == ".json":
        yield 1, json.loads(path.read_text(encoding="utf-8"))
    else:
        yield from read_jsonl(path)


def _dataset(request: DataRequest, rows: list[Row], revision: str, rule: str) -> Dataset:
    splits: dict[Split, list[Example]] = {"train": [], "validation": [], "test": []}
    broken: list[BrokenRow] = []
    order: dict[Split | None, int] = {"test": 0, "validation": 1, "train": 2, None: 3}
    seen: dict[str, str] = {}
    unusable: dict[str, str] = {}
    has_official = any(split == "validation" for _, _, split, _ in rows)
    for file, line, split, row in sorted(rows, key=lambda entry: order[entry[2]]):
        if "" in row:
            broken.append(row[""])
            continue
        try:
            example = _example(request.name, row)
        except ValueError as error:
            broken.append(BrokenRow(file=file, line=line, why=str(error)))
            continue
        key = _normal(str(example.inputs["question"]))
        if key in seen:
            broken.append(BrokenRow(file=file, line=line, why=f"same question as {seen[key]}"))
            continue
        seen[key] = f"{file}:{line}"
        if not example.meta["answer"]:
            unusable[example.id] = "the gold text holds no answer"
        splits[_placed(split, key, request.seed, has_official)].append(example)
    ordered = {name: shuffled(examples, request.seed) for name, examples in splits.items()}
    return Dataset(
        name=request.name,
        revision=revision,
        licence="MIT" if request.name in HUB else "as the file's owner says",
        split_rule=rule,
        train=first(ordered["train"], request.train_size),
        validation=first(ordered["validation"], request.validation_size),
        test=first(ordered["test"], request.test_size),
        broken=tuple(broken),
        unusable=unusable,
        max_new_tokens=LONGEST_SOLUTION.get(request.name),
    )


def _placed(split: Split | None, key: str, seed: int, has_official: bool) -> Split:
    place = stable_fraction(key, seed)
    if split is None:
        return "test" if place < 0.1 else "validation" if place < 0.2 else "train"
    if split == "train" and not has_official and place < _VALIDATION_SHARE:
        return "validation"
    return split


def _example(source: str, row: Mapping[str, Any]) -> Example:
    question = row.get("question", row.get("problem"))
    solution = row.get("solution", row.get("answer", row.get("gold")))
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"needs the key 'question' (or 'problem'), has {sorted(map(str, row))[:8]}")
    if isinstance(solution, int | float) and not isinstance(solution, bool):
        solution = str(solution)
    if not isinstance(solution, str) or not solution.strip():
        raise ValueError(f"needs the key 'answer' (or 'solution'), has {sorted(map(str, row))[:8]}")
    answer, wanted = gold_answer(solution)
    if isinstance(row.get("answer"), str) and "solution" in row:
        answer = row["answer"].strip()
    target = without_tail(without_calculator_marks(solution))
    if wanted == "any":  # a bare answer is trained in the GSM8K form
        target, wanted = f"#### {answer}", "hash"
    return Example(
        id=str(row["id"]) if source == "jsonl" and row.get("id") else f"{source}-{digest(question, 12)}",
        inputs={"question": question.strip(), "format": wanted},
        gold=target,
        meta={"answer": answer, "format": wanted, "source": source},
        cluster=str(row.get("cluster", "")),
        tags=_tags(row, solution),
    )


def _tags(row: Mapping[str, Any], solution: str) -> tuple[str, ...]:
    tags = [str(tag) for tag in row.get("tags", ())] if isinstance(row.get("tags"), list | tuple) else []
    steps = solution.count("<<")
    if steps:
        tags.append(f"steps:{min(steps, 8)}{'+' if steps > 8 else ''}")
    subject = row.get("subject") or row.get("type")
    if isinstance(subject, str) and subject:
        tags.append(f"subject:{subject.lower()}")
    level = re.search(r"\d", str(row.get("level", "")))
    if level:
        tags.append(f"level:{level[0]}")
    return tuple(tags)


def _normal(question: str) -> str:
    return " ".join(re.sub(r"[^\w]+", " ", question.lower()).split())
