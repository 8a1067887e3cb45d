"""One attempt at one call: the request goes out once, and comes back as a `Reply` or as a typed `Fault`.

Goes in: a `Call` and an open openai client. Nothing is retried here. A fault says whether another attempt may help,
how long the server asked to wait, and whether the server may have billed the attempt (it broke after it was sent).

Sources: status codes and headers of https://platform.openai.com/docs/guides/error-codes and
https://learn.microsoft.com/azure/ai-services/openai/how-to/quota (retry-after-ms).
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core import UserError
from judges.calls import Call, FailReason, Reply, reply_of_body, reply_of_parts, request_body
from judges.config import Connection
from judges.endpoint import Endpoint, describe

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded"})
FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})
# by name: the openai package raises httpx's before its version 3 and httpx2's since
NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
SHOWN_OF_A_BODY = 500  # characters of a reply without a message that are kept for a person


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why an attempt gave no reply."""

    reason: FailReason
    detail: str
    retry: bool
    may_be_billed: bool = False
    wait_s: float | None = None


async def attempt(client: AsyncOpenAI, call: Call, place: Endpoint, connection: Connection) -> Reply | Fault:
    """The outcome of one request. `timeout_s` bounds the whole of it: a server that drips a byte a second is cut.

    Raises UserError for what no other call could survive: a wrong key, a missing permission, an unknown model, a
    redirect.
    """
    import openai

    timeouts: tuple[type[Exception], ...] = (TimeoutError, openai.APITimeoutError, *_raised_below("TimeoutException"))
    broken: tuple[type[Exception], ...] = (openai.APIConnectionError, *_raised_below("TransportError"))
    one_request = _streamed if connection.stream else _whole
    try:
        async with asyncio.timeout(connection.timeout_s):
            return await one_request(client, call, place)
    except timeouts as error:
        detail = f"no whole reply within {connection.timeout_s:g} s"
        return Fault(reason="timeout", detail=detail, retry=True, may_be_billed=not _never_sent(error))
    except openai.APIStatusError as error:
        return _status_fault(error, call, place)
    except broken as error:
        cause = error.__cause__ or error
        # the body had begun: httpx (and httpcore below it) tell this apart only in the text
        reason: FailReason = "half_sent" if "complete message body" in str(cause) else "connection"
        return Fault(reason=reason, detail=describe(cause, place), retry=True, may_be_billed=not _never_sent(error))
    except openai.APIError as error:  # an error event in the middle of a stream
        return Fault(reason="half_sent", detail=describe(error, place), retry=True, may_be_billed=True)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        detail = f"the reply was cut or is no JSON: {type(error).__name__}"
        return Fault(reason="half_sent", detail=detail, retry=True, may_be_billed=True)


async def _whole(client: AsyncOpenAI, call: Call, place: Endpoint) -> Reply | Fault:
    raw = await client.chat.completions.with_raw_response.create(**request_body(call, place))
    body = json.loads(raw.content)
    reply = reply_of_body(body, call, place)
    if reply is not None:
        return reply
    return _unreadable(f"no choices[0].message in a {type(body).__name__}: {place.scrub(raw.text)[:SHOWN_OF_A_BODY]}")


async def _streamed(client: AsyncOpenAI, call: Call, place: Endpoint) -> Reply | Fault:
    body = {**request_body(call, place), "stream": True, "stream_options": {"include_usage": True}}
    texts: list[str] = []
    refusals: list[str] = []
    finish, usage = "", None
    head: dict[str, Any] = {}
    stream = await client.chat.completions.create(**body)
    async with stream:
        async for chunk in stream:
            try:
                part: dict[str, Any] = chunk.to_dict(warnings=False)
                head = head or part
                usage = part.get("usage") or usage
                for choice in part.get("choices") or []:
                    delta = choice.get("delta") or {}
                    texts.append("" + (delta.get("content") or ""))
                    refusals.append("" + (delta.get("refusal") or ""))
                    finish = choice.get("finish_reason") or finish
            except (TypeError, AttributeError):  # a server may send anything
                return _unreadable(f"a stream event of another shape: {place.scrub(str(chunk))[:SHOWN_OF_A_BODY]}")
    if not finish:
        # the openai package ends quietly when a server closes the stream early; only the finish reason tells
        detail = f"the stream ended after {sum(map(len, texts))} characters without a finish reason"
        return Fault(reason="half_sent", detail=detail, retry=True, may_be_billed=True)
    return reply_of_parts(
        text="".join(texts),
        refusal="".join(refusals),
        finish=finish,
        head=head,
        usage=usage,
        context=(call, place),
    )


def _unreadable(detail: str) -> Fault:
    return Fault(reason="unreadable_reply", detail=detail, retry=True, may_be_billed=True)


def _raised_below(name: str) -> tuple[type[Exception], ...]:
    """The exception `name` of the HTTP packages that are loaded: openai does not wrap all of them."""
    modules = (sys.modules.get(module) for module in ("httpx", "httpx2"))
    return tuple(getattr(module, name) for module in modules if module is not None)


def _never_sent(error: BaseException) -> bool:
    """Whether no connection was made, so that nothing can be billed."""
    return bool(NEVER_SENT & {kind.__name__ for kind in type(error.__cause__ or error).__mro__})


def _status_fault(error: APIStatusError, call: Call, place: Endpoint) -> Fault:
    status, code, detail = error.status_code, error_code(error), describe(error, place)
    if status in (401, 403):
        raise UserError(
            f"{place.name} refused the key with status {status}: {detail}. Check the key's environment variable"
        ) from None
    if status == 404:
        raise UserError(
            f"{place.name} knows no model {call.model!r} (status 404: {detail}). Check the model's name, or on Azure "
            "the deployment's, and that the base URL ends in /v1 where the server wants it"
        ) from None
    if 300 <= status < 400:
        target = place.scrub(error.response.headers.get("location", "(not said)"))[:200]
        raise UserError(
            f"{place.name} redirects to {target} (status {status}), and a key goes to no other address than the one it "
            "was given for; set the base URL to the final address"
        ) from None
    if status == 429 and code in QUOTA_CODES:
        return Fault(reason="quota", detail=f"the quota is used up ({code}): {detail}", retry=False)
    wait_s = retry_after_s(error.response.headers)
    if status == 429:
        return Fault(reason="rate_limited", detail=detail, retry=True, wait_s=wait_s)
    if status in (408, 409) or status >= 500:
        return Fault(reason="server_error", detail=f"status {status}: {detail}", retry=True, wait_s=wait_s)
    reason: FailReason = "content_filter" if code in FILTER_CODES else "bad_request"
    return Fault(reason=reason, detail=f"status {status}: {detail}", retry=False)


def error_code(error: APIStatusError) -> str:
    """The word of the error's body that says what it is, such as `insufficient_quota`; "" when there is none."""
    body = error.body
    if not isinstance(body, Mapping):
        return ""
    inner = body.get("error")
    inner = inner if isinstance(inner, Mapping) else body
    found = [inner.get("code"), inner.get("type")]
    return next((str(word) for word in found if word in QUOTA_CODES | FILTER_CODES), str(found[0] or ""))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date. None: not said."""
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        pass
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
