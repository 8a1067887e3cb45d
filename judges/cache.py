"""Every call ever made, in one append-only JSON-lines file: the cache, the bill, and the record of what was said.

Goes in: records. Comes out: replies by key. A record is on disk (fsync) before its reply is used, so a process killed
at any point loses at most the calls in flight. A torn last line is dropped and closed with a newline by the next
writer; a broken line elsewhere is dropped too, and both are counted. Several processes may share a file: appends are
single writes under a lock, and a reader looks at what others added before it pays for a call.

Kinds of record: `sent` (a call is about to be paid, with its upper bound), `reply`, `failed`, `batch`.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from judges.calls import Reply

_REPLY_FIELDS = (
    "text", "finish", "refusal", "snapshot", "fingerprint", "prompt_tokens", "completion_tokens", "cached_tokens",
    "usage_known", "cost_usd",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bill:
    """Dollars of one account. At risk: the call broke after it was sent, so it may have been billed, at most this much.
    In flight: sent and not answered, also by a process that was killed; at most this much. `num_replies` were paid."""

    billed_usd: float
    at_risk_usd: float
    in_flight_usd: float
    num_replies: int = 0

    @property
    def committed_usd(self) -> float:
        """What may have been spent at most; a budget is kept against this."""
        return self.billed_usd + self.at_risk_usd + self.in_flight_usd


class CallCache:
    """The file `calls.jsonl` of one folder. The folder is made when missing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "calls.jsonl"
        self.lines_dropped = 0
        self._offset = 0
        self._replies: dict[str, dict[str, Reply]] = {}  # key -> snapshot -> reply
        self._latest: dict[tuple[str, str], str] = {}  # (endpoint, model) -> newest snapshot
        self._open_sends: dict[str, tuple[str, float]] = {}  # send id -> (account, upper bound)
        self._billed: dict[str, float] = {}  # account -> dollars
        self._at_risk: dict[str, float] = {}  # account -> dollars
        self._num_replies: dict[str, int] = {}  # account -> replies paid
        self._batches: dict[str, dict[str, Any]] = {}
        self.refresh()

    def find(self, key: str, snapshot: str | None) -> Reply | None:
        """The recorded reply to `key` by `snapshot` (None: by any, the newest first)."""
        by_snapshot = self._replies.get(key, {})
        if snapshot is not None:
            return by_snapshot.get(snapshot)
        return next(reversed(by_snapshot.values()), None)

    def latest_snapshot(self, endpoint_name: str, model: str) -> str | None:
        """The snapshot that answered last for this model at this endpoint, or None."""
        return self._latest.get((endpoint_name, model))

    def bill(self, account: str) -> Bill:
        """The money of `account` and of the accounts under it (`sweep` holds `sweep/judge`), in this invocation and all
        earlier ones."""

        def total(amounts: Mapping[str, float]) -> float:
            return sum(usd for owner, usd in amounts.items() if _is_under(owner, account))

        return Bill(
            billed_usd=total(self._billed),
            at_risk_usd=total(self._at_risk),
            in_flight_usd=sum(usd for owner, usd in self._open_sends.values() if _is_under(owner, account)),
            num_replies=sum(count for owner, count in self._num_replies.items() if _is_under(owner, account)),
        )

    def is_open(self, send: str) -> bool:
        """Whether the call sent as `send` has neither a reply nor a failure yet."""
        return send in self._open_sends

    def batches(self) -> dict[str, dict[str, Any]]:
        """The newest record of each batch by its plan id."""
        return dict(self._batches)

    def append(self, kind: str, **body: Any) -> None:
        """Write one record and wait until it is on disk."""
        self.append_many(kind, [body])

    def append_many(self, kind: str, bodies: Sequence[Mapping[str, Any]]) -> None:
        """Write records of one kind in one piece, and wait until they are on disk."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = "".join(
            json.dumps({"kind": kind, "at": at, **body}, ensure_ascii=True) + "\n" for body in bodies
        ).encode()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                lines = b"\n" + lines  # a process died in the middle of its last line
            view = memoryview(lines)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.refresh()

    def refresh(self) -> None:
        """Read what was added to the file since the last look, by this process or another."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                added = stream.read()
        except FileNotFoundError:
            return
        end = added.rfind(b"\n") + 1
        self._offset += end
        for line in added[:end].splitlines():
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                self._take(record)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self.lines_dropped += 1

    def _take(self, record: Mapping[str, Any]) -> None:
        kind, account = record["kind"], str(record.get("account", ""))
        if kind == "sent":
            self._open_sends[record["send"]] = (account, float(record["upper_usd"]))
        elif kind == "reply":
            reply = Reply(**{name: record[name] for name in _REPLY_FIELDS}, from_cache=True)
            by_snapshot = self._replies.setdefault(record["key"], {})
            by_snapshot.pop(reply.snapshot, None)  # so that the newest comes last
            by_snapshot[reply.snapshot] = reply
            self._latest[(record["endpoint"], record["model"])] = reply.snapshot
            self._open_sends.pop(record["send"], None)
            self._billed[account] = self._billed.get(account, 0.0) + (reply.cost_usd or 0.0)
            self._num_replies[account] = self._num_replies.get(account, 0) + 1
        elif kind == "failed":
            self._open_sends.pop(record["send"], None)
            self._at_risk[account] = self._at_risk.get(account, 0.0) + float(record["at_risk_usd"])
        elif kind == "batch":
            self._batches[record["plan"]] = dict(record)
        else:
            raise ValueError(f"unknown record kind {kind!r}")


def _is_under(owner: str, account: str) -> bool:
    return owner == account or owner.startswith(f"{account}/")


def reply_fields(reply: Reply) -> dict[str, Any]:
    """The part of a `reply` record that comes from the Reply."""
    return {name: getattr(reply, name) for name in _REPLY_FIELDS}
