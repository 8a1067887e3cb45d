"""Real Ray processes on this machine: runs as tasks and as TorchTrainer jobs, workers and drivers killed, storage by URL."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.core import Full, Method, Training
from tests.train.conftest import (  # noqa: F401  fixtures
    LORA,
    WriteJob,
    libraries,
    log_of,
    model_folder,
    same_weights,
    weights_of,
    write_job,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is missing: pip install 'tunebench[ray]'"),
]
PATIENCE_S = 400.0
SHORT = Training(learning_rate=2e-3, epochs=2, batch_size=8, max_length=200)
LONG = Training(learning_rate=2e-3, epochs=20, batch_size=8, max_length=200)
SAVING = {"save_every_steps": 5}
DRIVERS: list[subprocess.Popen[str]] = []


def start(job: Path, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.engine.ray_driver", str(job), json.dumps(options)]
    with (job.parent / "events.jsonl").open("a") as events, (job.parent / "errors.log").open("a") as errors:
        driver = subprocess.Popen(command, stdout=events, stderr=errors, text=True, start_new_session=True)
    DRIVERS.append(driver)
    return driver


@pytest.fixture(autouse=True)
def no_driver_outlives_its_test() -> Iterator[None]:
    yield
    for driver in DRIVERS:
        driver.kill()
        driver.wait()
    DRIVERS.clear()


def finish(driver: subprocess.Popen[str], job: Path) -> None:
    assert driver.wait(PATIENCE_S) == 0, (job.parent / "errors.log").read_text()[-3000:]


def events(job: Path) -> list[dict[str, Any]]:
    path = job.parent / "events.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    # Ray itself tells of dead workers here, with or without an end of line before the next event.
    return [json.loads(line[line.index('{"event"') :]) for line in lines if '{"event"' in line]


def wait(reached: Callable[[], bool], driver: subprocess.Popen[str], job: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert driver.poll() is None, (job.parent / "errors.log").read_text()[-3000:]
        assert time.monotonic() < deadline, "it did not get that far in time"
        time.sleep(0.05)


def ray_processes(title: str) -> list[int]:
    """Ids of the processes whose title matches: Ray's workers name what they run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just ended
                continue
            if re.search(title, line):
                found.append(int(entry.name))
    return found


def local(job: Path) -> None:
    """The same job by the plain trainer."""
    subprocess.run(
        [sys.executable, "-m", "harness.train", str(job)], check=True, capture_output=True, timeout=PATIENCE_S
    )


def test_tasks_leave_the_files_of_the_local_trainer_bitwise(write_job: WriteJob) -> None:  # noqa: F811
    runs: list[tuple[str, Method, Training, int]] = [("lora", LORA, SHORT, 0), ("full", Full(), SHORT, 1)]
    here, there = (write_job(runs, root=root, dtype="bfloat16") for root in ("local", "ray"))
    local(here)
    finish(start(there), there)
    for name in ("lora", "full"):
        ours, theirs = ({path.name for path in (job.parent / name).iterdir()} for job in (here, there))
        assert ours == theirs
        assert same_weights(here.parent / name, there.parent / name)
        assert [row["loss"] for row in log_of(here.parent / name)] == [
            row["loss"] for row in log_of(there.parent / name)
        ]


def test_a_killed_worker_and_a_killed_driver_lose_nothing(write_job: WriteJob) -> None:  # noqa: F811
    whole, job = (write_job([("run", LORA, LONG, 0)], root=root, options=SAVING) for root in ("whole", "ray"))
    local(whole)
    run_dir = job.parent / "run"

    def saved() -> int:
        return max((int(path.name[5:]) for path in (run_dir / "resume").glob("step-*")), default=0)

    driver = start(job)
    wait(lambda: saved() >= 5, driver, job)
    (worker,) = ray_processes(r"^ray::train_here")
    os.kill(worker, signal.SIGKILL)
    wait(lambda: len([e for e in events(job) if e["event"] == "started"]) == 2, driver, job)
    at = saved()
    wait(lambda: saved() > at, driver, job)
    driver.kill()
    driver.wait()
    wait_gone()
    assert not (run_dir / "trained.json").exists()
    finish(start(job), job)
    starts = [event["step"] for event in events(job) if event["event"] == "started"]
    assert starts[0] == 0
    assert 5 <= starts[1] <= starts[2]
    assert same_weights(whole.parent / "run", run_dir)
    assert [row["step"] for row in log_of(run_dir)] == list(range(1, 101))


