"""A bare checkpoint gated by the real command and engine: killed while it samples, asked again, asked a third time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.baseline import bless
from harness.checkpoint import evaluate_checkpoint
from harness.core import DataRequest
from harness.items import Item, ItemSet
from harness.models import DEFAULT_MODEL, resolve
from harness.registry import load_task
from harness.store import read_lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
NUM_ITEMS = 12
PATIENCE_S = 400.0


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random adapter, large enough to be told from the base model and small enough to leave it a language model."""
    import torch
    from safetensors.torch import save_file

    base = resolve(DEFAULT_MODEL)
    width, rank = int(base.config["hidden_size"]), 2
    weights, random = {}, torch.Generator().manual_seed(0)
    for layer in range(int(base.config["num_hidden_layers"])):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        weights[f"{name}.lora_A.weight"] = torch.randn(rank, width, generator=random) * 0.05
        weights[f"{name}.lora_B.weight"] = torch.randn(width, rank, generator=random) * 0.05
    folder = tmp_path_factory.mktemp("checkpoint") / "adapter"
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    kind = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": str(base.folder)}
    settings = {"r": rank, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none", "inference_mode": True}
    (folder / "adapter_config.json").write_text(json.dumps({**kind, **settings}))
    return folder


@pytest.fixture(scope="module")
def baseline(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same adapter's own answers, sampled in one go and blessed."""
    examples = load_task("sql").load(DataRequest(train_size=1, validation_size=2, test_size=40)).usable("test")
    asked = tuple(Item(id=example.id, value=0.0, outcome="wrong") for example in examples[:NUM_ITEMS])
    setting = {"model": DEFAULT_MODEL, "data": "builtin", "prompt_style": "instruct", "few_shot": 0}
    wanted = ItemSet(name="wanted", task="sql", split="test", scorer="execution", items=asked, setting=setting)
    folder = tmp_path_factory.mktemp("baseline")
    found = evaluate_checkpoint(str(checkpoint), wanted, [item.id for item in asked], results=folder)
    assert all(item.latency_s is not None and item.latency_s > 0 for item in found.items)
    return bless(found, folder / "sql.json")


def gate(checkpoint: Path, baseline: Path, results: Path) -> subprocess.Popen[str]:
    options = ["--margin", "0.5", "--generalise-to", "items", "--baseline", str(baseline), "--results", str(results)]
    command = [sys.executable, "-m", "harness.cli", "gate", str(checkpoint), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def answers(results: Path) -> list[str]:
    return [row["example_id"] for path in results.glob("gates/*/completions.jsonl") for row in read_lines(path)]


def test_a_gate_that_was_killed_goes_on_and_says_the_same(checkpoint: Path, baseline: Path, tmp_path: Path) -> None:
    first = gate(checkpoint, baseline, tmp_path)
    deadline = time.monotonic() + PATIENCE_S
    while not answers(tmp_path) and first.poll() is None:
        assert time.monotonic() < deadline, "nothing was sampled in time"
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    for _ in range(2):  # the second asks nothing any more
        again = gate(checkpoint, baseline, tmp_path)
        text, _ = again.communicate(timeout=PATIENCE_S)
        assert again.returncode == 0, text
        assert f"{NUM_ITEMS} of {NUM_ITEMS} items compared" in text
        assert "0 lost, 0 gained" in text
        assert len(answers(tmp_path)) == len(set(answers(tmp_path))) == NUM_ITEMS
