"""One question to a hosted model, and what came back. Values only; no network here.

A `Call` holds everything that can change the reply, and its `key` is the hash of all of it together with the endpoint.
The snapshot that answered (`gpt-4o` -> `gpt-4o-2024-08-06`) is known only afterwards: it is stored with the reply, and
judges/caller.py never mixes two snapshots in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.core import Message, digest
from judges.config import Structured
from judges.endpoint import Endpoint
from judges.prices import is_reasoning

FailReason = Literal[
    "rate_limited", "quota", "timeout", "connection", "server_error", "half_sent", "unreadable_reply",
    "bad_request", "content_filter", "budget", "stopped", "batch_failed",
]  # fmt: skip
ReplyFinish = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One chat completion. `purpose` is the hash of the rubric or template that made it; `vote` counts from 0."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = 0.0
    seed: int | None = None
    vote: int = 0
    purpose: str = ""
    schema_name: str = ""
    schema: Mapping[str, Any] | None = None
    structured: Structured = "text"

    def key(self, endpoint_name: str) -> str:
        """64 hex digits over the endpoint and everything above."""
        return digest({"endpoint": endpoint_name, "call": self}, length=64)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model answered and what it cost. `cost_usd` None: no price is known. `from_cache`: nothing was paid."""

    text: str
    finish: ReplyFinish
    refusal: str = ""
    snapshot: str = ""
    fingerprint: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    usage_known: bool = True
    cost_usd: float | None = None
    from_cache: bool = False


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A call without a reply. `detail` is one scrubbed line for a person."""

    reason: FailReason
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Spend:
    """What one object has asked and paid so far. `cost_known` is False when a call had no price. `num_paid` counts the
    paid calls of the account in all invocations, `num_calls` those of this object."""

    num_calls: int
    num_paid: int
    num_cached: int
    num_failed: int
    num_retries: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    at_risk_usd: float
    saved_usd: float
    earlier_usd: float
    budget_usd: float | None
    cost_known: bool
    prices_date: str
    snapshots: tuple[str, ...]
    cache_lines_dropped: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What calls would cost. `most_usd` is an upper bound, repairs not counted; None when a price is unknown."""

    num_calls: int
    num_cached: int
    likely_usd: float | None
    most_usd: float | None
    prices_date: str


def request_body(call: Call, place: Endpoint) -> dict[str, Any]:
    """The JSON body of `call`, the same for a live request and for a batch line.

    OpenAI and Azure take `max_completion_tokens` (their reasoning models refuse `max_tokens`, and take no
    temperature); other servers know `max_tokens`.
    """
    limit_name = "max_tokens" if place.kind == "compatible" else "max_completion_tokens"
    body: dict[str, Any] = {
        "model": call.model,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
        limit_name: call.max_tokens,
    }
    if not is_reasoning(call.model):
        if call.temperature is not None:
            body["temperature"] = call.temperature
        if call.seed is not None:
            body["seed"] = call.seed
    if call.structured == "json_schema" and call.schema is not None:
        schema = {"name": call.schema_name, "strict": True, "schema": dict(call.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif call.structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def reply_of_body(body: Any, call: Call, place: Endpoint) -> Reply | None:
    """The Reply in a chat-completion body, or None when it is not one (a server may send anything)."""
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text, refusal, finish = message.get("content"), message.get("refusal"), choice.get("finish_reason")
    except (TypeError, KeyError, IndexError, AttributeError):
        return None
    if not isinstance(text, str | None) or not isinstance(refusal, str | None):
        return None
    return reply_of_parts(
        text=text or "",
        refusal=refusal or "",
        finish=finish if isinstance(finish, str) else "stop",
        head=body,
        usage=body.get("usage"),
        context=(call, place),
    )


def reply_of_parts(
    *, text: str, refusal: str, finish: str, head: Mapping[str, Any], usage: Any, context: tuple[Call, Endpoint]
) -> Reply:
    """A Reply from its parts, wherever they came from; the key is taken out of a reply that repeats it."""
    call, place = context
    counts = usage if isinstance(usage, Mapping) else {}
    details = counts.get("prompt_tokens_details")
    prompt, completion = _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))
    snapshot, fingerprint = head.get("model"), head.get("system_fingerprint")
    return Reply(
        text=place.without_key(text),
        refusal=place.without_key(refusal),
        finish="length" if finish == "length" else "content_filter" if finish == "content_filter" else "stop",
        snapshot=place.scrub(snapshot)[:200] if isinstance(snapshot, str) and snapshot else call.model,
        fingerprint=place.scrub(fingerprint)[:100] if isinstance(fingerprint, str) else "",
        prompt_tokens=prompt or 0,
        completion_tokens=completion or 0,
        cached_tokens=_count(details.get("cached_tokens") if isinstance(details, Mapping) else None) or 0,
        usage_known=prompt is not None and completion is not None,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
