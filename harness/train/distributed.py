"""The same loop on several workers of torch.distributed: data parallel for LoRA, FSDP2 for full fine-tuning.

A launcher (torchrun, Ray Train's TorchTrainer, torch.multiprocessing) makes the process group; then
`prepare(base, ...)` gives every worker a `Setup` for `loop.train_steps`. Data parallel needs no wrapper: every worker
holds the same weights and sums gradients once a step, so k workers equal one process with the same global batch (a test
holds that in float32). FSDP2 (`fully_shard`) splits float32 weights, gradients and optimizer over the workers, computes
in bfloat16, and averages gradients itself, which `gradient_scale` undoes.

A saved state is a folder. Data parallel: rank 0 writes what a single process would (`files`). FSDP2: every worker writes
its part with torch.distributed.checkpoint, which can read them back on another number of workers.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from harness.core import Full, Lora, Training, UserError
from harness.train.files import Resumed, read_state, write_state
from harness.train.item_index import ItemIndex
from harness.train.job import Item, Options
from harness.train.loop import Setup, Shard
from harness.train.optimizer import Updater
from harness.train.trainee import AnswerLoss, Trainee, attach


def prepare(
    base: Any, method: Lora | Full, items: Sequence[Item] | ItemIndex, training: Training, seed: int, options: Options
) -> Setup:
    """This worker's setup. `base` is what `load_base` gave: the compute dtype for LoRA, float32 for full.

    Every worker must be given the same arguments. Call it after the process group is up. Raises UserError for an
    optimizer whose states cannot be split.
    """
    if isinstance(method, Full) and dist.get_world_size() > 1 and options.optimizer != "adamw":
        raise UserError(f"optimizer={options.optimizer} is for one device; several share full fine-tuning with adamw")
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
        rank=dist.get_rank(),
        world_size=size,
        sum_number=_sum_number,
        largest=_largest,
        gradient_scale=float(size),
        lockstep=True,
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


def whole_weights(parameters: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The unsharded weights on rank 0's CPU, by name, nothing on other workers; every worker must call it."""
    found = {}
    for name, parameter in parameters.items():  # one at a time: no device holds more than one whole weight
        whole = _whole(parameter.detach())
        if dist.get_rank() == 0:
            found[name] = whole.to("cpu", dtype or whole.dtype)
    return found


def save_state(folder: Path, setup: Setup, identity: str, state: Resumed) -> None:
    """This worker's part of the state after `state.step` steps, into `folder`; every worker must call it."""
    if setup.shard.lockstep:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its next release
            save(_named_state(setup.updater), checkpoint_id=folder)
    if setup.shard.rank == 0:
        write_state(folder, None if setup.shard.lockstep else setup.updater, identity, state)


def load_state(folder: Path, setup: Setup, identity: str) -> Resumed | None:
    """Put a saved state back, or None when it is another run's; every worker must call it."""
    if not setup.shard.lockstep:
        return read_state(folder, setup.updater, identity, setup.device)
    head = read_state(folder, None, identity, setup.device)
    if head is not None:
        setup.updater.make_states()
        state = _named_state(setup.updater)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load(state, checkpoint_id=folder)  # in place
    return head


def _named_state(updater: Updater) -> dict[str, Tensor]:
    """Weights and optimizer states by the parameters' names."""
    named: dict[str, Tensor] = {}
    for name, parameter in updater.weights().items():
        named[f"weight.{name}"] = parameter
        for key, value in updater.states(name).items():
            named[f"{key}.{name}"] = value
    return named


def _whole(tensor: Tensor) -> Tensor:
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full


def _sum_tensors(tensors: list[Tensor]) -> None:
    bucket = nn.utils.parameters_to_vector(tensors)
    dist.all_reduce(bucket)
    nn.utils.vector_to_parameters(bucket, tensors)


def _sum_number(number: float) -> float:
    total = torch.tensor(number, dtype=torch.float64, device=_device())
    dist.all_reduce(total)
    return float(total)


def _largest(number: int) -> int:
    found = torch.tensor(number, dtype=torch.int64, device=_device())
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return int(found)


def _device() -> torch.device:
    """Where the group's backend wants its tensors."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
