"""`python -m tests.engine.ray_driver JOB.json OPTIONS_JSON`: a driver that trains a job on a local Ray, one event a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness.engine import EngineOptions, start_engine


def main() -> None:
    """Train the job's runs and end Ray."""
    path = Path(sys.argv[1])
    engine = start_engine("ray", path.parent, "cpu", EngineOptions(**json.loads(sys.argv[2])))
    try:
        engine.train(json.loads(path.read_text()), lambda event: print(json.dumps(event), flush=True))
    finally:
        engine.stop()


if __name__ == "__main__":
    main()
