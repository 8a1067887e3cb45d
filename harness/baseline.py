"""Blessing: a run's scored items -> a baseline file fit for git, and back. The only writer of baselines.

One JSON object: format, task, split, scorer, run, versions (the hashes of the certificate's parts), setting, forced (why its
numbers are marked), note, a digest over all of it, then one line an item (id, value, outcome, why, cluster, tags, latency_s,
content), sorted by id, so that a diff shows items. Answers stay out: they are
long and hostile. A file that was edited by hand no longer matches its digest and is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core import UserError, digest
from harness.items import Item, ItemSet
from harness.store import write_text

FORMAT = "tunebench-baseline/1"
NEEDED_VERSIONS = ("task", "data", "prompts", "scorers", "engine")
MAXIMUM_UNSCORED = 0.01


def bless(items: ItemSet, path: Path, *, note: str = "", replace: bool = False) -> Path:
    """Write `items` as the baseline at `path`, atomically. Returns the path.

    Raises UserError when the items cannot serve as a baseline (none, above 1 % unscored, a version missing), and when
    another baseline stands there and `replace` is False.
    """
    missing = [part for part in NEEDED_VERSIONS if not items.versions.get(part)]
    if len(items.items) < 2:
        raise UserError(f"cannot bless {items.name}: it has {len(items.items)} scored items, at least 2 are needed")
    if missing:
        raise UserError(
            f"cannot bless {items.name}: the version of {', '.join(missing)} is unknown; run `harness certify "
            f"{items.task}` and sample again, so that a later change can be seen"
        )
    if items.unscored_share > MAXIMUM_UNSCORED:
        raise UserError(
            f"cannot bless {items.name}: {items.unscored_share:.1%} of {len(items.items)} items are unscored, the "
            f"limit is {MAXIMUM_UNSCORED:.0%}; score it again"
        )
    if path.exists() and not replace:
        raise UserError(f"{path} exists; give --replace to bless {items.name} over it, or another --output")
    write_text(path, _text(items, note))
    return path


def read_baseline(path: Path) -> ItemSet:
    """The items that `bless` wrote. Raises UserError when the file is missing, broken, edited or of another format."""
    if not path.is_file():
        raise UserError(f"no baseline at {path}; write one with `harness bless RUN --output {path}`")
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"baseline {path} is not JSON ({error}); restore it from git or bless again") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        found = body.get("format") if isinstance(body, dict) else type(body).__name__
        raise UserError(f"baseline {path} has format {found!r}, this version reads {FORMAT!r}; bless the run again")
    claimed = body.pop("digest", None)
    if claimed != digest(body, 16):
        raise UserError(f"baseline {path} does not match its digest: it was edited or damaged; bless the run again")
    try:
        return ItemSet(
            name=str(body["run"]),
            task=str(body["task"]),
            split=str(body["split"]),
            scorer=str(body["scorer"]),
            versions={str(part): str(version) for part, version in body["versions"].items()},
            setting=dict(body.get("setting", {})),
            items=tuple(_item(row) for row in body["items"]),
            forced=tuple(str(mark) for mark in body.get("forced", [])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"baseline {path} cannot be read ({error}); bless the run again") from error


def _text(items: ItemSet, note: str) -> str:
    head: dict[str, Any] = {
        "format": FORMAT,
        "task": items.task,
        "split": items.split,
        "scorer": items.scorer,
        "run": items.name,
        "versions": dict(sorted(items.versions.items())),
        "setting": dict(sorted(items.setting.items())),
        "note": note,
        **({"forced": list(items.forced)} if items.forced else {}),
    }
    rows = [_row(item) for item in sorted(items.items, key=lambda item: item.id)]
    head["digest"] = digest({**head, "items": rows}, 16)
    lines = json.dumps(head, indent=1, ensure_ascii=True)[:-2]
    return lines + ',\n "items": [\n  ' + ",\n  ".join(json.dumps(row, ensure_ascii=True) for row in rows) + "\n ]\n}\n"


def _row(item: Item) -> dict[str, Any]:
    row: dict[str, Any] = {"id": item.id, "value": item.value, "outcome": item.outcome, "why": item.why}
    optional = {
        "cluster": item.cluster,
        "tags": list(item.tags),
        "latency_s": item.latency_s,
        "content": item.content,
    }
    return row | {key: value for key, value in optional.items() if value not in ("", [], None)}


def _item(row: Mapping[str, Any]) -> Item:
    return Item(
        id=row["id"],
        value=row["value"],
        outcome=row["outcome"],
        why=row["why"],
        cluster=row.get("cluster", ""),
        tags=tuple(row.get("tags", ())),
        latency_s=row.get("latency_s"),
        content=row.get("content", ""),
    )
