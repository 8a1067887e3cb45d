"""The Batch API: calls go up as one file and come back within a day at half the price.

Goes in: missing calls. Comes out: their outcomes. Each step is written to the call cache before the next one: planned
(with the calls' keys), uploaded, submitted, collected. A killed process continues where it stopped: an open batch is
collected before anything is submitted, and a batch whose id was not written down in time is found again by the plan
number in its metadata, so the same calls are not paid twice.

Source: https://platform.openai.com/docs/guides/batch (at most 50,000 requests and 200 MB a file).
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from judges.cache import CallCache
from judges.calls import Call, Failure, Reply, reply_of_body, request_body
from judges.client import retry_after_s
from judges.endpoint import Endpoint, describe
from judges.ledger import Ledger

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger("judges")
T = TypeVar("T")
MAX_REQUESTS = 50_000
MAX_FILE_BYTES = 150_000_000  # under the documented 200 MB
MAX_FILE_PAGES = 100
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
PLAN_KEY = "tunebench_plan"


class BatchDesk:
    """Submits, waits for and collects batches. Lives in one event loop."""

    def __init__(self, *, client: AsyncOpenAI, place: Endpoint, cache: CallCache, ledger: Ledger) -> None:
        self.client, self.place, self.cache, self.ledger = client, place, cache, ledger
        self.link = ledger.config.connection

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
        """(calls of the next file, the file, calls the budget refuses)."""
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
            body = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions"}
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
        num_tries = 0

        async def create() -> str:
            nonlocal num_tries
            num_tries += 1
            if num_tries > 1:  # the answer to the first try may have been lost, not the batch
                known = await self._submitted_elsewhere(record["plan"])
                if known is not None:
                    return known
            batch = await self.client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={PLAN_KEY: str(record["plan"])},
            )
            return batch.id

        return self._write(record, status="submitted", batch_id=await self._patiently(create))

    async def _finish(self, record: Mapping[str, Any], missing: Mapping[str, Call]) -> dict[str, Reply | Failure]:
        """Wait for the batch of `record` and take its results; a plan that was never submitted frees its calls."""
        plan = record["plan"]
        if record["status"] == "planned":
            batch_id = await self._submitted_elsewhere(plan)
            if batch_id is None:
                outcomes: dict[str, Reply | Failure] = {}
                self._close(record, "never submitted", outcomes, set(record["keys"]))
                return {}
            record = self._write(record, status="submitted", batch_id=batch_id)
        batch = await self._patiently(lambda: self.client.batches.retrieve(record["batch_id"]))
        while batch.status not in ENDED:
            await asyncio.sleep(self.ledger.config.batch_poll_s)
            batch = await self._patiently(lambda: self.client.batches.retrieve(record["batch_id"]))
            log.info("batch %s is %s", record["batch_id"], batch.status)
        rows: list[dict[str, Any]] = []
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                content = await self._patiently(lambda name=file_id: self.client.files.content(name))  # type: ignore[misc]
                rows += _json_rows(content.content)
        outcomes = self._take(record, rows, missing)
        settled = {key for key in record["keys"] if key in missing}
        self._close(record, f"batch ended as {batch.status} without a result", outcomes, settled)
        return outcomes

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

    async def _submitted_elsewhere(self, plan: str) -> str | None:
        """The id of the batch that carries `plan`, when a killed process had submitted it without writing it down."""
        page = await self._patiently(lambda: self.client.batches.list(limit=100))
        for _ in range(MAX_FILE_PAGES):
            for batch in page.data:
                if (batch.metadata or {}).get(PLAN_KEY) == plan:
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
                passes = error.status_code in (408, 409, 429) or error.status_code >= 500
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


class BatchError(RuntimeError):
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
