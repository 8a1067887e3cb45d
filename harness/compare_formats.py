"""A path in, one ItemSet out: our runs, sweeps, baselines and score files, and other harnesses' result files.

| path | read as |
|---|---|
| a run folder, or its scores.jsonl | the run's items on test, else validation |
| a sweep folder | its recommended run (selection.select) |
| .json that `harness bless` wrote | the baseline |
| .jsonl with doc_id (lm-eval `samples_*.jsonl`) | its first metric and first filter unless one is named |
| .eval, or .json of Inspect | through inspect_ai, an optional extra; C P I N are 1, 0.5, 0, 0 as in Inspect |
| .jsonl with id and score (or scores, as `harness score` writes) | as it is; null is unscored |

A repeated id is refused, except Inspect's epochs, which are averaged. lm-eval ids carry the hash of their document,
so that rows of two different data sets never pair. Sources: lm-evaluation-harness 0.4 sample logs; inspect_ai.log.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from harness.baseline import FORMAT, read_baseline
from harness.candidate import is_run, is_sweep, run_items
from harness.core import Outcome, Split, UserError
from harness.items import Item, ItemSet, outcome_of

INSPECT_VALUES: Mapping[str, float] = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
LM_EVAL_NO_MATCH = "[invalid]"  # what its regular expression filters say of an answer without a match


def load_items(path: Path, *, scorer: str | None = None, split: Split | None = None) -> ItemSet:
    """The scored items at `path`; `scorer` names the metric where a file has several. Raises UserError."""
    if path.name == "scores.jsonl" and is_run(path.parent):
        path = path.parent
    if is_run(path):
        return run_items(path, split, scorer)
    if is_sweep(path):
        return _recommended(path, split, scorer)
    if not path.is_file():
        raise UserError(
            f"{path} is no run, sweep or result file; give a folder of results/ or a .jsonl, .json or .eval"
        )
    if path.suffix == ".eval":
        return _inspect(path, scorer)
    if path.suffix == ".json":
        return read_baseline(path) if _is_baseline(path) else _inspect(path, scorer)
    try:
        rows = list(_rows(path))
        if not rows:
            raise UserError(f"{path} has no rows; a result file has one JSON object a line")
        if "doc_id" in rows[0][1] and "score" not in rows[0][1]:
            return _lm_eval(path, rows, scorer)
        items = tuple(_plain(row, scorer, f"{path}, line {number}") for number, row in rows)
        return ItemSet(name=path.name, task="", split="", scorer=scorer or "score", items=items)
    except ValueError as error:
        raise UserError(str(error)) from error


def inspect_items(log: Any, name: str, scorer: str | None = None) -> ItemSet:
    """The samples of an Inspect EvalLog object; epochs of one id are averaged, an errored one is unscored."""
    if (status := getattr(log, "status", "success")) != "success":
        raise UserError(
            f"{name}: this Inspect log's status is {status!r}, so items are missing; finish it: inspect eval-retry"
        )
    samples = log.samples or []
    names = list(dict.fromkeys(key for sample in samples for key in (sample.scores or {})))
    if not names:
        raise UserError(f"{name}: this Inspect log has no scored samples; score it with `inspect score` first")
    chosen = scorer or names[0]
    if chosen not in names:
        raise UserError(f"{name}: no scorer {chosen!r} in this Inspect log; it has {', '.join(names)}")
    epochs: dict[str, list[tuple[float | None, Outcome, str, str]]] = {}
    for sample in samples:
        epochs.setdefault(str(sample.id), []).append(_inspect_value(sample, chosen, name))
    items = []
    for key, found in epochs.items():
        values = [value for value, _, _, _ in found if value is not None]
        complete = len(values) == len(found)
        value = sum(values) / len(values) if complete else None
        outcome = found[0][1] if len(found) == 1 else outcome_of(value)
        items.append(Item(id=key, value=value, outcome=outcome, why=found[0][2], answer=found[0][3]))
    return ItemSet(name=name, task=str(log.eval.task), split="", scorer=chosen, items=tuple(items))


def _recommended(path: Path, split: Split | None, scorer: str | None) -> ItemSet:
    from harness.selection import select
    from harness.store import Sweep

    sweep = Sweep(path)
    chosen = select(sweep.runs(), sweep.scores()).recommended
    return run_items(path / chosen, split, scorer)


def _is_baseline(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return FORMAT.split("/")[0] in stream.read(200)


def _inspect(path: Path, scorer: str | None) -> ItemSet:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise UserError(
            f"{path} is read by Inspect's own library, which is not installed: pip install 'tunebench[inspect]'"
        ) from error
    try:
        log = read_eval_log(str(path))
    except Exception as error:  # whatever the library raises on a broken log, the user gets the file and the cause
        raise UserError(
            f"{path} is no Inspect log that inspect_ai can read: {type(error).__name__}: {error}"
        ) from error
    return inspect_items(log, path.name, scorer)


def _inspect_value(sample: Any, scorer: str, name: str) -> tuple[float | None, Outcome, str, str]:
    score = (sample.scores or {}).get(scorer)
    if sample.error is not None or score is None:
        return None, "unscored", "sample error" if sample.error is not None else "no score", ""
    answer = str(score.answer or "")
    stopped = getattr(getattr(sample, "output", None), "stop_reason", None)
    if isinstance(score.value, str) and score.value in INSPECT_VALUES:
        value = INSPECT_VALUES[score.value]
    elif isinstance(score.value, bool | int | float) and math.isfinite(score.value):
        value = float(score.value)
    elif isinstance(score.value, float):
        return None, "unscored", "value is not finite", answer
    else:
        raise UserError(
            f"{name}: sample {sample.id!r} has the value {score.value!r}; C, P, I, N or a number can be compared"
        )
    outcome = outcome_of(value)
    if outcome == "wrong" and score.value == "N":
        outcome = "unparsed"
    elif outcome == "wrong" and stopped in ("max_tokens", "model_length"):
        outcome = "truncated"
    return value, outcome, outcome, answer


def _lm_eval(path: Path, rows: list[tuple[int, Mapping[str, Any]]], scorer: str | None) -> ItemSet:
    first = rows[0][1]
    filters = list(dict.fromkeys(str(row.get("filter", "none")) for _, row in rows))
    metrics = [str(metric) for metric in first.get("metrics", [])] or [
        key for key in ("exact_match", "acc", "acc_norm", "pass@1", "f1") if key in first
    ]
    wanted, _, wanted_filter = (scorer or "").partition(",")
    metric, chosen = wanted or (metrics[0] if metrics else ""), wanted_filter or filters[0]
    if metric not in first or chosen not in filters:
        raise UserError(
            f"{path}: no metric {metric!r} with filter {chosen!r}; it has metrics {', '.join(metrics) or 'none'} "
            f"and filters {', '.join(filters)}; name one as metric or metric,filter"
        )
    items = []
    for number, row in rows:
        if str(row.get("filter", "none")) == chosen:
            value = _value(row.get(metric), f"{path}, line {number}, {metric}")
            key = f"{row['doc_id']}" + (f":{str(row['doc_hash'])[:12]}" if row.get("doc_hash") else "")
            answers = row.get("filtered_resps") or [""]
            answer = str(answers[0] if isinstance(answers, list) else answers)
            outcome = "unparsed" if value == 0.0 and answer == LM_EVAL_NO_MATCH else outcome_of(value)
            items.append(Item(id=key, value=value, outcome=outcome, answer=answer))
    return ItemSet(name=path.name, task="", split="", scorer=f"{metric},{chosen}", items=tuple(items))


def _plain(row: Mapping[str, Any], scorer: str | None, where: str) -> Item:
    key = next((row[name] for name in ("id", "example_id") if name in row), None)
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        raise ValueError(f"{where}: an `id` of text or a whole number is needed, got {key!r}")
    if "scores" in row:
        scores = row["scores"]
        if not isinstance(scores, dict) or not scores:
            raise ValueError(f"{where}: `scores` maps a scorer to a number or null, got {scores!r}")
        name = scorer or next(iter(scores))
        if name not in scores:
            raise ValueError(f"{where}: no scorer {name!r}; it has {', '.join(map(str, scores))}")
        found = scores[name]
    elif "score" in row:
        found = row["score"]
    else:
        raise ValueError(f"{where}: neither `score` nor `scores`; keys are {', '.join(map(str, row))}")
    detail = found if isinstance(found, dict) else row
    value = _value(found.get("value") if isinstance(found, dict) else found, where)
    return Item(
        id=str(key),
        value=value,
        outcome=outcome_of(value),
        why=str(detail.get("why") or ""),
        answer=str(detail.get("answer") or ""),
        cluster=str(row.get("cluster") or ""),
    )


def _value(value: Any, where: str) -> float | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, bool | int | float) or not math.isfinite(value):
        raise ValueError(f"{where}: a score is a number or null, got {str(value)[:60]!r}")
    return float(value)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"{path}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {number}: a JSON object is needed, got {type(row).__name__}")
            yield number, cast(Mapping[str, Any], row)
