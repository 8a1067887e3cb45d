"""A hosted model as author: mock table contents, paraphrases, new test cases. In: a task's items. Out: a JSONL file of what
passed the task's own checks, labelled synthetic, and a data set with the file's items in it.

Nothing enters a data set by itself: a sweep takes a file by `--synthetic FILE`, which changes the data's revision and so
every run's name, tags each item, and refuses the test split. Table contents are no items but one more instance to run a
query on, so they may serve any split; how many wrong queries they tell from gold is measured like the generator's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.core import SPLITS, BrokenRow, Dataset, Example, Mutant, Split, Task, UserError, digest, to_json
from harness.hosted import HostedRequest, call_log, estimate_words, judge_config, refuse_without_key, spend_words
from harness.report.answer import display, interval
from harness.sources import read_jsonl
from harness.store import write_lines

if TYPE_CHECKING:
    from harness.registry import judges

Kind = Literal["tables", "paraphrases", "cases"]
KINDS: tuple[Kind, ...] = ("tables", "paraphrases", "cases")
TABLE_TOKENS, TEXT_TOKENS, CASE_TOKENS = 3000, 200, 500  # reply limits, a table set or a written text
TABLES_TAG = "mock tables"


@dataclass(frozen=True, kw_only=True)
class Authored:
    """Lines for the file, refusals as (id, why), and sentences on the kill rate and the cost."""

    rows: tuple[dict[str, Any], ...]
    refused: tuple[tuple[str, str], ...]
    told: tuple[str, ...]


def author(
    task: Task, kind: Kind, examples: Sequence[Example], split: Split, hosted: HostedRequest, per_example: int = 1
) -> Authored:
    """What the model wrote about `examples` and the task accepted. Raises UserError when it cannot be asked."""
    _refuse(task, kind, split)
    refuse_without_key()
    config = _config(task, kind, examples, hosted, per_example)
    with call_log():
        if kind == "tables":
            return _tables(task, examples, split, config)
        return _items(task, kind, examples, split, (config, per_example))


def author_estimate(
    task: Task, kind: Kind, examples: Sequence[Example], split: Split, hosted: HostedRequest, per_example: int = 1
) -> str:
    """What `author` would ask and cost, in a sentence; nothing is sent."""
    from harness.registry import judges

    _refuse(task, kind, split)
    if kind == "tables":
        templates = judges.table_templates(_schema_requests(task, examples))
    elif kind == "paraphrases":
        templates = judges.paraphrase_templates(examples, _field(examples), per_example)
    else:
        templates = judges.case_templates(examples, per_example)
    estimate = judges.author_estimate(templates, _config(task, kind, examples, hosted, per_example))
    return f"author {', '.join(hosted.judges)}: {estimate_words([estimate], hosted)}"


def _refuse(task: Task, kind: Kind, split: Split) -> None:
    """Raises UserError for what an author does not write."""
    if kind not in KINDS:
        raise UserError(f"an author writes one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "tables" and task.tables is None:
        raise UserError(f"task {task.name!r} has no tables to fill; it can have paraphrases and cases")
    if kind != "tables" and split == "test":
        raise UserError("synthetic items do not go into the test split: a model would be judged on a model's writing")


def _config(
    task: Task, kind: Kind, examples: Sequence[Example], hosted: HostedRequest, per_example: int
) -> judges.JudgeConfig:
    limits = {"tables": TABLE_TOKENS, "paraphrases": TEXT_TOKENS * (per_example + 1)}
    names = digest([example.id for example in examples], 16)
    config = judge_config(hosted, task.name, f"author-{kind}-{names}")
    return replace(config, max_tokens=limits.get(kind, CASE_TOKENS * (per_example + 1)))


def _field(examples: Sequence[Example]) -> str:
    """The input that holds the words to rewrite."""
    return next((name for name in ("question", "text") if all(name in e.inputs for e in examples)), "question")


def _schema_requests(task: Task, examples: Sequence[Example]) -> list[judges.SchemaRequest]:
    from harness.registry import judges

    assert task.tables is not None
    return [
        judges.SchemaRequest(id=example.id, tables=schema, hint=example.gold)
        for example in examples
        if (schema := task.tables.schema(example))
    ]


def write_authored(authored: Authored, path: Path) -> None:
    """The file of an author: one JSON line each, written whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_lines(path, authored.rows)


def with_synthetic(dataset: Dataset, path: Path) -> Dataset:
    """`dataset` with what an author's file holds for its items, under another revision. Raises UserError for a file that
    is none, and for the test split. A line about an item that is not loaded is counted as broken."""
    if not path.is_file():
        raise UserError(f"--synthetic {path} does not exist; `harness author` writes such a file")
    homes = {example.id for split in SPLITS for example in dataset.split(split)}
    tables: dict[str, Mapping[str, Any]] = {}
    items: dict[Split, list[tuple[str, Example]]] = {"train": [], "validation": [], "test": []}
    broken: list[BrokenRow] = []
    for line, row in read_jsonl(path):
        try:
            if isinstance(row, BrokenRow):
                raise ValueError(row.why)
            origin = str(row["origin"])
            if origin not in homes:
                raise ValueError(f"its origin {origin!r} is not among the items loaded")
            if row["kind"] == "tables":
                tables[origin] = row["tables"]
            else:
                body = row["example"]
                items[row["split"]].append((origin, Example(**{**body, "tags": tuple(body["tags"])})))
        except (KeyError, TypeError, ValueError) as error:
            broken.append(BrokenRow(file=path.name, line=line, why=f"synthetic line left out: {error}"))
    if not tables and not any(items.values()):
        raise UserError(
            f"--synthetic {path} holds nothing for the items of {dataset.name}; its first problem: {broken[:1]}"
        )
    grown = replace(_with_tables(dataset, tables) if tables else dataset, broken=(*dataset.broken, *broken))
    for split, pairs in items.items():
        if pairs:
            grown = _with_items(grown, split, pairs)
    return grown


