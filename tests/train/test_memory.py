"""The memory model: its arithmetic against real modules, its estimates against measured peaks."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.core import Full, Lora, Training
from harness.train.job import Options
from harness.train.memory import (
    ACCURACY,
    checkpoint_bytes,
    estimate,
    fitting_plan,
    num_parameters,
    num_trainable,
    training_flops,
)
from tests.train.conftest import LORA, SHORT, WriteJob

LLAMA_7B = {
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "vocab_size": 32000,
}
TRAINING = Training(learning_rate=1e-4, batch_size=16, max_length=1024)


def test_it_imports_without_torch() -> None:
    code = "import sys, harness.train.memory; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_the_known_sizes_of_llama_2_7b() -> None:
    assert num_parameters(LLAMA_7B) == 6_738_415_616  # Touvron et al. 2023, the released checkpoint
    assert (
        num_trainable(LLAMA_7B, Lora(rank=8, alpha=16, targets=("q_proj", "v_proj"))) == 4_194_304
    )  # peft's own count
    assert num_trainable(LLAMA_7B, Full()) == num_parameters(LLAMA_7B)
    assert checkpoint_bytes(LLAMA_7B, Full()) == 2 * 6_738_415_616


@pytest.mark.parametrize("method", [LORA, Full()], ids=["lora", "full"])
def test_parameters_are_those_of_the_real_modules(write_job: WriteJob, model_folder: Path, method: Lora | Full) -> None:
    from harness.train.job import read_job
    from harness.train.runs import train_job

    job = write_job([("run", method, SHORT, 0)])
    train_job(read_job(job), lambda event: None)
    mark = json.loads((job.parent / "run" / "trained.json").read_text())
    config = json.loads((model_folder / "config.json").read_text())
    assert mark["trainable_parameters"] == num_trainable(config, method)
    adapters = num_trainable(config, method) if isinstance(method, Lora) else 0
    assert mark["total_parameters"] == num_parameters(config) + adapters


def total(method: Lora | Full | None = None, **options: Any) -> int:
    return estimate(LLAMA_7B, method or Full(), TRAINING, "cuda", options=Options(**options)).total_bytes


def test_what_should_save_memory_does() -> None:
    lora = Lora(rank=8, alpha=16)
    assert total(lora) < total()
    assert total(activation_checkpointing=True) < total()
    assert total(update_precision="stochastic") < total()
    assert total(optimizer="adamw8bit") < total()
    assert total(optimizer="paged") < total(optimizer="adamw8bit")
    assert total(lora, quantize="nf4") < total(lora)
    assert total(lora, micro_batch=1) < total(lora)
    assert total(Lora(rank=8, alpha=16)) < total(Lora(rank=256, alpha=16))
    weights_and_states = estimate(LLAMA_7B, Full(), TRAINING, "cuda")
    fixed = weights_and_states.total_bytes - weights_and_states.activations_bytes - weights_and_states.logits_bytes
    assert fixed == 18 * num_parameters(LLAMA_7B)


@pytest.mark.parametrize(
    ("device_gib", "method", "expected"),
    [
        (80, Lora(rank=8, alpha=16), {"optimizer": "adamw", "activation_checkpointing": False}),
        (80, Full(), {"optimizer": "adamw8bit", "update_precision": "stochastic"}),
        (200, Full(), {"optimizer": "adamw", "update_precision": "master"}),
    ],
)
def test_the_plan_takes_the_exact_way_where_it_fits(
    device_gib: int, method: Lora | Full, expected: dict[str, Any]
) -> None:
    plan = fitting_plan(LLAMA_7B, method, TRAINING, "cuda", device_gib << 30)
    assert plan.shortage is None
    assert {name: getattr(plan.options, name) for name in expected} == expected


def test_a_run_that_fits_nowhere_says_what_is_too_big() -> None:
    plan = fitting_plan(LLAMA_7B, Full(), TRAINING, "cuda", 16 << 30)
    assert plan.shortage is not None
    assert "GiB" in plan.shortage
    assert "optimizer" in plan.shortage or "weights" in plan.shortage


def test_lora_costs_four_operations_a_weight_and_token_and_full_six() -> None:
    full, lora = (training_flops(LLAMA_7B, m, 1000, 0) for m in (Full(), Lora(rank=1, alpha=1, targets=("q_proj",))))
    assert full / lora == pytest.approx(1.5, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("method", [Lora(rank=16, alpha=32), Full()], ids=["lora", "full"])
def test_the_estimate_is_within_its_stated_factor_of_the_measured_peak(
    write_job: WriteJob, tmp_path: Path, method: Lora | Full, checkpointing: bool
) -> None:
    """On a 60M-parameter Llama in a process of its own, bfloat16."""
    folder = tmp_path / "model"
    code = (
        "import sys, torch; from transformers import LlamaConfig, LlamaForCausalLM;"
        "LlamaForCausalLM(LlamaConfig(vocab_size=32000, hidden_size=512, intermediate_size=1408, num_hidden_layers=12,"
        "num_attention_heads=8, num_key_value_heads=4, tie_word_embeddings=True)).to(torch.bfloat16)"
        ".save_pretrained(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    (folder / "tokenizer.json").write_text("{}")
    rng = random.Random(0)

    def ids(size: int) -> list[int]:
        return [rng.randrange(32000) for _ in range(size)]

    items = [{"id": str(i), "prompt_ids": ids(216), "answer_ids": ids(40)} for i in range(8)]
    training = Training(learning_rate=1e-4, batch_size=8, max_length=256)
    options = {"activation_checkpointing": checkpointing}
    job = write_job([("run", method, training, 0)], model=folder, items=items, dtype="bfloat16", options=options)
    subprocess.run([sys.executable, "-m", "harness.train", str(job)], check=True, capture_output=True)
    measured = json.loads((job.parent / "run" / "trained.json").read_text())["peak_memory_bytes"]
    config = json.loads((folder / "config.json").read_text())
    expected = estimate(config, method, training, "cpu", options=Options(**options)).total_bytes
    print(
        f"{type(method).__name__} checkpointing={checkpointing}: "
        f"{measured / 1e9:.2f} GB measured, {expected / 1e9:.2f} GB estimated"
    )
    assert 1 / ACCURACY < expected / measured < ACCURACY
