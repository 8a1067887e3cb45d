"""`python -m harness.sample SETTINGS.json`: the engine process. Jobs come on stdin, events go to stdout (see protocol)."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path

from harness.sample.protocol import Engine, claim_stdout, serve, tell


def main() -> None:
    """Start the engine that the settings name, then serve jobs until stdin ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    events = claim_stdout()
    settings = json.loads(Path(sys.argv[1]).read_text())
    started = time.monotonic()
    model, scratch = Path(settings["model"]), Path(settings["scratch"])
    engine: Engine
    if settings["engine"] == "vllm":
        from harness.sample.vllm_engine import VllmEngine

        engine = VllmEngine(
            model,
            device=settings["device"],
            max_model_len=settings["max_model_len"],
            max_lora_rank=settings["max_lora_rank"],
            scratch=scratch,
        )
    else:
        from harness.sample.transformers_engine import TransformersEngine

        engine = TransformersEngine(
            model, device=settings["device"], max_model_len=settings["max_model_len"], scratch=scratch
        )
    from harness.chat import ChatFormat

    tell(events, "ready", engine=engine.name, seconds=time.monotonic() - started)
    serve(engine, ChatFormat(Path(settings["tokenizer"])).decode, events)


if __name__ == "__main__":
    main()
