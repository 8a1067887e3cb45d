"""A tiny random Llama on disk, items for it, and jobs over both."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.core import Lora, Method, RunSpec, Training, to_json

torch = pytest.importorskip("torch")
VOCABULARY = 160
LORA = Lora(rank=4, alpha=8.0)
SHORT = Training(learning_rate=5e-3, epochs=1, batch_size=6, max_length=200)
WriteJob = Callable[..., Path]


def tiny_model(folder: Path, *, tied: bool = True) -> Path:
    """A 2-layer Llama with grouped key heads, random weights, and stand-in tokenizer files."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


def random_items(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Items with three shared beginnings, some of them identical prompts, answers of different lengths."""
    rng = random.Random(seed)

    def tokens(size: int) -> list[int]:
        return [rng.randrange(3, VOCABULARY) for _ in range(size)]

    beginnings = [tokens(20), tokens(12), []]
    beginnings[1] = beginnings[0][:9] + beginnings[1]
    rows = []
    for index in range(count):
        prompt = beginnings[index % 3] + tokens(rng.randrange(1, 12))
        rows.append({"id": f"i{index}", "prompt_ids": prompt, "answer_ids": [*tokens(rng.randrange(1, 7)), 2]})
    rows[1] = {**rows[0], "id": "i1"}
    return rows


@pytest.fixture(scope="session", autouse=True)
def libraries() -> None:
    """Import the libraries once where their own warnings (torchao's invalid escapes) are no failure of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import peft
        import transformers

        assert peft.LoraConfig
        assert transformers.AutoModelForCausalLM


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def write_job(tmp_path: Path, model_folder: Path) -> WriteJob:
    """Writes a job of (name, method, training, seed) runs; returns its path."""

    def write(
        runs: Sequence[tuple[str, Method, Training, int]],
        *,
        dtype: str = "float32",
        options: dict[str, Any] | None = None,
        items: Sequence[dict[str, Any]] | None = None,
        root: str = "runs",
        model: Path = model_folder,
    ) -> Path:
        folder = tmp_path / root
        folder.mkdir(exist_ok=True)
        path = folder / "items.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in items or random_items(40)))
        body = {
            "model": str(model),
            "device": "cpu",
            "dtype": dtype,
            "options": {"threads": 1, **(options or {})},
            "runs": [
                {
                    "run_dir": str(folder / name),
                    "spec": to_json(
                        RunSpec(task="sql", data="builtin", model="tiny", method=method, training=training, seed=seed)
                    ),
                    "items": str(path),
                    "tokenizer": str(model),
                    "record": {"trained": name},
                }
                for name, method, training, seed in runs
            ],
        }
        job = folder / "job.json"
        job.write_text(json.dumps(body))
        return job

    return write


def weights_of(run_dir: Path) -> dict[str, Any]:
    """The tensors of a finished run's checkpoint."""
    from safetensors.torch import load_file

    names = sorted((run_dir / "checkpoint").glob("*.safetensors"))
    assert names, f"{run_dir} has no checkpoint"
    return {key: value for name in names for key, value in load_file(name).items()}


def same_weights(left: Path, right: Path) -> bool:
    """Whether two checkpoints hold bitwise the same tensors."""
    a, b = weights_of(left), weights_of(right)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def log_of(run_dir: Path) -> list[dict[str, Any]]:
    """The rows of train.jsonl."""
    return [json.loads(line) for line in (run_dir / "train.jsonl").read_text().splitlines()]
