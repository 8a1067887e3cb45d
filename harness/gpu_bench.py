"""`python -m harness.gpu_bench OUT_FOLDER`: what a device does with this project, in under ten minutes on an H100.

Out: bench.json and README.md in the folder: the default sweep on the device end to end; for a random model of Llama-2-7B's
shape LoRA and full training in tokens/s, model FLOP/s over the measured matrix-product rate, peak memory beside the plan's
estimate; TRL's SFTTrainer on the same token ids where it is installed. `--shape toy --device cpu` is the same at toy size.

Every part is a process of its own, so that memory is measured from nothing; a part that fails is a row with its reason.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.core import Full, Lora, Training
from harness.store import write_json
from harness.train.job import Item, Options
from harness.train.memory import training_flops
from harness.train.planning import Question, changes, device_bytes, planned

SHAPES: dict[str, dict[str, Any]] = {  # 7b: Touvron et al. 2023, Llama 2's config.json
    "7b": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
    "toy": {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 2, "num_attention_heads": 4},
}
VOCABULARY = {"7b": 32000, "toy": 512}
PROMPT_TOKENS, ANSWER_TOKENS = 208, 48  # a SQL item with its schema and answer (built-in data: 150 to 300 tokens)
METHODS: dict[str, Lora | Full] = {"lora": Lora(rank=8, alpha=16.0), "full": Full()}
PARTS = ("matmul", "lora", "full", "trl")
WARM_UP_STEPS, STEPS = 2, 8
TRAINING = {
    "7b": Training(learning_rate=1e-5, batch_size=16, max_length=512),
    "toy": Training(learning_rate=1e-5, batch_size=2, max_length=512),
}
PART_LIMIT_S, SWEEP_LIMIT_S = 110.0, 300.0


def main() -> None:
    """Run all parts, or with --part one of them, whose JSON goes to stdout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="7b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--no-sweep", action="store_true")
    parser.add_argument("--part", choices=PARTS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(part(given.part, given.shape, given.device)))
        return
    started = time.monotonic()
    command = [sys.executable, "-m", "harness.gpu_bench", str(given.folder), "--shape", given.shape]
    found = {name: _run([*command, "--device", given.device, "--part", name], PART_LIMIT_S) for name in PARTS}
    if not given.no_sweep:
        found["sweep"] = _sweep(given.folder, given.device)
    body = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "command": " ".join(["python -m harness.gpu_bench", *sys.argv[1:]]),
        "device": given.device,
        "machine": platform.platform(),
        "shape": given.shape,
        "seconds": time.monotonic() - started,
        "parts": found,
    }
    write_json(given.folder / "bench.json", body)
    (given.folder / "README.md").write_text(as_markdown(body))


def part(name: str, shape: str, device: str) -> dict[str, Any]:
    """One measurement, in this process."""
    if name == "matmul":
        return {"device_name": _device_name(device), "flops_per_second": matmul_rate(device)}
    if name == "trl":
        return trl_speed(shape, device)
    return training_speed(METHODS[name], shape, device)


def matmul_rate(device: str) -> float:
    """Floating point operations a second of a large bfloat16 matrix product: the best of five."""
    import torch

    size = 8192 if device.startswith("cuda") else 1024
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(6):
        begun = time.perf_counter()
        float((left @ right)[0, 0])  # reading a number waits for the device
        seconds.append(time.perf_counter() - begun)
    return 2.0 * size**3 / min(seconds[1:])


