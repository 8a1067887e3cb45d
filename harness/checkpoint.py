"""A bare checkpoint and item ids in, scored items out: samples and grades what the gate asks for, outside any sweep.

The checkpoint is a PEFT LoRA folder or a full transformers folder. A run's checkpoint (results/<sweep>/<run>/checkpoint)
is asked with that run's model, data and prompt style; a foreign one with the default model, or the base its adapter
names, the built-in data and the `instruct` prompts. Its weights are proven in the engine before they may answer, like
a run's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.core import Base, Example, RunSpec, UserError
from harness.doctor import found_device, found_sampler
from harness.engine.local import LocalEngine
from harness.grade import grade
from harness.items import ItemSet, item_from_row
from harness.models import DEFAULT_MODEL, resolve
from harness.plan import axes
from harness.prepare import Prepared, SweepRequest, prepare
from harness.store import Run, read_json
from harness.sweep import NUM_PROBES
from harness.tokens import messages, requests


def evaluate_checkpoint(checkpoint: str, task: str, item_ids: Sequence[str]) -> ItemSet:
    """The scored items `item_ids` of a checkpoint. Raises UserError when it cannot be loaded, proven or sampled."""
    folder = Path(checkpoint)
    kind = checkpoint_kind(folder)
    asked = _spec(folder, task)
    layer = {"task": task, "data": asked.data, "models": [asked.model], "methods": ["base"]}
    given = axes(layer, {"prompt_styles": [asked.prompt_style], "few_shot": [asked.few_shot]})
    device, sampler = found_device(), found_sampler()
    prepared = prepare(SweepRequest(axes=given, folder=folder, device=device, sampler=sampler))
    examples = _examples(prepared, item_ids)
    with tempfile.TemporaryDirectory(prefix="tunebench-gate-") as scratch:
        run = Run(Path(scratch))
        _sample(prepared, run, folder, kind, examples, (device, sampler))
        by_id = {example.id: example for example in examples}
        pairs = [(by_id[c.example_id], c) for c in run.completions()]
        rows = list(grade(prepared.task, pairs))
    primary = prepared.task.primary
    items = []
    for row in rows:
        example = by_id[row["example_id"]]
        shared = {"cluster": example.cluster or example.id, "tags": list(example.tags)}
        items.append(item_from_row({**row, **row["scores"][primary], **shared}))
    return ItemSet(
        name=folder.name, task=task, split="test", scorer=primary, items=tuple(items), versions=prepared.versions
    )


def checkpoint_kind(folder: Path) -> str:
    """ "lora" or "full". Raises UserError for anything that is no checkpoint, or one whose weights cannot be read."""
    for name, kind in (("adapter_config.json", "lora"), ("config.json", "full")):
        if (folder / name).is_file():
            _check_weights(folder)
            return kind
    raise UserError(f"{folder} is no checkpoint: it has neither adapter_config.json (PEFT) nor config.json")


def _check_weights(folder: Path) -> None:
    from safetensors import SafetensorError, safe_open

    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise UserError(f"{folder} has no *.safetensors: the checkpoint is not whole")
    for shard in shards:
        try:
            with safe_open(shard, framework="pt") as stream:
                names = list(stream.keys())
                bad = [name for name in names if not bool(stream.get_tensor(name).isfinite().all())]
        except (SafetensorError, OSError) as error:
            raise UserError(f"{shard} is corrupt: {error}") from None
        if bad:
            raise UserError(f"{shard} holds weights that are not finite: {', '.join(bad[:3])}")


def _spec(folder: Path, task: str) -> RunSpec:
    if (folder.parent / "spec.json").is_file():
        spec = Run(folder.parent).spec
        if spec.task != task:
            raise UserError(f"{folder} was trained for task {spec.task!r}, not {task!r}")
        return replace(spec, method=Base(), training=None)
    adapter = read_json(folder / "adapter_config.json") or {}
    named = str(adapter.get("base_model_name_or_path") or DEFAULT_MODEL)
    default = str(resolve(DEFAULT_MODEL).folder)
    return RunSpec(
        task=task, data="builtin", model=DEFAULT_MODEL if named == default else named, method=Base(), training=None
    )


def _examples(prepared: Prepared, item_ids: Sequence[str]) -> list[Example]:
    wanted = set(item_ids)
    dataset = prepared.dataset
    found = [e for e in (*dataset.usable("test"), *dataset.usable("validation")) if e.id in wanted]
    if len(found) < len(wanted):
        missing = sorted(wanted - {example.id for example in found})
        raise UserError(
            f"{len(missing)} of {len(wanted)} baseline items are not in {dataset.name}, such as {missing[0]}"
        )
    return found


def _sample(
    prepared: Prepared, run: Run, checkpoint: Path, kind: str, examples: list[Example], place: tuple[str, str]
) -> None:
    spec = prepared.specs[0]
    model, chat, dataset = prepared.models[spec.model], prepared.chats[spec.model], prepared.dataset
    probes = [
        list(item.prompt_ids + item.answer_ids)
        for item in (
            chat.example(e.id, messages(prepared.task, spec, e), e.gold)
            for e in dataset.usable("validation")[:NUM_PROBES]
        )
    ]
    engine = LocalEngine(run.folder, place[0])
    where = str(checkpoint.resolve())
    asked = [{"run_dir": str(run.folder), "method": kind, "checkpoint": where}]
    engine.reference({"model": str(model.folder), "probes": probes, "runs": asked}, lambda event: None)
    reference = read_json(run.folder / "reference.json") or {"error": "the process died"}
    if "error" in reference:
        raise UserError(f"transformers could not load {checkpoint}: {reference['error']}")
    wanted = {example.id for example in examples}
    subset = replace(dataset, test=tuple(examples), unusable={})
    prompts = [r for r in requests(prepared.task, subset, spec, chat, "test") if r["id"] in wanted]
    longest = max(len(request["prompt_ids"]) for request in prompts)
    settings = {
        "engine": place[1],
        "model": str(model.folder),
        "tokenizer": str(model.folder),
        "device": place[0],
        "max_model_len": max(1024, longest + prepared.task.max_new_tokens),
        "max_lora_rank": _rank(checkpoint) if kind == "lora" else 0,
        "scratch": str(run.folder / "scratch"),
    }
    job = {
        "run": "candidate",
        "method": kind,
        "checkpoint": where,
        "split": "test",
        "requests": prompts,
        "out": str(run.folder / "completions.jsonl"),
        "max_new_tokens": prepared.task.max_new_tokens,
        "end_id": chat.end_id,
        "probes": probes,
        "references": {"candidate": reference["log_probabilities"]},
    }
    problems: list[str] = []

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "failed":
            problems.append(event["reason"])

    samplers = engine.samplers(settings)
    try:
        samplers.sample([job], tell)
        samplers.close()
    finally:
        engine.stop()
    if problems:
        raise UserError(f"{checkpoint} could not be sampled: {problems[0]}")


def _rank(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / "adapter_config.json").read_text())["r"])
