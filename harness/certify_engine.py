"""Proof that the engine answers with the right weights. In: the runs of a sweep after sampling. Out: the checks of the
certificate's part "engine".

The numbers were measured while the engine ran anyway (sample/proof.py, sample/batches.py) and lie in sampling.json; the
references are transformers + peft (train/reference.py). A run whose weights were not proven has failed and has no score, so
here it is a warning; a score without a proof is a failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.certificate import SHOWN, Check, Status, verdict
from harness.core import Base, hosted_name
from harness.sample.proof import BASE, NOISE_FLOOR, distance
from harness.store import Run, label, read_json

STRICT_FLOOR = 0.02  # nats; beyond twice the base model's own distance and this, a run is worth a look


def engine_checks(runs: Sequence[Run]) -> list[Check]:
    """The part "engine" of the runs that were sampled; [] when none was. Hosted rows have no weights here to prove."""
    runs = [run for run in runs if hosted_name(run.spec.model) is None]
    sampled = {run: found for run in runs if (found := read_json(run.folder / "sampling.json")) is not None}
    refused = [run for run in runs if (run.failure() or {}).get("stage") == "sample"]
    if not sampled and not refused:
        return []
    proofs = {run: body["check"] for run, body in sampled.items() if body.get("check")}
    trained = {run: check for run, check in proofs.items() if not isinstance(run.spec.method, Base)}
    return [
        _proven(sampled, proofs, refused),
        _applied(trained),
        _told_apart(trained),
        _agreement(proofs, runs),
        _batches(sampled),
        _stops(sampled),
    ]


def _proven(sampled: Mapping[Run, Any], proofs: Mapping[Run, Any], refused: Sequence[Run]) -> Check:
    bare = [f"{_name(run)}: its scores rest on weights that were never proven" for run in sampled if run not in proofs]
    failed = [f"{_name(run)}: {(run.failure() or {}).get('reason', '')[:300]}" for run in refused]
    status: Status = "fail" if bare else "warn" if failed else "pass"
    detail = f"{len(proofs)} runs answered with proven weights, {len(failed)} were refused and have no score"
    return Check(
        part="engine", name="weights proven", status=status, detail=detail, examples=tuple([*bare, *failed][:SHOWN])
    )


def _applied(trained: Mapping[Run, Any]) -> Check:
    """Each adapter or trained model changes log-probabilities, and the whole of the change arrives in the engine."""
    shares = {run: check["applied"] for run, check in trained.items() if check.get("applied") is not None}
    untold = [
        f"{_name(run)}: changes too little to be told from the base model" for run in trained if run not in shares
    ]
    detail = f"{len(shares)} of {len(trained)} trained checkpoints are told from the base model"
    if shares:
        detail += f"; {min(shares.values()):.2f} to {max(shares.values()):.2f} of their change arrives in the engine"
    status: Status = "warn" if untold else "pass"
    return Check(part="engine", name="adapters applied", status=status, detail=detail, examples=tuple(untold[:SHOWN]))


def _told_apart(trained: Mapping[Run, Any]) -> Check:
    """No other checkpoint of the sweep explains what the engine says better: a swap would be seen."""
    names = {run.name: run for run in trained}
    alike = sorted(
        {
            " and ".join(sorted((_name(run), _name(names[other])))) + " answer too much alike to be told apart"
            for run, check in trained.items()
            for other in check.get("not_told_from", [])
            if other in names and other != BASE
        }
    )
    pairs = len(trained) * (len(trained) - 1) // 2
    detail = f"{pairs - len(alike)} of {pairs} pairs of trained checkpoints are told apart, so a swap is seen"
    status: Status = "warn" if alike else "pass"
    return Check(part="engine", name="right checkpoint", status=status, detail=detail, examples=tuple(alike[:SHOWN]))


def _agreement(proofs: Mapping[Run, Any], runs: Sequence[Run]) -> Check:
    """transformers + peft against the engine, and against peft's own merged weights for one adapter."""
    floors = [check["measured_floor"] for check in proofs.values() if check.get("measured_floor") is not None]
    limit = min(NOISE_FLOOR, 2 * max(floors) + STRICT_FLOOR) if floors else NOISE_FLOOR
    distances = {run: check["distance"] for run, check in proofs.items()}
    merged = {run: found for run in runs if (found := _merged_distance(run)) is not None}
    far = [
        f"{_name(run)}: {found:.3f} nats a token, engine against peft"
        for run, found in distances.items()
        if found > limit
    ]
    far += [
        f"{_name(run)}: {found:.3f} nats a token, merged against peft" for run, found in merged.items() if found > limit
    ]
    told = (
        f"engine against peft {min(distances.values()):.3f} to {max(distances.values()):.3f}" if distances else "no run"
    )
    told += f", merged against peft {max(merged.values()):.4f}" if merged else ", no adapter to merge"
    measured = f"{max(floors):.3f} on the base model" if floors else "not measured"
    detail = f"nats a token: {told}; noise floor {measured}, limit {limit:.3f}"
    status: Status = "warn" if far else "pass"
    return Check(part="engine", name="peft, merged, engine", status=status, detail=detail, examples=tuple(far[:SHOWN]))


def _merged_distance(run: Run) -> float | None:
    found = read_json(run.folder / "reference.json") or {}
    return distance(found["log_probabilities"], found["merged"]) if "merged" in found else None


def _batches(sampled: Mapping[Run, Any]) -> Check:
    found = [(run, body["batch"]) for run, body in sampled.items() if body.get("batch")]
    compared = sum(batch["compared"] for _, batch in found)
    different = [f"{_name(run)}, {told}" for run, batch in found for told in batch["different"]]
    if not compared:
        detail = "not measured: too few prompts were left to answer"
        return Check(part="engine", name="batch 1 and batch N", status="warn", detail=detail)
    largest = max(batch["batch"] for _, batch in found)
    detail = f"{len(different)} of {compared} answers differ between batch 1 and batch {largest} (greedy, first tokens)"
    status: Status = "warn" if different else "pass"
    return Check(
        part="engine", name="batch 1 and batch N", status=status, detail=detail, examples=tuple(different[:SHOWN])
    )


def _stops(sampled: Mapping[Run, Any]) -> Check:
    """A trained model that never stops was not taught the end token, or the engine waits for another."""
    problems, counted = [], 0
    for run in sampled:
        answers = run.completions("validation")
        if isinstance(run.spec.method, Base) or not answers:
            continue
        counted += 1
        if not any(answer.finish == "stop" for answer in answers):
            problems.append(f"{_name(run)}: none of its {len(answers)} answers ends with the end token")
    check = verdict("engine", "trained models stop", problems, f"{counted} trained runs")
    return Check(**{**vars(check), "status": "warn"}) if problems else check


def _name(run: Run) -> str:
    return label(run.spec)
