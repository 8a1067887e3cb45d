"""The whole path without a key: a local server with a small model as the (poor) judge, its audit, and the verdict.

Goes in: the address of an OpenAI-compatible server, its model's name, and items of a sweep. Comes out: the audit,
printed. A 135 M model is a coin with a preference: the point of the demo is that the audit says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from judges.audit import audit
from judges.audit_record import Audit, AuditRules
from judges.config import Connection, JudgeConfig, JudgeItem


def judge_demo(
    items: Sequence[JudgeItem],
    *,
    base_url: str,
    model: str,
    cache_dir: Path,
    rubric: str = "sql",
    show: Callable[[str], None] = print,
) -> Audit:
    """The audit of the local `model` on `items`, shown as it goes."""
    config = JudgeConfig(
        model=model,
        cache_dir=cache_dir,
        budget_usd=None,
        rubric=rubric,
        max_tokens=120,
        reason_max_chars=160,  # a small model does not end a text by itself; vLLM's grammar ends it
        connection=Connection(base_url=base_url, max_concurrent=8, timeout_s=600.0),
    )
    show(f"Judging {len(items)} completions with {model} at {base_url}; no key is used and nothing is paid.")
    told = {0}

    def progress(done: int, total: int, usd: float) -> None:
        quarter = 4 * done // max(1, total)
        if quarter not in told:
            told.add(quarter)
            show(f"  {done} of {total} calls answered")

    result = audit(items, config, rules=AuditRules(num_control_items=6, num_pairs=6), progress=progress)
    show(result.terminal())
    return result
