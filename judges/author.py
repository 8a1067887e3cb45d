"""A hosted model as author: rows for SQL schemas that have none, paraphrases, and new test cases.

Goes in: schemas or examples, and a check that the task itself makes (a judge may not mark its own homework). Comes out:
what passed, and every refusal with its reason. What is kept is labelled synthetic in its tags and metadata, and
`add_synthetic` refuses the test split unless it is asked for by name.

The model's rows are data: names and lengths are checked here against the schema, values are only ever bound as
parameters by the task that uses them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.core import Dataset, Example, Message, Mutant, Split, Task, UserError, digest
from harness.stats import wilson_interval
from judges.caller import Caller
from judges.calls import Call, Estimate, Failure, Reply, Spend
from judges.config import JudgeConfig
from judges.prices import reply_limit
from judges.prompt import framed
from judges.verdict import json_object

SYNTHETIC = "synthetic"
MAX_ROWS = 50
MAX_CELL_CHARS = 200
Cell = str | int | float | None
Templates = Sequence[tuple[str, Mapping[str, str]]]  # a template, and the texts that go into its blocks
Check = Callable[[Example], str]  # "" when the example is good, else what is wrong with it


@dataclass(frozen=True, kw_only=True)
class SchemaRequest:
    """A schema without rows. `tables` maps table -> column -> declared type; `hint` may show queries it will serve."""

    id: str
    tables: Mapping[str, Mapping[str, str]]
    hint: str = ""
    num_rows: int = 8


@dataclass(frozen=True, kw_only=True)
class MockInstance:
    """Rows for every table of one schema, in column order. `source` names the snapshot that wrote them."""

    id: str
    tables: Mapping[str, tuple[tuple[Cell, ...], ...]]
    source: str


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Something the author wrote, or failed to write, and why it is not used."""

    id: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Mocked:
    """Instances that passed, refusals, and the bill."""

    kept: tuple[MockInstance, ...]
    refused: tuple[Refusal, ...]
    spend: Spend


@dataclass(frozen=True, kw_only=True)
class Written:
    """Synthetic examples that passed, refusals, and the bill. `origins` maps a kept id to the example it came from."""

    kept: tuple[Example, ...]
    refused: tuple[Refusal, ...]
    origins: Mapping[str, str]
    spend: Spend


@dataclass(frozen=True, kw_only=True)
class KillRate:
    """How many wrong queries of one kind some instance told apart from gold, with Wilson's interval."""

    kind: str
    killed: int
    total: int
    low: float
    high: float


_MOCK = """You write small tables to test SQL queries with. Fill every table of the schema with about {{number}} rows.
Make queries that are almost alike give different results: repeat some values, leave some groups with one row, use ties,
negative numbers, NULL where it is natural, names that differ only in letter case, and keys that match across tables.

{{schema}}

Queries of this kind will run on it:
{{hint}}

Reply with one JSON object: {"tables": [{"name": "<table>", "rows": [[<cell>, ...], ...]}, ...]}, every row with one
cell for each column in the order of the schema."""
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


def mock_tables(
    requests: Sequence[SchemaRequest], config: JudgeConfig, accept: Callable[[MockInstance], str]
) -> Mocked:
    """Table contents for each schema. `accept` is the task's own check: "" or why an instance cannot be used (its rows
    break a key, gold does not run on it, gold's result is empty)."""
    caller, outcomes = _asked(table_templates(requests), config)
    kept: list[MockInstance] = []
    refused: list[Refusal] = []
    for request, outcome in zip(requests, outcomes, strict=True):
        instance = _instance(request, outcome)
        why = instance if isinstance(instance, str) else accept(instance)
        if isinstance(instance, str) or why:
            refused.append(Refusal(id=request.id, why=why))
        else:
            kept.append(instance)
    return Mocked(kept=tuple(kept), refused=tuple(refused), spend=caller.spend())


def kill_rates(
    instances: Sequence[MockInstance],
    mutants: Mapping[str, Sequence[Mutant]],
    kills: Callable[[MockInstance, Mutant], bool],
) -> tuple[KillRate, ...]:
    """For each kind of mutant, and for all: how many some instance of the same id kills. The same figure as the
    built-in generator's when `kills` is the task's own comparison. A schema without an instance kills nothing."""
    by_id: dict[str, list[MockInstance]] = {}
    for instance in instances:
        by_id.setdefault(instance.id, []).append(instance)
    counts: dict[str, list[int]] = {}
    for item_id, wrong in mutants.items():
        for mutant in wrong:
            killed = any(kills(instance, mutant) for instance in by_id.get(item_id, []))
            for kind in (mutant.kind, "all"):
                cell = counts.setdefault(kind, [0, 0])
                cell[0] += killed
                cell[1] += 1
    rates = []
    for kind in sorted(counts, key=lambda name: (name == "all", name)):
        low, high = wilson_interval(counts[kind][0], counts[kind][1])
        rates.append(KillRate(kind=kind, killed=counts[kind][0], total=counts[kind][1], low=low, high=high))
    return tuple(rates)


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


