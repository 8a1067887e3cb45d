"""sql-create-context: questions over schemas without data. In: a folder, or the hub. Out: a `Dataset`.

b-mc2/sql-create-context (https://huggingface.co/datasets/b-mc2/sql-create-context, CC BY 4.0) holds question, context
(CREATE TABLE text) and answer, made from WikiSQL and Spider. Read are train.jsonl and dev.jsonl (as in
`TUNEBENCH_DATA`), or the hub's one JSON file. Golds keep the double-quoted string literals of the original, which
SQLite reads as text where no column has that name. The revision is the hash of the files' content, behind the hub's commit
when they come from there; the hub's newest commit is taken, because none is known here to be the right one, so another
upload is another revision and no run is continued with it.

No schema crosses splits. Linked, and so kept together, are rows with the same context (compared without case and
blanks), the same original database (`ref`, where a row has one), or, for rows without `ref`, the same set of table
names. A linked set with a row of dev.jsonl is test; of the other sets one in ten is validation by a stable hash, and
without dev.jsonl one in ten more is test. 8 of the 1,949 contexts of dev.jsonl also stand in train.jsonl: those train
rows join test and are counted there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.core import BrokenRow, DataRequest, Dataset, Example, UserError, digest
from harness.sources import content_hash, locate, read_jsonl, stable_fraction
from tasks.sql.sources_assemble import (
    Source,
    Splits,
    array_rows,
    assembled,
    read_examples,
    text_of,
    without_shared_groups,
)

HUB = ("b-mc2/sql-create-context", "main")
RULE = (
    "no schema (context, original database or set of table names) crosses splits; test is dev.jsonl where there "
    "is one, else a "
    "tenth of the schemas; validation is a tenth of the other schemas, by a stable hash"
)
_TABLE = re.compile(r"create\s+table\s+(?:if\s+not\s+exists\s+)?([^\s(]+)", re.IGNORECASE)


def load(request: DataRequest) -> Dataset:
    """The data set from `request.path`, `TUNEBENCH_DATA/sql_create_context` or the hub."""
    folder = locate("sql_create_context", path=request.path, hub=HUB, offline=request.offline)
    files = [folder] if folder.is_file() else sorted([*folder.glob("*.jsonl"), *folder.glob("*.json")])
    files = [path for path in files if path.name != "dataset_infos.json"]
    if not files:
        raise UserError(
            f"{folder} holds no .jsonl or .json file; sql-create-context has train.jsonl and dev.jsonl, or one .json"
        )
    broken: list[BrokenRow] = []
    rows = {path: read_examples(_rows(path), path.name, example, broken) for path in files}
    tests = [e for path, made in rows.items() if path.stem in ("dev", "test", "validation") for e in made]
    others = [e for path, made in rows.items() if path.stem not in ("dev", "test", "validation") for e in made]
    commit = f"{folder.name[:12]}-" if folder.parent.name == "snapshots" else ""  # of the hub
    source = Source(name="create-context", revision=commit + content_hash(files), licence="CC BY 4.0", split_rule=RULE)
    return assembled(source, _divided(others, tests), broken, request)


def example(row: Mapping[str, Any], line: int) -> Example:
    """One row. Raises ValueError saying what is wrong with it."""
    question, gold, context = text_of(row, "question"), text_of(row, "answer"), text_of(row, "context")
    if not _TABLE.search(context):
        raise ValueError(f"'context' must hold CREATE TABLE statements, got {context[:80]!r}")
    ref = row.get("ref")
    group = str(ref) if ref else "tables " + " ".join(sorted(_tables(context)))
    source = row.get("source")
    return Example(
        id=f"cc-{digest([question, gold, context], 16)}",
        inputs={"question": question, "schema": context},
        gold=gold,
        meta={"schema": context, "dialect": "sqlite"},
        cluster=group,
        tags=(str(source),) if source else (),
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BrokenRow]]:
    return read_jsonl(path) if path.suffix == ".jsonl" else array_rows(path)


def _divided(others: list[Example], tests: list[Example]) -> Splits:
    splits: Splits = {"train": others, "validation": [], "test": tests}
    linked = without_shared_groups(splits, _groups)
    train: Splits = {"train": [], "validation": [], "test": linked["test"]}
    for each in linked["train"]:
        place = stable_fraction(each.cluster)
        held = "validation" if place < 0.1 else "test" if place < 0.2 and not tests else "train"
        train[held].append(each)  # type: ignore[index]
    return without_shared_groups(train, _groups)


def _groups(each: Example) -> list[str]:
    return [f"cluster {each.cluster}", "context " + " ".join(str(each.inputs["schema"]).lower().split())]


def _tables(context: str) -> set[str]:
    return {name.strip('"`[]').lower() for name in _TABLE.findall(context)}
