"""JOB.json -> `Job`: one base model, the runs to train on it, and the options they share.

JOB.json: {"model": folder, "device": "cpu" | "cuda" | "cuda:N", "dtype": "bfloat16" | "float32", "options": {...},
"device_bytes": bytes or null, "runs": [{"run_dir", "spec", "items", "tokenizer", "template", "record"}]}. `spec` is
`to_json(RunSpec)`; `items` is a JSONL file of {"id", "prompt_ids", "answer_ids"} where the answer's ids end with the end
token; `tokenizer` is a folder whose tokenizer files go into the checkpoint; `template` is the text of a chat template
that replaces that folder's; `record` goes into the checkpoint as tunebench.json: what it was trained with.
No torch here: reading a job is cheap.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from harness.core import Base, RunSpec, UserError, spec_from_json

Dtype = Literal["bfloat16", "float32"]
OptimizerName = Literal["adamw", "adamw8bit", "paged"]
Quantization = Literal["none", "nf4"]
UpdatePrecision = Literal["master", "stochastic"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is computed; what it learns stays in its RunSpec.

    `micro_batch` caps the examples of one forward pass, `micro_batch_tokens` their tokens; None lets the device
    decide. `update_precision` holds for full fine-tuning in bfloat16: an exact float32 master copy of the weights, or
    bfloat16 weights with stochastic rounding. `share_prefixes` computes a prefix that several examples of a
    micro-batch have in common once (the same loss and gradients, fewer tokens). `group_prefixes` above 1 puts that
    many examples with a common prefix into one batch, which changes the order of the examples and nothing else.
    `threads` None leaves torch's choice.
    """

    optimizer: OptimizerName = "adamw"
    quantize: Quantization = "none"
    update_precision: UpdatePrecision = "master"
    activation_checkpointing: bool = False
    micro_batch: int | None = None
    micro_batch_tokens: int | None = None
    share_prefixes: bool = True
    group_prefixes: int = 1
    save_every_steps: int | None = None
    save_every_s: float = 60.0
    threads: int | None = None

    def __post_init__(self) -> None:
        closed = {"optimizer": OptimizerName, "quantize": Quantization, "update_precision": UpdatePrecision}
        for name, allowed in closed.items():
            if getattr(self, name) not in get_args(allowed):
                raise UserError(f"{name} is one of {', '.join(get_args(allowed))}, got {getattr(self, name)!r}")
        for name in (
            "micro_batch",
            "micro_batch_tokens",
            "save_every_steps",
            "save_every_s",
            "threads",
            "group_prefixes",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"training option {name} must be positive, got {value}")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One example as token ids. The loss counts `answer_ids` alone, the end token included."""

    id: str
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("prompt_ids", "answer_ids"):
            if not getattr(self, name):
                raise UserError(f"training item {self.id!r} has empty {name}; both need at least one token")

    @property
    def ids(self) -> tuple[int, ...]:
        """Prompt and answer, as the model reads them."""
        return self.prompt_ids + self.answer_ids

    @property
    def num_tokens(self) -> int:
        """Prompt and answer tokens."""
        return len(self.prompt_ids) + len(self.answer_ids)

    @property
    def num_answer_tokens(self) -> int:
        """Tokens that the loss counts."""
        return len(self.answer_ids)


@dataclass(frozen=True, kw_only=True)
class RunJob:
    """One run of a job: where its files go and what it is trained on."""

    run_dir: Path
    spec: RunSpec
    items: Path
    tokenizer: Path | None = None
    template: str | None = None
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """Runs that share one base model, one device and one compute dtype. `device_bytes` None: the device is asked."""

    model: Path
    device: str
    dtype: Dtype
    options: Options
    runs: tuple[RunJob, ...]
    device_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Dtype):
            raise UserError(f"dtype is one of {', '.join(get_args(Dtype))}, got {self.dtype!r}")
        if not (self.device == "cpu" or self.device.split(":")[0] == "cuda"):
            raise UserError(f"device is cpu, cuda or cuda:N, got {self.device!r}")
        if not (self.model / "config.json").is_file():
            raise UserError(f"{self.model} has no config.json: give a transformers model folder")
        for run in self.runs:
            if isinstance(run.spec.method, Base):
                raise UserError(f"{run.run_dir.name}: the base model is not trained; leave it out of the job")


def read_job(path: Path) -> Job:
    """The job in `path`. Raises UserError on an unknown option, device, dtype or missing key."""
    return job_from_json(json.loads(path.read_text()), str(path))


def job_from_json(body: Mapping[str, Any], path: str = "the job") -> Job:
    """The job out of JSON; `path` names it in errors. Raises UserError as `read_job` does."""
    try:
        return Job(
            model=Path(body["model"]),
            device=body["device"],
            dtype=body["dtype"],
            options=options_from_json(body.get("options", {})),
            runs=tuple(_run(run) for run in body["runs"]),
            device_bytes=body.get("device_bytes"),
        )
    except KeyError as error:
        raise UserError(f"{path} lacks the key {error}") from error


def options_from_json(body: Mapping[str, Any]) -> Options:
    """Options out of JSON. Raises UserError with the nearest known name on an unknown one."""
    known = [field.name for field in fields(Options)]
    for name in body:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"unknown training option {name!r}{hint} Known: {', '.join(known)}")
    return Options(**body)


def read_items(path: Path) -> list[Item]:
    """The training items of a JSONL file, in its order. Raises UserError naming the line that is wrong."""
    with path.open("rb") as lines:
        items = [item_of_line(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]
    if not items:
        raise UserError(f"{path} holds no training item")
    return items


def item_of_line(line: bytes | str, where: str) -> Item:
    """The item of one JSON line. Raises UserError that says `where` it stands."""
    try:
        row = json.loads(line)
        prompt, answer = tuple(map(int, row["prompt_ids"])), tuple(map(int, row["answer_ids"]))
        return Item(id=str(row["id"]), prompt_ids=prompt, answer_ids=answer)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{where}: needs id, prompt_ids and answer_ids; {error!r}") from error


def _run(body: Mapping[str, Any]) -> RunJob:
    return RunJob(
        run_dir=Path(body["run_dir"]),
        spec=spec_from_json(body["spec"]),
        items=Path(body["items"]),
        tokenizer=Path(body["tokenizer"]) if body.get("tokenizer") else None,
        template=body.get("template"),
        record=body.get("record"),
    )
