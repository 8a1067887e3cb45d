"""A hosted model as author: paraphrases and new test cases (rows for SQL schemas are in judges/author_tables.py).

Goes in: examples, and a check that the task itself makes (a judge may not mark its own homework). Comes out: what passed,
and every refusal with its reason. What is kept is labelled synthetic in its tags and metadata, and `add_synthetic` refuses
the test split unless it is asked for by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.core import Dataset, Example, Split, Task, UserError, digest
from judges.author_call import SYNTHETIC, Refusal, Templates, asked, numbered, reply_body
from judges.calls import Failure, Reply, Spend
from judges.config import JudgeConfig

Check = Callable[[Example], str]  # "" when the example is good, else what is wrong with it


@dataclass(frozen=True, kw_only=True)
class Written:
    """Synthetic examples that passed, refusals, and the bill. `origins` maps a kept id to the example it came from."""

    kept: tuple[Example, ...]
    refused: tuple[Refusal, ...]
    origins: Mapping[str, str]
    spend: Spend


_PARAPHRASE = """Rewrite the text below in other words, so that the right answer to it stays exactly the same. Keep
every name, number, date and quoted value as it is.

{{text}}

The right answer, which must stay right:
{{answer}}

Reply with one JSON object: {"texts": [<{{number}} different rewritings>]}."""
_CASE = """Write a new test item in the style of the one below, with the same fields, about the same material but with
another question, and give its right answer.

{{inputs}}

Its right answer:
{{answer}}

Reply with one JSON object: {"items": [{"inputs": {<the same fields>}, "answer": "<the right answer>"}]}, with
{{number}} items."""


def paraphrases(
    examples: Sequence[Example], config: JudgeConfig, check: Check, *, field: str = "question", per_example: int = 1
) -> Written:
    """Examples whose input `field` says the same in other words; gold stays. Kept when the constants of gold that the
    text names are still named, the text is new, and the task's `check` passes."""
    missing = [example.id for example in examples if not isinstance(example.inputs.get(field), str)]
    if missing:
        raise UserError(
            f"{len(missing)} examples have no text under {field!r}, the first is {missing[0]!r} with the inputs "
            f"{sorted(next(e for e in examples if e.id == missing[0]).inputs)}; name the field to paraphrase"
        )
    templates = paraphrase_templates(examples, field, per_example)

    def drafts(example: Example, body: Mapping[str, Any]) -> list[tuple[Example, str]]:
        texts = body.get("texts")
        if not isinstance(texts, list):
            return []
        made = []
        for text in texts[:per_example]:
            if isinstance(text, str):
                new = replace(example, inputs={**example.inputs, field: text})
                made.append((new, _lost_meaning(str(example.inputs[field]), text, example.gold)))
        return made

    return _written(examples, templates, config, check, ("paraphrase", drafts))


def written_cases(examples: Sequence[Example], config: JudgeConfig, check: Check, *, per_example: int = 1) -> Written:
    """New items modelled on `examples`, with their own gold: kept only when the task's `check` passes. The example's
    `meta` (schema, databases) is kept, so the new item is about the same material."""
    templates = case_templates(examples, per_example)

    def drafts(example: Example, body: Mapping[str, Any]) -> list[tuple[Example, str]]:
        made = []
        items = body.get("items")
        for item in items[:per_example] if isinstance(items, list) else []:
            inputs, answer = (item.get("inputs"), item.get("answer")) if isinstance(item, dict) else (None, None)
            if not isinstance(inputs, dict) or not isinstance(answer, str) or set(inputs) != set(example.inputs):
                made.append((example, "the item does not have the fields of its model"))
            elif _folded(json.dumps(inputs, sort_keys=True)) == _folded(
                json.dumps(dict(example.inputs), sort_keys=True)
            ):
                made.append((example, "the item repeats its model"))
            else:
                made.append((replace(example, inputs=inputs, gold=answer), ""))
        return made

    return _written(examples, templates, config, check, ("case", drafts))


def paraphrase_templates(examples: Sequence[Example], field: str, per_example: int) -> Templates:
    """What is asked for paraphrases."""
    return [(numbered(_PARAPHRASE, per_example), {"text": str(e.inputs[field]), "answer": e.gold}) for e in examples]


def case_templates(examples: Sequence[Example], per_example: int) -> Templates:
    """What is asked for new cases."""
    return [
        (
            numbered(_CASE, per_example),
            {"inputs": json.dumps(dict(e.inputs), ensure_ascii=False), "answer": e.gold},
        )
        for e in examples
    ]


