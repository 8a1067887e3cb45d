"""What every SQL source shares: rows of a file with their line, groups kept in one split, golds checked, a `Dataset`
built.

In: examples by split. Out: a `Dataset` whose splits share no group, in an order that depends on ids and seed alone,
cut to the sizes asked for, with every gold of those checked by `score.gold_problem`. A check costs milliseconds to
seconds, so its answer is kept in `cache_dir()` under the hash of everything it depends on, the database file's bytes
included."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.core import SPLITS, BrokenRow, DataRequest, Dataset, Example, Split, UserError, digest
from harness.sources import cache_dir, content_hash, shuffled, stable_fraction, tell_listener

Splits = dict[Split, list[Example]]
_MOST_CHECKERS = 8
_WORTH_A_POOL = 40
_KEPT_EVERY_S = 15.0  # after which the answers so far are written down
# the longest gold of Spider and of sql-create-context has 252 tokens with SmolLM2's tokenizer, end token included; half
# have 28 and 33, and one in seventy and in a hundred and fifty is over 112, which is enough for the built-in data
MAX_NEW_TOKENS = 256
SQL_KEYS = ("gold", "query", "sql", "answer", "SQL")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is said about a source, beside its rows."""

    name: str
    revision: str
    licence: str
    split_rule: str
    max_new_tokens: int = MAX_NEW_TOKENS


# ---- rows -------------------------------------------------------------------------------------------------


def array_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BrokenRow]]:
    """(line number of its first character, row) for each object of a JSON array.

    Raises UserError with file and line where the text stops being JSON: what follows cannot be read at all.
    """
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    if not text.lstrip().startswith("["):
        raise UserError(f"{path} must hold a JSON array, it starts with {text.lstrip()[:20]!r}")
    decoder, line, counted = json.JSONDecoder(), 1, 0
    place = text.index("[") + 1
    while place < len(text):
        if text[place] in " \t\r\n,]":
            place += 1
            continue
        line, counted = line + text.count("\n", counted, place), place
        try:
            row, place = decoder.raw_decode(text, place)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{path}: line {line} is not JSON ({error}); mend the file or fetch it again") from None
        if isinstance(row, dict):
            yield line, row
        else:
            yield line, BrokenRow(file=path.name, line=line, why=f"not an object: {type(row).__name__}")


def text_of(row: Mapping[str, Any], *keys: str) -> str:
    """The first non-blank text under one of `keys`. Raises ValueError naming the keys and what was found."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, str) and value.strip():
            if any("\ud800" <= letter <= "\udfff" for letter in value):
                raise ValueError(f"{key!r} is not valid UTF-8: {value[:60]!a}")
            return value.strip()
    found = {key: row[key] for key in keys if key in row}
    wanted = " or ".join(repr(key) for key in keys)
    raise ValueError(f"{wanted} must be a non-empty text, got {found or 'no such key'}")


def read_examples(
    rows: Iterator[tuple[int, Mapping[str, Any] | BrokenRow]],
    file: str,
    make: Callable[[Mapping[str, Any], int], Example],
    broken: list[BrokenRow],
) -> list[Example]:
    """`make(row, line)` for each row. A ValueError or KeyError of it, like a broken row, goes to `broken`."""
    made = []
    for line, row in rows:
        if isinstance(row, BrokenRow):
            broken.append(row)
            continue
        try:
            made.append(make(row, line))
        except (ValueError, KeyError) as error:
            broken.append(BrokenRow(file=file, line=line, why=str(error)))
    return made


# ---- splits -----------------------------------------------------------------------------------------------


def without_shared_groups(splits: Splits, groups: Callable[[Example], Sequence[str]]) -> Splits:
    """The same examples, no group in two splits. An example may be in several groups; what is linked moves together.

    Linked examples all go to the last of train, validation, test that any of them is in: nothing is dropped.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first_group: dict[str, str] = {}
    for split in SPLITS:
        for example in splits[split]:
            names = list(groups(example))
            first_group[example.id] = names[0]
            for name in names[1:]:
                parent[root(names[0])] = root(name)
    place: dict[str, int] = defaultdict(int)
    for number, split in enumerate(SPLITS):
        for example in splits[split]:
            place[root(first_group[example.id])] = number
    moved: Splits = {split: [] for split in SPLITS}
    for split in SPLITS:
        for example in splits[split]:
            moved[SPLITS[place[root(first_group[example.id])]]].append(example)
    return moved


