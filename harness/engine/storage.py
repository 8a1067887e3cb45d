"""Folders on storage that every machine of a cluster reaches: a path (NFS) or any URL that fsspec opens (s3://, gs://, memory://).

In: a folder here and a name. Out: the same folder there, and back. An object store renames nothing, so a folder counts
once its marker exists, which is written last; what lacks it is a part of a push that died.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from harness.core import UserError

MARKER = ".complete"


class Storage:
    """Named folders under one URL."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        try:
            self.filesystem, self.root = fsspec.core.url_to_fs(url)
        except ImportError as error:  # s3:// wants s3fs, gs:// wants gcsfs
            raise UserError(f"--storage {url} needs another package: {error}") from error
        except ValueError as error:
            raise UserError(f"--storage {url} is no path or URL that fsspec knows: {error}") from error

    def push(self, folder: Path, name: str) -> None:
        """Copy `folder` to `name`, replacing it."""
        self.drop(name)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target = self._path(f"{name}/{path.relative_to(folder).as_posix()}")
                self.filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
                self.filesystem.put_file(str(path), target)
        self.filesystem.pipe_file(self._path(f"{name}/{MARKER}"), b"1")

    def pull(self, name: str, folder: Path) -> bool:
        """Copy `name` to `folder`, whole or not at all; False when there is no complete one."""
        if not self.has(name):
            return False
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        root = self._path(name)
        for path in self.filesystem.find(root):
            relative = str(path)[str(path).index(root) + len(root) + 1 :]
            if relative != MARKER:
                (partial / relative).parent.mkdir(parents=True, exist_ok=True)
                self.filesystem.get_file(path, str(partial / relative))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        return True

    def has(self, name: str) -> bool:
        """Whether `name` is complete."""
        return bool(self.filesystem.exists(self._path(f"{name}/{MARKER}")))

    def names(self, name: str) -> list[str]:
        """The complete folders directly under `name`, sorted."""
        root = self._path(name)
        if not self.filesystem.exists(root):
            return []
        found = [str(path).rstrip("/").rpartition("/")[2] for path in self.filesystem.ls(root, detail=False)]
        return sorted(entry for entry in found if self.has(f"{name}/{entry}"))

    def drop(self, name: str) -> None:
        """Delete `name`, its marker first."""
        path = self._path(name)
        if self.filesystem.exists(f"{path}/{MARKER}"):
            self.filesystem.rm_file(f"{path}/{MARKER}")
        if self.filesystem.exists(path):
            self.filesystem.rm(path, recursive=True)

    def arrow(self) -> tuple[Any, str]:
        """(pyarrow filesystem, path under it): how Ray Train is told where its checkpoints go."""
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        return PyFileSystem(FSSpecHandler(self.filesystem)), self.root

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"
