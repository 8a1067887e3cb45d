"""The same small sweep on the local engine and on Ray: the real model, training, vLLM and SQLite."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.store import Sweep, read_lines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is missing: pip install 'tunebench[ray]'"),
]
AXES = "--methods base,lora --ranks 4 --lrs 1e-3 --train-size 24 --validation-size 40 --test-size 8"
TOLERANCE = 0.05  # 2 of 40 answers: greedy text in bfloat16 on one thread against two


def sweep(results: Path, engine: str) -> Sweep:
    command = [sys.executable, "-m", "harness.cli", "sweep", "sql", "--results", str(results), "--name", engine]
    command += [*AXES.split(), "--engine", engine, *(["--samplers", "2"] if engine == "ray" else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=550)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return Sweep(results / engine)


@pytest.mark.timeout(1200)
def test_local_and_ray_give_the_same_plan_ids_files_and_scores(tmp_path: Path) -> None:
    local, ray = (sweep(tmp_path, engine) for engine in ("local", "ray"))
    assert [run.name for run in local.run_folders()] == [run.name for run in ray.run_folders()]
    for one, two in zip(local.run_folders(), ray.run_folders(), strict=True):
        names = [{path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*")} for run in (one, two)]
        assert names[0] == names[1]
        rows = [read_lines(run.folder / "completions.jsonl") for run in (one, two)]
        ids = [sorted((row["split"], row["example_id"]) for row in found) for found in rows]
        assert ids[0] == ids[1]
        assert len(ids[0]) == len(set(ids[0]))
        assert json.loads((two.folder / "sampling.json").read_text())["check"]["proven"]
    scores = [list(found.runs()["validation_score"]) for found in (local, ray)]
    assert scores[1] == pytest.approx(scores[0], abs=TOLERANCE)
    assert ray.info["engine"] == "ray"