def hold_out(
    examples: Sequence[Example], group: Callable[[Example], str], share: float
) -> tuple[list[Example], list[Example]]:
    """(kept, held out): whole groups, the ones with the lowest stable hash, until `share` of the groups is held out."""
    names = sorted({group(example) for example in examples}, key=lambda name: (stable_fraction(name), name))
    held = set(names[: max(1, round(share * len(names)))]) if len(names) > 1 else set()
    return [e for e in examples if group(e) not in held], [e for e in examples if group(e) in held]


def with_unique_ids(examples: Sequence[Example]) -> list[Example]:
    """The examples; the second and later ones of an id get "-2", "-3" after it: exact repeats in a source stay
    items."""
    count: dict[str, int] = defaultdict(int)
    made = []
    for example in examples:
        count[example.id] += 1
        made.append(example if count[example.id] == 1 else replace(example, id=f"{example.id}-{count[example.id]}"))
    return made


# ---- the data set -----------------------------------------------------------------------------------------


def assembled(source: Source, splits: Splits, broken: Sequence[BrokenRow], request: DataRequest) -> Dataset:
    """The data set: unique ids, shuffled by `request.seed`, cut to the sizes asked for, golds checked."""
    sizes = {"train": request.train_size, "validation": request.validation_size, "test": request.test_size}
    # shuffled first: a repeat then stands behind its twin under every seed, and no size keeps "x-2" without "x"
    ids = with_unique_ids([example for split in SPLITS for example in shuffled(splits[split], request.seed)])
    made: Splits = {}
    for split in SPLITS:
        mine, ids = ids[: len(splits[split])], ids[len(splits[split]) :]
        made[split] = mine[: sizes[split]]
    return Dataset(
        name=source.name,
        revision=source.revision,
        licence=source.licence,
        split_rule=source.split_rule,
        train=tuple(made["train"]),
        validation=tuple(made["validation"]),
        test=tuple(made["test"]),
        broken=tuple(broken),
        max_new_tokens=source.max_new_tokens,
        unusable=unusable(source.name, [example for split in SPLITS for example in made[split]]),
    )


def unusable(name: str, examples: Sequence[Example]) -> dict[str, str]:
    """Example id -> why its gold cannot judge. Answers are kept in `cache_dir()`, one file a source, as they come."""
    path = cache_dir() / f"sql-gold-{name}.json"
    known = _read_known(path)
    keys = {example.id: _check_key(example) for example in examples}
    unknown = list({keys[e.id]: e for e in examples if keys[e.id] not in known}.values())
    written = time.monotonic()
    for number, (example, problem) in enumerate(zip(unknown, _problems(unknown), strict=True), start=1):
        known[keys[example.id]] = problem
        tell_listener(number, len(unknown))
        if number == len(unknown) or time.monotonic() - written > _KEPT_EVERY_S:
            _write_known(path, {**_read_known(path), **known})
            written = time.monotonic()
    problems = {example.id: known[keys[example.id]] for example in examples}
    return {name: problem for name, problem in problems.items() if problem is not None}


def _problems(examples: Sequence[Example]) -> Iterator[str | None]:
    """The problem of each gold. A thread has a child process of its own, dear to start for a few checks."""
    if len(examples) < _WORTH_A_POOL:
        yield from map(_problem, examples)
        return
    with ThreadPoolExecutor(min(_MOST_CHECKERS, os.cpu_count() or 1)) as pool:
        yield from pool.map(_problem, examples)


def _problem(example: Example) -> str | None:
    from tasks.sql.score import gold_problem

    return _missing_database(example) or gold_problem(example)


def _missing_database(example: Example) -> str | None:
    database = str(example.meta.get("database") or "")
    if database and not Path(database).is_file():
        return f"the database file {Path(database).name} is missing at the source, so gold was never run"
    return None


def _check_key(example: Example) -> str:
    from tasks.sql.score import SCORER_VERSION

    database = Path(str(example.meta.get("database") or ""))
    content = _file_hash(database) if database.is_file() else "none"
    meta = {key: value for key, value in example.meta.items() if key != "database"}
    return digest([SCORER_VERSION, _check_code(), example.gold, meta, database.name, content], 24)


@cache
def _file_hash(path: Path) -> str:
    return content_hash([path])


@cache
def _check_code() -> str:
    """The hash of the code that checks golds: an answer of older code is not believed."""
    return content_hash(sorted(path for path in Path(__file__).parent.glob("*.py")))


def _read_known(path: Path) -> dict[str, str | None]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # no cache yet, or a torn one: it is made again
    return known if isinstance(known, dict) else {}


def _write_known(path: Path, known: Mapping[str, str | None]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8") as stream:
        json.dump(known, stream, sort_keys=True)
    os.replace(stream.name, path)