def table_templates(requests: Sequence[SchemaRequest]) -> Templates:
    """What is asked for table contents: (template, the texts put into it) of each schema."""
    return [(_numbered(_MOCK, r.num_rows), {"schema": _schema_text(r), "hint": r.hint or "(any)"}) for r in requests]


def paraphrase_templates(examples: Sequence[Example], field: str, per_example: int) -> Templates:
    """What is asked for paraphrases."""
    return [(_numbered(_PARAPHRASE, per_example), {"text": str(e.inputs[field]), "answer": e.gold}) for e in examples]


def case_templates(examples: Sequence[Example], per_example: int) -> Templates:
    """What is asked for new cases."""
    return [
        (
            _numbered(_CASE, per_example),
            {"inputs": json.dumps(dict(e.inputs), ensure_ascii=False), "answer": e.gold},
        )
        for e in examples
    ]


def author_estimate(templates: Templates, config: JudgeConfig) -> Estimate:
    """What the author would be asked and cost, without sending anything; a likely reply is half its limit (assumed)."""
    return Caller(config).estimate(_author_calls(templates, config), config.max_tokens // 2)


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


def _numbered(template: str, number: int) -> str:
    return template.replace("{{number}}", str(int(number)))


def _asked(templates: Templates, config: JudgeConfig) -> tuple[Caller, list[Reply | Failure]]:
    caller = Caller(config)
    return caller, caller.answers(_author_calls(templates, config))


def _author_calls(templates: Templates, config: JudgeConfig) -> list[Call]:
    return [
        Call(
            model=config.model,
            messages=(Message(role="user", content=framed(template, texts)),),
            max_tokens=reply_limit(config.model, config.max_tokens),
            temperature=config.sampling_temperature,
            seed=0,
            purpose=digest(template, length=12),
            structured="text" if config.structured == "text" else "json_object",
        )
        for template, texts in templates
    ]


def _body(outcome: Reply | Failure) -> Mapping[str, Any] | str:
    if isinstance(outcome, Failure):
        return f"{outcome.reason}: {outcome.detail}"
    if outcome.refusal or outcome.finish == "content_filter":
        return "the model refused"
    if outcome.finish == "length":
        return "the reply was cut by the token limit; raise max_tokens"
    body = json_object(outcome.text)
    return body if body is not None else "the reply is not one JSON object"


def _written(
    examples: Sequence[Example],
    templates: Templates,
    config: JudgeConfig,
    check: Check,
    kind: tuple[str, Callable[[Example, Mapping[str, Any]], list[tuple[Example, str]]]],
) -> Written:
    word, drafts_of = kind
    caller, outcomes = _asked(templates, config)
    kept: dict[str, Example] = {}
    origins: dict[str, str] = {}
    refused: list[Refusal] = []
    seen = {_folded(json.dumps(dict(example.inputs), sort_keys=True)) for example in examples}
    for example, outcome in zip(examples, outcomes, strict=True):
        body = _body(outcome)
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


def _schema_text(request: SchemaRequest) -> str:
    return "\n".join(
        f"{table}({', '.join(f'{column} {kind}'.strip() for column, kind in columns.items())})"
        for table, columns in request.tables.items()
    )


def _instance(request: SchemaRequest, outcome: Reply | Failure) -> MockInstance | str:
    body = _body(outcome)
    if isinstance(body, str):
        return body
    tables = body.get("tables")
    if not isinstance(tables, list):
        return "the reply has no list of tables"
    found: dict[str, tuple[tuple[Cell, ...], ...]] = {}
    for table in tables:
        name, rows = (table.get("name"), table.get("rows")) if isinstance(table, dict) else (None, None)
        if not isinstance(name, str) or name not in request.tables or name in found:
            return f"table {str(name)[:60]!r} is not one of the schema, or comes twice"
        checked = _rows(rows, len(request.tables[name]))
        if isinstance(checked, str):
            return f"table {name!r}: {checked}"
        found[name] = checked
    absent = sorted(set(request.tables) - set(found))
    if absent:
        return f"table {absent[0]!r} has no rows"
    snapshot = outcome.snapshot if isinstance(outcome, Reply) else ""
    return MockInstance(id=request.id, tables=found, source=f"{SYNTHETIC}:{snapshot}")


def _rows(rows: Any, num_columns: int) -> tuple[tuple[Cell, ...], ...] | str:
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        return f"needs 1 to {MAX_ROWS} rows"
    checked = []
    for row in rows:
        if not isinstance(row, list) or len(row) != num_columns:
            return f"a row does not have {num_columns} cells"
        if not all(_is_cell(cell) for cell in row):
            return "a cell is no text, number or null of a reasonable size"
        checked.append(tuple(int(cell) if isinstance(cell, bool) else cell for cell in row))
    return tuple(checked)


def _is_cell(cell: Any) -> bool:
    if isinstance(cell, str):
        return len(cell) <= MAX_CELL_CHARS
    if isinstance(cell, float):
        return math.isfinite(cell)
    return cell is None or (isinstance(cell, int) and abs(cell) < 2**63)
