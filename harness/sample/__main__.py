"""`python -m harness.sample SETTINGS.json`: the engine process. Jobs come on stdin, events go to stdout (see protocol)."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path

from harness.sample.engines import start_engine
from harness.sample.protocol import claim_stdout, serve, tell


def main() -> None:
    """Start the engine that the settings name, then serve jobs until stdin ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    events = claim_stdout()
    settings = json.loads(Path(sys.argv[1]).read_text())
    started = time.monotonic()
    engine = start_engine(settings)
    from harness.chat import ChatFormat

    tell(events, "ready", engine=engine.name, seconds=time.monotonic() - started)
    serve(engine, ChatFormat(Path(settings["tokenizer"])).decode, events)


if __name__ == "__main__":
    main()
