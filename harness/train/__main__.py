"""`python -m harness.train JOB.json`: train every run of the job, telling stdout one JSON event a line.

Events: started, step (at most two a second), finished, failed, skipped. Exit code 0 when every run ended, well or not;
64 for a job that cannot be read; 75 when a signal stopped it (run the same command again and it goes on).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from harness.core import UserError
from harness.train import interruption

EX_USAGE = 64


def main(arguments: list[str]) -> int:
    """Run the job named on the command line; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m harness.train JOB.json", file=sys.stderr)
        return EX_USAGE
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library that prints must not corrupt the events
    interruption.install()

    def tell(event: dict[str, Any]) -> None:
        events.write(json.dumps(event, ensure_ascii=False) + "\n")
        events.flush()

    try:
        from harness.train.job import read_job

        job = read_job(Path(arguments[0]))
        from harness.train.runs import train_job  # after the job is read: torch takes seconds to import

        train_job(job, tell)
    except interruption.Interrupted:
        return interruption.EXIT_CODE
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return EX_USAGE
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # torch's threads are idle, and a second signal during a slow teardown must not lose the code
