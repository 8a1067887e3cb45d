"""The stages on this machine: one trainer and one sampling engine a GPU, one of each on a CPU.

In: jobs as plain values. Out: files in the run directories, and events. With several GPUs each takes runs from one queue,
longest first. A run whose worker died is tried once more, elsewhere if there is another device, then recorded as failed.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.core import UserError
from harness.engine.child import Child
from harness.store import Run, write_json

Tell = Callable[[dict[str, Any]], None]
TRIES = 2


def devices(device: str) -> list[str]:
    """The device names of this machine for "cpu" or "cuda"."""
    if device == "cpu":
        return ["cpu"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        return [f"cuda:{index.strip()}" for index in visible.split(",")]
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cuda:0"]


def device_groups(names: Sequence[str], size: int) -> list[str]:
    """Devices for engines that need `size` each, "cuda:0,1"; what is left over serves none. Raises UserError for too few."""
    if size == 1:
        return list(names)
    if len(names) < size:
        raise UserError(f"the model needs {size} GPUs for sampling and {len(names)} can be seen; use --engine ray")
    numbers = [name.removeprefix("cuda:") for name in names]
    return ["cuda:" + ",".join(numbers[start : start + size]) for start in range(0, len(numbers) - size + 1, size)]


def _environment(device: str) -> dict[str, str]:
    return {} if device == "cpu" else {"CUDA_VISIBLE_DEVICES": device.removeprefix("cuda:")}


class LocalEngine:
    """Runs stages in child processes of this one; `stop` ends them all within the grace."""

    name = "local"

    def __init__(self, folder: Path, device: str) -> None:
        self.folder = folder / "logs"
        self.device = device
        self._devices = devices(device)
        self._children: set[Child] = set()
        self._stopping = False
        self._lock = threading.Lock()

    def train(self, job: Mapping[str, Any], tell: Tell) -> None:
        """Train every run of the job that has no finishing mark yet. Failures are recorded in the run's directory."""
        for attempt in range(1, TRIES + 1):
            waiting = [run for run in job["runs"] if not _ended(Path(run["run_dir"]))]
            if not waiting:
                return
            self._train_once({**job, "runs": waiting}, attempt, tell)
        for run in job["runs"]:
            folder = Path(run["run_dir"])
            if not _ended(folder):
                reason = f"the trainer died {TRIES} times on this run; last words: {self._words('train')}"
                Run(folder).fail("train", reason)

    def reference(self, job: Mapping[str, Any], tell: Tell) -> None:
        """Write each run's reference log-probabilities (transformers + peft)."""
        path = self.folder / "reference.json"
        write_json(path, {**job, "device": "cpu" if self.device == "cpu" else "cuda"})
        self._follow("harness.train.reference", path, self._devices[0], "reference", tell)

    def samplers(self, settings: Mapping[str, Any]) -> Samplers:
        """Sampling engines, started when first used and kept until closed."""
        return Samplers(self, settings)

    def stop(self) -> None:
        """End every child; a trainer saves its state first."""
        with self._lock:
            self._stopping = True
            children = list(self._children)
        stoppers = [threading.Thread(target=child.stop) for child in children]
        for thread in stoppers:
            thread.start()
        for thread in stoppers:
            thread.join()

    def start(self, module: str, path: Path, device: str, log: str) -> Child:
        """A child that `stop` knows of."""
        with self._lock:
            if self._stopping:  # a thread that saw its child stopped must not start the next one
                raise KeyboardInterrupt
            child = Child(module, str(path), log=self.folder / f"{log}.log", environment=_environment(device))
            self._children.add(child)
        return child

    def forget(self, child: Child) -> None:
        """The child has ended."""
        with self._lock:
            self._children.discard(child)

    def _train_once(self, job: Mapping[str, Any], attempt: int, tell: Tell) -> None:
        if len(self._devices) == 1:
            path = self.folder / f"train-{attempt}.json"
            write_json(path, {**job, "device": "cpu" if self.device == "cpu" else "cuda"})
            self._follow("harness.train", path, self._devices[0], "train", tell)
            return
        waiting: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        for run in sorted(job["runs"], key=lambda run: -Path(run["items"]).stat().st_size):
            waiting.put(run)

        def work(device: str) -> None:
            while True:
                try:
                    run = waiting.get_nowait()
                except queue.Empty:
                    return
                path = self.folder / f"train-{device.replace(':', '')}.json"
                write_json(path, {**job, "device": "cuda", "runs": [run]})
                self._follow("harness.train", path, device, f"train-{device.replace(':', '')}", tell)

        # A retry starts with the devices turned by one, so that a run meets another device where there is one.
        order = self._devices[attempt - 1 :] + self._devices[: attempt - 1]
        _in_threads([partial(work, device) for device in order])

    def _follow(self, module: str, path: Path, device: str, log: str, tell: Tell) -> None:
        child = self.start(module, path, device, log)
        try:
            for event in child.events():
                tell(event)
            child.finish()
        finally:
            self.forget(child)

    def _words(self, stage: str) -> str:
        logs = sorted(self.folder.glob(f"{stage}*.log"), key=lambda path: path.stat().st_mtime)
        lines = logs[-1].read_text(errors="replace").splitlines() if logs else []
        return " | ".join(line for line in lines[-4:] if line.strip())[-500:]


