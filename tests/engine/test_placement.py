"""What a run asks of a cluster, how prompts are shared out, and what vLLM is started with. No Ray, no torch."""

from __future__ import annotations

from typing import Any

import pytest

from harness.core import Full, Lora, Training, UserError
from harness.engine import EngineOptions, start_engine
from harness.engine.local import device_groups
from harness.engine.placement import SMALLEST_SHARE, joined, placement, shares
from harness.sample.vllm_settings import allowed_rank, engine_arguments, tensor_parallel_size
from harness.train.job import Options
from harness.train.memory import estimate
from harness.train.planning import Question, changes, planned, settled

LLAMA_7B = {
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "vocab_size": 32000,
}
LLAMA_70B = {
    **LLAMA_7B,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
}
TRAINING = Training(learning_rate=1e-4, batch_size=16, max_length=1024)
LORA = Lora(rank=8, alpha=16.0)
GIB = 1 << 30


def question(method: Lora | Full, config: dict[str, int] = LLAMA_7B) -> Question:
    return Question(config=config, method=method, training=TRAINING, longest=512, device="cuda")


@pytest.mark.parametrize(
    ("method", "config", "gib", "workers"),
    [
        (LORA, LLAMA_7B, 80, 1),
        (LORA, LLAMA_7B, 24, 1),
        (Full(), LLAMA_7B, 80, 1),  # 8-bit states and stochastic rounding
        (Full(), LLAMA_7B, 40, 4),
        (Full(), LLAMA_70B, 80, 16),
        (LORA, LLAMA_70B, 80, 1),  # its frozen weights fit no device, and more devices do not change that
    ],
)
def test_a_run_gets_the_fewest_devices_on_which_it_fits(
    method: Lora | Full, config: dict[str, int], gib: int, workers: int
) -> None:
    place = placement(question(method, config), gib * GIB)
    assert place.workers == workers
    if workers > 1:
        assert place.plan.shortage is None
        fewer = placement(question(method, config), gib * GIB, workers=workers // 2)
        assert fewer.plan.shortage is not None


def test_splitting_full_fine_tuning_divides_what_is_divided_and_lora_keeps_its_weights() -> None:
    sizes = [estimate(LLAMA_7B, Full(), TRAINING, "cuda", workers=workers) for workers in (2, 4, 8)]
    assert [size.optimizer_bytes for size in sizes] == [8 * 6_738_415_616 // workers for workers in (2, 4, 8)]
    one, two = (estimate(LLAMA_7B, LORA, TRAINING, "cuda", workers=workers) for workers in (1, 2))
    assert one.weights_bytes == two.weights_bytes
    assert two.activations_bytes < one.activations_bytes


def test_a_plan_says_what_it_changed_and_a_hopeless_run_is_refused_with_the_remedy() -> None:
    asked = question(Full())
    assert changes(planned(asked, 80 * GIB), asked.options) == [
        "micro_batch=1",
        "activation_checkpointing=True",
        "update_precision=stochastic",
        "optimizer=adamw8bit",
    ]
    plan, notes = settled(question(LORA), 80 * GIB)
    assert (plan.options, notes) == (Options(), [])
    with pytest.raises(UserError, match=r"does not fit one device: needs .* GiB.*--engine ray"):
        settled(asked, 16 * GIB)
    with pytest.raises(UserError, match="QLoRA"):
        settled(question(LORA, LLAMA_70B), 24 * GIB)


def test_a_run_that_the_models_error_could_save_is_tried_with_a_note() -> None:
    asked = question(LORA)
    thriftiest = planned(asked, 1 * GIB).estimate.total_bytes
    plan, notes = settled(asked, int(thriftiest / 1.2))
    assert plan.options.activation_checkpointing
    assert "tried although" in notes[-1]


def job(run: str, count: int) -> dict[str, Any]:
    return {"run": run, "requests": [{"id": f"{run}{i}", "prompt_ids": [i % 3, i]} for i in range(count)]}


@pytest.mark.parametrize(
    ("counts", "engines", "parts"),
    [
        ([100, 100], 2, [1, 1]),
        ([100], 4, [4]),
        ([100, 40], 4, [2, 2]),
        ([2 * SMALLEST_SHARE - 1], 8, [1]),
        ([0], 2, [1]),
        ([], 2, []),
    ],
)
def test_every_prompt_is_in_one_share_and_every_engine_has_work(
    counts: list[int], engines: int, parts: list[int]
) -> None:
    jobs = [job(chr(97 + index), count) for index, count in enumerate(counts)]
    found = shares(jobs, engines)
    assert [next(s["parts"] for s in found if s["run"] == j["run"]) for j in jobs] == parts
    assert len(found) == sum(parts)
    for asked in jobs:
        ids = [request["id"] for share in found if share["run"] == asked["run"] for request in share["requests"]]
        assert sorted(ids) == sorted(request["id"] for request in asked["requests"])


def test_one_failed_share_fails_the_job_and_counts_add_up() -> None:
    good = {
        "event": "sampled",
        "run": "a",
        "seconds": 2.0,
        "tokens": 10,
        "num_sampled": 3,
        "route": "base",
        "check": {},
    }
    assert joined([good, good]) == {**good, "seconds": 4.0, "tokens": 20, "num_sampled": 6, "tokens_per_second": 5.0}
    for kind in ("failed", "unproven"):
        assert joined([good, {"event": kind, "run": "a"}])["event"] == kind


@pytest.mark.parametrize(
    ("config", "gib", "expected"), [(LLAMA_7B, 80, 1), (LLAMA_7B, 16, 2), (LLAMA_70B, 80, 4), (LLAMA_70B, 24, 16)]
)
def test_an_engine_takes_the_fewest_gpus_that_hold_the_weights(config: dict[str, int], gib: int, expected: int) -> None:
    assert tensor_parallel_size(config, gib * GIB) == expected


@pytest.mark.parametrize(("rank", "expected"), [(1, 8), (8, 8), (9, 16), (64, 64), (257, 320)])
def test_the_adapters_slot_is_the_smallest_that_vllm_accepts(rank: int, expected: int) -> None:
    assert allowed_rank(rank) == expected
    assert engine_arguments("cuda", 1024, rank, 1)["max_lora_rank"] == expected


def test_cuda_keeps_its_graphs_and_prefixes_and_a_cpu_takes_no_adapters() -> None:
    cuda, cpu = engine_arguments("cuda", 2048, 16, 4), engine_arguments("cpu", 2048, 16, 1)
    assert cuda["enforce_eager"] is False
    assert cuda["enable_prefix_caching"] is True
    assert cpu["enable_prefix_caching"] is True
    assert cuda["tensor_parallel_size"] == 4
    assert "enable_lora" not in cpu
    assert "enable_lora" not in engine_arguments("cuda", 2048, 0, 1)
    with pytest.raises(UserError, match="up to rank 512"):
        allowed_rank(513)


def test_gpus_are_grouped_for_an_engine_that_needs_several() -> None:
    names = ["cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4"]
    assert device_groups(names, 1) == names
    assert device_groups(names, 2) == ["cuda:0,1", "cuda:2,3"]
    with pytest.raises(UserError, match="needs 8 GPUs"):
        device_groups(names, 8)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [("rya", {}, "local or ray"), ("local", {"samplers": 0}, "samplers must be at least 1")],
)
def test_a_wrong_engine_is_refused(name: str, options: dict[str, int], says: str, tmp_path: Any) -> None:
    with pytest.raises(UserError, match=says):
        start_engine(name, tmp_path, "cpu", EngineOptions(**options))
