"""Folders on storage: a local path and fsspec's in-memory object store."""

from __future__ import annotations

import importlib.util
import uuid
from pathlib import Path

import pytest

from harness.core import UserError
from harness.engine.node import FINISHED, collect_finished, fetched, folder_key, place_finished, push_state
from harness.engine.storage import MARKER, Storage

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'tunebench[ray]'")


@pytest.fixture(params=["path", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    url = str(tmp_path / "there") if request.param == "path" else f"memory://{uuid.uuid4().hex}/sweep"
    return Storage(url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.bin").write_bytes(b"\0\1")
    (source / "deep" / "b.txt").write_text("b")
    return source


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_back_as_it_went(storage: Storage, folder: Path, tmp_path: Path) -> None:
    storage.push(folder, "x/y")
    assert storage.pull("x/y", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(folder)
    (folder / "a.bin").unlink()
    storage.push(folder, "x/y")  # replaced, not merged
    assert storage.pull("x/y", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(folder)


def test_a_push_that_died_half_way_is_not_there(storage: Storage, folder: Path, tmp_path: Path) -> None:
    storage.push(folder, "states/step-1")
    storage.push(folder, "states/step-2")
    storage.filesystem.rm_file(f"{storage.root}/states/step-2/{MARKER}")
    assert storage.names("states") == ["step-1"]
    assert not storage.pull("states/step-2", tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert storage.names("nothing") == []


def test_the_newest_state_replaces_older_ones(storage: Storage, folder: Path) -> None:
    for step in (1, 2, 3):
        (folder / f"step-{step}").mkdir()
        (folder / f"step-{step}" / "state.json").write_text(str(step))
        push_state(storage, "runs/r", folder / f"step-{step}")
    assert storage.names("runs/r/resume") == ["step-3"]
    storage.drop("runs/r")
    assert storage.names("runs/r/resume") == []
    storage.drop("runs/r")


def test_a_model_is_fetched_once_and_its_key_changes_with_its_files(
    storage: Storage, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBENCH_SCRATCH", str(tmp_path / "machine"))
    key = folder_key(str(folder))
    with pytest.raises(FileNotFoundError, match="not complete"):
        fetched(storage, key)
    storage.push(folder, key)
    first = fetched(storage, key)
    storage.drop(key)
    assert fetched(storage, key) == first
    assert contents(first) == contents(folder)
    (folder / "a.bin").write_bytes(b"longer")
    assert folder_key(str(folder)) != key


def test_a_finished_run_is_put_into_its_folder_and_replaces_an_older_checkpoint(tmp_path: Path) -> None:
    run, done, target = (tmp_path / name for name in ("run", "done", "target"))
    for folder in (run / "checkpoint", done, target / "checkpoint"):
        folder.mkdir(parents=True)
    (run / "checkpoint" / "new").touch()
    (target / "checkpoint" / "old").touch()
    for name in ("train.jsonl", "trained.json", "not-ours"):
        (run / name).write_text(name)
    collect_finished(run, done)
    place_finished(done, target)
    assert contents(target) == {"checkpoint/new": b"", "train.jsonl": b"train.jsonl", "trained.json": b"trained.json"}
    assert set(FINISHED) >= {path.name for path in target.iterdir()}


def test_storage_that_cannot_be_opened_is_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match="nosuch://bucket is no path or URL"):
        Storage("nosuch://bucket")


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed: nothing to refuse")
def test_a_store_whose_package_is_missing_is_refused_with_its_name() -> None:
    with pytest.raises(UserError, match=r"needs another package: .*s3fs"):
        Storage("s3://bucket/prefix")
