"""Spider 1.0 and folders laid out like BIRD: questions over many SQLite databases. In: a folder. Out: a `Dataset`.

Spider (Yu et al. 2018, https://yale-lily.github.io/spider): train_spider.json, train_others.json when present,
dev.json, tables.json, database/<id>/<id>.sqlite. Licence CC BY-SA 4.0. BIRD (Li et al. 2023, https://bird-
bench.github.io): train/train.json, dev.json, <split>_tables.json, <split>_databases/<id>/<id>.sqlite, with a hint
("evidence") a question. Licence CC BY-SA 4.0.

Databases never cross splits: dev is test; one database in ten of train, by a stable hash of its id, is validation. A
BIRD folder without train.json is divided by database: 60 % train, 20 % validation, 20 % test.

An item whose database file is missing, or whose gold reads only empty tables there, is unusable: gold was never seen to
give a result, so nothing can be called right by it. Spider 1.0 ships nine databases without rows: imdb, academic,
scholar, yelp, baseball_1, geo, restaurants, music_2 in train and wta_1 in dev.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core import BrokenRow, DataRequest, Dataset, Example, UserError, digest
from harness.sources import content_hash, locate
from tasks.sql.sources_assemble import (
    Source,
    Splits,
    array_rows,
    assembled,
    hold_out,
    read_examples,
    text_of,
    without_shared_groups,
)
from tasks.sql.sources_ddl import described_ddl, file_ddl

LICENCE = "CC BY-SA 4.0"
VALIDATION_SHARE = 0.1
BIRD_TOKENS = 512  # its golds are longer than Spider's; assumed, not measured
SPIDER_RULE = (
    "whole databases: test is dev.json; validation is one train database in ten, by a stable hash of its id; "
    "train the rest"
)
BIRD_RULE = SPIDER_RULE + "; without train.json, dev's databases are divided 60/20/20"


def load(request: DataRequest) -> Dataset:
    """Spider in its official layout. Raises UserError when a file of it is missing."""
    folder = locate("spider", path=request.path, hub=None, offline=request.offline)
    files = _needed(folder, ("train_spider.json", "dev.json", "tables.json"))
    files += [folder / name for name in ("train_others.json",) if (folder / name).is_file()]
    broken: list[BrokenRow] = []
    schemas = _descriptions([folder / "tables.json"], broken)
    databases = _databases([folder / "database", folder / "test_database"])
    train = [e for path in files if path.name.startswith("train") for e in _examples(path, databases, schemas, broken)]
    splits = _divided(train, _examples(folder / "dev.json", databases, schemas, broken))
    source = Source(name="spider", revision=content_hash(sorted(files)), licence=LICENCE, split_rule=SPIDER_RULE)
    return assembled(source, splits, broken, request)


def load_bird(request: DataRequest) -> Dataset:
    """A folder laid out like BIRD. Raises UserError when it has no dev.json."""
    folder = locate("bird", path=request.path, hub=None, offline=request.offline)
    questions = {name: next(iter(sorted(folder.rglob(f"{name}.json"))), None) for name in ("train", "dev")}
    dev, train_file = questions["dev"], questions["train"]
    if dev is None:
        raise UserError(f"{folder} has no dev.json; BIRD's folder holds dev.json and dev_databases/<id>/<id>.sqlite")
    broken: list[BrokenRow] = []
    schemas = _descriptions(sorted(folder.rglob("*_tables.json")), broken)
    databases = _databases(sorted(path for path in folder.rglob("*_databases") if path.is_dir()))
    train = _examples(train_file, databases, schemas, broken) if train_file else []
    splits = _divided(train, _examples(dev, databases, schemas, broken))
    files = [path for path in (train_file, dev) if path] + sorted(folder.rglob("*_tables.json"))
    revision = content_hash(files)
    source = Source(name="bird", revision=revision, licence=LICENCE, split_rule=BIRD_RULE, max_new_tokens=BIRD_TOKENS)
    return assembled(source, splits, broken, request)


def _needed(folder: Path, names: Sequence[str]) -> list[Path]:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} lacks {', '.join(missing)}; Spider's folder holds train_spider.json, dev.json, tables.json "
            "and database/"
        )
    return [folder / name for name in names]


def _divided(train: list[Example], dev: list[Example]) -> Splits:
    if train:
        kept, held = hold_out(train, lambda example: example.cluster, VALIDATION_SHARE)
        splits: Splits = {"train": kept, "validation": held, "test": dev}
    else:
        rest, test = hold_out(dev, lambda example: example.cluster, 0.2)
        kept, held = hold_out(rest, lambda example: example.cluster, 0.25)
        splits = {"train": kept, "validation": held, "test": test}
    return without_shared_groups(splits, lambda example: [example.cluster])


def _databases(roots: Sequence[Path]) -> dict[str, Path]:
    """The SQLite files by lower-case database id: releases spell some ids in two cases (insurance_and_eClaims)."""
    files = [path for root in roots for path in sorted(root.glob("*/*.sqlite"))]
    return {path.stem.lower(): path for path in reversed(files) if path.stem.lower() == path.parent.name.lower()}


def _descriptions(files: Sequence[Path], broken: list[BrokenRow]) -> dict[str, str]:
    schemas: dict[str, str] = {}
    for file in files:
        for line, entry in array_rows(file):
            if isinstance(entry, BrokenRow):
                broken.append(entry)
                continue
            try:
                schemas[text_of(entry, "db_id")] = described_ddl(entry)
            except ValueError as error:
                broken.append(BrokenRow(file=file.name, line=line, why=str(error)))
    return schemas


def _examples(
    path: Path, databases: Mapping[str, Path], schemas: Mapping[str, str], broken: list[BrokenRow]
) -> list[Example]:
    def make(row: Mapping[str, Any], line: int) -> Example:
        return example(row, databases, schemas)

    return read_examples(array_rows(path), path.name, make, broken)


def example(row: Mapping[str, Any], files: Mapping[str, Path], schemas: Mapping[str, str]) -> Example:
    """One question; `files` are the databases by lower-case id. Raises ValueError saying what is wrong with the row."""
    name, question, gold = text_of(row, "db_id"), text_of(row, "question"), text_of(row, "query", "SQL")
    if Path(name).name != name:
        raise ValueError(f"'db_id' must be a plain folder name, got {name!r}")
    database = files.get(name.lower())
    if database is None and name not in schemas:
        raise ValueError(f"database {name!r} has neither an entry in tables.json nor a file {name}.sqlite")
    schema = schemas[name] if name in schemas else file_ddl(files[name.lower()])
    inputs = {"question": question, "schema": schema}
    evidence = row.get("evidence")
    if isinstance(evidence, str) and evidence.strip():
        inputs["evidence"] = evidence.strip()
    level = row.get("difficulty") or row.get("hardness")
    return Example(
        id=f"{name}-{digest([question, gold], 12)}",
        inputs=inputs,
        gold=gold,
        meta={"schema": schema, "database": str(database or f"{name}.sqlite"), "dialect": "sqlite"},
        cluster=name,
        tags=tuple(str(tag) for tag in (level, f"db:{name}") if tag),
    )
