"""A real sweep, the installed way: real model, training, vLLM and SQLite; killed, interrupted, and continued to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.sample.proof import NOISE_FLOOR, distance
from harness.store import Sweep, read_lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # whole sweeps: a loaded machine takes its time
PATIENCE_S = 300.0
NUM_LAST = 8
COLUMNS = (Path(__file__).resolve().parents[1] / "results" / "README.md").read_text(encoding="utf-8")
STOCK_VLLM = """
import json, os, sys
os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_KVCACHE_SPACE="1", HF_HUB_OFFLINE="1")
from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest
base, adapter, places = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
llm = LLM(base, dtype="bfloat16", max_model_len=1024, max_num_seqs=8, enforce_eager=True, enable_lora=True, max_lora_rank=8)
asked = [SamplingParams(max_tokens=1, logprobs=0, allowed_token_ids=[token]) for _, token in places]
prompts = [{"prompt_token_ids": ids} for ids, _ in places]
answers = llm.generate(prompts, asked, lora_request=LoRARequest("run", 1, adapter))
found = [answer.outputs[0].logprobs[0][token].logprob for answer, (_, token) in zip(answers, places)]
print("NATS" + json.dumps(found))
"""


def _command(results: Path) -> list[str]:
    axes = (
        "--methods base,lora --ranks 4 --lrs 1e-3 --train-size 24 --validation-size 6 --test-size 4 --finalist-seeds 1"
    )
    return [
        sys.executable,
        "-m",
        "harness.cli",
        "sweep",
        "sql",
        "--results",
        str(results),
        "--name",
        "s",
        *axes.split(),
    ]


def _start(results: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(_command(results), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _wait(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert process.poll() is None, f"the sweep ended too early: {process.communicate()[0][-2000:]}"
        assert time.monotonic() < deadline, "the sweep did not get that far in time"
        time.sleep(0.2)


def _alive(results: Path) -> list[str]:
    """Command lines of living processes that name the folder: the sweep's children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just ended
                continue
            if str(results) in line:
                found.append(line)
    return found


def _lines(results: Path, name: str) -> list[dict[str, object]]:
    return [row for path in (results / "s").glob(f"*/{name}") for row in read_lines(path)]


def test_a_sweep_that_was_killed_and_interrupted_is_continued_and_repeats_nothing(tmp_path: Path) -> None:
    killed = _start(tmp_path)
    _wait(lambda: bool(_lines(tmp_path, "train.jsonl")), killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    time.sleep(3.0)
    assert _alive(tmp_path) == [], "a child outlived its killed sweep"

    interrupted = _start(tmp_path)
    _wait(lambda: bool(_lines(tmp_path, "completions.jsonl")), interrupted)
    trained = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*/checkpoint/*.safetensors")}
    asked_at = time.monotonic()
    interrupted.send_signal(signal.SIGTERM)
    output = interrupted.communicate(timeout=30)[0]
    assert time.monotonic() - asked_at < 10.0
    assert interrupted.returncode == 130
    assert "the same command continues" in output
    assert _alive(tmp_path) == []

    finished = subprocess.run(_command(tmp_path), capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    assert {path: path.stat().st_mtime_ns for path in trained} == trained

    runs = Sweep(tmp_path / "s").runs()
    assert list(runs["status"]) == ["done"] * 3
    assert list(runs["seed"]) == [0, 0, 1], "the finalist is trained again under another seed"
    assert (runs["validation_n"] == 6).all()
    assert (runs["test_n"] == 4).all()
    sweep = Sweep(tmp_path / "s")
    for frame in (runs, sweep.scores(), sweep.train_log(runs["run"].iloc[1])):
        assert [column for column in frame.columns if f"`{column}`" not in COLUMNS] == [], (
            "results/README.md lacks them"
        )
    for run in runs["run"]:
        answered = [(row["split"], row["example_id"]) for row in read_lines(tmp_path / "s" / run / "completions.jsonl")]
        assert len(answered) == len(set(answered)), "an item was sampled twice"
    for log in (tmp_path / "s").glob("*/train.jsonl"):
        assert [row["step"] for row in read_lines(log)] == [1, 2, 3]
    certificate = json.loads((tmp_path / "s" / "certificate.json").read_text())
    assert not certificate["forced"]
    for path in (tmp_path / "s").glob("*/sampling.json"):
        assert json.loads(path.read_text())["check"]["proven"], path
    assert (tmp_path / "s" / "report.html").stat().st_size > 10_000
    _stock_vllm_serves_the_adapter(tmp_path / "s")


def _stock_vllm_serves_the_adapter(folder: Path) -> None:
    """vLLM without any of our code reads the adapter's folder and gives the last tokens of the probes, the answers, the
    log-probabilities that transformers and peft give them, and not the base model's."""
    job = json.loads((folder / "logs" / "reference.json").read_text())
    run = Sweep(folder).runs().query("method == 'lora'")["run"].iloc[0]
    (base,) = (folder / "logs").glob("base-*/reference.json")
    references = {"base": base, "lora": folder / run / "reference.json"}
    places = [(ids[:k], ids[k]) for ids in job["probes"] for k in range(len(ids) - NUM_LAST, len(ids))]
    command = [sys.executable, "-W", "ignore", "-c", STOCK_VLLM, job["model"], str(folder / run / "checkpoint")]
    done = subprocess.run([*command, json.dumps(places)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("NATS")]
    measured = json.loads(line.removeprefix("NATS"))
    apart = {}
    for name, path in references.items():
        known = [nats for row in json.loads(path.read_text())["log_probabilities"] for nats in row[-NUM_LAST:]]
        apart[name] = distance([measured], [known])
    assert apart["lora"] < NOISE_FLOOR < apart["base"], apart
