"""A stage of one run on whichever machine of a cluster has room for it. In: plain values. Out: events; files where they belong.

Without storage the sweep's folder is the same folder on every machine (this one, NFS) and is written directly. With
storage the work is done in a folder of this machine; models, items and states come from the storage, results go to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.core import UserError, digest, spec_from_json
from harness.engine.storage import Storage
from harness.train.job import job_from_json
from harness.train.planning import Question, asked, device_bytes

if TYPE_CHECKING:
    from harness.train.item_index import ItemIndex
    from harness.train.job import Item
    from harness.train.worker import Keeper

__all__ = ["device_bytes"]


class Events(Protocol):
    """The way to the driver."""

    def put(self, event: dict[str, Any]) -> None:
        """Send one event."""


ITEMS_A_BLOCK = 1024  # of a stream: what a reading task brings at a time
FINISHED = ("train.jsonl", "trained.json", "failure.json", "checkpoint")


def scratch() -> Path:
    """This machine's folder for what is fetched and made here."""
    folder = Path(os.environ.get("TUNEBENCH_SCRATCH", Path(tempfile.gettempdir()) / f"tunebench-{os.getuid()}"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def folder_key(folder: str) -> str:
    """The name under which a folder of the driver's machine is kept on the storage: it changes when the files do."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    sizes = [(path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return f"folders/{Path(folder).name}-{digest([folder, sizes])}"


def fetched(storage: Storage, key: str, kept_as: str | None = None) -> Path:
    """A folder of the storage on this machine, fetched once however many processes ask; its name tells its content."""
    target = scratch() / (kept_as or key)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _machine_lock(target.with_name(target.name + ".lock")):
        if not target.is_dir() and not storage.pull(key, target):
            raise FileNotFoundError(f"{storage.url}/{key} is not complete; run the sweep again")
    return target


def question(job: Mapping[str, Any]) -> Question:
    """What the memory model is asked about the job's one run. Raises UserError for a job that cannot be read."""
    return asked(job_from_json(job))


def train_here(job: Mapping[str, Any], storage_url: str | None, events: Events) -> str | None:
    """Train the job's one run to its finishing mark; returns why it was given up, if it was.

    On storage, `job["model"]` is a key, and the run has a "name".
    """
    from harness.train import interruption
    from harness.train.runs import train_job

    interruption.install()
    try:
        if storage_url is None:
            train_job(job_from_json(job), events.put)
        else:
            _train_on_storage(job, Storage(storage_url), events)
    except interruption.Interrupted:
        return "interrupted"
    except UserError as error:
        return str(error)
    return None


def _train_on_storage(job: Mapping[str, Any], storage: Storage, events: Events) -> None:
    from harness.train.runs import train_job

    key = f"runs/{job['runs'][0]['name']}"
    with local_run(job, storage) as (body, run_dir):
        for state in storage.names(f"{key}/resume")[-1:]:
            storage.pull(f"{key}/resume/{state}", run_dir / "resume" / state)

        def told(event: dict[str, Any]) -> None:
            if event["event"] == "saved":
                push_state(storage, key, Path(event["folder"]))
            events.put(event)

        train_job(job_from_json(body), told)
        push_finished(storage, key, run_dir)


def index_here(config: Mapping[str, Any]) -> ItemIndex:
    """The index of the run's items, which are read once on this machine."""
    from harness.train.item_index import index_items

    (run,) = config["job"]["runs"]
    max_length = int(run["spec"]["training"]["max_length"])
    if config["storage"] is None:
        return index_items(Path(run["items"]), max_length)
    with tempfile.TemporaryDirectory(prefix="index-", dir=scratch()) as place:
        _pull_inputs(Storage(config["storage"]), run["name"], Path(place) / "inputs")
        return index_items(Path(place) / "inputs" / "items.jsonl", max_length)


def orders(job: Mapping[str, Any], index: ItemIndex, workers: int) -> list[list[Any]]:
    """For each worker the places of its examples in the items' file, in the order of the steps, in blocks."""
    import numpy as np

    (run,) = job["runs"]
    spec = spec_from_json(run["spec"])
    assert spec.training is not None
    steps = index.steps(spec.training, spec.seed)
    found = []
    for rank in range(workers):
        places = np.array([index.offsets[item] for step in steps for item in step[rank::workers]], dtype=np.int64)
        found.append(np.array_split(places, -(-len(places) // ITEMS_A_BLOCK)))
    return found


def item_lines(config: Mapping[str, Any], content: str, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Places in the items' file (column "data") -> the lines there (column "line"), on any machine."""
    import numpy as np

    from harness.train.item_index import lines_at

    (run,) = config["job"]["runs"]
    path = Path(run["items"])
    if config["storage"] is not None:
        folder = fetched(Storage(config["storage"]), f"runs/{run['name']}/inputs", f"items/{content}")
        path = folder / "items.jsonl"
    return {"line": np.array([line.decode() for line in lines_at(path, batch["data"].tolist())], dtype=object)}


def train_share(
    config: Mapping[str, Any], keeper: Keeper, place: Path, own_items: Callable[[], Iterator[Item]]
) -> None:
    """This worker's share of one run, in a process group. Rank 0 leaves the finished run on config["states"]."""
    import torch
    import torch.distributed as dist

    from harness.train.worker import Streamed, train_shared

    states, job, events = Storage(config["states"]), config["job"], config["events"]
    (run,) = job["runs"]
    key = f"runs/{run['name']}"
    if states.has(f"{key}/done"):  # this worker was lost after the run had ended
        return
    storage = Storage(config["storage"]) if config["storage"] else None
    with local_run(job, storage, place, with_items=config["index"] is None) as (body, run_dir):
        parsed = job_from_json(body)
        if parsed.device == "cuda":
            parsed = replace(parsed, device=f"cuda:{torch.cuda.current_device()}")
        index = config["index"]
        streamed = Streamed(index=index, rows=own_items) if index is not None else None
        train_shared(parsed, parsed.runs[0], keeper, events.put, streamed)
        if dist.get_rank() == 0:
            push_finished(states, key, run_dir)
        dist.barrier()  # the others' end would be taken for the run's


def references_here(job: Mapping[str, Any], storage_url: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(run_dir, reference) of each run, by transformers + peft."""
    from harness.train.reference import references

    found = partial(_path, storage_url)
    runs = [{**run, "checkpoint": found(run["checkpoint"])} for run in job["runs"]]
    yield from references({**job, "model": found(job["model"]), "runs": runs})


class Sampler:
    """A sampling engine. Rows and events go to the driver, which alone writes them."""

    def __init__(self, settings: Mapping[str, Any], storage_url: str | None, events: Events) -> None:
        from harness.chat import ChatFormat
        from harness.sample.engines import start_engine

        self._storage_url, self._events = storage_url, events
        paths = {key: _path(storage_url, settings[key]) for key in ("model", "tokenizer")}
        self._place = tempfile.TemporaryDirectory(prefix="sampler-", dir=scratch())
        self._engine = start_engine({**settings, **paths, "scratch": self._place.name})
        self._decode = ChatFormat(Path(str(paths["tokenizer"]))).decode

    def answer(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the job's requests; returns the event that ends it."""
        from harness.sample.protocol import SampleJob, answer

        body = {key: value for key, value in job.items() if key != "parts"}
        body["checkpoint"] = _path(self._storage_url, job["checkpoint"])

        def tell(event: str, **rest: Any) -> None:
            self._events.put({"event": event, **rest})

        def keep(rows: list[dict[str, Any]]) -> None:
            tell("rows", run=job["run"], rows=rows)

        return answer(self._engine, SampleJob(**body), self._decode, tell, keep)


def _path(storage_url: str | None, folder: str | None) -> str | None:
    """Where a folder of the driver's is on this machine."""
    if storage_url is None or folder is None:
        return folder
    return str(fetched(Storage(storage_url), folder))


@contextlib.contextmanager
def local_run(
    job: Mapping[str, Any], storage: Storage | None, place: Path | None = None, *, with_items: bool = True
) -> Iterator[tuple[dict[str, Any], Path]]:
    """(the job with paths of this machine, its run directory), which is deleted at the end."""
    (run,) = job["runs"]
    with tempfile.TemporaryDirectory(prefix="run-", dir=place or scratch()) as folder:
        run_dir, inputs = Path(folder) / run["name"], Path(folder) / "inputs"
        run_dir.mkdir()
        here = {**run, "run_dir": str(run_dir)}
        here.pop("name")
        if storage is None:
            yield {**job, "runs": [here]}, run_dir
            return
        model = str(fetched(storage, job["model"]))
        if with_items:
            _pull_inputs(storage, run["name"], inputs)
        here |= {"items": str(inputs / "items.jsonl"), "tokenizer": model}
        yield {**job, "model": model, "runs": [here]}, run_dir


def _pull_inputs(storage: Storage, name: str, folder: Path) -> None:
    if not storage.pull(f"runs/{name}/inputs", folder):
        raise FileNotFoundError(f"{storage.url}/runs/{name}/inputs is not complete; run the sweep again")


def push_state(storage: Storage, key: str, folder: Path) -> None:
    """Keep a saved state on the storage, and no older one."""
    older = storage.names(f"{key}/resume")
    storage.push(folder, f"{key}/resume/{folder.name}")
    for name in older:
        if name != folder.name:
            storage.drop(f"{key}/resume/{name}")


def push_finished(storage: Storage, key: str, run_dir: Path) -> None:
    """Hand over a finished run and drop its states."""
    with tempfile.TemporaryDirectory(prefix="done-", dir=scratch()) as place:
        collect_finished(run_dir, Path(place))
        storage.push(Path(place), f"{key}/done")
    storage.drop(f"{key}/resume")


def collect_finished(run_dir: Path, target: Path) -> None:
    """Move the files that a finished run leaves to `target`."""
    for name in FINISHED:
        if (run_dir / name).exists():
            shutil.move(run_dir / name, target / name)


def place_finished(source: Path, run_dir: Path) -> None:
    """Put a finished run's files into its directory, the finishing mark last."""
    run_dir.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(run_dir / "checkpoint", ignore_errors=True)
    for name in sorted(FINISHED, key=lambda name: name in ("trained.json", "failure.json")):
        if (source / name).exists():
            shutil.move(source / name, run_dir / name)


@contextlib.contextmanager
def _machine_lock(path: Path) -> Iterator[None]:
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
