"""The pieces of a training step that torch and peft compute with avoidable work. Same mathematics, fewer passes.

- `LoraLinear`: y = x W^T + s (x A^T) B^T with W frozen. peft casts x to the adapter's float32 and back and saves both;
  here the small A and B are cast instead, gradients of A and B come back in float32, and W never gets one.
- `answer_nats`: summed cross entropy at the answer tokens, row block by row block; gradients are made on the way, so
  the [answer tokens, vocabulary] logits are never kept.

`install` puts LoraLinear under every peft layer it covers; others keep peft's own forward.
Shapes: T tokens, I inputs, O outputs, r rank, A answer tokens, V vocabulary, E hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

HEAD_ROWS = 256  # answer tokens per block of logits: 256 x 49,152 float32 is 50 MB


class LoraLinear(Function):
    """The frozen linear map and its adapter in one node of the graph."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, W_OI: Tensor, bias_O: Tensor | None, A_rI: Tensor, B_Or: Tensor, scale: float
    ) -> Tensor:
        x_TI = x.reshape(-1, x.shape[-1])
        A, B = A_rI.to(x.dtype), (B_Or * scale).to(x.dtype)
        h_Tr = x_TI @ A.t()
        y_TO = nn.functional.linear(x_TI, W_OI, bias_O).addmm_(h_Tr, B.t())
        ctx.save_for_backward(x_TI, h_Tr, W_OI, A, B)
        ctx.scale, ctx.input_shape = scale, x.shape
        return y_TO.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        x_TI, h_Tr, W_OI, A, B = ctx.saved_tensors
        dy_TO = grads[0].reshape(-1, grads[0].shape[-1])
        dh_Tr = dy_TO @ B
        dA = (dh_Tr.t() @ x_TI).float()
        dB = (dy_TO.t() @ h_Tr).float().mul_(ctx.scale)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (dy_TO @ W_OI).addmm_(dh_Tr, A).view(ctx.input_shape)
        return dx, None, None, dA, dB, None


def install(model: nn.Module) -> int:
    """Give every plain peft LoRA linear layer of `model` the fused forward; returns how many it found.

    Layers with dropout, a quantised base, several adapters or another LoRA variant keep peft's forward.
    """
    from peft.tuners.lora.layer import Linear as PeftLinear

    count = 0
    for found in model.modules():
        module: Any = found
        if type(module) is not PeftLinear or type(module.base_layer) is not nn.Linear:
            continue
        (adapter,) = module.active_adapters
        if isinstance(module.lora_dropout[adapter], nn.Identity) and adapter not in module.lora_variant:
            module.forward = _lora_forward(module, adapter)  # an attribute of this instance: unload drops it
            count += 1
    return count


def _lora_forward(module: Any, adapter: str) -> Callable[[Tensor], Tensor]:
    base, down, up = module.base_layer, module.lora_A[adapter], module.lora_B[adapter]
    scale = float(module.scaling[adapter])

    def forward(x: Tensor) -> Tensor:
        y: Tensor = LoraLinear.apply(x, base.weight, base.bias, down.weight, up.weight, scale)  # type: ignore[no-untyped-call]
        return y

    return forward


def answer_nats(hidden_AE: Tensor, head_VE: Tensor, target_A: Tensor, weight: float) -> Tensor:
    """`weight` times the summed negative log-probability, in nats, of `target_A`: one float32 number."""
    total: Tensor = _AnswerNats.apply(hidden_AE, head_VE, target_A, weight)  # type: ignore[no-untyped-call]
    return total


class _AnswerNats(Function):
    """`weight` is applied inside, so that 16-bit gradients have their final size when they are rounded."""

    @staticmethod
    def forward(ctx: Any, hidden_AE: Tensor, head_VE: Tensor, target_A: Tensor, weight: float) -> Tensor:
        total = hidden_AE.new_zeros((), dtype=torch.float32)
        want_hidden, want_head = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        grad_hidden = torch.empty_like(hidden_AE) if want_hidden else None
        grad_head = torch.zeros_like(head_VE, dtype=torch.float32) if want_head else None
        for start in range(0, len(target_A), HEAD_ROWS):
            rows = slice(start, start + HEAD_ROWS)
            targets = target_A[rows, None]
            logits = (hidden_AE[rows] @ head_VE.t()).float()
            log_z = torch.logsumexp(logits, dim=-1, keepdim=True)
            total += (log_z - logits.gather(1, targets)).sum()
            if grad_hidden is None and grad_head is None:
                continue
            grad = logits.sub_(log_z).exp_().scatter_add_(1, targets, logits.new_full(targets.shape, -1.0))
            grad = grad.mul_(weight).to(hidden_AE.dtype)
            if grad_hidden is not None:
                grad_hidden[rows] = grad @ head_VE
            if grad_head is not None:
                grad_head += grad.t() @ hidden_AE[rows]
        ctx.save_for_backward(grad_hidden, grad_head)
        ctx.head_dtype = head_VE.dtype
        return total * weight

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor | None, None, None]:
        grad_hidden, grad_head = ctx.saved_tensors
        hidden = grad_hidden * grads[0] if grad_hidden is not None else None
        head = (grad_head * grads[0]).to(ctx.head_dtype) if grad_head is not None else None
        return hidden, head, None, None
