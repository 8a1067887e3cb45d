"""Axes -> a sweep with everything that decides its numbers resolved, before anything is trained. In: `SweepRequest`. Out:
`Prepared`: task, data set, models, chat formats, run specs with their names, and the versions that results are kept under.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.chat import ChatFormat
from harness.core import ALL_LINEAR, DataRequest, Dataset, RunSpec, Task, UserError, digest, hosted_name
from harness.engine import EngineOptions
from harness.hosted import HostedRequest, endpoint_name
from harness.models import REMOTE_CODE, Model, linear_modules, resolve
from harness.parts import engine_settings, prompt_fingerprint, versions
from harness.plan import TARGET_GROUPS, Axes, nearest, plan
from harness.registry import load_task
from harness.store import read_json, run_name

Stage = Literal["train", "sample", "report"]
LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2")  # their layers are called as ALL_LINEAR says
SAMPLERS = ("vllm", "transformers")
# Four examples that share a prefix (a schema) follow each other, and the prefix is computed once: on the built-in SQL data
# 0.49 of the tokens are computed instead of 0.77 (400 items). It changes the order of examples, so it names the run too.
TRAINING_OPTIONS = {"group_prefixes": 4}


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """What a sweep is asked to do. `baseline` is the label or name of a run that goes to test beside the finalists.
    `device_bytes` None: the device is asked. Where a sweep runs (engine, its options, device) names no run."""

    axes: Axes
    folder: Path
    data_path: Path | None = None
    device: str = "cpu"
    sampler: str = "vllm"
    options: dict[str, Any] = field(default_factory=lambda: dict(TRAINING_OPTIONS))
    offline: bool = False
    remote_code: bool = False
    baseline: str | None = None
    retry_failed: bool = False
    until: Stage = "report"
    allow_uncertified: bool = False
    workers: int | None = None
    hosted: HostedRequest = field(default_factory=HostedRequest)
    synthetic: Path | None = None
    dry_run: bool = False
    engine: str = "local"
    engine_options: EngineOptions = field(default_factory=EngineOptions)
    device_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.device.partition(":")[0] not in ("cpu", "cuda"):
            raise UserError(
                f"device cannot be {self.device!r}{nearest(self.device, ('cpu', 'cuda'))} Allowed: cpu, cuda"
            )
        if self.sampler not in SAMPLERS:
            raise UserError(
                f"sampler cannot be {self.sampler!r}{nearest(self.sampler, SAMPLERS)} Allowed: {', '.join(SAMPLERS)}"
            )
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers is at least 1, got {self.workers}; leave it out for one a core")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sweep's plan with everything that decides its numbers resolved. Hosted models have no entry in `models`."""

    task: Task
    dataset: Dataset
    models: dict[str, Model]
    chats: dict[str, ChatFormat]
    specs: list[RunSpec]
    names: list[str]
    versions: dict[str, str]


def prepare(request: SweepRequest) -> Prepared:
    """Resolve the models, load the data and name the runs. Raises UserError for anything the user can mend."""
    given = request.axes
    specs = plan(given)
    task = load_task(given.task)
    if given.data not in task.sources:
        near = nearest(given.data, task.sources)
        raise UserError(f"task {task.name!r} has no data {given.data!r}{near} It has: {', '.join(task.sources)}")
    _check_styles(task, given.prompt_styles)
    models = _models(request)
    dataset = task.load(data_request(request))
    task = task.fitted_to(dataset)
    if request.synthetic is not None:
        from harness.authoring import with_synthetic

        dataset = with_synthetic(dataset, request.synthetic)
    if "clean" in given.curation:
        from harness.curate.axis import removals

        dataset = replace(dataset, removed=removals(task, dataset))
    chats = {name: ChatFormat(model.folder) for name, model in models.items()}
    engine = engine_settings(task, request.sampler, request.device)
    found = versions(task, dataset, given.data_seed, engine)
    empty = Prepared(task=task, dataset=dataset, models=models, chats=chats, specs=[], names=[], versions=found)
    return with_runs(request, empty, specs)


