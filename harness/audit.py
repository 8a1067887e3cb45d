"""Answers whose truth is known -> the audit of a hosted judge. In: finished runs, or a task's own data where there are
none, and human labels. Out: an `Audit` as judges/audit.py makes it, and its file beside the sweep.

Exact scorers give the truth for free on SQL, math and functional representation; a human label goes before them. Without
a run, gold answers and the task's wrong answers (mutants) stand in, graded by the same scorers.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core import Completion, DataRequest, Example, Score, Split, Task, UserError, hosted_name, method_name
from harness.grade import grade
from harness.hosted import HostedRequest, Tell, call_log, estimate_words, judge_config, refuse_without_key
from harness.judging import judge_item
from harness.store import Run, Sweep

if TYPE_CHECKING:
    from harness.registry import judges

NUM_CONSTRUCTED = 120


def audit_judge(
    task: Task, items: Sequence[judges.JudgeItem], hosted: HostedRequest, min_kappa: float, tell: Tell | None
) -> judges.Audit:
    """The audit of the judge on `items`. Raises UserError when it cannot be asked or nothing has a known truth."""
    from harness.registry import judges

    refuse_without_key()
    config = judge_config(hosted, task.name, _account(items))
    with call_log():
        return judges.audit(items, config, rules=judges.AuditRules(min_kappa=min_kappa), progress=tell)


def audit_estimate(task: Task, items: Sequence[judges.JudgeItem], hosted: HostedRequest) -> str:
    """What the audit would ask and cost, controls and pairs included; nothing is sent."""
    from harness.registry import judges

    config = judge_config(hosted, task.name, _account(items))
    return f"{config.column}: {estimate_words([judges.audit_estimate(items, config)], hosted)}"


def answers_of_runs(task: Task, paths: Sequence[Path], split: Split | None) -> list[judges.JudgeItem]:
    """Every graded answer of the runs in `paths`: run folders, or sweep folders with all their runs. Raises UserError."""
    found: dict[str, judges.JudgeItem] = {}
    for path in paths:
        sweep = Sweep(path if (path / "sweep.json").is_file() else path.parent)
        if sweep.info["task"] != task.name:
            raise UserError(f"{path} holds answers to {sweep.info['task']!r}, the audit is of {task.name!r}")
        runs = (
            sweep.run_folders()
            if sweep.folder == path
            else [run for run in sweep.run_folders() if run.name == path.name]
        )
        if not runs:
            raise UserError(
                f"{path} is neither a sweep's folder nor one of its runs; give results/SWEEP or results/SWEEP/RUN"
            )
        examples = sweep.items()
        for run in runs:
            found |= {item.id: item for item in _answers(task, run, examples, split)}
    if not found:
        raise UserError("the runs hold no graded answer; finish the sweep first, or leave --run out")
    return list(found.values())


def constructed_answers(task: Task, request: DataRequest, workers: int | None) -> list[judges.JudgeItem]:
    """Gold answers and wrong ones made from gold, in turn, over validation items: truth by the exact scorer."""
    examples = task.load(request).usable("validation")
    pairs: list[tuple[str, Example, Completion]] = []
    for number, example in enumerate(examples[:NUM_CONSTRUCTED]):
        mutants = list(task.mutants(example)) if number % 2 else []
        chosen = mutants[number % len(mutants)] if mutants else None
        text, kind = (chosen.text, f"wrong: {chosen.kind}") if chosen else (example.gold, "gold")
        shared = {"example_id": example.id, "split": "validation", "num_prompt_tokens": 0, "num_tokens": 0}
        pairs.append((kind, example, Completion(**shared, text=text, finish="stop")))  # type: ignore[arg-type]
    rows = grade(task, [(example, completion) for _, example, completion in pairs], workers=workers)
    items = []
    for (kind, example, completion), row in zip(pairs, rows, strict=True):
        exact = Score(**row["scores"][task.primary])
        item = judge_item(task, f"built-in/{example.id}", example, completion.text, exact)
        items.append(replace(item, method=kind.partition(":")[0]))
    return items


def sampled(items: Sequence[judges.JudgeItem], count: int | None) -> list[judges.JudgeItem]:
    """`count` of the items, always the same ones, as good as random: what the correction of the mean assumes."""
    ordered = sorted(items, key=lambda item: hashlib.sha256(item.id.encode()).hexdigest())
    return ordered[:count]


def labelled(items: Sequence[judges.JudgeItem], path: Path) -> tuple[list[judges.JudgeItem], list[str]]:
    """(items with their human labels, what could not be used). A label names an item by RUN/EXAMPLE, or by the example
    alone where only one answer to it is audited."""
    from harness.registry import judges

    labels, broken = judges.load_labels(path)
    problems = [f"{row.file}:{row.line}: {row.why}" for row in broken]
    ids = {item.id for item in items}
    by_example: dict[str, list[str]] = {}
    for item in items:
        by_example.setdefault(item.id.partition("/")[2], []).append(item.id)
    named: dict[str, int] = {}
    for label_id, label in labels.items():
        whole = [label_id] if label_id in ids else by_example.get(label_id, [])
        if len(whole) == 1:
            named[whole[0]] = label
        else:
            why = f"{len(whole)} answers have this example; name one as RUN/EXAMPLE" if whole else "no audited answer"
            problems.append(f"{path.name}: label {label_id!r}: {why}")
    if not named:
        raise UserError(
            f"none of the {len(labels)} labels in {path} names one of the {len(items)} audited answers; "
            f"the first answer is {items[0].id if items else '(none)'!r}"
        )
    return judges.with_labels(items, named), problems


def keep_audit(paths: Sequence[Path], audit: judges.Audit) -> Path | None:
    """Keep the audit with the one sweep that it is of, so that its report can say it. None when there is no such sweep."""
    folders = {path if (path / "sweep.json").is_file() else path.parent for path in paths}
    if len(folders) != 1:
        return None
    return Sweep(folders.pop()).keep_audit(audit.column, audit.to_json())


def _answers(
    task: Task, run: Run, examples: Mapping[str, tuple[Split, Example]], split: Split | None
) -> Iterator[judges.JudgeItem]:
    exacts = {(row["split"], row["example_id"]): row["scores"].get(task.primary) for row in run.scores(split)}
    method = "hosted" if hosted_name(run.spec.model) else method_name(run.spec.method)
    for completion in run.completions(split):
        known, exact = examples.get(completion.example_id), exacts.get((completion.split, completion.example_id))
        if known is None or exact is None or completion.finish == "error":
            continue
        item = judge_item(task, f"{run.name}/{completion.example_id}", known[1], completion.text, Score(**exact))
        yield replace(item, method=method)


def _account(items: Sequence[judges.JudgeItem]) -> str:
    """The account of an audit: the same items again go on with the same budget."""
    marks = "\n".join(sorted(item.id for item in items))
    return f"audit-{hashlib.sha256(marks.encode()).hexdigest()[:16]}"


def truth_words(items: Sequence[judges.JudgeItem]) -> str:
    """How many items have which truth, for the line before the audit."""
    counts = Counter(
        "human label"
        if item.human is not None
        else "unknown"
        if item.exact is None or item.exact.value is None
        else "exact"
        for item in items
    )
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())


def as_form(audit: Any, form: str) -> str:
    """The audit as text, json or markdown."""
    import json

    if form == "json":
        return json.dumps(audit.to_json(), indent=1)
    return str(audit.markdown() if form == "markdown" else audit.terminal())
