"""Base folder + PEFT LoRA folder -> a merged transformers folder: W + (alpha / rank) B A, computed in fp32, kept in the base's
dtype. Ours and not peft's, so that peft can be the independent reference of `proof`. DoRA, biases and modules_to_save
are refused, never half applied.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from harness.core import UserError

_PREFIX = "base_model.model."


def write_merged(base: Path, adapter: Path, target: Path) -> Path:
    """Write the merged model to `target` and return it. Raises UserError for an adapter that is not plain LoRA."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    config = json.loads((adapter / "adapter_config.json").read_text())
    updates = _updates(adapter, config)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in base.iterdir():
        if path.is_file() and path.suffix != ".safetensors":
            shutil.copy(path, target / path.name)
    for shard in sorted(base.glob("*.safetensors")):
        with safe_open(shard, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118, no mapping
        for name in list(tensors):
            module = name.removesuffix(".weight")
            if module in updates:
                weight = tensors[name]
                tensors[name] = (weight.float() + updates.pop(module)).to(weight.dtype).contiguous()
        save_file(tensors, target / shard.name, metadata={"format": "pt"})
    if updates:
        raise UserError(f"adapter {adapter} changes modules that {base} does not have: {sorted(updates)[:3]}")
    return target


def _updates(adapter: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Module name -> fp32 weight update."""
    from safetensors.torch import load_file

    plain = config.get("peft_type") == "LORA" and not config.get("use_dora") and config.get("bias", "none") == "none"
    if not plain or config.get("modules_to_save") or config.get("rank_pattern") or config.get("alpha_pattern"):
        raise UserError(f"adapter {adapter} is not plain LoRA; merge it with peft and give the merged folder")
    root = config["r"] if not config.get("use_rslora") else math.sqrt(config["r"])
    scale = config["lora_alpha"] / root
    tensors = load_file(adapter / "adapter_model.safetensors")
    updates = {}
    for name, lora_A in tensors.items():
        if name.endswith(".lora_A.weight"):
            module = name.removesuffix(".lora_A.weight")
            lora_B = tensors[f"{module}.lora_B.weight"]
            updates[module.removeprefix(_PREFIX)] = scale * (lora_B.float() @ lora_A.float())
    if not updates:
        raise UserError(f"adapter {adapter} holds no LoRA weights")
    return updates
