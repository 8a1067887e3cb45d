"""Where stages run: child processes of this machine (local.py), or a Ray cluster (ray.py)"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core import UserError

ENGINES = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How a cluster is used; None lets the engine find out. `storage` is a path or URL that every machine reaches;
    without it they all see the sweep's folder. Workers that share a run hold all its items in memory up to
    `stream_above_gib` of token ids as JSON, and are sent them while they train beyond."""

    storage: str | None = None
    workers_per_run: int | None = None
    samplers: int | None = None
    stream_above_gib: float = 1.0

    def __post_init__(self) -> None:
        for name in ("workers_per_run", "samplers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {value}")


def start_engine(name: str, folder: Path, device: str, options: EngineOptions) -> Any:
    """The engine called `name`. Raises UserError for another name, or where Ray is missing."""
    if name == "local":
        from harness.engine.local import LocalEngine

        return LocalEngine(folder, device)
    if name != "ray":
        raise UserError(f"--engine is {' or '.join(ENGINES)}, got {name!r}")
    try:
        from harness.engine.ray import RayEngine
    except ImportError as error:
        raise UserError(f"--engine ray needs Ray: pip install 'tunebench[ray]' ({error})") from error
    return RayEngine(folder, device, options)
