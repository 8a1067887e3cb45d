"""A run folder, or a checkpoint, and item ids in, scored items with their versions out: what the gate asks.

A run folder (spec.json, scores.jsonl) of a sweep is read from the store; what it has not answered, its checkpoint is
asked. Anything else is a checkpoint: `harness.checkpoint.evaluate_checkpoint` samples and scores it, and keeps the
answers below results/gates/.
The versions are the certificate's parts, as recorded under `versions` in sweep.json and spec.json.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from harness.core import Split, UserError, digest
from harness.items import ItemSet, item_from_row
from harness.store import Run, Sweep, encodable, read_json

SETTING = ("model", "data", "prompt_style", "few_shot")


def evaluate(
    checkpoint: str,
    baseline: ItemSet,
    item_ids: Sequence[str],
    *,
    results: Path = Path("results"),
    data_path: Path | None = None,
    allow_uncertified: bool = False,
) -> ItemSet:
    """The scored items `item_ids` of a finished run or a checkpoint, on the baseline's split and by its scorer.

    What a run has not answered, its checkpoint is asked. Raises UserError when it cannot be evaluated, and when a
    checkpoint was trained with another format than it would be asked with, unless `allow_uncertified`.
    """
    path = Path(checkpoint)
    if is_run(path):
        scored = _scored(path, baseline, set(item_ids))
        weights = Run(path).checkpoint
        if weights is None or len(scored.items) == len(item_ids):
            return scored
        checkpoint = str(weights)
    sample = importlib.import_module("harness.checkpoint").evaluate_checkpoint
    places = {"results": results, "data_path": data_path, "allow_uncertified": allow_uncertified}
    return cast(ItemSet, sample(checkpoint, baseline, item_ids, **places))


def _scored(folder: Path, baseline: ItemSet, wanted: set[str]) -> ItemSet:
    """Those of the wanted items that the run has scores of. Raises UserError when it has none and no checkpoint."""
    run = Run(folder)
    try:
        if run.spec.task != baseline.task:
            raise UserError(f"run {folder} is of task {run.spec.task!r}, not {baseline.task!r}")
        found = run_items(folder, cast(Split, baseline.split), baseline.scorer)
    except UserError:
        if run.checkpoint is None or run.failure() or run.trained() is None:
            raise
        return replace(baseline, items=())
    return replace(found, items=tuple(item for item in found.items if item.id in wanted))


def is_run(path: Path) -> bool:
    """True for the folder of a run in a sweep."""
    return (path / "spec.json").is_file()


def is_sweep(path: Path) -> bool:
    """True for the folder of a sweep."""
    return (path / "sweep.json").is_file()


def run_items(folder: Path, split: Split | None = None, scorer: str | None = None) -> ItemSet:
    """The scored items of one run: of test when it was sampled, else of validation, by the sweep's primary scorer.

    Raises UserError when it is no run, the run failed or has no scores there.
    """
    if not is_run(folder):
        raise UserError(f"{folder} is no run: it has no spec.json; give a folder results/<sweep>/<run>")
    run, sweep = Run(folder), Sweep(folder.parent)
    failure = run.failure()
    if failure:
        raise UserError(f"run {run.name} failed at {failure['stage']}: {failure['reason']}")
    primary = str(sweep.info["scorer"])
    chosen_scorer = scorer or primary
    rows = [row for row in run.scores() if chosen_scorer in row["scores"]]
    chosen = split or ("test" if any(row["split"] == "test" for row in rows) else "validation")
    rows = [row for row in rows if row["split"] == chosen]
    if not rows:
        raise UserError(f"run {run.name} has no {chosen_scorer} scores on {chosen}; run the sweep again to finish it")
    examples = sweep.examples()
    latencies = {c.example_id: c.latency_s for c in run.completions(chosen)}
    shared = {key: examples[key].to_dict() for key in ("cluster", "tags")}
    shared["content"] = {row.Index: digest([row.inputs, row.gold, row.meta]) for row in examples.itertuples()}
    items = []
    for row in rows:
        score = row["scores"][chosen_scorer]
        outcome = row["outcome"] if chosen_scorer == primary else _secondary_outcome(score["value"], row["outcome"])
        known = {key: values.get(encodable(row["example_id"])) for key, values in shared.items()}
        more = {"outcome": outcome, "latency_s": latencies.get(row["example_id"])}
        items.append(item_from_row({**row, **score, **known, **more}))
    return ItemSet(
        name=run.name,
        task=run.spec.task,
        split=chosen,
        scorer=chosen_scorer,
        items=tuple(items),
        versions=run_versions(run, chosen_scorer),
        setting={**{key: getattr(run.spec, key) for key in SETTING}, "device": sweep.info.get("device", "")},
        forced=run_marks(run),
    )


def run_versions(run: Run, scorer: str = "") -> dict[str, str]:
    """The certificate parts: what sweep.json recorded for all runs, overruled by the run's spec.json. {} when none.

    Where a judge scored, its part is the column, the rubric, when it is asked, and the model snapshots that answered.
    """
    sweep = Sweep(run.folder.parent)
    shared = sweep.info.get("versions") or {}
    own = read_json(run.folder / "spec.json").get("versions") or {}
    found = {str(part): str(version) for part, version in {**shared, **own}.items()}
    if not scorer.startswith("judge:"):
        return found
    asked = ((sweep.hosted() or {}).get("roles") or {}).get("judge") or {}
    parts = [scorer, asked.get("rubric", ""), asked.get("when", ""), *sorted(asked.get("snapshots", []))]
    return {**found, "judge": " ".join(str(part) for part in parts if part) if asked else ""}


def run_marks(run: Run) -> tuple[str, ...]:
    """Why a run's numbers are marked: its sweep's certificate was forced or is missing, or its own format was."""
    sweep = Sweep(run.folder.parent)
    certificate = sweep.certificate()
    marks = [str(note) for note in read_json(run.folder / "notes.json") or [] if str(note).startswith("forced")]
    if certificate is None:
        return (f"{run.name}: its sweep has no certificate", *marks)
    failed = [f"{check['part']}: {check['name']}" for check in certificate["parts"] if check["status"] == "fail"]
    if certificate["forced"] or failed:
        marks.insert(0, f"{run.name}: not certified ({', '.join(failed) or 'forced'})")
    return tuple(marks)


def _secondary_outcome(value: float | None, primary_outcome: str) -> str:
    # the stored class is the primary scorer's: by another scorer an item is right exactly at 1
    if value is None:
        return "unscored"
    if value >= 1.0:
        return "right"
    return primary_outcome if primary_outcome in ("unparsed", "truncated") else "wrong"