def _tables(task: Task, examples: Sequence[Example], split: Split, config: judges.JudgeConfig) -> Authored:
    from harness.registry import judges

    checks = task.tables
    assert checks is not None
    by_id = {example.id: example for example in examples}
    reports: dict[str, Mapping[str, Any]] = {}
    requests = _schema_requests(task, examples)

    def accept(instance: judges.MockInstance) -> str:
        reports[instance.id] = checks.report(by_id[instance.id], instance.tables)
        return str(reports[instance.id]["problem"])

    result = judges.mock_tables(requests, config, accept)
    unread = [
        (example.id, "its schema cannot be read") for example in examples if example.id not in {r.id for r in requests}
    ]
    kept = {instance.id: instance for instance in result.kept}
    rows = tuple(
        {
            "kind": "tables",
            "origin": name,
            "split": split,
            "source": instance.source,
            "tables": to_json(instance.tables),
        }
        for name, instance in kept.items()
    )
    used = {name: report for name, report in reports.items() if name in kept}
    return Authored(
        rows=rows,
        refused=(*unread, *((refusal.id, refusal.why) for refusal in result.refused)),
        told=(*_kill_sentences(kept, used), f"author: {spend_words(result.spend)}"),
    )


def _kill_sentences(
    kept: Mapping[str, judges.MockInstance], reports: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """How many wrong queries the written rows tell from gold, beside the built-in generator, on the same items."""
    from harness.registry import judges

    mutants = {
        name: [Mutant(kind=row["kind"], text=row["text"]) for row in report["mutants"]]
        for name, report in reports.items()
    }
    sources = {"the written rows": "mock", "one generated instance": "generated", "all generated instances": "cover"}
    told = []
    for words, key in sources.items():
        killed = {(name, row["text"]) for name, report in reports.items() for row in report["mutants"] if row[key]}

        def kills(instance: judges.MockInstance, mutant: Mutant, killed: set[tuple[str, str]] = killed) -> bool:
            return (instance.id, mutant.text) in killed

        rates = judges.kill_rates(list(kept.values()), mutants, kills)
        if rates:
            every = rates[-1]
            share, limits = display(every.killed / every.total, "share"), interval(every.low, every.high)
            told.append(f"{words}: {every.killed:,} of {every.total:,} wrong queries told from gold, {share} {limits}")
    return tuple(told)


def _items(
    task: Task, kind: Kind, examples: Sequence[Example], split: Split, asked: tuple[judges.JudgeConfig, int]
) -> Authored:
    from harness.registry import judges

    config, per_example = asked
    check = judges.task_check(task)
    if kind == "paraphrases":
        written = judges.paraphrases(examples, config, check, field=_field(examples), per_example=per_example)
    else:
        written = judges.written_cases(examples, config, check, per_example=per_example)
    rows = tuple(
        {"kind": kind, "origin": written.origins[example.id], "split": split, "example": to_json(example)}
        for example in written.kept
    )
    refused = tuple((refusal.id, refusal.why) for refusal in written.refused)
    return Authored(rows=rows, refused=refused, told=(f"author: {spend_words(written.spend)}",))


def _with_tables(dataset: Dataset, tables: Mapping[str, Mapping[str, Any]]) -> Dataset:
    def grown(example: Example) -> Example:
        if example.id not in tables:
            return example
        meta = {**example.meta, "mock_tables": tables[example.id]}
        return replace(example, meta=meta, tags=(*example.tags, TABLES_TAG))

    return replace(
        dataset,
        revision=f"{dataset.revision}+tables-{digest(dict(tables))}",
        train=tuple(map(grown, dataset.train)),
        validation=tuple(map(grown, dataset.validation)),
        test=tuple(map(grown, dataset.test)),
    )


def _with_items(dataset: Dataset, split: Split, pairs: Sequence[tuple[str, Example]]) -> Dataset:
    """`dataset` with items of `split`, each behind its origin, so that a train_size takes both in their proportion."""
    from harness.registry import judges

    origins = {example.id: origin for origin, example in pairs}
    grown = judges.add_synthetic(dataset, tuple(example for _, example in pairs), origins, split)
    children: dict[str, list[Example]] = {}
    for origin, example in pairs:
        children.setdefault(origin, []).append(example)
    ordered = tuple(one for example in dataset.split(split) for one in (example, *children.get(example.id, [])))
    return replace(grown, **{split: ordered})  # type: ignore[arg-type]  # the split's own field
