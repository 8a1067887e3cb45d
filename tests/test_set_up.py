"""Set-up: the Makefile, the doctor and the time to say `--help`."""

from __future__ import annotations

import inspect
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.doctor import Finding, examine

ROOT = Path(__file__).resolve().parents[1]
AXES = [
    "data",
    "model",
    "methods",
    "ranks",
    "alpha",
    "dropout",
    "targets",
    "lrs",
    "full-lrs",
    "schedule",
    "epochs",
    "batch-size",
    "prompt-styles",
    "seeds",
    "train-size",
    "validation-size",
    "test-size",
    "few-shot",
    "max-length",
    "data-seed",
]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def made(*arguments: str) -> str:
    """What make would do."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "DEVICE")}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@needs_make
@pytest.mark.parametrize("verb", ["sweep", "plan"])
def test_every_axis_is_a_flag_and_a_make_variable(verb: str) -> None:
    flags = {name.replace("_", "-") for name in inspect.signature(cli.sweep).parameters}
    assert set(AXES) <= flags
    given = [f"{axis.upper().replace('-', '_')}=value-of-{axis}" for axis in AXES]
    line = made("-n", verb, "TASK=math", "VENV=there", "OFFLINE=1", *given)
    assert "there/bin/harness sweep math" in line
    assert "--offline" in line
    assert [axis for axis in AXES if f'--{axis} "value-of-{axis}"' not in line] == []


@needs_make
def test_help_is_the_first_target_and_names_the_two_commands() -> None:
    text = made()
    assert "make sweep TASK=sql" in text
    assert "make test" in text


@needs_make
def test_a_second_set_up_installs_nothing_until_a_list_changes(tmp_path: Path) -> None:
    (tmp_path / ".ready-cpu").touch()
    assert made("-n", "setup", f"VENV={tmp_path}", "DEVICE=cpu").strip() in (
        "",
        "make: Nothing to be done for 'setup'.",
    )
    os.utime(tmp_path / ".ready-cpu", (0, 0))
    assert "requirements/cpu.txt" in made("-n", "setup", f"VENV={tmp_path}", "DEVICE=cpu")


@needs_make
def test_the_device_can_be_overridden(tmp_path: Path) -> None:
    on_gpu = made("-n", "sweep", f"VENV={tmp_path}", "DEVICE=cuda")
    assert "requirements/cuda.txt" in on_gpu
    assert "--device cuda" in on_gpu
    assert "+cpu" not in on_gpu


def test_the_doctor_works_without_any_package_and_gives_a_command_for_each_lack() -> None:
    command = [sys.executable, "-S", "-m", "harness.doctor", "cpu"]
    environment = {**os.environ, "PYTHONPATH": "", "TUNEBENCH_DATA": "/nowhere"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert "LACK torch          missing -> make setup" in lines
    assert any(line.startswith("LACK TUNEBENCH_DATA") for line in lines)
    assert all(" -> " in line for line in lines if line.startswith("LACK"))
    assert lines[-1].endswith("each arrow is the command that mends it")


def test_the_doctor_sees_a_package_that_is_not_the_pinned_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "cpu.txt").write_text("pytest==0.1  # old\nnot-there==1.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.doctor._engine", lambda device, start_engine: [Finding(name="vllm", found="1")])
    (pins,) = [finding for finding in examine("cpu", start_engine=False) if finding.name == "pinned"]
    assert pins.found.startswith("0 of 2 as requirements/cpu.txt says; pytest ")
    assert "not-there missing, not 1.0" in pins.found
    assert pins.mend


def test_help_takes_less_than_three_tenths_of_a_second_of_processor_time() -> None:
    spent = []
    for _ in range(5):  # the best of some: a busy machine makes every process slower, never faster
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", "--help"], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "score" in done.stdout
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if spent[-1] < 0.3:
            return
    pytest.fail(f"--help took {min(spent):.2f} s of processor time at best")
