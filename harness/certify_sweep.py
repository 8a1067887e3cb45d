"""The certificate of a sweep: made before training, kept with the numbers, completed by what the engine showed. In: a prepared
sweep. Out: certificate.json. Raises UserError when a check fails and the user did not force it; a forced one marks every
number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.certificate import Certificate, Check, certificate_from_json, verdict
from harness.certify import check_task
from harness.certify_engine import engine_checks
from harness.certify_format import Inference, check_format, format_hash
from harness.core import Base, UserError
from harness.parts import engine_hash, engine_settings, evaluation_hashes
from harness.prepare import Prepared, SweepRequest, data_request
from harness.store import Run, Sweep, write_json
from harness.trained_with import differences, record_of

Tell = Callable[[int, str], None]


def certify_sweep(sweep: Sweep, request: SweepRequest, prepared: Prepared, tell: Tell) -> Certificate | None:
    """The new certificate of the sweep, on disk; None when the one that is there holds for just this evaluation."""
    known, hashes = sweep.certificate(), sweep_hashes(request, prepared)
    if known is not None and known.get("hashes") == hashes and (not known["forced"] or request.allow_uncertified):
        return None
    found = check_task(prepared.task, prepared.dataset, request=data_request(request))
    tell(1, "task")
    checks = list(found.checks)
    for done, model in enumerate(prepared.chats, start=2):
        checks += model_checks(prepared, model, request.options)
        tell(done, model)
    certificate = Certificate(checks=(*checks, *engine_checks(_made(sweep))), hashes=hashes)
    _keep(sweep, certificate, request.allow_uncertified)
    return certificate


def sweep_hashes(request: SweepRequest, prepared: Prepared) -> dict[str, str]:
    """A hash for each part of the sweep's evaluation."""
    engine = engine_settings(prepared.task, request.sampler, request.device)
    return {
        **evaluation_hashes(prepared.task, prepared.dataset, request.axes.data_seed),
        "format": format_hash(prepared.chats, prepared.specs, request.options),
        "engine": engine_hash(engine),
    }


def model_checks(prepared: Prepared, model: str, options: dict[str, Any]) -> list[Check]:
    """The part "format" for one model: its tokens, and for a model that was trained here what it was trained with."""
    specs = [spec for spec in prepared.specs if spec.model == model]
    chat, known = prepared.chats[model], prepared.models[model]
    inference = Inference(
        max_new_tokens=prepared.task.max_new_tokens,
        max_model_len=known.config.get("max_position_embeddings"),
        options=options,
    )
    checks = check_format(prepared.task, prepared.dataset, specs, chat, inference)
    asked = [spec for spec in specs if isinstance(spec.method, Base)]
    if asked and record_of(known.folder) is not None:
        found = [
            f"{spec.prompt_style}: {difference}"
            for spec in asked
            for difference in differences(known.folder, prepared.task, prepared.dataset, spec, chat)
        ]
        checks.append(verdict("format", "asked as trained", found, f"{model} against its own tunebench.json"))
    return checks


def add_engine_part(sweep: Sweep, allowed: bool) -> None:
    """Complete certificate.json with what sampling showed so far."""
    known = sweep.certificate()
    if known is None:
        return
    certificate = certificate_from_json(known).with_checks("engine", engine_checks(_made(sweep)))
    body = {**certificate.to_json(), "forced": known["forced"] or (allowed and not certificate.passed)}
    write_json(sweep.folder / "certificate.json", body)


def _made(sweep: Sweep) -> Sequence[Run]:
    return sweep.run_folders()


def _keep(sweep: Sweep, certificate: Certificate, allowed: bool) -> None:
    body = {**certificate.to_json(), "forced": not certificate.passed}
    refused = sweep.folder / "certificate-failed.json"
    if certificate.passed or allowed:
        write_json(sweep.folder / "certificate.json", body)
        refused.unlink(missing_ok=True)
        return
    write_json(refused, body)
    raise UserError(_remedy(certificate, refused))


def _remedy(certificate: Certificate, path: Path) -> str:
    failed = [f"{check.name}: {check.detail}" for check in certificate.checks if check.status == "fail"]
    return (
        f"the evaluation is not certified: {'; '.join(failed)}. Mend it (details in {path}), or pass "
        "--allow-uncertified, which marks every number"
    )