def training_speed(method: Lora | Full, shape: str, device: str) -> dict[str, Any]:
    """Tokens/s, FLOP/s and memory of our loop with the options that the plan chooses for this device."""
    from harness.train.loop import Hooks, Setup, train_steps
    from harness.train.measure import reset_peak
    from harness.train.optimizer import Updater
    from harness.train.trainee import attach

    config, items = model_config(shape), random_items(shape)
    longest = PROMPT_TOKENS + ANSWER_TOKENS
    question = Question(config=config, method=method, training=TRAINING[shape], longest=longest, device=device)
    plan = planned(question, device_bytes(device))
    reset_peak(device)
    trainee = attach(random_model(shape, device), method, 0, plan.options)
    updater = Updater(trainee.parameters, TRAINING[shape], plan.options)
    setup = Setup(
        trainee=trainee,
        updater=updater,
        items=items,
        training=TRAINING[shape],
        seed=0,
        options=plan.options,
        device=device,
    )
    rows: list[dict[str, Any]] = []
    progress = train_steps(setup, Hooks(record=rows.append, save=lambda state: None))
    tokens = sum(row["tokens"] for row in rows[WARM_UP_STEPS:])
    seconds = sum(row["tokens"] / row["tokens_per_second"] for row in rows[WARM_UP_STEPS:])
    flops = training_flops(config, method, tokens, tokens * ANSWER_TOKENS // longest)
    return {
        "tokens_per_second": tokens / seconds,
        "flops_per_second": flops / seconds,
        "peak_memory_bytes": progress.peak_memory_bytes,
        "estimated_memory_bytes": plan.estimate.total_bytes,
        "options": changes(plan, Options()),
        "steps": len(rows),
        "notes": progress.notes,
    }


def trl_speed(shape: str, device: str) -> dict[str, Any]:
    """The same of TRL's SFTTrainer with the same LoRA settings, batch and token ids."""
    from importlib.util import find_spec

    if find_spec("trl") is None:
        return {"skipped": "trl is not installed: pip install trl"}
    from harness.train.trl_side import seconds_of_steps

    items = random_items(shape)
    seconds = seconds_of_steps(random_model(shape, device), METHODS["lora"], items, TRAINING[shape], device)
    tokens = sum(item.num_tokens for item in items) * (len(seconds) - WARM_UP_STEPS) / len(seconds)
    return {"tokens_per_second": tokens / sum(seconds[WARM_UP_STEPS:])}


def model_config(shape: str) -> dict[str, Any]:
    """config.json's numbers of a shape."""
    heads = SHAPES[shape]["num_attention_heads"]
    return {
        **SHAPES[shape],
        "num_key_value_heads": heads,
        "vocab_size": VOCABULARY[shape],
        "tie_word_embeddings": False,
    }


def random_items(shape: str) -> list[Item]:
    """Random token ids: speed and memory do not depend on what they say."""
    rng = random.Random(0)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(3, VOCABULARY[shape]) for _ in range(count))

    count = TRAINING[shape].batch_size * (WARM_UP_STEPS + STEPS)
    return [Item(id=str(i), prompt_ids=ids(PROMPT_TOKENS), answer_ids=ids(ANSWER_TOKENS)) for i in range(count)]


def random_model(shape: str, device: str) -> Any:
    """A frozen bfloat16 model of the shape with random weights, as `load_base` would give it."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from harness.train import attention

    attention.register()
    config = LlamaConfig(**model_config(shape))
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation=attention.PACKED)
    return model.requires_grad_(False).eval()


def as_markdown(body: dict[str, Any]) -> str:
    """The measurements as a page."""
    parts = body["parts"]
    rate = parts["matmul"].get("flops_per_second")
    lines = [
        f"# {parts['matmul'].get('device_name', body['device'])}, {body['date']}",
        "",
        f"`{body['command']}`: {body['seconds']:.0f} s in all. Random weights, shape `{body['shape']}`, batch "
        f"{TRAINING[body['shape']].batch_size} of {PROMPT_TOKENS} + {ANSWER_TOKENS} tokens, {STEPS} steps.",
        "",
        "| run | tokens/s | model FLOP/s over matrix product | peak memory | estimate | options |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("lora", "full", "trl"):
        found = parts[name]
        if "tokens_per_second" not in found:
            lines.append(f"| {name} | {found.get('skipped') or found.get('failed')} | | | | |")
            continue
        share = f"{found['flops_per_second'] / rate:.0%}" if rate and "flops_per_second" in found else ""
        memory = [f"{found[key] / 1e9:.2f} GB" if key in found else "" for key in
                  ("peak_memory_bytes", "estimated_memory_bytes")]  # fmt: skip
        options = ", ".join(found.get("options", [])) or ("defaults" if "options" in found else "")
        lines.append(
            f"| {name} | {found['tokens_per_second']:,.0f} | {share} | {memory[0]} | {memory[1]} | {options} |"
        )
    if rate:
        lines += ["", f"Matrix product, bfloat16: {rate / 1e12:.2f} TFLOP/s."]
    if "sweep" in parts:
        lines += [
            "",
            f"Default sweep: {parts['sweep'].get('failed') or format(parts['sweep']['seconds'], '.0f') + ' s'}.",
        ]
    return "\n".join(lines) + "\n"


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return platform.processor() or platform.machine()
    import torch

    return str(torch.cuda.get_device_name(device))


def _run(command: list[str], limit_s: float) -> dict[str, Any]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {limit_s:.0f} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1][:500]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _sweep(folder: Path, device: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "harness.cli", "sweep", "sql", "--device", device]
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [*command, "--results", str(folder), "--name", "sweep"],
            capture_output=True,
            text=True,
            timeout=SWEEP_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {SWEEP_LIMIT_S:.0f} s; the same command continues it"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1][:500]}
    return {"seconds": time.monotonic() - begun, "table": done.stdout.splitlines()[-12:]}


if __name__ == "__main__":
    main()