def with_runs(request: SweepRequest, prepared: Prepared, specs: Sequence[RunSpec]) -> Prepared:
    """The same sweep with these runs, those that it has already first."""
    every = list(dict.fromkeys([*prepared.specs, *specs]))
    return replace(prepared, specs=every, names=[_name(request, prepared, spec) for spec in every])


def _name(request: SweepRequest, prepared: Prepared, spec: RunSpec) -> str:
    """The run's folder: its label, and a hash of everything that decides its numbers."""
    given, found = request.axes, prepared.versions
    if spec.model in prepared.models:
        revisions = {"model": prepared.models[spec.model].revision, "chat": prepared.chats[spec.model].hash}
    else:  # which snapshot answers is known afterwards, and kept with the answers
        revisions = {"model": endpoint_name(), "chat": "messages"}
    fingerprint = prompt_fingerprint(prepared.task, prepared.dataset, spec.prompt_style)
    key = {"task": found["task"], "data": found["data"], "prompt": digest(fingerprint, 16), **revisions}
    if spec.curation == "clean":
        key["removed"] = digest(sorted(prepared.dataset.removed), 16)
    sizes = str((given.validation_size, given.test_size))
    return run_name(spec, {**key, "sizes": sizes, "options": digest(request.options, 16)})


def _models(request: SweepRequest) -> dict[str, Model]:
    """The models of the axes, at the revisions with which this sweep began."""
    if request.offline:  # for libraries that are imported later, and for the children
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    if request.remote_code:
        os.environ[REMOTE_CODE] = "1"
    begun = (read_json(request.folder / "sweep.json") or {}).get("models", [])
    pinned = {model["name"]: model["revision"] for model in begun}
    found = {
        name: resolve(
            name,
            revision=pinned.get(name),
            offline=request.offline,
            remote_code=request.remote_code,
            weights=not request.dry_run,
        )
        for name in request.axes.models
        if hosted_name(name) is None
    }
    for model in found.values():
        check_methods(request.axes, model)
    return found


def check_methods(given: Axes, model: Model) -> None:
    """Raises UserError for what no run on this model can have: modules that it lacks, a rank above its width."""
    if "lora" not in given.methods:
        return
    width = model.config.get("hidden_size")
    if width is not None and max(given.ranks) > width:
        raise UserError(
            f"rank {max(given.ranks)} is above the width of {model.name}, {width}: such an adapter is larger than the "
            "weights it adapts; give smaller --ranks, or --methods full"
        )
    wanted = {module for modules in given.targets for module in modules}
    if wanted <= set(ALL_LINEAR) and model.config.get("model_type") in LLAMA_LIKE:
        return
    known = linear_modules(model.folder)
    for module in sorted(wanted - known):
        raise UserError(
            f"{model.name} has no linear layer {module!r}{nearest(module, known)} It has: {', '.join(sorted(known))}; "
            f"--targets also takes {', '.join(TARGET_GROUPS)}"
        )


def _check_styles(task: Task, styles: tuple[str, ...]) -> None:
    for style in styles:
        if style not in task.prompts:
            near = nearest(style, task.prompts)
            raise UserError(f"task {task.name!r} has no prompt style {style!r}{near} It has: {', '.join(task.prompts)}")


def data_request(request: SweepRequest) -> DataRequest:
    """What the sweep loads: no more training items than its largest run and its few-shot prompts need; all of them when it
    trains on clean data, since what repeats is only seen among all."""
    given = request.axes
    sizes = [size for size in given.train_size if size is not None]
    shots = (*given.few_shot, *given.hosted_few_shot)
    bounded = sizes and None not in given.train_size and "clean" not in given.curation
    return DataRequest(
        name=given.data,
        path=request.data_path,
        seed=given.data_seed,
        train_size=max(sizes) + max(shots) if bounded else None,
        validation_size=given.validation_size,
        test_size=given.test_size,
        offline=request.offline,
    )
