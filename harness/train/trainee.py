"""A base model and a method -> `Trainee`: the network, its trainable parameters, and the way back to the clean base.

LoRA adapters are float32 and the frozen base has the compute dtype: no autocast anywhere, so no cached copy of a
weight can go stale (one autocast context around a whole loop trains nothing, with no error). Full fine-tuning trains
the compute-dtype weights through `optimizer.Updater`, which keeps the exact float32 master copy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.core import Full, Lora, UserError
from harness.models import remote_code_allowed
from harness.train import attention, fused
from harness.train.batches import Packed
from harness.train.job import Dtype, Options, Quantization


class AnswerLoss(nn.Module):
    """The objective as a module, so that a sharding wrapper sees one forward that uses every weight."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, packed: Packed, weight: float) -> Tensor:
        """`weight` x the summed nats of the answer tokens of `packed`. Logits exist at the answer positions alone."""
        device = self.model.get_input_embeddings().weight.device
        hidden_1TE = self.model.model(
            input_ids=packed.input_ids[None].to(device),
            position_ids=packed.position_ids[None].to(device),
            use_cache=False,
            segments=packed.segments,
        ).last_hidden_state
        hidden_AE = hidden_1TE[0].index_select(0, packed.predictors.to(device))
        head_VE = self.model.get_output_embeddings().weight
        return fused.answer_nats(hidden_AE, head_VE, packed.targets.to(device), weight)


@dataclass(kw_only=True)
class Trainee:
    """A network with something to train. `network` is a peft model for LoRA, the transformers model for full."""

    network: Any
    method: Lora | Full
    objective: nn.Module
    parameters: dict[str, nn.Parameter]

    @property
    def num_trainable(self) -> int:
        """Trainable parameters, a tied one counted once."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    @property
    def num_total(self) -> int:
        """All parameters, adapters included. A 4-bit base counts its unpacked weights."""
        frozen = [p for p in self.network.parameters() if not p.requires_grad]
        sizes = [int(2 * p.numel() if p.dtype == torch.uint8 else p.numel()) for p in frozen]
        return self.num_trainable + sum(sizes)


def load_base(folder: Path, device: str, dtype: Dtype, quantize: Quantization) -> Any:
    """The frozen model in `folder` (local files, safetensors, remote code only when the user said so) with packed attention.

    Raises UserError when `quantize` needs a library or device that is not here.
    """
    from transformers import AutoModelForCausalLM

    attention.register()
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        attn_implementation=attention.PACKED,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=remote_code_allowed(),
        **_quantization(quantize, device, dtype),
    )
    if quantize == "none":
        model.to(device)
    return model.requires_grad_(False).eval()


def _quantization(quantize: Quantization, device: str, dtype: Dtype) -> dict[str, Any]:
    if quantize == "none":
        return {}
    try:
        import bitsandbytes  # noqa: F401
        from transformers import BitsAndBytesConfig
    except ImportError as error:
        raise UserError(
            "quantize=nf4 (QLoRA) needs bitsandbytes: pip install bitsandbytes, or quantize=none"
        ) from error
    if not device.startswith("cuda"):
        raise UserError(f"quantize=nf4 (QLoRA) needs a CUDA device, got {device}; use quantize=none")
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
    return {"quantization_config": config, "device_map": {"": device}}


def attach(base: Any, method: Lora | Full, seed: int, options: Options) -> Trainee:
    """`base` with fresh adapters drawn from `seed`, or with all its weights trainable.

    Raises UserError for target modules that the model does not have, and for full training of a quantised base.
    """
    torch.manual_seed(seed)
    if isinstance(method, Full):
        if options.quantize != "none":
            raise UserError(
                f"a base quantised to {options.quantize} cannot be fully fine-tuned; use quantize=none or LoRA"
            )
        network = base.requires_grad_(True)
    else:
        network = _with_adapters(base, method)
    _set_checkpointing(network, options.activation_checkpointing)
    network.train()
    parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
    causal_model = network.get_base_model() if isinstance(method, Lora) else network
    return Trainee(network=network, method=method, objective=AnswerLoss(causal_model), parameters=parameters)


def _with_adapters(base: Any, method: Lora) -> Any:
    from peft import LoraConfig, get_peft_model

    found = {name.rsplit(".", 1)[-1] for name, module in base.named_modules() if isinstance(module, nn.Linear)}
    missing = [target for target in method.targets if target not in found]
    if missing:
        raise UserError(f"LoRA targets {missing} are no linear layers of this model; it has {sorted(found)}")
    config = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=list(method.targets),
        task_type="CAUSAL_LM",
    )
    network = get_peft_model(base, config, autocast_adapter_dtype=True)
    fused.install(network)
    return network


def _set_checkpointing(network: Any, wanted: bool) -> None:
    if wanted:
        network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    else:
        network.gradient_checkpointing_disable()


def detach(trainee: Trainee) -> Any:
    """The untouched base under a LoRA trainee. A fully trained model has no way back: load it again."""
    if not isinstance(trainee.method, Lora):
        raise ValueError("full fine-tuning changed the base; load_base reads it again")
    base = trainee.network.unload()
    if hasattr(base, "peft_config"):
        del base.peft_config
    return base.requires_grad_(False).eval()


def weights_digest(folder: Path) -> str:
    """SHA-256 (16 hex digits) over the base's weight files."""
    hasher = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                hasher.update(chunk)
    return hasher.hexdigest()[:16]
