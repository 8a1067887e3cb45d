"""sweep.json and the runs' spec.json: what a sweep is, before anything runs. In: a request and what it was prepared to. Out:
the two files; a folder that was made with other versions is refused.
"""

from __future__ import annotations

import platform
import shlex
import sys
import time
from typing import Any

from harness import __version__
from harness.core import UserError, to_json
from harness.curate.axis import summary as curation_summary
from harness.doctor import found_sampler
from harness.hosted import judge_config
from harness.prepare import Prepared, SweepRequest
from harness.store import Run, Sweep, read_json, write_json


def write_plan(sweep: Sweep, request: SweepRequest, prepared: Prepared) -> None:
    """sweep.json and one spec.json a run. Raises UserError when the folder was made with other versions."""
    known = read_json(sweep.folder / "sweep.json")
    if known is not None and known["versions"] != prepared.versions:
        changed = [key for key, value in prepared.versions.items() if known["versions"].get(key) != value]
        raise UserError(
            f"{sweep.folder} was made with another {', '.join(changed)}; give another --name, or delete the folder"
        )
    for name, spec in zip(prepared.names, prepared.specs, strict=True):
        run = Run(sweep.folder / name)
        if not (run.folder / "spec.json").exists():
            write_json(run.folder / "spec.json", {"spec": to_json(spec), "versions": prepared.versions})
    dataset = prepared.dataset
    earlier = known["runs"] if known else []
    judges = [judge_config(request.hosted, prepared.task.name, "").column] if request.hosted.judges else []
    info = {
        "name": sweep.folder.name,
        "task": prepared.task.name,
        "task_version": prepared.task.version,
        "scorer": prepared.task.primary,
        "scorers": list(dict.fromkeys([*prepared.task.scorers, *(known["scorers"] if known else []), *judges])),
        "data": {
            **{key: getattr(dataset, key) for key in ("name", "revision", "licence", "split_rule")},
            "sizes": {split: len(dataset.usable(split)) for split in ("train", "validation", "test")},
            "broken": len(dataset.broken),
            "broken_rows": [to_json(row) for row in dataset.broken[:20]],
            "unusable": len(dataset.unusable),
            "unusable_reasons": dict(list(dataset.unusable.items())[:50]),
            "curation": curation_summary(dataset, request.axes.train_size),
        },
        "model": _model_info(request, prepared),
        "models": [
            {"name": model.name, "revision": model.revision, "source": model.source, "chat": prepared.chats[name].hash}
            for name, model in prepared.models.items()
        ],
        "device": device_name(request.device),
        "engine": request.engine,
        "sampler": request.sampler,
        "command": shlex.join(["harness", *sys.argv[1:]]),
        "seed": list(request.axes.seeds),
        "tunebench": __version__,
        "started": known["started"] if known else now(),
        "finished": None,
        "versions": prepared.versions,
        "warnings": _warnings(request),
        "runs": [*earlier, *(name for name in prepared.names if name not in earlier)],
    }
    write_json(sweep.folder / "sweep.json", info)


def _model_info(request: SweepRequest, prepared: Prepared) -> dict[str, Any]:
    """The first model with weights here; in a sweep of hosted models alone, the first of those."""
    first = next(iter(prepared.models.values()), None)
    if first is None:
        name = request.axes.models[0]
        return {"name": name, "revision": "", "source": "hosted", "parameters": None, "chat": ""}
    return {
        "name": first.name,
        "revision": first.revision,
        "source": first.source,
        "parameters": first.num_parameters,
        "chat": prepared.chats[first.name].hash,
    }


def device_name(device: str) -> str:
    """The device in words: what latencies were measured on."""
    return f"{device} ({platform.processor() or platform.machine()})"


def _warnings(request: SweepRequest) -> list[str]:
    found = []
    if request.sampler == "transformers":
        why = "as asked" if found_sampler() == "vllm" else "because vLLM is not installed here"
        found.append(f"sampled with transformers, {why}: slower, and other kernels than serving")
    return found


def now() -> str:
    """The time as it stands in results: UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
