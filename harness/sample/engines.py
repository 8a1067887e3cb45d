"""Settings -> a started sampling engine: vLLM, or transformers where vLLM cannot be installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.sample.protocol import Engine


def start_engine(settings: Mapping[str, Any]) -> Engine:
    """The engine named by `settings["engine"]`, loaded and ready."""
    model, scratch = Path(settings["model"]), Path(settings["scratch"])
    if settings["engine"] == "vllm":
        from harness.sample.vllm_engine import VllmEngine

        return VllmEngine(
            model,
            device=settings["device"],
            max_model_len=settings["max_model_len"],
            max_lora_rank=settings["max_lora_rank"],
            scratch=scratch,
            num_devices=settings["num_devices"],
        )
    from harness.sample.transformers_engine import TransformersEngine

    return TransformersEngine(
        model, device=settings["device"], max_model_len=settings["max_model_len"], scratch=scratch
    )
