"""The whole suite runs on the cores at hand, two to four at once; a part of it, or a debugger, in one process.

`-n 0` turns that off, `-n 8` overrides it. Each worker has one torch thread: two workers with a thread pool for every core
each are slower than one.
"""

from __future__ import annotations

import os

import pytest

MOST_WORKERS = 4
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IS_WORKER:
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when it is imported, and by the processes that tests start


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Ask pytest-xdist for workers when the run is the whole suite and says nothing about workers itself."""
    whole = [os.path.normpath(path) for path in config.args] == ["tests"] or not config.option.file_or_dir
    alone = config.option.usepdb or config.option.collectonly or config.option.keyword
    slow_too = config.option.markexpr != "not slow"  # engines and training take every core themselves
    if whole and not alone and not slow_too and not IS_WORKER and getattr(config.option, "numprocesses", 0) is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        config.option.numprocesses = min(cores, MOST_WORKERS)
        config.option.dist = "worksteal"  # neighbours share fixtures and imports, and nobody waits for the longest file
