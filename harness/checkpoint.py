"""A bare checkpoint and item ids in, scored items out: samples and grades what the gate asks for, outside any sweep.

The checkpoint is a PEFT LoRA folder or a full transformers folder. One that was trained here is asked with its run's model,
data and prompt style (spec.json above it, or the tunebench.json in it); a foreign one, or one trained on another task, as
the baseline was. What it was trained with is compared with what it is about to be asked with, and another format is refused
unless forced. Its weights are proven in the engine before they may answer, like a run's. Answers and scores are kept below
results/gates/, under a hash of the weights and of everything else that decides them: a gate that was killed goes on
where it was, and one that is asked again samples nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from harness.candidate import SETTING
from harness.core import Base, Example, RunSpec, Split, UserError, digest, to_json
from harness.doctor import found_device, found_sampler
from harness.engine.local import LocalEngine
from harness.grade_run import grade_answers
from harness.items import ItemSet, item_from_row
from harness.models import DEFAULT_MODEL, resolve
from harness.parts import content_hash
from harness.plan import axes
from harness.prepare import Prepared, SweepRequest, prepare
from harness.references import log_probabilities, probe_ids
from harness.sample.proof import BASE
from harness.sample.vllm_settings import process_settings
from harness.store import Run, Sweep, read_json, write_json
from harness.sweep_info import device_name
from harness.tokens import requests
from harness.trained_with import differences, recorded_spec, refusal

DECIDES = ("adapter_config.json", "config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja")


def evaluate_checkpoint(
    checkpoint: str,
    baseline: ItemSet,
    item_ids: Sequence[str],
    *,
    results: Path = Path("results"),
    data_path: Path | None = None,
    allow_uncertified: bool = False,
) -> ItemSet:
    """The scored items `item_ids` of a checkpoint. Raises UserError when it cannot be loaded, proven or sampled, and
    when it was trained with another format than it would be asked with, unless `allow_uncertified`."""
    folder = Path(checkpoint)
    kind = checkpoint_kind(folder)
    asked = _spec(folder, baseline)
    layer = {"task": asked.task, "data": asked.data, "models": [asked.model], "methods": ["base"]}
    given = axes(layer, {"prompt_styles": [asked.prompt_style], "few_shot": [asked.few_shot]})
    device, sampler = found_device(), found_sampler()
    request = SweepRequest(axes=given, folder=folder, device=device, sampler=sampler, data_path=data_path)
    prepared = prepare(request)
    spec = prepared.specs[0]
    found = differences(folder, prepared.task, prepared.dataset, spec, prepared.chats[spec.model])
    if found and not allow_uncertified:
        raise UserError(refusal(str(folder), found))
    split = cast(Split, baseline.split)
    examples = _examples(prepared, split, item_ids)
    run = Run(results / "gates" / _work_name(folder, asked, prepared))
    with Sweep(run.folder).lock():
        write_json(run.folder / "spec.json", {"spec": to_json(asked), "checkpoint": str(folder.resolve())})
        sampled = {c.example_id for c in run.completions(split)}
        if any(example.id not in sampled for example in examples):
            _sample(request, prepared, run, (folder, kind), (split, examples))
        grade_answers(prepared.task, examples, run, split)
    return ItemSet(
        name=folder.name,
        task=asked.task,
        split=split,
        scorer=prepared.task.primary,
        items=_items(prepared, run, split, examples),
        versions=prepared.versions,
        setting={**baseline.setting, "device": device_name(device)},
        forced=tuple(f"{folder.name}: asked in another format than it was trained in: {text}" for text in found),
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


def _work_name(folder: Path, asked: RunSpec, prepared: Prepared) -> str:
    """The folder below results/gates/: equal exactly when the same weights are asked the same way."""
    decides = sorted(folder.glob("*.safetensors")) + [folder / name for name in DECIDES if (folder / name).is_file()]
    hashes = {}
    for path in decides:
        with path.open("rb") as stream:
            hashes[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    model = prepared.models[asked.model].revision
    key = [hashes, to_json(asked), prepared.versions, model, prepared.chats[asked.model].hash]
    return f"{folder.resolve().name[:60]}-{digest(key)}"


def _spec(folder: Path, baseline: ItemSet) -> RunSpec:
    known = Run(folder.parent).spec if (folder.parent / "spec.json").is_file() else recorded_spec(folder)
    if known is not None and known.task == baseline.task:
        return replace(known, method=Base(), training=None, train_size=None)
    setting: Mapping[str, Any] = baseline.setting
    lacking = [key for key in SETTING if key not in setting]
    if lacking:
        raise UserError(f"the baseline does not say its {', '.join(lacking)}; bless its run again")
    adapter = read_json(folder / "adapter_config.json") or {}
    named = str(adapter.get("base_model_name_or_path") or setting["model"])
    default = str(resolve(DEFAULT_MODEL).folder)
    return RunSpec(
        task=baseline.task,
        data=str(setting["data"]),
        model=DEFAULT_MODEL if named == default else named,
        method=Base(),
        training=None,
        prompt_style=str(setting["prompt_style"]),
        few_shot=int(setting["few_shot"]),
    )


def _examples(prepared: Prepared, split: Split, item_ids: Sequence[str]) -> list[Example]:
    wanted = set(item_ids)
    dataset = prepared.dataset
    found = [example for example in dataset.usable(split) if example.id in wanted]
    if len(found) < len(wanted):
        missing = sorted(wanted - {example.id for example in found})
        raise UserError(
            f"{len(missing)} of {len(wanted)} baseline items are not in {split} of {dataset.name}, such as {missing[0]}"
        )
    return found


def _sample(
    request: SweepRequest,
    prepared: Prepared,
    run: Run,
    checkpoint: tuple[Path, str],
    part: tuple[Split, Sequence[Example]],
) -> None:
    """Append what is not sampled yet to the run's completions.jsonl."""
    (folder, kind), (split, examples) = checkpoint, part
    spec = prepared.specs[0]
    model, chat, dataset = prepared.models[spec.model], prepared.chats[spec.model], prepared.dataset
    probes = probe_ids(prepared.task, dataset, spec, chat)
    engine = LocalEngine(run.folder, request.device)
    where = str(folder.resolve())
    wanted = {example.id for example in examples}
    prompts = [r for r in requests(prepared.task, dataset, spec, chat, split) if r["id"] in wanted]
    longest = max(len(request["prompt_ids"]) for request in prompts)
    settings = process_settings(
        request,
        model,
        most_tokens=longest + prepared.task.max_new_tokens,
        max_lora_rank=_rank(folder) if kind == "lora" else 0,
        scratch=run.folder / "scratch",
    )
    problems: list[str] = []

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "failed":
            problems.append(event["reason"])

    try:
        base = Run(run.folder / "base")
        references = {
            BASE: _reference(engine, base, str(model.folder), (None, "base"), probes),
            "candidate": _reference(engine, run, str(model.folder), (where, kind), probes),
        }
        job = {
            "run": "candidate",
            "method": kind,
            "checkpoint": where,
            "split": split,
            "requests": prompts,
            "out": str(run.folder / "completions.jsonl"),
            "max_new_tokens": prepared.task.max_new_tokens,
            "end_id": chat.end_id,
            "probes": probes,
            "references": references,
        }
        samplers = engine.samplers(settings)
        samplers.sample([job], tell)
        samplers.close()
    finally:
        engine.stop()
    if problems:
        raise UserError(f"{folder} could not be sampled: {problems[0]}")


def _reference(
    engine: LocalEngine, run: Run, model: str, checkpoint: tuple[str | None, str], probes: list[list[int]]
) -> list[list[float]]:
    """transformers' log-probabilities of the probes under the checkpoint."""
    if not (run.folder / "reference.json").is_file():
        asked = [{"run_dir": str(run.folder), "checkpoint": checkpoint[0], "method": checkpoint[1]}]
        engine.reference({"model": model, "probes": probes, "runs": asked}, lambda event: None)
    return log_probabilities(run, checkpoint[0] or model)


def _items(prepared: Prepared, run: Run, split: Split, examples: Sequence[Example]) -> tuple[Any, ...]:
    by_id = {example.id: example for example in examples}
    latencies = {c.example_id: c.latency_s for c in run.completions(split)}
    items = []
    for row in run.scores(split):
        if (example := by_id.get(row["example_id"])) is not None:
            shared = {"cluster": example.cluster or example.id, "tags": list(example.tags)}
            shared["content"] = content_hash(example)
            more = {**shared, "latency_s": latencies.get(example.id)}
            items.append(item_from_row({**row, **row["scores"][prepared.task.primary], **more}))
    return tuple(items)


def _rank(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / "adapter_config.json").read_text())["r"])
