"""The same loop on several workers of torch.distributed: data parallel for LoRA, FSDP2 for full fine-tuning.

A launcher (torchrun, Ray Train's TorchTrainer, torch.multiprocessing) makes the process group; then
`prepare(base, ...)` gives every worker a `Setup` for `loop.train_steps`. Data parallel needs no wrapper: every worker
holds the same weights and sums gradients once a step, so k workers equal one process with the same global batch (a test
holds that in float32). FSDP2 (`fully_shard`) splits float32 weights, gradients and optimizer over the workers, computes
in bfloat16, and averages gradients itself, which `gradient_scale` undoes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from harness.core import Full, Lora, Training
from harness.train.job import Item, Options
from harness.train.loop import Setup, Shard
from harness.train.optimizer import Updater
from harness.train.trainee import AnswerLoss, Trainee, attach


def prepare(
    base: Any, method: Lora | Full, items: Sequence[Item], training: Training, seed: int, options: Options
) -> Setup:
    """This worker's setup. `base` is what `load_base` gave: the compute dtype for LoRA, float32 for full.

    Every worker must be given the same arguments. Call it after the process group is up.
    """
    trainee = attach(base, method, seed, options)
    if isinstance(method, Full) and dist.get_world_size() > 1:
        trainee = fully_sharded(trainee)
        shard = fsdp_shard()
    else:
        shard = data_parallel_shard()
    return Setup(
        trainee=trainee,
        updater=Updater(trainee.parameters, training, options),
        items=items,
        training=training,
        seed=seed,
        options=options,
        device=str(next(iter(trainee.parameters.values())).device),
        shard=shard,
    )


def data_parallel_shard() -> Shard:
    """Every worker has all weights: gradients are summed as one flat bucket a step."""
    return Shard(
        rank=dist.get_rank(), world_size=dist.get_world_size(), sum_tensors=_sum_tensors, sum_number=_sum_number
    )


def fsdp_shard() -> Shard:
    """The wrapper reduces the gradients, by their mean; each pass communicates, so the workers go in lockstep."""
    size = dist.get_world_size()
    return Shard(
        rank=dist.get_rank(), world_size=size, sum_number=_sum_number, gradient_scale=float(size), lockstep=True
    )


def fully_sharded(trainee: Trainee, compute_dtype: torch.dtype = torch.bfloat16) -> Trainee:
    """`trainee` with its float32 weights split over the workers, layer by layer."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    cuda = next(iter(trainee.parameters.values())).is_cuda
    policy = MixedPrecisionPolicy(param_dtype=compute_dtype if cuda else None, reduce_dtype=torch.float32)
    objective = trainee.objective
    assert isinstance(objective, AnswerLoss)
    for layer in objective.model.model.layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(objective, mp_policy=policy)
    parameters = {name.removeprefix("model."): p for name, p in objective.named_parameters() if p.requires_grad}
    return Trainee(network=trainee.network, method=trainee.method, objective=objective, parameters=parameters)


def whole_weights(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The unsharded weights on the CPU, by name; every worker must call it."""
    return {name: _whole(parameter.detach()).cpu() for name, parameter in parameters.items()}


def _whole(tensor: Tensor) -> Tensor:
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full


def _sum_tensors(tensors: list[Tensor]) -> None:
    bucket = nn.utils.parameters_to_vector(tensors)
    dist.all_reduce(bucket)
    nn.utils.vector_to_parameters(bucket, tensors)


def _sum_number(number: float) -> float:
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    total = torch.tensor(number, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return float(total)
