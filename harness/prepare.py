"""Axes -> a sweep with everything that decides its numbers resolved, before anything is trained. In: `SweepRequest`. Out:
`Prepared`: task, data set, models, chat formats, run specs with their names, and the versions that results are kept under.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from harness.certify import source_hash
from harness.chat import ChatFormat
from harness.core import DataRequest, Dataset, RunSpec, Task, UserError, digest, hosted_name, to_json
from harness.hosted import HostedRequest, endpoint_name
from harness.models import Model, resolve
from harness.plan import Axes, plan
from harness.registry import load_task
from harness.store import run_name

Stage = Literal["train", "sample", "report"]
# Four examples that share a prefix (a schema) follow each other, and the prefix is computed once: on the built-in SQL data
# 0.49 of the tokens are computed instead of 0.77 (400 items). It changes the order of examples, so it names the run too.
TRAINING_OPTIONS = {"group_prefixes": 4}


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """What a sweep is asked to do. `baseline` is the label or name of a run that goes to test beside the finalists."""

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
        raise UserError(f"task {task.name!r} has no data {given.data!r}; it has: {', '.join(task.sources)}")
    dataset = task.load(data_request(request))
    local = [name for name in given.models if hosted_name(name) is None]
    models = {name: resolve(name, offline=request.offline, remote_code=request.remote_code) for name in local}
    chats = {name: ChatFormat(model.folder) for name, model in models.items()}
    versions = {
        "task": f"{task.name} {task.version}",
        "data": f"{dataset.name} {dataset.revision} seed {given.data_seed}",
        "prompts": digest([_prompt_fingerprint(task, dataset, style) for style in given.prompt_styles], 16),
        "scorers": source_hash(task),
        "engine": f"{request.sampler} {_version(request.sampler)}",
    }
    names = []
    for spec in specs:
        if spec.model in models:
            revisions = {"model": models[spec.model].revision, "chat": chats[spec.model].hash}
        else:  # which snapshot answers is known afterwards, and kept with the answers
            revisions = {"model": endpoint_name(), "chat": "messages"}
        fingerprint = _prompt_fingerprint(task, dataset, spec.prompt_style)
        key = {"task": versions["task"], "data": versions["data"], "prompt": digest(fingerprint, 16), **revisions}
        sizes = str((given.validation_size, given.test_size))
        names.append(run_name(spec, {**key, "sizes": sizes, "options": digest(request.options, 16)}))
    return Prepared(task=task, dataset=dataset, models=models, chats=chats, specs=specs, names=names, versions=versions)


def data_request(request: SweepRequest) -> DataRequest:
    """What the sweep loads: no more training items than its largest run and its few-shot prompts need."""
    given = request.axes
    sizes = [size for size in given.train_size if size is not None]
    shots = (*given.few_shot, *given.hosted_few_shot)
    return DataRequest(
        name=given.data,
        path=request.data_path,
        seed=given.data_seed,
        train_size=max(sizes) + max(shots) if sizes and None not in given.train_size else None,
        validation_size=given.validation_size,
        test_size=given.test_size,
        offline=request.offline,
    )


def _prompt_fingerprint(task: Task, dataset: Dataset, style: str) -> Any:
    """The prompt text of the first examples: changes when the prompt function does."""
    if style not in task.prompts:
        raise UserError(f"task {task.name!r} has no prompt style {style!r}; it has: {', '.join(task.prompts)}")
    return [style, [to_json(list(task.prompts[style](example.inputs))) for example in dataset.test[:3]]]


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "not installed"
