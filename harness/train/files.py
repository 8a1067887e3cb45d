"""The files of one run, each written whole or not at all: log, resume/, checkpoint/, trained.json, failure.json.

`trained.json` or `failure.json` is written last and means "done". `resume/step-N/` holds the exact trainable weights,
the optimizer and the random state after step N; it appears by a rename, so what is there is complete.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.core import Lora
from harness.store import sync, write_json
from harness.train.job import RunJob
from harness.train.optimizer import Updater
from harness.train.trainee import Trainee

FINISHING_MARKS = ("trained.json", "failure.json")
TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.jinja",
)


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """Where a run goes on. `progress` is what the loop saved: counters of plain JSON types."""

    step: int
    micro_batch: int
    progress: Mapping[str, Any]


def is_finished(run_dir: Path) -> bool:
    """Whether the run ended, well or not."""
    return any((run_dir / name).is_file() for name in FINISHING_MARKS)


def write_resume(run_dir: Path, updater: Updater, identity: str, state: Resumed) -> None:
    """Save everything after `state.step` steps, then drop what was saved before."""
    if resume_folder(run_dir, state.step).exists():
        return
    partial = start_resume(run_dir)
    write_state(partial, updater, identity, state)
    publish_resume(run_dir, state.step)


def resume_folder(run_dir: Path, step: int) -> Path:
    """Where the state after `step` steps is kept."""
    return run_dir / "resume" / f"step-{step:07d}"


def start_resume(run_dir: Path) -> Path:
    """An empty folder for the parts of a state."""
    partial = run_dir / "resume" / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def publish_resume(run_dir: Path, step: int) -> None:
    """Make the started state the newest one, in one rename, and drop the older ones."""
    root, target = run_dir / "resume", resume_folder(run_dir, step)
    for path in (root / "partial").iterdir():
        sync(path)
    shutil.rmtree(target, ignore_errors=True)
    (root / "partial").rename(target)
    sync(root)
    for old in root.iterdir():
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def write_state(folder: Path, updater: Updater | None, identity: str, state: Resumed) -> None:
    """state.json with the counters and, with an updater, state.pt with the exact weights and the optimizer."""
    if updater is not None:
        body = {
            "weights": updater.weights(),
            "optimizer": updater.optimizer.state_dict(),
            "random_state": torch.get_rng_state(),
        }
        torch.save(body, folder / "state.pt")
    counters = {"micro_batch": state.micro_batch, "progress": dict(state.progress)}
    write_json(folder / "state.json", {"identity": identity, "step": state.step, **counters})


def newest_resume(run_dir: Path) -> Path | None:
    """The folder of the newest saved state."""
    saved = sorted((run_dir / "resume").glob("step-*"))
    return saved[-1] if saved else None


def load_resume(run_dir: Path, updater: Updater, identity: str, device: str) -> Resumed | None:
    """Put the newest saved state back, or None when there is none for this very run (another spec, data or base)."""
    newest = newest_resume(run_dir)
    return read_state(newest, updater, identity, device) if newest else None


def read_state(folder: Path, updater: Updater | None, identity: str, device: str) -> Resumed | None:
    """The counters of a saved state, its weights put into `updater` if there is one; None for another run's state."""
    head = json.loads((folder / "state.json").read_text())
    if head["identity"] != identity:
        return None
    if updater is not None:
        body = torch.load(folder / "state.pt", map_location=device, weights_only=True)
        updater.load(body["weights"], body["optimizer"])
        torch.set_rng_state(body["random_state"].cpu())
    return Resumed(step=head["step"], micro_batch=head["micro_batch"], progress=head["progress"])


def drop_resume(run_dir: Path) -> None:
    """Delete the resume state of a run that needs none any more."""
    shutil.rmtree(run_dir / "resume", ignore_errors=True)


def cut_log(path: Path, num_steps: int) -> None:
    """Keep the first `num_steps` lines of train.jsonl: later ones, and a torn last one, belong to steps to redo."""
    lines = path.read_bytes().splitlines(keepends=True)[:num_steps] if path.is_file() else []
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(b"".join(lines))
    partial.replace(path)


def write_checkpoint(run: RunJob, trainee: Trainee, weights: Mapping[str, Tensor] | None = None) -> int:
    """checkpoint/: a PEFT folder or a transformers folder, safetensors, with the tokenizer. Returns its bytes.

    `weights` replaces the network's own, which a sharded run has only in parts. The run's `record` says what it was
    trained with; it becomes tunebench.json, by which another format is refused later.
    """
    partial, target = run.run_dir / "checkpoint.partial", run.run_dir / "checkpoint"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if isinstance(trainee.method, Lora):
        trainee.network.save_pretrained(partial, save_embedding_layers=False)
    elif weights is not None:
        trainee.network.config.dtype = next(iter(weights.values())).dtype
        trainee.network.save_pretrained(partial, state_dict=dict(weights))
    else:
        trainee.network.save_pretrained(partial)
    if run.tokenizer is not None:
        copy_tokenizer(run.tokenizer, partial)
    if run.template is not None:
        (partial / "chat_template.jinja").write_text(run.template, encoding="utf-8")
    if run.record is not None:
        write_json(partial / "tunebench.json", run.record)
    for path in partial.iterdir():
        sync(path)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    sync(run.run_dir)
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer's files and chat template. Raises FileNotFoundError when `source` has none."""
    found = {path for pattern in TOKENIZER_FILES for path in source.glob(pattern) if path.is_file()}
    if not found:
        raise FileNotFoundError(f"{source} holds no tokenizer file; give the model's own folder as `tokenizer`")
    for path in found:
        shutil.copyfile(path, target / path.name)
