"""What a caller decides: which model, how it is reached, what it may cost, and the items it judges. Plain values.

Goes in: nothing. Comes out: `JudgeConfig`, `Connection`, `JudgeItem`. No key is ever a field: keys are read from the
environment at the moment of the call (see judges/endpoint.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.core import Score
from judges.prices import Price

When = Literal["undecided", "wrong", "all"]
WHENS: tuple[When, ...] = ("undecided", "wrong", "all")
Structured = Literal["json_schema", "json_object", "text"]
# (calls answered, calls in all, dollars spent by this object so far)
ProgressFunction = Callable[[int, int, float], None]

MAX_FIELD_CHARS = 20_000  # a schema of 100 tables is about 15,000; longer text drowns the rubric


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How an endpoint is reached, and every limit of the machinery.

    `base_url` "" means the environment decides. `key_variable` names the environment variable that holds the key;
    "" means OPENAI_API_KEY for an endpoint from the environment and no key for a `base_url` given here, so that a
    key is never sent to a host it was not made for.
    """

    base_url: str = ""
    key_variable: str = ""
    max_concurrent: int = 8
    timeout_s: float = 120.0
    max_attempts: int = 6
    first_wait_s: float = 0.5
    max_wait_s: float = 120.0
    stream: bool = False

    def __post_init__(self) -> None:
        for name in ("max_concurrent", "timeout_s", "max_attempts", "max_wait_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """How a hosted model is asked, in all three roles (grader, baseline, author).

    `budget_usd` None is `--no-budget`. `account` names what the money is for (a sweep): spending of earlier, killed
    invocations on the same account and cache counts against the budget, and so does that of the accounts beside it:
    `sweep/judge` and `sweep/answers` share the budget of `sweep`. `price` is for every model of this config, `prices` for
    the models it names; both go before judges/prices.json. `temperature` None is 0 for one vote and 1 for several: at 0
    every vote would be the same question. `when`, `votes`, `panel`, `rubric` and `reference_free` (the reference is not
    shown) are the grader's.
    """

    model: str
    cache_dir: Path = field(default_factory=lambda: default_cache_dir())
    budget_usd: float | None = 5.0
    account: str = ""
    price: Price | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    when: When = "all"
    votes: int = 1
    panel: tuple[str, ...] = ()
    rubric: str = "generic"
    reference_free: bool = False
    temperature: float | None = None
    max_tokens: int = 400
    reason_max_chars: int | None = None
    structured: Structured = "json_schema"
    batch: bool = False
    batch_poll_s: float = 30.0
    connection: Connection = field(default_factory=Connection)

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("a judge needs a model name, got ''; give one such as gpt-4o")
        if self.when not in WHENS:
            raise ValueError(f"judge-when is one of {', '.join(WHENS)}, got {self.when!r}")
        if self.votes < 1:
            raise ValueError(f"votes must be at least 1, got {self.votes}")
        if self.votes > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.votes} votes at temperature 0 ask the same question {self.votes} times; "
                "set a temperature above 0, or leave it out"
            )
        if self.budget_usd is not None and not self.budget_usd >= 0:
            raise ValueError(f"the budget is dollars, at least 0, got {self.budget_usd}; None means no budget")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")

    @property
    def models(self) -> tuple[str, ...]:
        """The model and its panel, each once."""
        return tuple(dict.fromkeys((self.model, *self.panel)))

    @property
    def column(self) -> str:
        """The value of this judge in the `scorer` column."""
        return "judge:" + "+".join(self.models) + (":reference-free" if self.reference_free else "")

    @property
    def sampling_temperature(self) -> float:
        """The temperature that is sent."""
        if self.temperature is not None:
            return self.temperature
        return 0.0 if self.votes == 1 else 1.0


@dataclass(frozen=True, kw_only=True)
class JudgeItem:
    """One completion to judge. `reference` None means reference-free. `exact` is the exact scorer's verdict: it
    decides `when`, and the audit compares with it; it is never shown to the judge.

    `method`, `cluster` and `human` (1 right, 0 wrong, None unlabelled) are for the audit alone.
    """

    id: str
    question: str
    submission: str
    reference: str | None = None
    context: str = ""
    exact: Score | None = None
    method: str = ""
    cluster: str = ""
    human: int | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("an item to judge needs a non-empty id")
        if self.human not in (None, 0, 1):
            raise ValueError(f"a human label is 0 or 1, got {self.human!r} for item {self.id!r}")


def default_cache_dir() -> Path:
    """`$TUNEBENCH_CACHE/judges`, else ~/.cache/tunebench/judges."""
    root = os.environ.get("TUNEBENCH_CACHE", "")
    return (Path(root).expanduser() if root else Path.home() / ".cache" / "tunebench") / "judges"
