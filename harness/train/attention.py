"""Attention over a packed row: a token sees its own segment up to itself, and the segment's context. Nothing else.

It is registered with transformers under the name `PACKED`, so that any decoder whose attention goes through that
interface (Llama, Mistral, Qwen, ...) is packed without a change to its code. Three ways, one result:
- variable-length flash attention (torch.nn.attention.varlen) on CUDA, for 16-bit rows without shared prefixes;
- scaled_dot_product_attention, segment by segment, anywhere else on CUDA;
- on the CPU, the block-diagonal mask evaluated block by block with plain matrix products: torch's CPU flash kernel
  reached 85 GFLOP/s forward and backward where bf16 products reach 400 (9 heads of 64, 256 tokens, 2 cores).

Shapes: H query heads, G key heads, D head size, T packed tokens, S tokens of a segment, C of its context, K = C + S.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import scaled_dot_product_attention

from harness.core import UserError
from harness.train.batches import Segment

PACKED = "tunebench_packed"
LONG_SEGMENT_TOKENS = 1024  # above, the saved S x K probabilities outgrow the activations; flash attention takes over


def register() -> None:
    """Make `PACKED` known to transformers. It builds no mask for a name that has no mask function."""
    from transformers import AttentionInterface

    AttentionInterface.register(PACKED, packed_attention)


def packed_attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """(attended values [1, T, H, D], None) for query [1, H, T, D], key and value [1, G, T, D].

    Raises UserError for a model whose attention needs more than a causal mask.
    """
    segments: Sequence[Segment] = options["segments"]
    window = options.get("sliding_window")
    if window is not None and max(_span(segment) for segment in segments) > window:
        raise UserError(f"packed training does not cut attention at a sliding window ({window}); lower max_length")
    if options.get("softcap") is not None or options.get("s_aux") is not None:
        raise UserError(f"packed training does not know the attention of {type(module).__name__} (soft cap or sinks)")
    scale = options.get("scaling") or query.shape[-1] ** -0.5
    query_HTD, key_GTD, value_GTD = query[0], key[0], value[0]
    if query.is_cuda and query.dtype != torch.float32 and not any(segment.context for segment in segments):
        return _varlen(query_HTD, key_GTD, value_GTD, segments, scale)[None], None
    outputs_THD = []
    for segment in segments:
        q_HSD = query_HTD[:, segment.start : segment.end]
        k_GKD, v_GKD = _visible(key_GTD, segment), _visible(value_GTD, segment)
        out_HSD = _attend(q_HSD, k_GKD, v_GKD, scale)
        outputs_THD.append(out_HSD.transpose(0, 1))
    return torch.cat(outputs_THD)[None], None


def _span(segment: Segment) -> int:
    return segment.end - segment.start + sum(end - start for start, end in segment.context)


def _visible(rows_GTD: Tensor, segment: Segment) -> Tensor:
    own = rows_GTD[:, segment.start : segment.end]
    if not segment.context:
        return own
    return torch.cat([*(rows_GTD[:, start:end] for start, end in segment.context), own], dim=1)


def _attend(q_HSD: Tensor, k_GKD: Tensor, v_GKD: Tensor, scale: float) -> Tensor:
    if not q_HSD.is_cuda and k_GKD.shape[1] <= LONG_SEGMENT_TOKENS:
        out: Tensor = _BlockAttention.apply(q_HSD, k_GKD, v_GKD, scale)  # type: ignore[no-untyped-call]
        return out
    S, K = q_HSD.shape[1], k_GKD.shape[1]
    mask_SK = None if S == K else torch.ones(S, K, dtype=torch.bool, device=q_HSD.device).tril(K - S)
    return scaled_dot_product_attention(
        q_HSD[None], k_GKD[None], v_GKD[None], attn_mask=mask_SK, is_causal=S == K, scale=scale, enable_gqa=True
    )[0]


def _varlen(q_HTD: Tensor, k_GTD: Tensor, v_GTD: Tensor, segments: Sequence[Segment], scale: float) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    ends = torch.tensor([0, *(s.end for s in segments)], dtype=torch.int32, device=q_HTD.device)
    longest = max(s.end - s.start for s in segments)
    q, k, v = (rows.transpose(0, 1).contiguous() for rows in (q_HTD, k_GTD, v_GTD))
    out = varlen_attn(
        q, k, v, ends, ends, longest, longest, scale=scale, window_size=(-1, 0), enable_gqa=k.shape[1] != q.shape[1]
    )
    assert isinstance(out, Tensor)
    return out


class _BlockAttention(Function):
    """softmax(scale q k^T + causal) v of one segment, by matrix products.

    The heads that share a key head are stacked into one product, so keys and values are never repeated.
    """

    @staticmethod
    def forward(ctx: Any, q_HSD: Tensor, k_GKD: Tensor, v_GKD: Tensor, scale: float) -> Tensor:
        H, S, D = q_HSD.shape
        G, K, _ = k_GKD.shape
        q_GRD = (q_HSD * scale).reshape(G, H // G * S, D)  # R: rows of all the query heads of one key head
        scores = torch.bmm(q_GRD, k_GKD.transpose(1, 2)).view(H, S, K)
        scores += _causal_bias(S, K, scores)
        weights_GRK = torch.softmax(scores, dim=-1).view(G, H // G * S, K)
        ctx.save_for_backward(q_GRD, k_GKD, v_GKD, weights_GRK)
        ctx.scale = scale
        return torch.bmm(weights_GRK, v_GKD).view(H, S, D)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        q_GRD, k_GKD, v_GKD, weights_GRK = ctx.saved_tensors
        (grad_HSD,) = grads
        grad_GRD = grad_HSD.reshape(q_GRD.shape)
        grad_v = torch.bmm(weights_GRK.transpose(1, 2), grad_GRD)
        grad_weights = torch.bmm(grad_GRD, v_GKD.transpose(1, 2))
        grad_scores = torch._softmax_backward_data(grad_weights, weights_GRK, -1, weights_GRK.dtype)
        grad_k = torch.bmm(grad_scores.transpose(1, 2), q_GRD)
        grad_q = torch.bmm(grad_scores, k_GKD).mul_(ctx.scale).view(grad_HSD.shape)
        return grad_q, grad_k, grad_v, None


def _causal_bias(S: int, K: int, like: Tensor) -> Tensor:
    return torch.full((S, K), -math.inf, dtype=like.dtype, device=like.device).triu_(K - S + 1)
