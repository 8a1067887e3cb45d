"""Pinned datasets -> rows. A name, a folder or a hub id in; rows with their place and a content hash.

Where a named dataset is looked for, in this order: an explicit path, `$TUNEBENCH_DATA/<name>`, the hub (pinned revision,
never with `offline`). A row that cannot be read is a `BrokenRow` with file and line, never dropped in silence.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from harness.core import BrokenRow, Example, UserError

Listener = Callable[[int, int], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While it lasts, `listener(done, total)` hears how far a loader is: checking thousands of golds takes minutes."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell_listener(done: int, total: int) -> None:
    """Say that `done` of `total` golds are checked, to whoever listens."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total)


def data_root() -> Path | None:
    """The folder of `TUNEBENCH_DATA`, or None when it is not set."""
    value = os.environ.get("TUNEBENCH_DATA", "")
    return Path(value).expanduser() if value else None


def cache_dir() -> Path:
    """Where derived files may be kept: `TUNEBENCH_CACHE`, else ~/.cache/tunebench. Made when missing."""
    value = os.environ.get("TUNEBENCH_CACHE", "")
    folder = Path(value).expanduser() if value else Path.home() / ".cache" / "tunebench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def locate(name: str, *, path: Path | None, hub: tuple[str, str] | None, offline: bool) -> Path:
    """The folder that holds dataset `name`. `hub` is (repository id, revision) to fetch from when not found locally.

    Raises UserError naming every place that was tried and what to do.
    """
    if path is not None:
        if not path.exists():
            raise UserError(f"data {name!r}: {path} does not exist; give a folder or file with --data-path")
        return path
    root = data_root()
    tried = []
    if root is not None:
        if (root / name).exists():
            return root / name
        tried.append(str(root / name))
    if hub is not None and not offline:
        try:
            from huggingface_hub import snapshot_download

            return Path(snapshot_download(hub[0], revision=hub[1], repo_type="dataset"))
        except Exception as error:  # becomes the user's error, with the remedy
            tried.append(f"hub {hub[0]}@{hub[1][:12]} ({type(error).__name__})")
    raise UserError(
        f"data {name!r} was not found; tried {', '.join(tried) or 'nothing (TUNEBENCH_DATA is not set)'}. "
        f"Set TUNEBENCH_DATA to a folder that has {name}/, or give --data-path"
    )


def read_jsonl(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BrokenRow]]:
    """(line number from 1, row) for each non-blank line; a line that is no JSON object comes as a BrokenRow."""
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, json_row(line, path.name, number)


def json_row(line: str, file: str, number: int) -> Mapping[str, Any] | BrokenRow:
    """The JSON object in one line of a file, or a BrokenRow saying why there is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, or an integer of thousands of digits
        why = "a blank line" if not line.strip() else f"not JSON: {error}"
        return BrokenRow(file=file, line=number, why=why)
    return (
        row if isinstance(row, dict) else BrokenRow(file=file, line=number, why=f"not an object: {type(row).__name__}")
    )


def read_csv(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line number of the row's end, row) of a CSV with a header, UTF-8 with or without BOM."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            yield reader.line_num, row


def content_hash(paths: Sequence[Path]) -> str:
    """SHA-256 (16 hex digits) over the bytes of `paths` in the given order: the revision of a local folder."""
    hasher = hashlib.sha256()
    for path in paths:
        hasher.update(path.name.encode())
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                hasher.update(chunk)
    return hasher.hexdigest()[:16]


def stable_fraction(key: str, seed: int = 0) -> float:
    """A number in [0, 1) that depends on `key` and `seed` alone: splits by it do not move when rows are added."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "big") / 2**64


def shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """`examples` in an order that depends on their ids and `seed` alone, never on the order of the source."""
    return sorted(examples, key=lambda example: (stable_fraction(example.id, seed), example.id))


def first(examples: Sequence[Example], size: int | None) -> tuple[Example, ...]:
    """The first `size` examples, or all when None."""
    return tuple(examples if size is None else examples[:size])


def split_by_group(
    examples: Sequence[Example], group: Callable[[Example], str], fractions: tuple[float, float], seed: int
) -> tuple[list[Example], list[Example], list[Example]]:
    """(train, validation, test): whole groups, by a stable hash; `fractions` are those of validation and test."""
    splits: tuple[list[Example], list[Example], list[Example]] = ([], [], [])
    for example in examples:
        place = stable_fraction(group(example), seed)
        splits[1 if place < fractions[0] else 2 if place < sum(fractions) else 0].append(example)
    return splits
