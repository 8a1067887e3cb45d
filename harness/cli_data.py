"""The verb `harness data` of the command. In: the command's app. Out: the app with it; the work is in `harness.curate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


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
