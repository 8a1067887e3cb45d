"""Two real workers over gloo against one process; a killed worker's run goes on from the last whole state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.core import Full, Lora, Training
from tests.train.conftest import LORA, WriteJob, log_of, random_items, same_weights

torch = pytest.importorskip("torch")
TRAINING = Training(learning_rate=2e-3, epochs=1, batch_size=7, max_length=200)  # 7: the workers' shares differ


def worker(rank: int, world_size: int, model: str, method: Lora | Full, out: str) -> None:
    import warnings

    warnings.simplefilter("ignore")
    os.environ.update(MASTER_ADDR="127.0.0.1", RANK=str(rank), WORLD_SIZE=str(world_size))
    import torch.distributed as dist

    from harness.train import distributed
    from harness.train.job import Item, Options
    from harness.train.loop import Hooks, train_steps
    from harness.train.trainee import load_base

    torch.set_num_threads(1)
    store = dist.FileStore(out + ".store", world_size)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world_size)
    items = [
        Item(id=row["id"], prompt_ids=tuple(row["prompt_ids"]), answer_ids=tuple(row["answer_ids"]))
        for row in random_items(40)
    ]
    base = load_base(Path(model), "cpu", "float32", "none")
    setup = distributed.prepare(base, method, items, TRAINING, 0, Options(micro_batch=2))
    rows: list[dict[str, Any]] = []
    train_steps(setup, Hooks(record=rows.append, save=lambda state: None))
    weights = distributed.whole_weights(setup.trainee.parameters)
    if rank == 0:
        torch.save(weights, out + ".pt")
        Path(out).write_text(json.dumps([[row["loss"], row["gradient_norm"]] for row in rows]))
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("method", [LORA, Full()], ids=["data parallel lora", "fsdp2 full"])
def test_two_workers_equal_one_process_with_the_same_global_batch(
    tmp_path: Path, model_folder: Path, method: Lora | Full
) -> None:
    import torch.multiprocessing

    results, weights = {}, {}
    for world_size in (1, 2):
        out = str(tmp_path / str(world_size))
        arguments = (world_size, str(model_folder), method, out)
        torch.multiprocessing.spawn(worker, arguments, nprocs=world_size)
        results[world_size] = json.loads(Path(out).read_text())
        weights[world_size] = torch.load(out + ".pt", weights_only=True)
    for one, two in zip(results[1], results[2], strict=True):
        assert two == pytest.approx(one, rel=1e-5)
    assert weights[1].keys() == weights[2].keys()
    for name, weight in weights[1].items():
        torch.testing.assert_close(weights[2][name], weight, rtol=1e-4, atol=1e-5, msg=name)


LONG = Training(learning_rate=2e-3, epochs=10, batch_size=8, max_length=200)


def launch(job: Path) -> subprocess.Popen[bytes]:
    """Two workers under torchrun, in a session of their own."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (job.parent / "log").open("ab") as log:
        return subprocess.Popen(
            [*command, "-m", "harness.train.worker", str(job)],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment,
        )


def workers_of(job: Path) -> list[int]:
    """Process ids of the job's two workers, not of their launcher."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it has just ended
                continue
            if str(job).encode() in words and b"torch.distributed.run" not in words:
                found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", [LORA, Full()], ids=["data parallel lora", "fsdp2 full"])
def test_a_killed_worker_and_launcher_lose_nothing(write_job: WriteJob, method: Lora | Full) -> None:
    options = {"save_every_steps": 4}
    whole = write_job([("run", method, LONG, 0)], root="whole", options=options)
    job = write_job([("run", method, LONG, 0)], options=options)
    assert launch(whole).wait(300) == 0, (whole.parent / "log").read_text()[-3000:]
    resume = job.parent / "run" / "resume"
    first = launch(job)
    deadline = time.monotonic() + 300
    while not list(resume.glob("step-*")):
        assert first.poll() is None, (job.parent / "log").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(workers_of(job)[0], signal.SIGKILL)
    first.wait(120)  # the launcher ends the other one
    assert not (job.parent / "run" / "trained.json").exists()
    assert launch(job).wait(300) == 0, (job.parent / "log").read_text()[-3000:]
    lines = (job.parent / "log").read_text().splitlines()
    starts = [json.loads(line)["step"] for line in lines if line.startswith('{"event": "started"')]
    assert starts[0] == 0
    assert starts[-1] >= 4
    assert same_weights(whole.parent / "run", job.parent / "run")
    assert json.loads((job.parent / "run" / "checkpoint" / "tunebench.json").read_text()) == {"trained": "run"}
    rows = [[(row["step"], row["loss"]) for row in log_of(path.parent / "run")] for path in (whole, job)]
    assert rows[0] == rows[1]
    assert not resume.exists()
