"""What a run needs, before it is started: a model's config.json and the settings -> bytes, tokens, seconds. No torch.

Counted: weights, gradients, optimizer state, saved activations, logits, and on the CPU the interpreter with torch in
it. Not counted: allocator slack, CUDA's context (about 0.5 GB), vLLM. `tests/train/test_memory.py` holds the estimate
against measured peaks within the factor `ACCURACY`.

Bytes per parameter, trained (bfloat16): master 2 weights + 4 gradients + 4 master + 8 AdamW = 18; stochastic 2 + 2 + 8
= 12; 8-bit states make the 8 a 2; paged states live in host memory. LoRA trains float32 adapters: 4 + 4 + 8 = 16 of
each adapter parameter, over 2 of each frozen one (0.53 in nf4, embeddings and head stay 2). Activations follow what
`trainee` saves for the backward pass, layer by layer; with checkpointing one layer's, plus every layer's input.

Several workers: LoRA keeps everything on each (data parallel), only the examples are divided. Full divides its float32
weights, gradients and AdamW states (16 bytes) by the number of workers and gathers two layers at a time (FSDP2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from harness.core import Base, Full, Lora, Method, Training
from harness.train.job import Dtype, Options

ACCURACY = 1.5  # estimate / measured peak and its inverse stay below this in the tests
CPU_PROCESS_BYTES = (
    600 << 20
)  # Python with torch, transformers and peft imported, kernels compiled: 450-700 MB measured
DEFAULT_MICRO_BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}
HEAD_ROWS = 256  # answer positions per block of logits
NF4_BYTES = 0.53  # 4 bits and doubly quantised scales (Dettmers et al. 2023, QLoRA, 0.127 bits a weight)
LEFT_FREE = 0.08  # of the device, for fragmentation and what is not counted (assumed, not measured)


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Peak bytes on the device, by what they are for. `host_bytes` lie in host memory beside a GPU."""

    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    logits_bytes: int
    process_bytes: int
    host_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """Everything on the device."""
        return sum(getattr(self, field.name) for field in fields(self) if field.name != "host_bytes")

    def shortage(self, device_bytes: int) -> str | None:
        """None when it fits a device of that size, else why not, with the largest part named."""
        usable = int(device_bytes * (1 - LEFT_FREE))
        if self.total_bytes <= usable:
            return None
        parts = {f.name.removesuffix("_bytes"): getattr(self, f.name) for f in fields(self) if f.name != "host_bytes"}
        largest = max(parts, key=lambda name: parts[name])
        return (
            f"needs {_gib(self.total_bytes)} and the device has {_gib(usable)} usable; "
            f"the most goes to {largest} ({_gib(parts[largest])})"
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Options under which a run fits, or the last ones tried and why they do not."""

    options: Options
    estimate: MemoryEstimate
    shortage: str | None


def num_parameters(model_config: Mapping[str, Any]) -> int:
    """Parameters of a Llama-architecture model, tied embeddings counted once."""
    copies = 1 if model_config.get("tie_word_embeddings") else 2
    shape = _Shape.of(model_config)
    norms = (2 * shape.layers + 1) * shape.hidden
    return shape.layers * shape.layer_weights + copies * shape.vocabulary * shape.hidden + norms


def num_trainable(model_config: Mapping[str, Any], method: Method) -> int:
    """Parameters that `method` trains."""
    if isinstance(method, Full):
        return num_parameters(model_config)
    if isinstance(method, Base):
        return 0
    linear = _Shape.of(model_config).linear
    return _Shape.of(model_config).layers * sum(method.rank * sum(linear.get(name, (0, 0))) for name in method.targets)


def estimate(
    model_config: Mapping[str, Any],
    method: Lora | Full,
    training: Training,
    device: str,
    *,
    options: Options | None = None,
    dtype: Dtype = "bfloat16",
    workers: int = 1,
) -> MemoryEstimate:
    """The peak of one training run on each of its `workers` devices. Sequences are taken to be `training.max_length`
    long at most."""
    options = options or Options()
    if workers > 1:
        training = replace(training, batch_size=math.ceil(training.batch_size / workers))
        if isinstance(method, Full):
            return _sharded(model_config, training, device, options, workers)
    shape, kind = _Shape.of(model_config), device.split(":")[0]
    number = 2 if dtype == "bfloat16" else 4
    trained, total = num_trainable(model_config, method), num_parameters(model_config)
    frozen = 0 if isinstance(method, Full) else total
    stochastic = isinstance(method, Full) and options.update_precision == "stochastic" and number == 2
    master = isinstance(method, Full) and number == 2 and not stochastic
    inner = shape.layers * shape.layer_weights
    frozen_bytes = int(frozen * number)
    if options.quantize == "nf4":
        frozen_bytes = int(inner * NF4_BYTES + (frozen - inner) * number)
    trained_width = number if isinstance(method, Full) else 4
    states = 8 if options.optimizer != "adamw8bit" else 2.1
    on_device = 0 if options.optimizer == "paged" else int(trained * states)
    tokens = _tokens_a_pass(training, kind, options)
    return MemoryEstimate(
        weights_bytes=frozen_bytes + trained * trained_width + (trained * 4 if master else 0),
        gradients_bytes=trained * (2 if stochastic else 4),
        optimizer_bytes=on_device,
        activations_bytes=_activations(shape, method, tokens, kind, number, options, training.max_length),
        logits_bytes=_logits(shape, method, number),
        process_bytes=CPU_PROCESS_BYTES if kind == "cpu" else 0,
        host_bytes=int(trained * states) - on_device,
    )


def fitting_plan(
    model_config: Mapping[str, Any],
    method: Lora | Full,
    training: Training,
    device: str,
    device_bytes: int,
    options: Options | None = None,
    *,
    dtype: Dtype = "bfloat16",
    workers: int = 1,
) -> Plan:
    """The cheapest change to `options` that fits `device_bytes`, in this order: smaller micro-batches, activation
    checkpointing, stochastic rounding (full only), 8-bit optimizer states. Exact results come before small ones; on
    several workers full keeps its float32 weights."""
    options = options or Options()
    small = replace(options, micro_batch=1)
    saved = replace(small, activation_checkpointing=True)
    ladder = [options, replace(options, micro_batch=max(1, training.batch_size // 4)), small, saved]
    if isinstance(method, Full) and workers == 1:
        rounded = replace(saved, update_precision="stochastic")
        ladder += [rounded, replace(rounded, optimizer="adamw8bit")]
    for candidate in ladder:
        needed = estimate(model_config, method, training, device, options=candidate, dtype=dtype, workers=workers)
        shortage = needed.shortage(device_bytes)
        if shortage is None:
            return Plan(options=candidate, estimate=needed, shortage=None)
    return Plan(options=candidate, estimate=needed, shortage=shortage)


def training_flops(
    model_config: Mapping[str, Any], method: Lora | Full, num_tokens: int, num_answer_tokens: int
) -> float:
    """Floating point operations of training on so many tokens: 4 a frozen weight and token, 6 a trained one; the head
    sees answer tokens alone. Attention scores (small below 1,000 tokens) and prefix sharing are left out."""
    shape = _Shape.of(model_config)
    body, head = shape.layers * shape.layer_weights, shape.vocabulary * shape.hidden
    adapters = 0 if isinstance(method, Full) else num_trainable(model_config, method)
    per_weight = 6 if isinstance(method, Full) else 4
    return num_tokens * (per_weight * body + 6 * adapters) + num_answer_tokens * per_weight * head


def checkpoint_bytes(model_config: Mapping[str, Any], method: Lora | Full, dtype: Dtype = "bfloat16") -> int:
    """Bytes of the weights a run leaves behind: float32 adapters, or a full model in the compute dtype."""
    width = 2 if isinstance(method, Full) and dtype == "bfloat16" else 4
    return num_trainable(model_config, method) * width


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """The numbers of a Llama-architecture config. `linear` maps a module to (inputs, outputs)."""

    layers: int
    hidden: int
    inner: int
    heads: int
    vocabulary: int
    queries: int
    keys: int
    linear: Mapping[str, tuple[int, int]]

    @staticmethod
    def of(config: Mapping[str, Any]) -> _Shape:
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        head = int(config.get("head_dim") or hidden // heads)
        inner = int(config["intermediate_size"])
        queries, keys = heads * head, int(config.get("num_key_value_heads") or heads) * head
        linear = {
            "q_proj": (hidden, queries),
            "k_proj": (hidden, keys),
            "v_proj": (hidden, keys),
            "o_proj": (queries, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }
        layers, vocabulary = int(config["num_hidden_layers"]), int(config["vocab_size"])
        return _Shape(
            layers=layers,
            hidden=hidden,
            inner=inner,
            heads=heads,
            vocabulary=vocabulary,
            queries=queries,
            keys=keys,
            linear=linear,
        )

    @property
    def layer_weights(self) -> int:
        return sum(inputs * outputs for inputs, outputs in self.linear.values())


def _sharded(
    model_config: Mapping[str, Any], training: Training, device: str, options: Options, workers: int
) -> MemoryEstimate:
    """One worker's part of full fine-tuning under FSDP2. On CUDA it computes in bfloat16, on a CPU in float32."""
    shape, kind = _Shape.of(model_config), device.split(":")[0]
    number = 2 if kind == "cuda" else 4
    part = math.ceil(num_parameters(model_config) / workers)
    largest = max(shape.layer_weights, shape.vocabulary * shape.hidden)
    tokens = _tokens_a_pass(training, kind, options)
    return MemoryEstimate(
        weights_bytes=4 * part + 2 * largest * number,
        gradients_bytes=4 * part + largest * 4,
        optimizer_bytes=8 * part,
        activations_bytes=_activations(shape, Full(), tokens, kind, number, options, training.max_length),
        logits_bytes=_logits(shape, Full(), number),
        process_bytes=CPU_PROCESS_BYTES if kind == "cpu" else 0,
    )


def _tokens_a_pass(training: Training, kind: str, options: Options) -> int:
    examples = min(training.batch_size, options.micro_batch or training.batch_size)
    cap = options.micro_batch_tokens or DEFAULT_MICRO_BATCH_TOKENS[kind]
    return max(training.max_length, min(examples * training.max_length, cap))


def _activations(
    shape: _Shape, method: Lora | Full, tokens: int, kind: str, number: int, options: Options, length: int
) -> int:
    """Saved for the backward pass. Per token and layer: two norms (float32 copies), the inputs of the projections, the
    attention's operands, and gate, up, silu(gate) and their product; on the CPU also the attention weights."""
    norms = 2 * (4 + number) * shape.hidden
    attention = number * (2 * shape.queries + 2 * shape.keys)
    feed_forward = 4 * number * shape.inner
    weights = number * shape.heads * min(length, 1024) if kind == "cpu" else 0
    adapters = number * method.rank * len(method.targets) if isinstance(method, Lora) else 0
    layer = tokens * (norms + attention + feed_forward + weights + adapters)
    working = tokens * (4 * number * shape.inner + 4 * 4 * shape.hidden)  # gradients on their way through one layer
    if options.activation_checkpointing:
        return shape.layers * tokens * number * shape.hidden + layer + working
    return shape.layers * layer + working


def _logits(shape: _Shape, method: Lora | Full, number: int) -> int:
    rows = HEAD_ROWS * shape.vocabulary * (4 + 4 + 2 * number)
    return rows + (shape.vocabulary * shape.hidden * (4 + number) if isinstance(method, Full) else 0)


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if math.isfinite(size) else "unlimited"
