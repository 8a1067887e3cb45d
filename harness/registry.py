"""A name -> Task, and the package `judges`. The only importer of tasks/ and judges/. Other packages join through the
entry-point group `tunebench.tasks`; a name that is already taken is refused, never renamed.

`from harness.registry import judges` loads that package when it runs, not before: a sweep without a judge needs none.
"""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from harness.core import Task, UserError

if TYPE_CHECKING:
    import judges as judges
else:

    def __getattr__(name: str) -> Any:
        if name == "judges":
            return importlib.import_module("judges")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


BUILTIN = {"sql": "tasks.sql", "functional": "tasks.functional", "math": "tasks.math"}
GROUP = "tunebench.tasks"


def task_names() -> list[str]:
    """Every task that `load_task` knows, built-in ones first."""
    return [*BUILTIN, *sorted(_installed())]


def load_task(name: str) -> Task:
    """The task called `name`. Raises UserError with the nearest known name, or when its package is broken."""
    installed = _installed()
    if name in BUILTIN:
        task = importlib.import_module(BUILTIN[name]).task
    elif name in installed:
        task = installed[name].load()
    else:
        known = task_names()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"unknown task {name!r}{hint} Known tasks: {', '.join(known)}")
    if not isinstance(task, Task):
        raise UserError(f"task {name!r}: its entry point gives {type(task).__name__}, a harness.core.Task is needed")
    if task.name != name:
        raise UserError(f"task {name!r}: its Task calls itself {task.name!r}; both names must be the same")
    return task


def _installed() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in BUILTIN or (point.name in found and found[point.name].value != point.value):
            taken = BUILTIN.get(point.name) or found[point.name].value
            raise UserError(
                f"two tasks are called {point.name!r}: {taken} and {point.value}; rename the entry point of one"
            )
        found[point.name] = point
    return found
