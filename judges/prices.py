"""What a call costs. Model names and token counts in, dollars out.

Prices are in prices.json, with their date and source. A name is looked up exactly: `gpt-4o-2024-05-13` costs twice
what `gpt-4o` does, so no name is ever matched by its prefix. Dollars are floats: sums here stay under a million
dollars, where a double is exact to a billionth of a cent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.core import Message, UserError

PRICE_FILE = Path(__file__).with_name("prices.json")
# Byte-level tokenizers never make more tokens than bytes; 24 a message covers roles and turn marks of known templates.
TOKENS_PER_MESSAGE = 24
# Measured on English and SQL with the GPT-4o tokenizer by its publisher: about 4 bytes a token. Only for estimates.
BYTES_PER_TOKEN = 4.0
THINKING_TOKENS = 2000  # a reasoning model's allowance before it answers: assumed, not measured


@dataclass(frozen=True, kw_only=True)
class Price:
    """Dollars per million tokens. `cached_input` is for prompt tokens the provider had cached; None: no discount."""

    input: float
    output: float
    cached_input: float | None = None

    def __post_init__(self) -> None:
        for value in (self.input, self.output, self.cached_input or 0.0):
            if not (0.0 <= value < 1e6):
                raise ValueError(f"a price is dollars per million tokens, at least 0, got {value}")

    def cost_usd(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Dollars for one call; `cached_tokens` are part of `prompt_tokens`."""
        cached = min(max(cached_tokens, 0), prompt_tokens)
        cached_price = self.input if self.cached_input is None else self.cached_input
        return ((prompt_tokens - cached) * self.input + cached * cached_price + completion_tokens * self.output) / 1e6

    def scaled(self, factor: float) -> Price:
        """The same price times `factor` (the Batch API charges half)."""
        cached = None if self.cached_input is None else self.cached_input * factor
        return Price(input=self.input * factor, output=self.output * factor, cached_input=cached)


@cache
def _price_file() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(PRICE_FILE.read_text(encoding="utf-8"))
    return body


def prices_date() -> str:
    """The day the price file was right."""
    return str(_price_file()["as_of"])


def batch_factor() -> float:
    """What the Batch API charges, as a share of the usual price."""
    return float(_price_file()["batch_factor"])


def is_reasoning(model: str) -> bool:
    """Whether `model` is listed as one that refuses a temperature."""
    return bool(_price_file()["models"].get(model, {}).get("reasoning", False))


def reply_limit(model: str, num_tokens: int) -> int:
    """The reply limit that leaves `num_tokens` for the answer: models that think first spend reply tokens on it."""
    return num_tokens + (THINKING_TOKENS if is_reasoning(model) else 0)


def price_of(model: str, *, given: Price | None, budget_usd: float | None) -> Price | None:
    """The price of `model`, or None when it is unknown and there is no budget to keep.

    Raises UserError for an unknown price under a budget: it could not be kept.
    """
    if given is not None:
        return given
    listed = _price_file()["models"].get(model)
    if listed is not None:
        return Price(input=listed["input"], output=listed["output"], cached_input=listed.get("cached_input"))
    if budget_usd is not None:
        raise UserError(
            f"no price is known for model {model!r}, so a budget of ${budget_usd:.2f} cannot be kept; give its price in "
            f"dollars per million tokens (--judge-price {model}=INPUT/OUTPUT), use a model of judges/prices.json, or "
            "pass --no-budget"
        )
    return None


def most_prompt_tokens(messages: Sequence[Message], schema_text: str = "") -> int:
    """An upper bound on the prompt's tokens: its UTF-8 bytes and a margin for each turn."""
    size = sum(len(message.content.encode("utf-8", "replace")) + TOKENS_PER_MESSAGE for message in messages)
    return size + len(schema_text.encode())


def likely_prompt_tokens(messages: Sequence[Message]) -> int:
    """A plain estimate for dry runs, at four bytes a token: assumed, not measured for each model."""
    size = sum(len(message.content.encode("utf-8", "replace")) for message in messages)
    return round(size / BYTES_PER_TOKEN) + 4 * len(messages)
