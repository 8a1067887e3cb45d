"""The nouns of the project. Goes in: nothing. Comes out: frozen values that every other file speaks in.

A `Task` is a value: data, prompts and scorers in one object, no class to inherit from. A prompt function sees
`Example.inputs` and nothing else, so gold cannot leak into a prompt; a scorer sees the whole example and a
completion's text, which is hostile. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Outcome = Literal["right", "wrong", "unparsed", "truncated", "unscored"]
OUTCOMES: tuple[Outcome, ...] = ("right", "wrong", "unparsed", "truncated", "unscored")
Finish = Literal["stop", "length", "error"]
Schedule = Literal["cosine", "linear", "constant"]
Curation = Literal["raw", "clean"]
Role = Literal["system", "user", "assistant"]


class UserError(Exception):
    """A mistake the user can mend: the text says what is wrong, what is allowed and what to do next."""


# ---- data -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a prompt."""

    role: Role
    content: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """One item. `inputs` is all a prompt sees; `gold` is the training target; `meta` is for scorers only.

    `cluster` names the items that are not independent of each other (one database, one template, one meaning
    representation): the statistics treat a cluster as the unit of sampling. `inputs` and `meta` are JSON values.
    """

    id: str
    inputs: Mapping[str, Any]
    gold: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    cluster: str = ""
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("an example needs a non-empty id")


@dataclass(frozen=True, kw_only=True)
class BrokenRow:
    """A row of a source that could not become an example: counted and reported, never dropped in silence."""

    file: str
    line: int
    why: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Three disjoint splits of one pinned source. `unusable` maps an example id to why its gold cannot judge;
    those items stay outside every denominator. `removed` maps a training item to why a clean run leaves it out.
    `max_new_tokens` is how long an answer to this data may be, where the task's own limit does not fit it."""

    name: str
    revision: str
    licence: str
    split_rule: str
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    broken: tuple[BrokenRow, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)
    removed: Mapping[str, str] = field(default_factory=dict)
    max_new_tokens: int | None = None

    def split(self, name: Split) -> tuple[Example, ...]:
        """The examples of one split, unusable ones included."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def usable(self, name: Split) -> tuple[Example, ...]:
        """The examples of one split whose gold can judge."""
        return tuple(example for example in self.split(name) if example.id not in self.unusable)


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """What a task is asked to load. Sizes of None mean all there is. `path` overrides where `name` is looked for."""

    name: str = "builtin"
    path: Path | None = None
    seed: int = 0
    train_size: int | None = None
    validation_size: int | None = None
    test_size: int | None = None
    offline: bool = False


# ---- answers and their scores -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a model answered to one example. `finish` is "length" when the token budget cut it.

    `latency_s` is the time from the engine taking the prompt up to its last token, beside the others of its batch.
    """

    example_id: str
    split: Split
    text: str
    finish: Finish
    num_prompt_tokens: int
    num_tokens: int
    error: str = ""
    latency_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """One scorer's verdict. `value` in [0, 1], or None for "not scored" (our failure, or undecidable), never 0.

    `why` is a word of the task's closed vocabulary (`correct`, `wrong_value`, `unparsed`, ...). `answer` is what
    was extracted and judged. `evidence` is a JSON value that lets a person check the verdict (a SQL witness).
    """

    value: float | None
    why: str
    answer: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is not None and not (math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise ValueError(f"a score is in [0, 1] or None, got {self.value}")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A wrong answer made from gold, to prove that a scorer can say no. `kind` groups them in the kill rate."""

    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Why a gold may be wrong. `kind` groups doubts; a `certain` one is wrong whatever was meant, so cleaning acts on it."""

    kind: str
    seen: str
    certain: bool = False


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What data curation compares of one example, in the task's own normal forms; an empty text compares nothing.

    `text` is what differs from item to item in the input (the question), `context` what items share (a schema). Equal
    `answer` texts are the same gold. `template` is gold with its names and values masked. `meaning` is what two splits
    should not share beside an input (a representation; nothing for a number). `parts` are (kind, name) pairs whose
    balance is counted: classes, slots, clauses.
    """

    text: str
    answer: str
    context: str = ""
    template: str = ""
    meaning: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    doubts: tuple[Doubt, ...] = ()


_VALUES = re.compile(r"""\d[\d.,:/-]*|'[^']*'|"[^"]*"|\[[^\[\]]*\]""")


