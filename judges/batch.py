"""The Batch API: calls go up as one file and come back within a day at half the price.

Goes in: missing calls. Comes out: their outcomes. Each step is written to the call cache before the next one: planned
(with the calls' keys), uploaded, submitted, collected. A killed process continues where it stopped: an open batch is
collected before anything is submitted, and a batch whose id was not written down in time is found again by the plan
number in its metadata or by its file, so the same calls are not paid twice.

Sources: https://platform.openai.com/docs/guides/batch (at most 50,000 requests and 200 MB a file, one model a file) and
https://learn.microsoft.com/azure/ai-services/openai/how-to/batch (the address has no /v1, a file is pending at first).
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from harness.core import UserError
from judges.cache import CallCache
from judges.calls import Call, Failure, Reply, reply_of_body, request_body
from judges.client import QUOTA_CODES, error_code, retry_after_s
from judges.config import ProgressFunction
from judges.endpoint import describe
from judges.ledger import Ledger

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger("judges")
T = TypeVar("T")
MAX_REQUESTS = 50_000
MAX_FILE_BYTES = 150_000_000  # under the documented 200 MB
MAX_FILE_PAGES = 100
ENDED = frozenset({"completed", "failed", "expired", "cancelled", "canceled"})
FILE_PENDING = frozenset({"pending", "running"})  # Azure's words; OpenAI's files can be used at once
PLAN_KEY = "tunebench_plan"


class BatchDesk:
    """Submits, waits for and collects batches. Lives in one event loop."""

    def __init__(
        self, *, client: AsyncOpenAI, cache: CallCache, ledger: Ledger, progress: ProgressFunction | None = None
    ) -> None:
        self.client, self.place, self.cache, self.ledger = client, ledger.place, cache, ledger
        self.link, self.progress = ledger.config.connection, progress
        self.url = "/chat/completions" if self.place.kind == "azure" else "/v1/chat/completions"

    async def answers(self, missing: Mapping[str, Call]) -> dict[str, Reply | Failure]:
        """An outcome for each missing call: open batches first, then new ones for what is left."""
        outcomes: dict[str, Reply | Failure] = {}
        for record in list(self.cache.batches().values()):
            is_ours = record["endpoint"] == self.place.name and record["status"] != "collected"
            if is_ours and set(record["keys"]) & set(missing):
                outcomes |= await self._finish(record, missing)
        left = {key: call for key, call in missing.items() if not isinstance(outcomes.get(key), Reply)}
        while left:
            chunk, lines, refused = self._chunk(left)
            outcomes |= refused
            left = {key: call for key, call in left.items() if key not in chunk and key not in refused}
            if chunk:
                outcomes |= await self._submit_and_finish(chunk, lines, missing)
        return {key: outcomes[key] for key in missing}

    def _chunk(self, calls: Mapping[str, Call]) -> tuple[dict[str, Call], bytes, dict[str, Reply | Failure]]:
        """(calls of the next file, the file, calls the budget refuses). A file holds calls to one model."""
        budget = self.ledger.config.budget_usd
        room_usd = None if budget is None else budget - self.cache.bill(self.ledger.purse).committed_usd
        chunk: dict[str, Call] = {}
        refused: dict[str, Reply | Failure] = {}
        lines: list[bytes] = []
        size = 0
        for key, call in calls.items():
            most_usd = self.ledger.most_usd(call)
            if room_usd is not None and most_usd > room_usd:
                refused[key] = self.ledger.refusal(call)
                continue
            if chunk and call.model != next(iter(chunk.values())).model:
                continue
            body = {"custom_id": key, "method": "POST", "url": self.url}
            line = json.dumps({**body, "body": request_body(call, self.place)}).encode() + b"\n"
            if len(chunk) == MAX_REQUESTS or size + len(line) > MAX_FILE_BYTES:
                break
            room_usd = None if room_usd is None else room_usd - most_usd
            chunk[key] = call
            lines.append(line)
            size += len(line)
        return chunk, b"".join(lines), refused

    async def _submit_and_finish(
        self, chunk: Mapping[str, Call], lines: bytes, missing: Mapping[str, Call]
    ) -> dict[str, Reply | Failure]:
        record = {"plan": uuid.uuid4().hex, "endpoint": self.place.name, "keys": list(chunk), "status": "planned"}
        self.cache.append("batch", **record)
        self.ledger.record_sends([(key, f"{record['plan']}:{key}", call) for key, call in chunk.items()])
        record = await self._submit(record, lines)
        return await self._finish(record, missing)

    async def _submit(self, record: Mapping[str, Any], lines: bytes) -> dict[str, Any]:
        upload = (f"{record['plan']}.jsonl", lines)
        file = await self._patiently(lambda: self.client.files.create(file=upload, purpose="batch"))
        record = self._write(record, status="uploaded", file_id=file.id)
        while str(file.status) in FILE_PENDING:
            await asyncio.sleep(self.ledger.config.batch_poll_s)
            file = await self._patiently(lambda: self.client.files.retrieve(record["file_id"]))
        num_tries = 0

        async def create() -> str:
            nonlocal num_tries
            num_tries += 1
            if num_tries > 1:  # the answer to the first try may have been lost, not the batch
                known = await self._submitted_elsewhere(record)
                if known is not None:
                    return known
            batch = await self.client.batches.create(
                input_file_id=record["file_id"],
                endpoint=self.url,  # type: ignore[arg-type]  # Azure's has no /v1
                completion_window="24h",
                metadata={PLAN_KEY: str(record["plan"])},
            )
            return batch.id

        return self._write(record, status="submitted", batch_id=await self._patiently(create))

    async def _finish(self, record: Mapping[str, Any], missing: Mapping[str, Call]) -> dict[str, Reply | Failure]:
        """Wait for the batch of `record` and take its results; a plan that was never submitted frees its calls."""
        if record["status"] in ("planned", "uploaded"):
            batch_id = await self._submitted_elsewhere(record)
            if batch_id is None:
                outcomes: dict[str, Reply | Failure] = {}
                self._close(record, "never submitted", outcomes, set(record["keys"]))
                return {}
            record = self._write(record, status="submitted", batch_id=batch_id)
        batch = await self._patiently(lambda: self.client.batches.retrieve(record["batch_id"]))
        while batch.status not in ENDED:
            self._tell(batch.request_counts, len(record["keys"]))
            await asyncio.sleep(self.ledger.config.batch_poll_s)
            batch = await self._patiently(lambda: self.client.batches.retrieve(record["batch_id"]))
            log.info("batch %s of %d calls is %s", record["batch_id"], len(record["keys"]), batch.status)
        rows: list[dict[str, Any]] = []
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                content = await self._patiently(lambda name=file_id: self.client.files.content(name))  # type: ignore[misc]
                rows += _json_rows(content.content)
        outcomes = self._take(record, rows, missing)
        settled = {key for key in record["keys"] if key in missing}
        said = "; ".join(str(error.message) for error in (batch.errors.data if batch.errors else None) or [])
        why = f"batch ended as {batch.status} without a result{': ' if said else ''}{self.place.scrub(said)[:300]}"
        self._close(record, why, outcomes, settled)
        return outcomes

    def _tell(self, counts: Any, total: int) -> None:
        """Progress of the batch that is waited for; a server may count nothing."""
        if self.progress is not None:
            done = (counts.completed + counts.failed) if counts is not None else 0
            self.progress(done, total, self.cache.bill(self.ledger.account).billed_usd - self.ledger.earlier.billed_usd)

    def _take(
        self, record: Mapping[str, Any], rows: list[dict[str, Any]], missing: Mapping[str, Call]
    ) -> dict[str, Reply | Failure]:
        outcomes: dict[str, Reply | Failure] = {}
        for row in rows:
            key = row.get("custom_id")
            if not isinstance(key, str) or key not in record["keys"]:
                continue
            call, send = missing.get(key), f"{record['plan']}:{key}"
            if call is None:
                continue  # asked by another job, which collects it: the record stays open
            response = row.get("response")
            body = response.get("body") if isinstance(response, dict) and response.get("status_code") == 200 else None
            reply = reply_of_body(body, call, self.place)
            if reply is None:
                detail = self.place.scrub(json.dumps(row.get("error") or row.get("response")))[:300]
                outcomes[key] = Failure(reason="batch_failed", detail=detail)
                if self.cache.is_open(send):
                    self.ledger.record_failure(key, send, f"batch_failed: {detail}", at_risk_usd=0.0)
            elif self.cache.is_open(send):
                outcomes[key] = self.ledger.record_reply(key, send, call, reply)
            else:
                outcomes[key] = self.cache.find(key, reply.snapshot) or reply
        return outcomes

    def _close(self, record: Mapping[str, Any], why: str, outcomes: dict[str, Reply | Failure], keys: set[str]) -> None:
        """Settle those of `keys` without a result (an unanswered request is not billed); the record is done when no
        call of it is open."""
        sends = {key: f"{record['plan']}:{key}" for key in record["keys"]}
        for key in keys - set(outcomes):
            if self.cache.is_open(sends[key]):
                self.ledger.record_failure(key, sends[key], why, at_risk_usd=0.0)
            outcomes[key] = Failure(reason="batch_failed", detail=why)
        if not any(self.cache.is_open(send) for send in sends.values()):
            self._write(record, status="collected")

    async def _submitted_elsewhere(self, record: Mapping[str, Any]) -> str | None:
        """The id of the batch of `record`, when a killed process had submitted it without writing it down."""
        file_id = record.get("file_id")
        page = await self._patiently(lambda: self.client.batches.list(limit=100))
        for _ in range(MAX_FILE_PAGES):
            for batch in page.data:
                has_plan = (batch.metadata or {}).get(PLAN_KEY) == record["plan"]
                if has_plan or (file_id is not None and batch.input_file_id == file_id):
                    return batch.id
            if not page.has_next_page():
                return None
            current = page
            page = await self._patiently(lambda at=current: at.get_next_page())  # type: ignore[misc]
        return None

    def _write(self, record: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        body = {**{k: v for k, v in record.items() if k not in ("kind", "at")}, **changes}
        self.cache.append("batch", **body)
        return body

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """The result of `step`, tried again after faults that pass; the last error goes up scrubbed."""
        import openai

        for number in range(1, self.link.max_attempts + 1):
            wait_s: float | None = None
            try:
                return await step()
            except openai.APIStatusError as error:
                has_no_quota = error.status_code == 429 and error_code(error) in QUOTA_CODES
                passes = not has_no_quota and (error.status_code in (408, 409, 429) or error.status_code >= 500)
                wait_s = retry_after_s(error.response.headers)
                failure: openai.APIError = error
            except openai.APIConnectionError as error:
                passes, failure = True, error
            text = describe(failure, self.place)
            if not passes or number == self.link.max_attempts:
                raise BatchError(f"the Batch API at {self.place.name} failed: {text}") from None
            log.warning("batch, attempt %d of %d: %s", number, self.link.max_attempts, text)
            await asyncio.sleep(min(wait_s or self.link.first_wait_s * 2**number, self.link.max_wait_s))
        raise AssertionError("the last attempt returns or raises")


class BatchError(UserError):
    """The Batch API could not be used. What was submitted stays written down: run the same command again."""


def _json_rows(content: bytes) -> list[dict[str, Any]]:
    rows = []
    for line in content.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # its call has no result then, and is settled as such
        if isinstance(row, dict):
            rows.append(row)
    return rows
