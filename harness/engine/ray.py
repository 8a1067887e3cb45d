"""The stages on a Ray cluster, or on a local Ray that is started for them. The only file that imports ray.

In: jobs as plain values. Out: the files and events of engine/local.py. A run that fits one device is a Ray task, a larger
one a Ray Train TorchTrainer job; sampling is shared out over a pool of actors, an engine each. Ray schedules, retries what
a lost machine took along, and scales the cluster; nothing here does. What tasks and actors do is in engine/node.py.

RAY_ADDRESS joins a cluster. A stage's files lie in the sweep's folder, which every machine sees, or on `storage`.
Sources: docs.ray.io, Ray 2.60: Ray Train's fault tolerance and persistent storage, tasks, actors, ActorPool.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import ray.data
import ray.train
from ray.data import ExecutionOptions
from ray.exceptions import RayError
from ray.train import Checkpoint, CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util import ActorPool
from ray.util.queue import Queue

from harness.engine import EngineOptions, node
from harness.engine.placement import Placement, joined, placement, shares
from harness.engine.rows import RowKeeper, judged
from harness.engine.storage import Storage
from harness.models import REMOTE_CODE, remote_code_allowed
from harness.store import Run, write_json
from harness.train.item_index import ItemIndex
from harness.train.job import Item, item_of_line

Tell = Callable[[dict[str, Any]], None]
RETRIES = 3  # of a task, worker group or actor whose process or machine died
POLL_S = 0.3
GRACE_S = 8.0
LOCAL_OBJECT_STORE_BYTES = 200 << 20  # what travels through it are settings, events and rows


class RayEngine:
    """Runs stages on Ray; `stop` cancels them, and trainers save their state first."""

    name = "ray"

    def __init__(self, folder: Path, device: str, options: EngineOptions) -> None:
        self.folder = folder.resolve()
        self.device = device
        self.options = options
        self._storage = Storage(options.storage) if options.storage else None
        self._train_storage = Storage(options.storage or str(self.folder / "ray"))
        self._tasks: dict[Any, Path] = {}
        self._started_here = False

    def train(self, job: Mapping[str, Any], tell: Tell) -> None:
        """Train every run of the job that has no finishing mark yet. Failures are recorded in the run's directory."""
        for run in job["runs"]:
            self._take_finished(Path(run["run_dir"]))
        waiting = [run for run in job["runs"] if not _ended(Path(run["run_dir"]))]
        if not waiting:
            return
        self.connect()
        events = Queue(actor_options={"num_cpus": 0})
        cpus = max(1, int(ray.cluster_resources().get("CPU", 1)) // len(waiting))
        kind = self.device.split(":")[0]
        body = {**job, "device": kind, "device_bytes": job.get("device_bytes") or self._device_bytes()}
        for run in sorted(waiting, key=lambda run: -Path(run["items"]).stat().st_size):
            one = {**body, "runs": [run]}
            place = placement(node.question(one), body["device_bytes"], self.options.workers_per_run)
            if reason := self._lacking(place):
                Run(Path(run["run_dir"])).fail("train", reason)
                tell({"event": "failed", "run": Path(run["run_dir"]).name, "reason": reason})
            else:
                self._tasks[self._submitted(one, place, cpus, events)] = Path(run["run_dir"])
        self._follow(events, tell)

    def reference(self, job: Mapping[str, Any], tell: Tell) -> None:
        """Write each run's reference log-probabilities (transformers + peft)."""
        self.connect()
        body = {**job, "device": self.device.split(":")[0], "model": self.sent(job["model"])}
        body["runs"] = [{**run, "checkpoint": self.sent(run["checkpoint"])} for run in job["runs"]]
        task = ray.remote(max_retries=RETRIES, max_calls=1, num_returns="streaming")(node.references_here)
        for ref in task.options(**self._request(1)).remote(body, self.options.storage):
            run_dir, reference = ray.get(ref)
            write_json(Path(run_dir) / "reference.json", reference)
            tell({"event": "reference", "run": Path(run_dir).name})

    def samplers(self, settings: Mapping[str, Any]) -> RaySamplers:
        """Sampling engines, started when first used and kept until closed."""
        return RaySamplers(self, settings)

    def stop(self) -> None:
        """Cancel what runs; a trainer saves its state first. A Ray that was started here ends."""
        if not ray.is_initialized():
            return
        for task in self._tasks:
            with contextlib.suppress(RayError):
                ray.cancel(task)
        if self._tasks:
            ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=GRACE_S)
        if self._started_here:
            ray.shutdown()

    def connect(self) -> None:
        """Join the cluster, or start a local Ray; does nothing when it is connected."""
        if ray.is_initialized():
            return
        on_sigterm = signal.getsignal(signal.SIGTERM)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if remote_code_allowed():  # other machines do not inherit what the command line allowed here
            quiet["runtime_env"] = {"env_vars": {REMOTE_CODE: os.environ[REMOTE_CODE]}}
        if os.environ.get("RAY_ADDRESS"):
            ray.init(os.environ["RAY_ADDRESS"], **quiet)
        else:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            self._started_here = True
            local = {"include_dashboard": False, "object_store_memory": LOCAL_OBJECT_STORE_BYTES}
            ray.init("local", num_cpus=os.cpu_count(), **local, **quiet)
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own handler would end us without saving

    def _lacking(self, place: Placement) -> str | None:
        """Why a run can never start here. A cluster may grow, the Ray that was started on this machine does not."""
        kind = "CPU" if self.device == "cpu" else "GPU"
        here = int(ray.cluster_resources().get(kind, 0))
        if not self._started_here or place.workers <= here:
            return None
        return f"the run needs {place.workers} devices and this machine has {here}; join a cluster with RAY_ADDRESS"

    def _submitted(self, job: dict[str, Any], place: Placement, cpus: int, events: Queue) -> Any:
        """The task that ends when the job's one run has ended."""
        (run,) = job["runs"]
        name = Path(run["run_dir"]).name
        if self._storage is not None or place.workers > 1:
            job = {**job, "runs": [{**run, "name": name}]}
        if self._storage is not None:
            self._send_inputs(name, Path(run["items"]))
            job = {**job, "model": self.sent(job["model"])}
        request = self._request(cpus)
        if place.workers == 1:
            task = ray.remote(max_retries=RETRIES, max_calls=1)(node.train_here)
            request["memory"] = _memory(place, self.device, job["device_bytes"])
            return task.options(**request).remote(job, self.options.storage, events)
        each = {"CPU": max(1, request["num_cpus"] // place.workers), **({"GPU": 1} if "num_gpus" in request else {})}
        task = ray.remote(max_retries=RETRIES, max_calls=1, num_cpus=0)(fit_here)
        config = {"job": job, "storage": self.options.storage, "states": self._train_storage.url, "events": events}
        config["streams"] = Path(run["items"]).stat().st_size > self.options.stream_above_gib * 2**30
        return task.remote(config, place.workers, each)

    def _request(self, cpus: int) -> dict[str, Any]:
        return {"num_cpus": cpus} if self.device == "cpu" else {"num_cpus": 1, "num_gpus": 1}

    def _follow(self, events: Queue, tell: Tell) -> None:
        """Pass events on until every task has ended, and record the runs that left no finishing mark."""
        while self._tasks:
            done, _ = ray.wait(list(self._tasks), timeout=POLL_S)
            for event in _drained(events):
                tell(event)
            for task in done:
                self._end(task, self._tasks.pop(task), tell)
        events.shutdown(force=True)

    def _end(self, task: Any, run_dir: Path, tell: Tell) -> None:
        try:
            reason = ray.get(task)
        except RayError as error:
            reason = _reason(error)
        self._take_finished(run_dir)
        if not _ended(run_dir):
            reason = reason or "the task ended without a result"
            Run(run_dir).fail("train", reason)
            tell({"event": "failed", "run": run_dir.name, "reason": reason})

    def _take_finished(self, run_dir: Path) -> None:
        """Fetch what a run left on the storage, and clean up there."""
        if _ended(run_dir):
            return
        key = f"runs/{run_dir.name}"
        with tempfile.TemporaryDirectory(dir=node.scratch()) as place:
            if self._train_storage.pull(f"{key}/done", Path(place) / "done"):
                node.place_finished(Path(place) / "done", run_dir)
                self._train_storage.drop(key)
                self._train_storage.drop(f"train/{run_dir.name}")

    def _send_inputs(self, name: str, items: Path) -> None:
        assert self._storage is not None
        with tempfile.TemporaryDirectory() as place:
            shutil.copyfile(items, Path(place) / "items.jsonl")
            self._storage.push(Path(place), f"runs/{name}/inputs")

    def sent(self, folder: str | None) -> str | None:
        """The folder's path, or its key on the storage, where it is put once."""
        if self._storage is None or folder is None:
            return folder
        key = node.folder_key(folder)
        if not self._storage.has(key):
            self._storage.push(Path(folder), key)
        return key

    def _device_bytes(self) -> int:
        """Memory of one device: of the largest node (CPU), or of the first GPU that can be had."""
        if self.device == "cpu":
            return max(int(entry["Resources"].get("memory", 0)) for entry in _cpu_nodes())
        return int(ray.get(ray.remote(num_gpus=1, max_calls=1)(node.device_bytes).remote("cuda")))


class RaySamplers:
    """A pool of actors, each with a sampling engine. Rows come back to this process, the only one that writes them."""

    def __init__(self, engine: RayEngine, settings: Mapping[str, Any]) -> None:
        self._engine = engine
        self._settings = dict(settings)
        self._actors: list[Any] = []
        self._events: Queue | None = None  # made with the first engine, ended with Ray

    def sample(self, jobs: Sequence[Mapping[str, Any]], tell: Tell) -> None:
        """Sample every job; each ends with a `sampled` or `failed` event."""
        self._engine.connect()
        asked = [self._prepared(job) for job in jobs]
        told = RowKeeper(asked, tell)
        for job in asked:
            job["requests"] = [r for r in job["requests"] if r["id"] not in told.known[job["run"]]]
        by_fresh_engine = []
        for run, ending in self._endings(shares(asked, self._count(asked)), told):
            job = next(job for job in asked if job["run"] == run)
            if ending["event"] == "unproven" and job["method"] == "full":
                by_fresh_engine.append((job, ending))
            else:
                tell(judged(ending))
        for job, ending in by_fresh_engine:
            tell(judged(self._by_fresh_engine(job, ending, told)))

    def close(self) -> None:
        """End the engines."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def _endings(self, pieces: list[dict[str, Any]], told: RowKeeper) -> Iterator[tuple[str, dict[str, Any]]]:
        """(run, the event that ends its job), as soon as all its pieces have ended."""
        if not self._actors:
            told({"event": "engine"})
            count = self._count(pieces)
            self._events = self._events or Queue(actor_options={"num_cpus": 0})
            self._actors = [self._started(self._settings, count) for _ in range(count)]
        pool = ActorPool(self._actors)
        for piece in pieces:
            pool.submit(lambda actor, job: actor.answer.remote(job), piece)
        parts = {piece["run"]: piece["parts"] for piece in pieces}
        ended: dict[str, list[dict[str, Any]]] = {run: [] for run in parts}
        reason = "the engine ended"
        while pool.has_next():
            ending = None
            try:
                ending = pool.get_next_unordered(timeout=POLL_S)
            except TimeoutError:
                pass
            except RayError as error:  # the engine died more often than Ray restarts it
                reason = _reason(error)
            for event in _drained(self._events):
                told(event)
            if ending is not None:
                run = ending["run"]
                ended[run].append(ending)
                if len(ended[run]) == parts[run]:
                    yield run, joined(ended[run])
        lost = [run for run in parts if len(ended[run]) < parts[run]]
        if lost:  # engines are gone for good: the next jobs get new ones
            self.close()
        for run in lost:
            yield run, {"event": "failed", "run": run, "reason": reason}

    def _by_fresh_engine(self, job: dict[str, Any], ending: dict[str, Any], told: RowKeeper) -> dict[str, Any]:
        """The same job by an engine that is started on the checkpoint itself: slow, and right by construction."""
        self.close()
        actor = self._started({**self._settings, "model": job["checkpoint"], "sent": True}, 1)
        ref = actor.answer.remote({**job, "checkpoint": None, "method": "base", "fresh": True})
        while not ray.wait([ref], timeout=POLL_S)[0]:
            for event in _drained(self._events):
                told(event)
        try:
            answer: dict[str, Any] = ray.get(ref)
        except RayError:
            return ending
        finally:
            for event in _drained(self._events):
                told(event)
            ray.kill(actor)
        return {**answer, "route": "fresh engine"} if answer["event"] == "sampled" else answer

    def _prepared(self, job: Mapping[str, Any]) -> dict[str, Any]:
        return {**job, "checkpoint": self._engine.sent(job["checkpoint"])}

    def _count(self, jobs: Sequence[Mapping[str, Any]]) -> int:
        """Engines at a time: one for each group of GPUs that holds the model, or for each node with CPUs alone."""
        if self._engine.options.samplers is not None:
            return self._engine.options.samplers
        if self._engine.device == "cpu":
            return len(_cpu_nodes())
        groups: int = int(ray.cluster_resources().get("GPU", 0)) // self._settings["num_devices"]
        return max(1, groups)

    def _started(self, settings: Mapping[str, Any], count: int) -> Any:
        engine = self._engine
        request: dict[str, Any] = {"num_cpus": 1, "num_gpus": self._settings["num_devices"]}
        if engine.device == "cpu":
            cpus = max(1, int(ray.cluster_resources().get("CPU", 1)) // count)
            # vLLM would bind its threads to all cores of the machine, whatever else runs there.
            variables = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(cpus)}
            request = {"num_cpus": cpus, "runtime_env": {"env_vars": variables}}
        model = settings["model"] if settings.get("sent") else engine.sent(settings["model"])
        body = {**settings, "model": model, "tokenizer": engine.sent(settings["tokenizer"])}
        remote = ray.remote(max_restarts=RETRIES, max_task_retries=RETRIES)(node.Sampler)
        return remote.options(**request).remote(body, engine.options.storage, self._events)


def fit_here(config: dict[str, Any], workers: int, each: dict[str, float]) -> str | None:
    """Train one run on several workers with Ray Train; returns why it failed, if it did. Tried again, it goes on from the
    last state that Ray Train knows under the run's name."""
    (run,) = config["job"]["runs"]
    filesystem, root = Storage(config["states"]).arrow()
    index = node.index_here(config) if config["streams"] else None
    trainer = TorchTrainer(
        _train_loop,
        train_loop_config={**config, "index": index},
        datasets=_streams(config, index, workers) if index is not None else None,
        # each worker reads its own data set, in order
        dataset_config=DataConfig(datasets_to_split=[], execution_options=ExecutionOptions(preserve_order=True)),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu="GPU" in each, resources_per_worker=each),
        run_config=RunConfig(
            name=run["name"],
            storage_path=f"{root}/train",
            storage_filesystem=filesystem,
            failure_config=FailureConfig(max_failures=RETRIES),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        return _reason(error)
    return None


def _train_loop(config: dict[str, Any]) -> None:
    """One worker, in Ray Train's process group."""
    with tempfile.TemporaryDirectory(prefix="worker-", dir=node.scratch()) as place:
        node.train_share(config, _TrainKeeper(Path(place)), Path(place), _own_items)


def _streams(config: dict[str, Any], index: ItemIndex, workers: int) -> dict[str, ray.data.Dataset]:
    """For each worker the lines of its examples in the order of the steps, read while it trains. Only their places are
    held; the tasks that read ask for no CPU, because the workers may have taken all."""
    orders = node.orders(config["job"], index, workers)
    read = functools.partial(node.item_lines, config, index.digest)
    return {
        str(rank): ray.data.from_numpy(blocks).map_batches(read, batch_size=None, num_cpus=0)
        for rank, blocks in enumerate(orders)
    }


def _own_items() -> Iterator[Item]:
    """This worker's examples from the first step on."""
    rank = ray.train.get_context().get_world_rank()
    for row in ray.train.get_dataset_shard(str(rank)).iter_rows():
        yield item_of_line(row["line"], "the streamed training items")


class _TrainKeeper:
    """States as Ray Train's checkpoints: each worker reports its part, and a state counts when all have (worker.Keeper)."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._warned: Any = None

    def newest(self) -> Path | None:
        """The newest state, fetched to this machine."""
        checkpoint = ray.train.get_checkpoint()
        return Path(checkpoint.to_directory(str(self._place / "restored"))) if checkpoint else None

    @contextlib.contextmanager
    def saving(self, step: int) -> Iterator[Path]:
        """A folder for this worker's part, uploaded at the end of the block."""
        part = self._place / "part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        yield part
        checkpoint = Checkpoint.from_directory(str(part)) if any(part.iterdir()) else None
        ray.train.report({"step": step}, checkpoint=checkpoint)

    def save_now(self) -> bool:
        """True once for every announced loss of a machine of this run."""
        warning = ray.train.get_preemption_info()
        fresh: bool = warning is not None and warning != self._warned
        self._warned = warning
        return fresh


def _cpu_nodes() -> list[dict[str, Any]]:
    return [entry for entry in ray.nodes() if entry["Alive"] and entry["Resources"].get("CPU")]


def _memory(place: Placement, device: str, device_bytes: int) -> int:
    """Host memory to reserve. Never more than a node has: the trainer itself says that a run is too large."""
    estimate = place.plan.estimate
    return min(estimate.total_bytes, device_bytes) if device == "cpu" else estimate.host_bytes


def _ended(folder: Path) -> bool:
    return (folder / "trained.json").exists() or (folder / "failure.json").exists()


def _drained(events: Queue | None) -> list[dict[str, Any]]:
    if events is None:
        return []
    found: list[dict[str, Any]] = events.get_nowait_batch(events.size())
    return found


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:500] if lines else ''}"
