"""README's GitHub Actions job and command lines: YAML that parses, verbs and options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from harness.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def job() -> dict[str, Any]:
    found = [yaml.safe_load(text) for word, text in BLOCKS if word == "yaml"]
    assert len(found) == 1
    return dict(found[0])


def command_lines() -> list[str]:
    """The `harness ...` lines of README's blocks and of the job's steps."""
    written = [line for word, text in BLOCKS if word == "" for line in text.splitlines()]
    lines = [*written, *(step.get("run", "") for step in job()["jobs"]["gate"]["steps"])]
    return [line for line in lines if re.match(r"(\.venv/bin/)?harness ", line)]


def test_the_job_runs_on_pull_requests_and_may_comment_on_them() -> None:
    workflow = job()
    assert "pull_request" in workflow[True]  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"]["pull-requests"] == "write"
    steps = workflow["jobs"]["gate"]["steps"]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    gated = next(place for place, step in enumerate(steps) if "harness gate" in step.get("run", ""))
    assert all(step["if"] == "always()" for step in steps[gated + 1 :]), "what follows a failed gate must still run"
    written = set(re.findall(r"gate\.\w+", steps[gated]["run"]))
    assert {step["with"]["path"] for step in steps if "upload-artifact" in step.get("uses", "")} <= written
    assert all(step["run"].split()[1] in TARGETS for step in steps if step.get("run", "").startswith("make "))


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_of_the_readme_is_one_the_command_takes(line: str) -> None:
    verb, *words = shlex.split(line, comments=True)[1:]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert verb in commands
    known = {option for parameter in commands[verb].params for option in parameter.opts}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known
    least = sum(parameter.required for parameter in commands[verb].params if not parameter.opts[0].startswith("--"))
    assert len([word for word in words if not word.startswith("-")]) >= least
