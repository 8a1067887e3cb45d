"""The cluster file and the job line that the README gives, against Ray's own schema and command line."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "harness" / "engine" / "cluster.yaml"
RAY = importlib.util.find_spec("ray")
needs_ray = pytest.mark.skipif(RAY is None, reason="Ray is not installed: pip install 'tunebench[ray]'")


def schema() -> dict[str, object]:
    assert RAY is not None
    assert RAY.origin is not None
    body: dict[str, object] = json.loads((Path(RAY.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    return body


@needs_ray
def test_the_cluster_file_is_valid_by_rays_own_schema() -> None:
    import jsonschema

    jsonschema.validate(yaml.safe_load(CLUSTER.read_text()), schema())


@needs_ray
@pytest.mark.parametrize("broken", [{"max_workerz": 1}, {"max_workers": "many"}, {"provider": None}])
def test_the_schema_refuses_a_broken_file(broken: dict[str, object]) -> None:
    import jsonschema

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**yaml.safe_load(CLUSTER.read_text()), **broken}, schema())


def test_every_node_type_that_is_named_is_there_and_no_more_workers_are_asked_for_than_allowed() -> None:
    cluster = yaml.safe_load(CLUSTER.read_text())
    types = cluster["available_node_types"]
    assert cluster["head_node_type"] in types
    assert sum(kind["max_workers"] for kind in types.values()) <= cluster["max_workers"]
    assert any(kind["resources"].get("GPU") for kind in types.values())


@needs_ray
@pytest.mark.slow
def test_ray_and_harness_know_every_option_of_the_documented_job_line() -> None:
    (line,) = re.findall(r"^ray job submit .*$", (ROOT / "README.md").read_text(), flags=re.M)
    ours, theirs = line.split(" -- ")[1], line.split(" -- ")[0]
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [word for word in shlex.split(theirs) if word.startswith("--") and word not in known] == []
    command = [sys.executable, "-m", "harness.cli", "sweep", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [word for word in shlex.split(ours) if word.startswith("--") and word not in known] == []
