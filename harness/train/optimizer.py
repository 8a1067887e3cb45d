"""Trainable parameters and settings -> `Updater`: gradients in, exact weight updates out; and the learning rate.

Adding 1e-5-sized updates to bfloat16 weights loses most of them (8 bits of mantissa), which would bias LoRA against
full fine-tuning. So 16-bit parameters are updated through a float32 master copy ("master"), or rounded up or down at
random in proportion ("stochastic", Zamirai et al. 2020, arXiv:2010.06192: right on average, 4 bytes a weight less).
Gradients of 16-bit parameters are summed over micro-batches in float32 and freed as they come.

AdamW (Loshchilov & Hutter 2019): betas 0.9, 0.999, eps 1e-8. Weight decay skips vectors (norms, biases).
8-bit states: torchao (any device; compiles a kernel). Paged states: bitsandbytes (CUDA).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.core import Schedule, Training, UserError
from harness.train.job import OptimizerName, Options

BETAS = (0.9, 0.999)
EPS = 1e-8


def learning_rate(step: int, num_steps: int, training: Training) -> float:
    """The rate of step `step` (from 0): linear warm-up that ends at the peak, then the schedule down to above 0."""
    warmup = math.ceil(training.warmup_ratio * num_steps)
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    return training.learning_rate * _decay(training.schedule, (step - warmup) / max(1, num_steps - warmup))


def _decay(schedule: Schedule, progress: float) -> float:
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1 - progress if schedule == "linear" else 1.0


class Updater:
    """Owns the optimizer and, for 16-bit parameters, their float32 gradients and master copy."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], training: Training, options: Options) -> None:
        self._parameters = dict(parameters)
        self._max_grad_norm = training.max_grad_norm
        stochastic = options.update_precision == "stochastic" and any(
            p.dtype != torch.float32 for p in parameters.values()
        )
        self._masters = {
            name: p if stochastic or p.dtype == torch.float32 else nn.Parameter(p.detach().float())
            for name, p in self._parameters.items()
        }
        self._hooks = [
            _on_gradient(p, _gradient_mover(self._masters[name]))
            for name, p in self._parameters.items()
            if self._masters[name] is not p
        ]
        matrices = [m for m in self._masters.values() if m.ndim >= 2]
        vectors = [m for m in self._masters.values() if m.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": training.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self.optimizer = _optimizer(options.optimizer, groups, training.learning_rate, stochastic)

    def gradients(self) -> list[Tensor]:
        """The gradients summed so far, one per parameter, to be reduced over workers in place."""
        for master in self._masters.values():
            if master.grad is None:  # a parameter that no example of this worker touched
                master.grad = torch.zeros_like(master)
        return [master.grad for master in self._masters.values() if master.grad is not None]

    def clip(self) -> float:
        """Scale the gradients down to the largest allowed norm; returns the norm before, nan and inf included."""
        masters = [master for master in self._masters.values() if master.grad is not None]
        norm = nn.utils.clip_grad_norm_(masters, self._max_grad_norm, foreach=True)
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def step(self, rate: float) -> None:
        """Update the weights with learning rate `rate` and forget the gradients."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):  # torchao compiles its step around a tensor
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.optimizer.step()
        self._publish()
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """Drop what was accumulated: a step that is tried again starts from nothing."""
        for parameter in (*self._parameters.values(), *self._masters.values()):
            parameter.grad = None

    def weights(self) -> dict[str, Tensor]:
        """The exact trainable weights by name: the float32 master where there is one."""
        return {name: master.detach() for name, master in self._masters.items()}

    def states(self, name: str) -> dict[str, Tensor]:
        """The optimizer's states of one parameter."""
        return dict(self.optimizer.state[self._masters[name]])

    def make_states(self) -> None:
        """Let the optimizer make the states it makes at the first step, without changing a weight."""
        self.gradients()
        rates = [group["lr"] for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.optimizer.step()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self.forget_gradients()

    def load(self, weights: Mapping[str, Tensor], optimizer_state: Mapping[str, Any]) -> None:
        """Continue from what `weights` and `optimizer.state_dict` gave. Raises KeyError on a missing weight."""
        with torch.no_grad():
            for name, master in self._masters.items():
                master.copy_(weights[name])
        self._publish()
        self.optimizer.load_state_dict(dict(optimizer_state))

    def close(self) -> None:
        """Take the hooks off the parameters, which may outlive this updater."""
        for hook in self._hooks:
            hook.remove()
        self.forget_gradients()

    def _publish(self) -> None:
        with torch.no_grad():
            for name, master in self._masters.items():
                if master is not self._parameters[name]:
                    self._parameters[name].copy_(master)


def _on_gradient(parameter: nn.Parameter, action: Callable[[Tensor], None]) -> Any:
    return parameter.register_post_accumulate_grad_hook(action)  # type: ignore[no-untyped-call]


def _gradient_mover(master: nn.Parameter) -> Callable[[Tensor], None]:
    def move(parameter: Tensor) -> None:
        assert parameter.grad is not None
        if master.grad is None:
            master.grad = parameter.grad.float()
        else:
            master.grad.add_(parameter.grad)
        parameter.grad = None

    return move


def _optimizer(
    name: OptimizerName, groups: list[dict[str, Any]], rate: float, stochastic: bool
) -> torch.optim.Optimizer:
    if name == "adamw":
        if stochastic:
            return StochasticAdamW(groups, lr=rate)
        return torch.optim.AdamW(groups, lr=rate, betas=BETAS, eps=EPS, fused=True)
    if name == "adamw8bit":
        return _torchao_adamw(groups, rate, stochastic)
    return _paged_adamw(groups, rate, stochastic)


def _torchao_adamw(groups: list[dict[str, Any]], rate: float, stochastic: bool) -> torch.optim.Optimizer:
    try:
        from torchao.optim import AdamW8bit
    except ImportError as error:
        raise UserError("optimizer=adamw8bit needs torchao: pip install 'tunebench[quant]', or use adamw") from error
    optimizer: torch.optim.Optimizer = AdamW8bit(
        groups, lr=rate, betas=BETAS, eps=EPS, weight_decay=0.0, bf16_stochastic_round=stochastic
    )
    return optimizer


def _paged_adamw(groups: list[dict[str, Any]], rate: float, stochastic: bool) -> torch.optim.Optimizer:
    if not all(p.is_cuda for group in groups for p in group["params"]):
        raise UserError("optimizer=paged keeps its state in CUDA unified memory; on this device use adamw or adamw8bit")
    if stochastic:
        raise UserError("optimizer=paged cannot round stochastically; use update_precision=master, or adamw8bit")
    try:
        from bitsandbytes.optim import PagedAdamW
    except ImportError as error:
        raise UserError("optimizer=paged needs bitsandbytes: pip install bitsandbytes, or use adamw") from error
    optimizer: torch.optim.Optimizer = PagedAdamW(groups, lr=rate, betas=BETAS, eps=EPS, weight_decay=0.0)
    return optimizer


class StochasticAdamW(torch.optim.Optimizer):
    """AdamW on bfloat16 weights: the update is exact in float32, and rounding it back is unbiased.

    Draws from torch's global generator, which the loop seeds at every step.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the parameters' gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["weight_decay"])

    def _update(self, parameter: nn.Parameter, rate: float, decay: float) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter, dtype=torch.float32)
            state["square"] = torch.zeros_like(parameter, dtype=torch.float32)
        state["step"] += 1
        assert parameter.grad is not None
        gradient = parameter.grad.float()
        state["mean"].lerp_(gradient, 1 - BETAS[0])
        state["square"].mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        correction = [1 - beta ** state["step"] for beta in BETAS]
        denominator = (state["square"] / correction[1]).sqrt_().add_(EPS)
        exact = parameter.float().mul_(1 - rate * decay)
        exact.addcdiv_(state["mean"], denominator, value=-rate / correction[0])
        parameter.copy_(stochastically_rounded(exact) if parameter.dtype == torch.bfloat16 else exact)


def stochastically_rounded(exact: Tensor) -> Tensor:
    """float32 -> bfloat16, up or down at random in proportion to the distance: its expectation is `exact`.

    A bfloat16 is the upper half of a float32: adding 16 random bits to the lower half and cutting it off does it.
    """
    noise = torch.randint_like(exact, 0, 1 << 16, dtype=torch.int32)
    return exact.view(torch.int32).add(noise).bitwise_and_(-65536).view(torch.float32).to(torch.bfloat16)
