"""Calls in, replies out: from the cache where it can, from the server where it must, and never past the budget.

The one owner of retries, waits, concurrency and money. A call is written down before it is sent (`sent`, with the most
it can cost) and after (`reply` or `failed`), so the file of judges/cache.py is the bill, and a killed process has at
most its calls in flight to pay again. A call is sent only when everything committed so far and its own upper bound stay
within the budget.

Snapshots: an alias such as `gpt-4o` moves. Replies are taken from the cache only for the snapshot that answered last;
when anything is missing, the first live reply tells what the alias means today, and cached replies of another snapshot
are asked again. A server that changes in the middle of a run is reported, not hidden.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from harness.core import UserError
from judges.batch import MAX_REQUESTS, BatchDesk
from judges.cache import CallCache
from judges.calls import Call, Estimate, Failure, Reply, Spend
from judges.client import Fault, attempt
from judges.config import MAX_FIELD_CHARS, JudgeConfig, ProgressFunction
from judges.endpoint import endpoint
from judges.ledger import Ledger
from judges.prices import prices_date
from judges.throttle import Throttle

log = logging.getLogger("judges")
Outcome = Reply | Failure
T = TypeVar("T")


class Caller:
    """Answers calls. Made once for a job; what it spent is `spend()`."""

    def __init__(self, config: JudgeConfig) -> None:
        self.config = config
        self.place = endpoint(config.connection)
        self.cache = CallCache(config.cache_dir)
        self.ledger = Ledger(config, self.place, self.cache)
        self._snapshots: dict[str, str] = {}  # model -> what the first live reply of this object named
        self._seen: dict[str, None] = {}
        self._num_calls = self._num_cached = self._num_failed = self._num_retries = 0
        self._tokens = [0, 0]
        self._saved_usd = 0.0

    def answers(self, calls: Sequence[Call], progress: ProgressFunction | None = None) -> list[Outcome]:
        """One outcome for each call, in order. Equal calls are asked once.

        Raises UserError when no call can succeed: a refused key, an unknown model.
        """
        keys = [call.key(self.place.name) for call in calls]
        outcomes = run_to_end(self._answers(dict(zip(keys, calls, strict=True)), progress))
        return [outcomes[key] for key in keys]

    def cached(self, call: Call) -> Reply | None:
        """The recorded reply to `call`, or None; nothing is sent."""
        snapshot = self._snapshots.get(call.model) or self.cache.latest_snapshot(self.place.name, call.model)
        return self.cache.find(call.key(self.place.name), snapshot)

    def estimate(self, calls: Sequence[Call], likely_reply_tokens: int) -> Estimate:
        """What `answers(calls)` would ask and cost, without sending anything."""
        unique = {call.key(self.place.name): call for call in calls}
        fresh = [call for call in unique.values() if self.cached(call) is None]
        known = self.ledger.every_price_known
        return Estimate(
            num_calls=len(fresh),
            num_cached=len(unique) - len(fresh),
            likely_usd=sum(self.ledger.likely_usd(call, likely_reply_tokens) for call in fresh) if known else None,
            most_usd=sum(self.ledger.most_usd(call) for call in fresh) if known else None,
            prices_date=prices_date(),
        )

    def spend(self) -> Spend:
        """What was asked and paid through this object, and what its account paid before."""
        bill = self.cache.bill(self.ledger.account)
        return Spend(
            num_calls=self._num_calls,
            num_paid=bill.num_replies,
            num_cached=self._num_cached,
            num_failed=self._num_failed,
            num_retries=self._num_retries,
            prompt_tokens=self._tokens[0],
            completion_tokens=self._tokens[1],
            cost_usd=bill.billed_usd - self.ledger.earlier.billed_usd,
            at_risk_usd=bill.at_risk_usd + bill.in_flight_usd,
            saved_usd=self._saved_usd,
            earlier_usd=self.ledger.earlier.billed_usd,
            budget_usd=self.config.budget_usd,
            cost_known=self.ledger.every_price_known,
            prices_date=prices_date(),
            snapshots=tuple(self._seen),
            cache_lines_dropped=self.cache.lines_dropped,
        )

    async def _answers(self, calls: Mapping[str, Call], progress: ProgressFunction | None) -> dict[str, Outcome]:
        self.cache.refresh()
        outcomes: dict[str, Outcome] = {key: hit for key, call in calls.items() if (hit := self.cached(call))}
        missing = {key: call for key, call in calls.items() if key not in outcomes}
        if missing:
            self._log_limits(len(missing), len(outcomes))
            async with self.place.client(self.config.connection) as client:
                if self.config.batch:
                    desk = BatchDesk(client=client, cache=self.cache, ledger=self.ledger, progress=progress)
                    outcomes |= await self._batched(desk, calls, missing)
                else:
                    outcomes = await _Round(self, client, calls, progress).answers(outcomes)
        for outcome in outcomes.values():
            self._count(outcome)
        if progress is not None:
            progress(len(calls), len(calls), self.spend().cost_usd)
        return outcomes

    async def _batched(
        self, desk: BatchDesk, calls: Mapping[str, Call], missing: Mapping[str, Call]
    ) -> dict[str, Outcome]:
        """The missing outcomes by batch, and those of cached calls whose alias turned out to mean another snapshot."""
        outcomes: dict[str, Outcome] = await desk.answers(missing)
        for key, outcome in outcomes.items():
            if isinstance(outcome, Reply):
                self.note_snapshot(calls[key].model, outcome.snapshot)
        moved = {key: call for key, call in calls.items() if key not in missing and self.cached(call) is None}
        return {**outcomes, **(await desk.answers(moved) if moved else {})}

    def _count(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failure):
            self._num_failed += 1
            return
        self._seen[outcome.snapshot] = None
        if outcome.from_cache:
            self._num_cached += 1
            self._saved_usd += outcome.cost_usd or 0.0
        else:
            self._num_calls += 1
            self._tokens[0] += outcome.prompt_tokens
            self._tokens[1] += outcome.completion_tokens

    def _log_limits(self, num_missing: int, num_cached: int) -> None:
        link, budget = self.config.connection, self.config.budget_usd
        log.info(
            "%d calls to %s, %d more from the cache. Limits: %d at a time, %g s a call, %d attempts, waits up to %g s, "
            "%d tokens a reply, %d characters a text, budget %s%s",
            num_missing, self.place.name, num_cached, link.max_concurrent, link.timeout_s, link.max_attempts,
            link.max_wait_s, self.config.max_tokens, MAX_FIELD_CHARS, "none" if budget is None else f"${budget:.2f}",
            f", in batches of at most {MAX_REQUESTS} calls, looked at every {self.config.batch_poll_s:g} s"
            if self.config.batch else "",
        )  # fmt: skip

    def note_snapshot(self, model: str, snapshot: str) -> None:
        """Remember what the alias `model` means; a change in the middle of a job is logged."""
        first = self._snapshots.setdefault(model, snapshot)
        if snapshot != first and snapshot not in self._seen:
            self._seen[snapshot] = None
            log.warning("%s changed from %s to %s during this job: its verdicts come from both", model, first, snapshot)

    def note_retry(self) -> None:
        """Count one attempt that was made again."""
        self._num_retries += 1


class _Round:
    """The live part of one `answers`: lives in one event loop, where nothing needs a lock."""

    def __init__(
        self, caller: Caller, client: Any, calls: Mapping[str, Call], progress: ProgressFunction | None
    ) -> None:
        self.caller, self.client, self.calls, self.progress = caller, client, calls, progress
        self.link = caller.config.connection
        self.throttle = Throttle(self.link.max_concurrent)
        self.settled = asyncio.Condition()
        self.num_in_flight = 0
        self.quota: Failure | None = None

    async def answers(self, cached: Mapping[str, Outcome]) -> dict[str, Outcome]:
        outcomes = dict(cached)
        for model in {self.calls[key].model for key in cached}:
            first = next((k for k, c in self.calls.items() if c.model == model and k not in outcomes), None)
            if first is not None:  # some replies are cached, some are not: learn today's snapshot before mixing them
                outcomes[first] = await self._ask(first)
                for key in cached:
                    if self.calls[key].model == model and self.caller.cached(self.calls[key]) is None:
                        del outcomes[key]  # the alias means another snapshot now
        tasks = [asyncio.create_task(self._ask_and_tell(key)) for key in self.calls if key not in outcomes]
        self.num_done = len(outcomes)
        try:
            for task in asyncio.as_completed(tasks):
                key, outcome = await task
                outcomes[key] = outcome
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return outcomes

    async def _ask_and_tell(self, key: str) -> tuple[str, Outcome]:
        outcome = await self._ask(key)
        self.num_done += 1
        if self.progress is not None:
            self.progress(self.num_done, len(self.calls), self.caller.spend().cost_usd)
        return key, outcome

    async def _ask(self, key: str) -> Outcome:
        call = self.calls[key]
        last = Failure(reason="stopped")
        for number in range(1, self.link.max_attempts + 1):
            outcome = await self._one_attempt(key, call)
            if isinstance(outcome, Reply | Failure):
                return outcome
            detail = f"attempt {number} of {self.link.max_attempts}: {outcome.detail}"
            last = Failure(reason=outcome.reason, detail=detail)
            log.warning("%s: %s", last.reason, last.detail)
            if not outcome.retry:
                return last
            wait_s = self._backoff_s(number) if outcome.wait_s is None else outcome.wait_s
            if wait_s > self.link.max_wait_s:
                return Failure(
                    reason=outcome.reason,
                    detail=f"the server asks to wait {wait_s:.0f} s, more than the limit of {self.link.max_wait_s:g} s",
                )
            if number < self.link.max_attempts:
                self.caller.note_retry()
                if outcome.reason == "rate_limited":
                    await self.throttle.slow_down(wait_s)
                else:
                    await asyncio.sleep(wait_s)
        return last

    def _backoff_s(self, number: int) -> float:
        longest_s: float = min(self.link.max_wait_s, self.link.first_wait_s * 2 ** (number - 1))
        return longest_s * random.uniform(0.5, 1.0)

    async def _one_attempt(self, key: str, call: Call) -> Reply | Failure | Fault:
        succeeded = False
        await self.throttle.enter()
        try:
            if self.quota is not None:
                return self.quota
            send = await self._send_record(key, call)
            if send is None:
                return self.caller.ledger.refusal(call)
            try:
                result = await attempt(self.client, call, self.caller.place, self.link)
            except UserError:
                self.caller.ledger.record_failure(key, send, "stopped", at_risk_usd=0.0)
                raise
            finally:
                self.num_in_flight -= 1
            succeeded = isinstance(result, Reply)
            return self._recorded(key, send, result)
        finally:
            await self.throttle.leave(succeeded=succeeded)
            async with self.settled:
                self.settled.notify_all()

    def _recorded(self, key: str, send: str, result: Reply | Fault) -> Reply | Fault:
        call, ledger = self.calls[key], self.caller.ledger
        if isinstance(result, Reply):
            self.caller.note_snapshot(call.model, result.snapshot)
            return ledger.record_reply(key, send, call, result)
        upper = ledger.most_usd(call) if result.may_be_billed else 0.0
        ledger.record_failure(key, send, f"{result.reason}: {result.detail}", at_risk_usd=upper)
        if result.reason == "quota":
            self.quota = Failure(reason="quota", detail=result.detail)
        return result

    async def _send_record(self, key: str, call: Call) -> str | None:
        """The id of the `sent` record, once the budget allows the call; None when it never will."""
        async with self.settled:
            while not self.caller.ledger.fits(call):
                if self.num_in_flight == 0:
                    return None
                await self.settled.wait()
            send = uuid.uuid4().hex
            self.caller.ledger.record_sends([(key, send, call)])
            self.num_in_flight += 1
            return send


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, also when the calling thread already runs an event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    box: list[T | BaseException] = []

    def run() -> None:
        try:
            box.append(asyncio.run(work))
        except BaseException as error:  # raised again in the caller's thread
            box.append(error)

    thread = threading.Thread(target=run, name="judges")
    thread.start()
    thread.join()
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]
