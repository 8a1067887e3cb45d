"""Real processes, killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.core import Full, Lora, Method, Training
from harness.train.job import read_job
from tests.train.conftest import LORA, WriteJob, log_of, same_weights

pytest.importorskip("torch")
LONG = Training(learning_rate=2e-3, epochs=10, batch_size=8, max_length=200)
SAVING = {"save_every_steps": 7}


def start(job: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "harness.train", str(job)]
    with (job.parent / "events.jsonl").open("wb") as events:
        return subprocess.Popen(command, stdout=events, stderr=subprocess.DEVNULL)


def finished(job: Path) -> list[dict[str, object]]:
    """The events of the job, run to its end in this process, which has the libraries loaded."""
    from harness.train.runs import train_job

    events: list[dict[str, object]] = []
    train_job(read_job(job), events.append)
    return events


def steps_done(run_dir: Path) -> int:
    path = run_dir / "train.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def kill_after(child: subprocess.Popen[bytes], run_dir: Path, steps: int, number: signal.Signals) -> int:
    """Send the signal once `steps` steps are logged; returns the exit code."""
    deadline = time.monotonic() + 300
    while steps_done(run_dir) < steps:
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(child.pid, number)
    return child.wait(10)  # the promise is ten seconds


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(Lora(rank=4, alpha=8.0, dropout=0.1), id="lora with dropout"),
        pytest.param(Full(), id="full", marks=pytest.mark.slow),
    ],
)
def test_a_run_killed_and_resumed_ends_bitwise_like_one_never_killed(write_job: WriteJob, method: Method) -> None:
    dtype = "bfloat16" if isinstance(method, Full) else "float32"
    whole = write_job([("run", method, LONG, 0)], root="whole", options=SAVING, dtype=dtype)
    finished(whole)
    job = write_job([("run", method, LONG, 0)], options=SAVING, dtype=dtype)
    run_dir = job.parent / "run"
    assert kill_after(start(job), run_dir, 10, signal.SIGKILL) == -signal.SIGKILL
    assert not (run_dir / "trained.json").exists()
    with (run_dir / "train.jsonl").open("a") as log:
        log.write('{"step": 99, "lo')  # what a machine that lost power leaves behind
    first = finished(job)[0]
    assert first["step"] in range(7, 100)
    assert same_weights(whole.parent / "run", run_dir)
    left, right = ([(row["step"], row["loss"]) for row in log_of(path)] for path in (whole.parent / "run", run_dir))
    assert left == right


@pytest.mark.slow
def test_sigterm_saves_within_ten_seconds_and_exits_with_75(write_job: WriteJob) -> None:
    job = write_job([("run", LORA, LONG, 0), ("next", LORA, LONG, 1)], options={"save_every_s": 3600})
    run_dir = job.parent / "run"
    child = start(job)
    assert kill_after(child, run_dir, 5, signal.SIGTERM) == 75
    saved = json.loads(next((run_dir / "resume").glob("step-*/state.json")).read_text())
    assert saved["step"] >= 5
    events = finished(job)
    assert events[0] == {"event": "started", "run": "run", "step": saved["step"]}
    assert [event["run"] for event in events if event["event"] == "finished"] == ["run", "next"]
    assert [row["step"] for row in log_of(run_dir)] == list(range(1, 51))


@pytest.mark.slow
def test_a_saved_state_of_another_run_is_not_continued(write_job: WriteJob) -> None:
    job = write_job([("run", LORA, LONG, 0)], options=SAVING)
    run_dir = job.parent / "run"
    kill_after(start(job), run_dir, 10, signal.SIGKILL)
    assert list((run_dir / "resume").glob("step-*"))
    changed = write_job([("run", LORA, LONG, 4)], options=SAVING)
    assert finished(changed)[0] == {"event": "started", "run": "run", "step": 0}


def test_a_job_that_cannot_be_read_is_one_line_and_exit_code_64(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"model": str(tmp_path), "device": "cpu", "dtype": "float32", "runs": []}))
    done = subprocess.run([sys.executable, "-m", "harness.train", str(job)], capture_output=True, text=True)
    assert done.returncode == 64
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "config.json" in done.stderr
