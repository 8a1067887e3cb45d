"""What a checkpoint was trained with, kept beside its weights, against what it is about to be asked with.

In: a checkpoint folder, and the run spec, prompts and `ChatFormat` of the evaluation. Out: a sentence for each difference;
none means that the model will read what it learned to read. `tunebench.json` in the folder records task, prompt style,
shots, the hashes of prompts, chat template and tokenizer, and the end token. Of a folder made elsewhere only its saved
tokenizer and template are known: their token ids are compared on real prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.chat import ChatFormat
from harness.core import Dataset, RunSpec, Task, UserError, digest, spec_from_json, to_json
from harness.parts import prompt_fingerprint
from harness.store import read_json
from harness.tokens import messages, shots_of

FILE = "tunebench.json"
FORMAT = "tunebench-checkpoint/1"
COMPARED_ITEMS = 5
WORDS = {
    "task": "task",
    "prompt_style": "prompt style",
    "few_shot": "number of solved examples in the prompt",
    "prompts": "prompt text",
    "template": "chat template",
    "tokenizer": "tokenizer",
    "end_id": "end token",
}
TOKENIZER_MARKS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")


def training_record(task: Task, dataset: Dataset, spec: RunSpec, chat: ChatFormat) -> dict[str, Any]:
    """The body of tunebench.json."""
    return {
        "format": FORMAT,
        "task": task.name,
        "task_version": task.version,
        "data": f"{dataset.name} {dataset.revision}",
        "prompt_style": spec.prompt_style,
        "few_shot": spec.few_shot,
        "prompts": digest(prompt_fingerprint(task, dataset, spec.prompt_style), 16),
        "template": chat.template_hash,
        "tokenizer": chat.tokenizer_hash,
        "end_id": chat.end_id,
        "spec": to_json(spec),
    }


def record_of(folder: Path) -> dict[str, Any] | None:
    """What tunebench.json in `folder` says, None when there is none. Raises UserError when it cannot be read."""
    try:
        body = read_json(folder / FILE)
    except ValueError as error:
        raise UserError(
            f"{folder / FILE} is not JSON ({error}); restore it, or delete it to be asked as a foreign one"
        ) from None
    if body is not None and (not isinstance(body, dict) or body.get("format") != FORMAT):
        raise UserError(f"{folder / FILE} is of another format than {FORMAT!r}; it was written by another version")
    return body


def recorded_spec(folder: Path) -> RunSpec | None:
    """The run that made the checkpoint in `folder`, None when that is not known."""
    body = record_of(folder)
    return spec_from_json(body["spec"]) if body is not None else None


def is_known(folder: Path) -> bool:
    """Whether anything says what the checkpoint in `folder` was trained with: a record, or a saved tokenizer."""
    return any((folder / name).is_file() for name in (FILE, *TOKENIZER_MARKS))


def differences(folder: Path, task: Task, dataset: Dataset, spec: RunSpec, chat: ChatFormat) -> list[str]:
    """How the evaluation differs from what the checkpoint in `folder` was trained with."""
    record = record_of(folder)
    found = []
    if record is not None:
        now = training_record(task, dataset, spec, chat)
        found += [
            f"{word}: trained with {record.get(key)!r}, about to be asked with {now[key]!r}"
            for key, word in WORDS.items()
            if record.get(key) != now[key]
        ]
    return found + saved_differences(folder, task, dataset, spec, chat, record)


def saved_differences(
    folder: Path, task: Task, dataset: Dataset, spec: RunSpec, chat: ChatFormat, record: Mapping[str, Any] | None
) -> list[str]:
    """How the tokenizer and template saved in `folder` differ from those recorded there, or from those about to be used."""
    if not any((folder / name).is_file() for name in TOKENIZER_MARKS) or folder.resolve() == chat.folder.resolve():
        own = chat if folder.resolve() == chat.folder.resolve() else None
        return _changed_since(record, own)
    saved = ChatFormat(folder)
    found = list(_changed_since(record, saved))
    if saved.template_hash != chat.template_hash and not found:
        found.append("chat template: the one saved in the checkpoint is not the one about to be used")
    if saved.end_id != chat.end_id:
        found.append(f"end token: the checkpoint's is {saved.end_id}, the engine would stop at {chat.end_id}")
    shots = shots_of(dataset, spec)
    for example in (dataset.usable("test") or dataset.usable("validation"))[:COMPARED_ITEMS]:
        turns = messages(task, spec, example, shots)
        if saved.example(example.id, turns, example.gold) != chat.example(example.id, turns, example.gold):
            found.append(f"token ids: the checkpoint's own tokenizer writes {example.id} with other ids")
            break
    return found


def refusal(name: str, found: Sequence[str]) -> str:
    """Why the checkpoint is not asked, and what to do."""
    return (
        f"{name} was trained with another format: {'; '.join(found)}. Ask it as it was trained (--prompt-style, "
        "--model), or pass --allow-uncertified, which marks every number"
    )


def _changed_since(record: Mapping[str, Any] | None, saved: ChatFormat | None) -> list[str]:
    """Files of the checkpoint that were edited after training."""
    if record is None or saved is None:
        return []
    now = {"template": saved.template_hash, "tokenizer": saved.tokenizer_hash}
    return [
        f"{WORDS[key]}: the file in the checkpoint changed after training" for key in now if record.get(key) != now[key]
    ]
