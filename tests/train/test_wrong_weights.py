"""Adapter faults planted on real weights: PEFT adapters on disk, real engines, references by transformers + peft."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.models import resolve
from tests.train.conftest import VOCABULARY, tiny_model

torch = pytest.importorskip("torch")
PLANTED = [  # the run, the folder that is served for it, what must be said
    ("own", "own", ""),
    ("other", "other", ""),
    ("own", "other", "nearer to other"),
    ("own", "idle", "adapter not applied"),
    ("own", "twice", "nats a token from transformers|too strongly"),
]


def adapter(base: Path, folder: Path, *, seed: int) -> Path:
    """A LoRA checkpoint as PEFT saves it, its weights random."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    lora = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"]))
    with torch.no_grad():
        for name, weight in lora.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.03)
    lora.save_pretrained(folder)
    return folder


def jobs(folder: Path, base: Path, vocabulary: int) -> list[dict[str, Any]]:
    """One job a line of PLANTED over adapters in `folder`, with transformers' and peft's own log-probabilities."""
    from harness.sample.proof import BASE
    from harness.train.reference import references

    dice = random.Random(3)
    probes = [[dice.randrange(3, vocabulary) for _ in range(size)] for size in (60, 40)]
    runs = [{"run_dir": BASE, "method": "base", "checkpoint": None}]
    for seed, name in enumerate(("own", "other"), start=1):
        runs.append({"run_dir": name, "method": "lora", "checkpoint": str(adapter(base, folder / name, seed=seed))})
    known = dict(references({"model": str(base), "device": "cpu", "probes": probes, "runs": runs}))
    assert all("error" not in found for found in known.values()), known
    plant(folder)
    return [
        {
            "run": run, "method": "lora", "checkpoint": str(folder / served), "split": "validation", "end_id": 2,
            "max_new_tokens": 4, "requests": [{"id": "item", "prompt_ids": probes[0][:20]}], "probes": probes,
            "references": {name: found["log_probabilities"] for name, found in known.items()},
            "out": str(folder / f"{run}-{served}.jsonl"),
        }
        for run, served, _ in PLANTED
    ]  # fmt: skip


def plant(folder: Path) -> None:
    """Copies of the adapter `own`: one whose weights are zero (as if it were not applied), one applied twice as strongly."""
    from safetensors.torch import load_file, save_file

    for name in ("idle", "twice"):
        shutil.copytree(folder / "own", folder / name)
    weights = load_file(folder / "own" / "adapter_model.safetensors")
    save_file({key: value * 0 for key, value in weights.items()}, folder / "idle" / "adapter_model.safetensors")
    config = json.loads((folder / "own" / "adapter_config.json").read_text())
    (folder / "twice" / "adapter_config.json").write_text(
        json.dumps({**config, "lora_alpha": 2 * config["lora_alpha"]})
    )


def check(events: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
    """Right weights answer, each planted fault is named, and not one answer of wrong weights is kept."""
    for event, job, (run, served, says) in zip(events, asked, PLANTED, strict=True):
        assert event["event"] == ("unproven" if says else "sampled"), (run, served, event)
        assert re.search(says, event["check"]["reason"]), (run, served, event)
        assert Path(job["out"]).exists() is not bool(says)


def test_the_transformers_engine_refuses_weights_that_are_not_the_runs_own(tmp_path: Path) -> None:
    from harness.sample.protocol import SampleJob, answer
    from harness.sample.transformers_engine import TransformersEngine
    from harness.store import append_lines

    base = tiny_model(tmp_path / "base")
    engine = TransformersEngine(base, device="cpu", max_model_len=128, scratch=tmp_path / "scratch")
    asked = jobs(tmp_path, base, VOCABULARY)
    check(
        [answer(engine, SampleJob(**job), str, print, partial(append_lines, Path(job["out"]))) for job in asked], asked
    )


@pytest.mark.slow
def test_vllm_refuses_weights_that_are_not_the_runs_own(tmp_path: Path) -> None:
    model = resolve("smollm2-135m")
    asked = jobs(tmp_path, model.folder, 1000)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({
        "engine": "vllm", "model": str(model.folder), "tokenizer": str(model.folder), "scratch": str(tmp_path / "scratch"),
        "device": "cpu", "max_model_len": 128, "max_lora_rank": 8, "num_devices": 1,
    }))  # fmt: skip
    command = [sys.executable, "-m", "harness.sample", str(settings)]
    lines = "".join(json.dumps(job) + "\n" for job in asked)
    child = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=400, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    told = [json.loads(line) for line in child.stdout.splitlines()]
    check([event for event in told if event["event"] in ("sampled", "unproven", "failed")], asked)
