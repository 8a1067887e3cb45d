"""A judge's reply -> a verdict, or the reason why there is none. Never a guess.

The reply is one JSON object with `reason` and `verdict`; nothing is searched for in prose, because prose may quote a
submission that plants its own verdict. Invalid JSON is asked for once more (the repair); a verdict that was not on
offer is not. What has no verdict is unscored with its reason, and never counts as wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.core import Message
from judges.calls import Call, Failure, Reply
from judges.prompt import visible

VERDICTS = ("correct", "incorrect")
PAIR_VERDICTS = ("A", "B", "tie")
# why a judged item has no score; together with judged_correct and judged_incorrect the closed vocabulary of `Score.why`
UNSCORED = (
    "judge_refused", "verdict_not_on_offer", "invalid_json", "empty_reply", "cut_reply", "votes_tied", "too_long",
    "judge_rate_limited", "judge_quota", "judge_timeout", "judge_connection", "judge_server_error", "judge_half_sent",
    "judge_unreadable_reply", "judge_bad_request", "judge_content_filter", "judge_budget", "judge_stopped",
    "judge_batch_failed",
)  # fmt: skip
MAX_REASON_CHARS = 2000

REPAIR = (
    "Your reply was not one valid JSON object. Reply again with the JSON object alone: "
    '{"reason": "...", "verdict": "..."} and no other text.'
)
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n```\s*\Z", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one call decided. `word` is None exactly when there is no verdict; then `why` is one of UNSCORED."""

    word: str | None
    why: str = ""
    reason: str = ""


def verdict_schema(words: tuple[str, ...], reason_max_chars: int | None) -> dict[str, Any]:
    """The JSON schema of a verdict. The reason stands first, so that it is written before the decision.

    A length limit is only for servers that know one (vLLM does); OpenAI's strict mode has refused the keyword.
    """
    reason: dict[str, Any] = {"type": "string"}
    if reason_max_chars is not None:
        reason["maxLength"] = reason_max_chars
    return {
        "type": "object",
        "properties": {"reason": reason, "verdict": {"type": "string", "enum": list(words)}},
        "required": ["reason", "verdict"],
        "additionalProperties": False,
    }


def verdict_of(outcome: Reply | Failure, words: tuple[str, ...]) -> Verdict:
    """The verdict in `outcome`, or why there is none."""
    if isinstance(outcome, Failure):
        return Verdict(word=None, why=f"judge_{outcome.reason}", reason=outcome.detail)
    if outcome.refusal or outcome.finish == "content_filter":
        return Verdict(word=None, why="judge_refused", reason=outcome.refusal[:MAX_REASON_CHARS])
    if outcome.finish == "length":
        return Verdict(word=None, why="cut_reply", reason=outcome.text[-200:])
    if not outcome.text.strip():
        return Verdict(word=None, why="empty_reply")
    body = json_object(outcome.text)
    if body is None or "verdict" not in body:
        return Verdict(word=None, why="invalid_json", reason=outcome.text[-200:])
    reason = body.get("reason")
    reason = reason[:MAX_REASON_CHARS] if isinstance(reason, str) else ""
    word = body["verdict"]
    if not isinstance(word, str) or word not in words:
        return Verdict(word=None, why="verdict_not_on_offer", reason=f"{str(word)[:100]!r}: {reason}")
    return Verdict(word=word, reason=reason)


def json_object(text: str) -> Mapping[str, Any] | None:
    """The one JSON object that `text` is, alone or in one code fence; None for anything else.

    A repeated key makes it invalid: `{"verdict": "incorrect", "verdict": "correct"}` says two things.
    """
    fenced = _FENCE.match(text)
    try:
        body = json.loads(fenced.group(1) if fenced else text, object_pairs_hook=_unique_pairs)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def repair_call(call: Call, reply: Reply) -> Call:
    """The second and last try at a reply that was not JSON: the same conversation, with the bad reply in it. That may
    repeat a submission, so it is made harmless like one."""
    bad = Message(role="assistant", content=visible(reply.text))
    return replace(call, messages=(*call.messages, bad, Message(role="user", content=REPAIR)))


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a key stands twice")
    return body
