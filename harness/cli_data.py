"""The verb `harness data` of the command, and what any verb says while data loads. In: the command's app. Out: the app with it;
the work is in `harness.curate`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

LINE_EVERY_S = 10.0


def add_data(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("data")(data)


def data(
    task: Annotated[str, typer.Argument(help="sql, functional, math, or an installed task")],
    data: str = "builtin",
    data_path: Path | None = None,
    output: Annotated[Path | None, typer.Option(help="a folder; default results/data-TASK-DATA")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="also a cleaned copy and a log of what it lacks")] = False,
    model: Annotated[str, typer.Option(help="whose tokens are counted")] = "smollm2-135m",
    prompt_style: str = "instruct",
    max_length: int = 1024,
    train_size: Annotated[int | None, typer.Option(help="look at so many items of each split only")] = None,
    validation_size: int | None = None,
    test_size: int | None = None,
    offline: bool = False,
) -> None:
    """What is wrong with a task's data: duplicates, leaks, contradictions, bad golds, lengths, balance, secrets."""
    from rich.console import Console

    from harness.core import DataRequest
    from harness.curate.command import DataOptions, run_data

    options = DataOptions(
        task=task,
        request=DataRequest(
            name=data,
            path=data_path,
            train_size=train_size,
            validation_size=validation_size,
            test_size=test_size,
            offline=offline,
        ),
        output=output,
        clean=clean,
        model=model,
        style=prompt_style,
        max_length=max_length,
    )
    run_data(options, Console() if sys.stdout.isatty() else Console(width=140))


class LoadingLines:
    """Says on stderr, now and then, how far a loader is that checks golds for the first time; no word of a quick one."""

    def __init__(self) -> None:
        self._started = self._told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` golds are checked."""
        now = time.monotonic()
        if done == 1:
            self._started = self._told = now
        if now - self._told > LINE_EVERY_S:
            self._told = now
            left = (now - self._started) / done * (total - done)
            typer.echo(f"data: {done:,} of {total:,} golds checked and kept, about {left:.0f} s left", err=True)