class Samplers:
    """One engine process a device. A checkpoint that an engine cannot serve proven gets a fresh engine of its own."""

    def __init__(self, engine: LocalEngine, settings: Mapping[str, Any]) -> None:
        self._engine = engine
        self._settings = dict(settings)
        self._running: dict[str, Child] = {}

    def sample(self, jobs: Sequence[Mapping[str, Any]], tell: Tell) -> None:
        """Sample every job; each ends with a `sampled` or `failed` event."""
        waiting: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)

        def work(device: str) -> None:
            while True:
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    return
                self._sample_one(device, job, tell)

        groups = device_groups(self._engine._devices, self._settings.get("num_devices", 1))
        _in_threads([partial(work, group) for group in groups[: max(1, len(jobs))]])

    def close(self) -> None:
        """End the engines."""
        for child in self._running.values():
            child.finish()
            self._engine.forget(child)
        self._running.clear()

    def _sample_one(self, device: str, job: Mapping[str, Any], tell: Tell) -> None:
        for _ in range(TRIES):
            if device not in self._running:
                self._running[device] = self._started(device, self._settings, tell)
            child = self._running[device]
            ended = self._ask(child, job, tell)
            if ended is not None:
                break
            self._engine.forget(self._running.pop(device))
            self._reason = child.last_words()
        else:
            reason = f"the engine died {TRIES} times on this run; last words: {self._reason}"
            ended = {"event": "failed", "run": job["run"], "split": job["split"], "reason": reason}
        if ended["event"] == "unproven" and job["method"] == "full":
            ended = self._ask_fresh(device, job, ended, tell)
        if ended["event"] == "unproven":
            ended = {**ended, "event": "failed", "reason": f"engine not proven: {ended['check']['reason']}"}
        tell(ended)

    def _ask(self, child: Child, job: Mapping[str, Any], tell: Tell) -> dict[str, Any] | None:
        """The event that ends the job, None when the engine died."""
        child.send(job)
        for event in child.events():
            if event["event"] in ("sampled", "failed", "unproven"):
                return event
            tell(event)
        return None

    def _ask_fresh(self, device: str, job: Mapping[str, Any], ended: dict[str, Any], tell: Tell) -> dict[str, Any]:
        """The same job by an engine that was started on the checkpoint itself: slow, and right by construction."""
        self._running.pop(device).finish()
        child = self._started(device, {**self._settings, "model": job["checkpoint"]}, tell)
        answer = self._ask(child, {**job, "checkpoint": None, "method": "base", "fresh": True}, tell)
        child.finish()
        self._engine.forget(child)
        if answer is None:
            return ended
        return {**answer, "route": "fresh engine"} if answer["event"] == "sampled" else answer

    def _started(self, device: str, settings: Mapping[str, Any], tell: Tell) -> Child:
        path = self._engine.folder / f"sample-{device.replace(':', '').replace(',', '-')}.json"
        write_json(path, settings)
        tell({"event": "engine", "device": device})
        return self._engine.start("harness.sample", path, device, path.stem)


def _ended(folder: Path) -> bool:
    return (folder / "trained.json").exists() or (folder / "failure.json").exists()


def _in_threads(works: Sequence[Callable[[], None]]) -> None:
    """Run all and wait so that the main thread stays open to signals; the first exception is raised here."""
    problems: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # raised again in the caller's thread
            problems.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    if problems:
        raise problems[0]