def task_check(task: Task, max_mutants: int = 20) -> Check:
    """The promises of a task as a check: gold scores 1 with every scorer, and each mutant of gold scores below 1."""

    def check(example: Example) -> str:
        for name, score in task.score(example, example.gold).items():
            if score.value != 1.0:
                return f"gold scores {score.value} with {name} ({score.why})"
        for number, mutant in enumerate(task.mutants(example)):
            if number == max_mutants:
                break
            value = task.score(example, mutant.text)[task.primary].value
            if value is not None and value >= 1.0:
                return f"a wrong answer ({mutant.kind}) scores 1"
        return ""

    return check


def add_synthetic(
    dataset: Dataset, kept: Sequence[Example], origins: Mapping[str, str], split: Split, *, allow_test: bool = False
) -> Dataset:
    """`dataset` with the `kept` examples in `split`, under a new revision that says so.

    Raises UserError for the test split unless `allow_test`, for an example without the tag "synthetic", and for one
    whose origin is in another split: a paraphrase of a test item in train is a leak.
    """
    if split == "test" and not allow_test:
        raise UserError(
            "synthetic examples do not go into the test split: a model would be judged on a model's writing. Use train "
            "or validation, or pass allow_test=True and report the items tagged 'synthetic' apart"
        )
    homes = {example.id: name for name in ("train", "validation", "test") for example in dataset.split(name)}
    unlabelled = [example.id for example in kept if SYNTHETIC not in example.tags]
    if unlabelled:
        raise UserError(f"{len(unlabelled)} items are not tagged {SYNTHETIC!r}, the first is {unlabelled[0]!r}")
    for example_id, origin in ((example.id, origins.get(example.id, "")) for example in kept):
        if homes.get(origin) != split:
            raise UserError(
                f"synthetic example {example_id!r} comes from {origin!r}, which is in {homes.get(origin, 'no split')}, "
                f"not in {split}; adding it would leak between splits"
            )
    taken = sorted(set(homes) & {example.id for example in kept})
    if taken:
        raise UserError(f"{len(taken)} synthetic ids are already in the data set, the first is {taken[0]!r}")
    revision = f"{dataset.revision}+synthetic-{digest([e.id for e in kept])}"
    parts = {name: dataset.split(name) for name in ("train", "validation", "test")}
    parts[split] = (*parts[split], *kept)
    return replace(dataset, revision=revision, train=parts["train"], validation=parts["validation"], test=parts["test"])


def _written(
    examples: Sequence[Example],
    templates: Templates,
    config: JudgeConfig,
    check: Check,
    kind: tuple[str, Callable[[Example, Mapping[str, Any]], list[tuple[Example, str]]]],
) -> Written:
    word, drafts_of = kind
    caller, outcomes = asked(templates, config)
    kept: dict[str, Example] = {}
    origins: dict[str, str] = {}
    refused: list[Refusal] = []
    seen = {_folded(json.dumps(dict(example.inputs), sort_keys=True)) for example in examples}
    for example, outcome in zip(examples, outcomes, strict=True):
        body = reply_body(outcome)
        drafts = [] if isinstance(body, str) else drafts_of(example, body)
        if not drafts:
            why = body if isinstance(body, str) else "the reply holds no draft"
            refused.append(Refusal(id=example.id, why=why))
        for number, (draft, why_not) in enumerate(drafts):
            labelled = _labelled(draft, f"{example.id}~{word}{number}", word, outcome)
            text = _folded(json.dumps(dict(draft.inputs), sort_keys=True))
            why = why_not or ("it was written already" if text in seen else "") or check(labelled)
            if why:
                refused.append(Refusal(id=labelled.id, why=why))
                continue
            seen.add(text)
            kept[labelled.id] = labelled
            origins[labelled.id] = example.id
    return Written(kept=tuple(kept.values()), refused=tuple(refused), origins=origins, spend=caller.spend())


def _labelled(draft: Example, new_id: str, word: str, outcome: Reply | Failure) -> Example:
    snapshot = outcome.snapshot if isinstance(outcome, Reply) else ""
    origin = draft.id
    return replace(
        draft,
        id=new_id,
        cluster=draft.cluster or origin,  # not independent of its origin
        tags=(*draft.tags, SYNTHETIC),
        meta={**draft.meta, SYNTHETIC: {"kind": word, "origin": origin, "snapshot": snapshot}},
    )


def _lost_meaning(old: str, new: str, gold: str) -> str:
    if _folded(old) == _folded(new) or not new.strip():
        return "the rewriting repeats the text"
    words = set(re.findall(r"\w+", gold.casefold())) & set(re.findall(r"\w+", old.casefold()))
    constants = {word for word in words if any(char.isdigit() for char in word)}
    constants |= {w for text in re.findall(r"'([^']+)'|\"([^\"]+)\"|\[([^\]]+)\]", gold) for w in _words("".join(text))}
    lost = sorted((constants & set(_words(old))) - set(_words(new)))
    return f"the rewriting lost {', '.join(map(repr, lost[:3]))}" if lost else ""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _folded(text: str) -> str:
    return " ".join(_words(text))