def wait_gone() -> None:
    deadline = time.monotonic() + 60
    while ray_processes(r"^ray::(train_here|fit_here|RayTrainWorker)"):
        assert time.monotonic() < deadline, "Ray's workers outlive their killed driver"
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("method", "stream_above_gib"),
    [(LORA, 1.0), (Full(), 0.0)],
    ids=["data parallel lora", "fsdp2 full, streamed items"],
)
def test_a_torch_trainer_of_two_workers_survives_the_death_of_one_and_of_the_driver(
    write_job: WriteJob,  # noqa: F811
    method: Method,
    stream_above_gib: float,
    tmp_path: Path,
) -> None:
    whole, job = (write_job([("run", method, LONG, 0)], root=root, options=SAVING) for root in ("whole", "ray"))
    local(whole)
    options = {"workers_per_run": 2, "storage": str(tmp_path / "storage"), "stream_above_gib": stream_above_gib}
    driver = start(job, **options)

    def steps(kind: str) -> list[int]:
        return [event["step"] for event in events(job) if event["event"] == kind]

    known = tmp_path / "storage" / "train" / "run" / "checkpoint_manager_snapshot.json"
    wait(lambda: known.is_file() and "checkpoint_" in known.read_text(), driver, job)
    victims = ray_processes(r"^ray::RayTrainWorker")
    assert len(victims) == 2
    os.kill(victims[-1], signal.SIGKILL)
    wait(lambda: len(steps("started")) == 2, driver, job)
    assert steps("started")[1] >= 5
    driver.kill()
    driver.wait()
    wait_gone()
    finish(start(job, **options), job)
    assert steps("started")[-1] >= 5
    one, two = log_of(whole.parent / "run"), log_of(job.parent / "run")
    assert [row["step"] for row in two] == list(range(1, 101))
    for left, right in zip(one, two, strict=True):
        assert right["loss"] == pytest.approx(left["loss"], rel=1e-4)
    ours, theirs = weights_of(whole.parent / "run"), weights_of(job.parent / "run")
    assert ours.keys() == theirs.keys()
    mark = json.loads((job.parent / "run" / "trained.json").read_text())
    assert "2 workers" in " ".join(mark["notes"])
    assert ("streamed" in " ".join(mark["notes"])) == (stream_above_gib == 0.0)
    assert not (tmp_path / "storage" / "runs" / "run").exists()


def test_a_run_that_fails_is_a_row_and_takes_no_other_along(write_job: WriteJob) -> None:  # noqa: F811
    wild = Training(learning_rate=1e30, epochs=2, batch_size=8, max_length=200)
    job = write_job([("wild", LORA, wild, 0), ("calm", LORA, SHORT, 0)])
    finish(start(job), job)
    failure = json.loads((job.parent / "wild" / "failure.json").read_text())
    assert failure["stage"] == "train"
    assert failure["kind"] in ("nonfinite", "diverged")
    assert (job.parent / "calm" / "trained.json").exists()


def test_a_run_that_this_machine_can_never_hold_is_a_row_and_not_an_endless_wait(write_job: WriteJob) -> None:  # noqa: F811
    job = write_job([("run", LORA, SHORT, 0)])
    finish(start(job, workers_per_run=64), job)
    failure = json.loads((job.parent / "run" / "failure.json").read_text())
    assert "needs 64 devices" in failure["reason"]
