"""The bill of one job, kept in the call cache: what a call may cost, whether it still fits, and its records.

A reply without usage counts (some servers send none) is billed at its upper bound: an unknown is never a zero.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace

from harness.core import to_json
from judges.cache import CallCache, reply_fields
from judges.calls import Call, Failure, Reply
from judges.config import JudgeConfig
from judges.endpoint import Endpoint
from judges.prices import Price, batch_factor, likely_prompt_tokens, most_prompt_tokens, price_of

log = logging.getLogger("judges")


class Ledger:
    """Prices and records. Raises UserError at once for a model whose price is unknown under a budget."""

    def __init__(self, config: JudgeConfig, place: Endpoint, cache: CallCache) -> None:
        self.config, self.place, self.cache = config, place, cache
        self.account = config.account or f"job-{uuid.uuid4().hex}"
        self.purse = self.account.partition("/")[0]  # a budget is kept over all accounts of one purse
        self.earlier = cache.bill(self.account)
        factor = batch_factor() if config.batch else 1.0
        self._prices: dict[str, Price | None] = {}
        for model in config.models:
            price = price_of(model, given=config.prices.get(model, config.price), budget_usd=config.budget_usd)
            self._prices[model] = price.scaled(factor) if price is not None else None
        self._budget_was_met = False

    @property
    def every_price_known(self) -> bool:
        """Whether the cost is a number to believe."""
        return all(price is not None for price in self._prices.values())

    def most_usd(self, call: Call) -> float:
        """The most `call` can cost: its bytes as prompt tokens, and every reply token it may use. 0 when unpriced."""
        price = self._prices[call.model]
        if price is None:
            return 0.0
        schema_text = json.dumps(call.schema) if call.schema is not None else ""
        return price.cost_usd(most_prompt_tokens(call.messages, schema_text), call.max_tokens)

    def likely_usd(self, call: Call, likely_reply_tokens: int) -> float:
        """A plain estimate for a dry run."""
        price = self._prices[call.model]
        return 0.0 if price is None else price.cost_usd(likely_prompt_tokens(call.messages), likely_reply_tokens)

    def fits(self, call: Call) -> bool:
        """Whether `call` can be sent without any chance of passing the budget."""
        budget = self.config.budget_usd
        return budget is None or self.cache.bill(self.purse).committed_usd + self.most_usd(call) <= budget

    def refusal(self, call: Call) -> Failure:
        """The outcome of a call that the budget does not allow."""
        bill = self.cache.bill(self.purse)
        detail = (
            f"the budget of ${self.config.budget_usd:.2f} would be passed: ${bill.billed_usd:.4f} billed, "
            f"${bill.at_risk_usd + bill.in_flight_usd:.4f} at risk, this call up to ${self.most_usd(call):.4f}"
        )
        if not self._budget_was_met:
            self._budget_was_met = True
            log.warning("budget: %s", detail)
        return Failure(reason="budget", detail=detail)

    def record_sends(self, sends: Sequence[tuple[str, str, Call]]) -> None:
        """Write down (key, send id, call) before they are sent."""
        rows = [
            {"key": key, "send": send, "account": self.account, "upper_usd": self.most_usd(call)}
            for key, send, call in sends
        ]
        self.cache.append_many("sent", rows)

    def record_reply(self, key: str, send: str, call: Call, reply: Reply) -> Reply:
        """`reply` with its cost, after it is on disk with everything that was asked."""
        price = self._prices[call.model]
        cost: float | None = None
        if price is not None and reply.usage_known:
            cost = price.cost_usd(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)
        elif price is not None:
            cost = self.most_usd(call)
        priced = replace(reply, cost_usd=cost)
        self.cache.append(
            "reply",
            key=key,
            send=send,
            account=self.account,
            endpoint=self.place.name,
            model=call.model,
            purpose=call.purpose,
            vote=call.vote,
            temperature=call.temperature,
            seed=call.seed,
            max_tokens=call.max_tokens,
            messages=to_json(call.messages),
            **reply_fields(priced),
        )
        return priced

    def record_failure(self, key: str, send: str, detail: str, *, at_risk_usd: float) -> None:
        """Write down that a sent call has no reply, and what it may have cost."""
        self.cache.append("failed", key=key, send=send, account=self.account, detail=detail, at_risk_usd=at_risk_usd)