def masked_values(text: str) -> str:
    """`text` on one line in lower case, with a # for each number and quoted or bracketed value."""
    return " ".join(_VALUES.sub("#", text.casefold()).split())


def plain_anatomy(example: Example) -> Anatomy:
    """The anatomy of an example of any task: its input texts, and gold without case and extra blanks."""
    text = " ".join(value for _, value in sorted(example.inputs.items()) if isinstance(value, str))
    answer = " ".join(example.gold.casefold().split())
    return Anatomy(text=text, answer=answer, template=masked_values(example.gold))


PromptFunction = Callable[[Mapping[str, Any]], Sequence[Message]]
ScoreFunction = Callable[[Example, str], Mapping[str, Score]]


@dataclass(frozen=True, kw_only=True)
class TableChecks:
    """What a task whose items stand on tables asks of contents that someone else wrote for them.

    `schema(example)` is table -> column -> declared type. `report(example, rows by table)` has `problem` ("" when the
    rows can be used) and `mutants`, each with `kind`, `text` and whether it is told from gold by the rows (`mock`), by
    one generated instance (`generated`) and by all of the task's own (`cover`). Used rows go to `meta["mock_tables"]`.
    """

    schema: Callable[[Example], Mapping[str, Mapping[str, str]]]
    report: Callable[[Example, Mapping[str, Sequence[Sequence[Any]]]], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task as a value.

    `score(example, text)` returns one `Score` for every name in `scorers`, the primary one first. It is pure,
    deterministic and takes hostile text: a bad answer is a low score with a reason, an exception is a bug.
    `unparsed_reasons` are the `why` words that mean "no answer could be read" (a format failure).
    `pair(row)` turns one line of `harness score` input (id, gold, and what the scorers need) into an Example and
    raises ValueError saying which key is wrong. `tables` is for tasks whose items stand on tables. `anatomy` is what data
    curation compares, `row` a line that the task's own source `jsonl` reads back as the same example (None: the task has
    no such source, and no cleaned copy).
    """

    name: str
    version: str
    summary: str
    sources: tuple[str, ...]
    load: Callable[[DataRequest], Dataset]
    prompts: Mapping[str, PromptFunction]
    score: ScoreFunction
    scorers: tuple[str, ...]
    pair: Callable[[Mapping[str, Any]], Example]
    mutants: Callable[[Example], Iterable[Mutant]]
    nasty: tuple[str, ...] = ("", " ", "\x00", "None", "[" * 10_000, "A" * 1_000_000, "\u202e\ud7ff\U0001f600")
    unparsed_reasons: frozenset[str] = frozenset({"unparsed"})
    max_new_tokens: int = 128
    score_timeout_s: float = 30.0
    judge_context: Callable[[Example], str] = lambda example: ""
    tables: TableChecks | None = None
    anatomy: Callable[[Example], Anatomy] = plain_anatomy
    row: Callable[[Example], Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        if not self.scorers:
            raise ValueError(f"task {self.name!r} names no scorer; the first of `scorers` is its primary one")
        if "instruct" not in self.prompts:
            raise ValueError(f"task {self.name!r} needs the prompt style 'instruct', has {sorted(self.prompts)}")

    @property
    def primary(self) -> str:
        """The name of the scorer that decides."""
        return self.scorers[0]

    def fitted_to(self, dataset: Dataset) -> Task:
        """This task with the answer length of `dataset`, where that has its own."""
        limit = dataset.max_new_tokens
        return self if limit is None else replace(self, max_new_tokens=limit)


def outcome(score: Score, finish: Finish, unparsed_reasons: frozenset[str]) -> Outcome:
    """The one class of an item, so that right + wrong + unparsed + truncated + unscored = total.

    An answer cut by the token budget that still scores 1 is right; any other cut answer is truncated. Only a full
    score is right: partial credit (a slot F1 of 0.8) is wrong in this count.
    """
    if score.value is None or finish == "error":
        return "unscored"
    if score.value >= 1.0:
        return "right"
    if finish == "length":
        return "truncated"
    return "unparsed" if score.why in unparsed_reasons else "wrong"


# ---- runs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Base:
    """No training: the model as it came."""


ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021). The update is scaled by alpha / rank."""

    rank: int
    alpha: float
    dropout: float = 0.0
    targets: tuple[str, ...] = ALL_LINEAR

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"LoRA rank must be at least 1, got {self.rank}; use Base() for no adapter")
        if self.alpha <= 0:
            raise ValueError(f"LoRA alpha must be positive, got {self.alpha}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"LoRA dropout is in [0, 1), got {self.dropout}")
        if not self.targets:
            raise ValueError("LoRA needs at least one target module, got none; ALL_LINEAR is the default")


@dataclass(frozen=True, kw_only=True)
class Full:
    """Every parameter is trained."""


Method = Base | Lora | Full


def method_name(method: Method) -> Literal["base", "lora", "full"]:
    """The axis word of a method."""
    if isinstance(method, Lora):
        return "lora"
    return "full" if isinstance(method, Full) else "base"


@dataclass(frozen=True, kw_only=True)
class Training:
    """How weights are updated. `batch_size` is the effective one: examples an optimizer step."""

    learning_rate: float
    epochs: float = 1.0
    batch_size: int = 8
    schedule: Schedule = "cosine"
    warmup_ratio: float = 0.05
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_length: int = 1024

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epochs", "batch_size", "max_grad_norm", "max_length"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0.0 <= self.warmup_ratio < 1.0:
            raise ValueError(f"warmup_ratio is in [0, 1), got {self.warmup_ratio}")


HOSTED_PREFIX = "openai:"


def hosted_name(model: str) -> str | None:
    """`gpt-4o` for `openai:gpt-4o`, a model that is only reached through an API; None for a model with weights here.

    Raises UserError when nothing follows the prefix.
    """
    if not model.startswith(HOSTED_PREFIX):
        return None
    name = model.removeprefix(HOSTED_PREFIX)
    if not name:
        raise UserError(f"the model {model!r} names no hosted model; write for example openai:gpt-4o")
    return name


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides one run's numbers. `training` is None exactly for `Base()`."""

    task: str
    data: str
    model: str
    method: Method
    training: Training | None
    prompt_style: str = "instruct"
    seed: int = 0
    train_size: int | None = None
    curation: Curation = "raw"
    few_shot: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.method, Base) != (self.training is None):
            raise ValueError(f"training settings go with Lora or Full and never with Base, got {self.method}")
        if self.training is not None and hosted_name(self.model) is not None:
            raise ValueError(f"{self.model} is reached through an API and cannot be trained; its method is Base()")


def to_json(value: Any) -> Any:
    """`value` as plain JSON types; a method or other dataclass carries its class name under "kind"."""
    if is_dataclass(value) and not isinstance(value, type):
        body = {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
        return {"kind": type(value).__name__.lower(), **body} if isinstance(value, Base | Lora | Full) else body
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(to_json(item) for item in value)
    return str(value) if isinstance(value, Path) else value


def spec_from_json(body: Mapping[str, Any]) -> RunSpec:
    """The RunSpec that `to_json` wrote. Raises KeyError or ValueError on anything else."""
    method = dict(body["method"])
    kind = method.pop("kind")
    if "targets" in method:
        method["targets"] = tuple(method["targets"])
    classes: dict[str, Callable[..., Method]] = {"base": Base, "lora": Lora, "full": Full}
    training = body["training"]
    rest = {key: value for key, value in body.items() if key not in ("method", "training")}
    return RunSpec(method=classes[kind](**method), training=Training(**training) if training else None, **rest)


def digest(value: Any, length: int = 8) -> str:
    """The first `length` hex digits of the SHA-256 of `value` as canonical JSON."""
    text = json.dumps(to_json(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
