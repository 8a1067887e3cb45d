from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from judges.config import Connection, JudgeConfig, JudgeItem
from judges.prices import Price
from tests.judges.server import FaultServer, Script, serving

VARIABLES = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN",
    "OPENAI_API_VERSION",
)  # fmt: skip
PRICE = Price(input=10.0, output=100.0)  # the usual reply of 100 + 20 tokens costs $0.003


@pytest.fixture(autouse=True)
def _no_real_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def start() -> Iterator[Callable[[Script], FaultServer]]:
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(serving(script))


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., JudgeConfig]:
    def make(server: FaultServer, **changes: Any) -> JudgeConfig:
        link = {"timeout_s": 5.0, "first_wait_s": 0.01, "max_wait_s": 2.0, **changes.pop("link", {})}
        settings = {"model": "judge", "cache_dir": tmp_path / "cache", "price": PRICE, "budget_usd": 5.0, **changes}
        return JudgeConfig(connection=Connection(base_url=server.url, **link), **settings)

    return make


def items(count: int = 3, **changes: Any) -> list[JudgeItem]:
    return [
        JudgeItem(id=f"i{n}", question=f"question {n}?", submission=f"SELECT {n}", reference=f"SELECT {n}", **changes)
        for n in range(count)
    ]
