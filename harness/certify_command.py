"""`harness certify`: a certificate without a sweep. In: a task, its data, a model whose tokens are checked, maybe a checkpoint.
Out: the `Certificate`: task, data, prompts and scorers, and the format as a sweep with this model would have it. The part
"engine" needs a running engine: a sweep adds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.certificate import Certificate, Check, verdict
from harness.certify import check_task
from harness.certify_format import Inference, check_format, format_hash
from harness.chat import ChatFormat
from harness.core import Base, DataRequest, Dataset, Lora, RunSpec, Task, Training, UserError
from harness.models import Model, resolve
from harness.plan import Axes
from harness.prepare import TRAINING_OPTIONS
from harness.registry import load_task
from harness.trained_with import differences, is_known, record_of


@dataclass(frozen=True, kw_only=True)
class CertifyRequest:
    """What is certified. `model` None leaves the format out; `prompt_style` None is the checkpoint's own, or every style."""

    task: str
    data: DataRequest
    model: str | None
    checkpoint: Path | None = None
    prompt_style: str | None = None
    sample: int = 60
    accuracy: float = 0.7
    margin: float = 0.02


def certificate_of(request: CertifyRequest) -> Certificate:
    """The certificate. Raises UserError for what the user can mend."""
    task = load_task(request.task)
    if request.data.name not in task.sources:
        raise UserError(f"task {task.name!r} has no data {request.data.name!r}; it has: {', '.join(task.sources)}")
    if request.model is None and request.checkpoint is not None:
        raise UserError("--checkpoint needs --model: the tokens it is about to be asked with")
    dataset = task.load(request.data)
    task = task.fitted_to(dataset)
    found = check_task(
        task, dataset, sample=request.sample, request=request.data, accuracy=request.accuracy, margin=request.margin
    )
    if request.model is None:
        return found
    model = resolve(request.model)
    chat = ChatFormat(model.folder)
    specs = _specs(request, task, model)
    limit = model.config.get("max_position_embeddings")
    inference = Inference(max_new_tokens=task.max_new_tokens, max_model_len=limit, options=TRAINING_OPTIONS)
    checks = [*found.checks, *check_format(task, dataset, specs, chat, inference)]
    if request.checkpoint is not None:
        checks.append(_as_trained(request, request.checkpoint, task, dataset, chat))
    hashes = {**found.hashes, "format": format_hash({model.name: chat}, specs, TRAINING_OPTIONS)}
    return Certificate(checks=tuple(checks), hashes=hashes)


def _specs(request: CertifyRequest, task: Task, model: Model) -> list[RunSpec]:
    """A LoRA run in each style: what training and sampling would make of the data."""
    if request.prompt_style is not None and request.prompt_style not in task.prompts:
        raise UserError(
            f"task {task.name!r} has no prompt style {request.prompt_style!r}; it has: {', '.join(task.prompts)}"
        )
    training = Training(learning_rate=1e-4, max_length=Axes.max_length)
    return [
        RunSpec(
            task=task.name,
            data=request.data.name,
            model=model.name,
            method=Lora(rank=8, alpha=16),
            training=training,
            prompt_style=style,
        )
        for style in ([request.prompt_style] if request.prompt_style else task.prompts)
    ]


def _as_trained(request: CertifyRequest, folder: Path, task: Task, dataset: Dataset, chat: ChatFormat) -> Check:
    if not folder.is_dir():
        raise UserError(f"--checkpoint {folder} is no folder")
    record = record_of(folder) or {}
    style = request.prompt_style or str(record.get("prompt_style", "instruct"))
    spec = RunSpec(
        task=task.name,
        data=request.data.name,
        model=str(request.model),
        method=Base(),
        training=None,
        prompt_style=style,
        few_shot=int(record.get("few_shot", 0)),
    )
    found = differences(folder, task, dataset, spec, chat)
    if not is_known(folder):
        detail = f"nothing in {folder.name} says what it was trained with: neither tunebench.json nor a tokenizer"
        return Check(part="format", name="asked as trained", status="warn", detail=detail)
    return verdict("format", "asked as trained", found, f"{folder.name}, style {style}")
