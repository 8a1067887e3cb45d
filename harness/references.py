"""What an engine's weights are proven by: a few probe sequences, and what transformers + peft say of them. In: a task, its
data, a chat format; run folders with reference.json. Out: token ids, log-probabilities in nats.
"""

from __future__ import annotations

from harness.chat import ChatFormat
from harness.core import Dataset, RunSpec, Task, UserError
from harness.store import Run, read_json
from harness.tokens import messages, shots_of

NUM_PROBES = 2


def probe_ids(task: Task, dataset: Dataset, spec: RunSpec, chat: ChatFormat) -> list[list[int]]:
    """Token ids of the first validation prompts with their gold answers. Raises UserError when there is none."""
    shots = shots_of(dataset, spec)
    chosen = dataset.usable("validation")[:NUM_PROBES]
    if not chosen:
        raise UserError(f"{dataset.name} has no usable validation item: no run could be chosen, nor its weights proven")
    items = [chat.example(example.id, messages(task, spec, example, shots), example.gold) for example in chosen]
    return [list(item.prompt_ids + item.answer_ids) for item in items]


def log_probabilities(run: Run, name: str) -> list[list[float]]:
    """The reference of a run, probe by probe. Raises UserError when transformers could not load the weights of `name`, and
    forgets that answer, so that the next invocation asks again."""
    path = run.folder / "reference.json"
    answer = read_json(path) or {"error": "the process died"}
    if "error" in answer:
        path.unlink(missing_ok=True)
        raise UserError(f"transformers could not load {name}: {answer['error']}; see logs/reference.log")
    values: list[list[float]] = answer["log_probabilities"]
    return values
