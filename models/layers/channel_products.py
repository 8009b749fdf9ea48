"""The statistics of transposed attention as an operator: on a GPU with Triton, one pass over queries and keys.

Written with torch, the lengths and the products read queries and keys once each, and a batch's heads are copied before
that. The compiler leaves the products to a library too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .triton.device import kernels_run

Statistics = tuple[Tensor, Tensor, Tensor]


def channel_products(q: Tensor, k: Tensor, heads: int) -> Statistics:
    """Products of every channel of q with every one of k over all pixels, and the squares of each, within heads.

    Products have factors of the dtype of q and k, and float32 sums. Differentiable once.

    Args:
        q, k: (B, C, H, W), of one dtype.
        heads: number of consecutive parts that C is cut into.

    Returns:
        products (B, heads, C/heads, C/heads), q's channel first; squared lengths of the channels of q and of k, both
        (B, heads, C/heads). All float32 (float64 for such maps).
    """
    statistics: Statistics = _statistics(q, k, heads)
    return statistics


def _by_heads(x: Tensor, heads: int) -> Tensor:
    """(B, C, H, W) -> (B, heads, H * W, C / heads); views of channels-last memory for one image."""
    batch, channels, height, width = x.shape
    return x.permute(0, 2, 3, 1).reshape(batch, height * width, heads, channels // heads).transpose(1, 2)


def _forward(q: Tensor, k: Tensor, heads: int) -> Statistics:
    if kernels_run(q):
        from .triton import channel_products as kernels

        if kernels.applies(q, heads):
            return kernels.channel_products(q, k, heads)
    return _plain(q, k, heads)


def _plain(q: Tensor, k: Tensor, heads: int) -> Statistics:
    dtype = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast(q.device.type, enabled=False):
        queries, keys = _by_heads(q, heads).to(dtype), _by_heads(k, heads).to(dtype)
        return queries.transpose(2, 3) @ keys, queries.square().sum(2), keys.square().sum(2)


def _backward(
    of_products: Tensor, of_q_squares: Tensor, of_k_squares: Tensor, q: Tensor, k: Tensor, heads: int
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to q and k: a product and a scaled copy each."""
    with torch.autocast(q.device.type, enabled=False):
        queries, keys = _by_heads(q, heads), _by_heads(k, heads)
        towards = of_products.to(q.dtype)
        of_q = (keys @ towards.transpose(2, 3)).addcmul(queries, 2 * of_q_squares[:, :, None].to(q.dtype))
        of_k = (queries @ towards).addcmul(keys, 2 * of_k_squares[:, :, None].to(k.dtype))
    return _like(of_q, q), _like(of_k, k)


def _like(by_heads: Tensor, x: Tensor) -> Tensor:
    """The inverse of `_by_heads`, in memory as ``torch.empty_like`` makes it."""
    batch, channels, height, width = x.shape
    pixels = by_heads.transpose(1, 2).reshape(batch, height, width, channels)
    return torch.empty_like(x).copy_(pixels.permute(0, 3, 1, 2))


_statistics = torch.library.custom_op("restorebench::channel_products", _forward, mutates_args=())
_statistics_backward = torch.library.custom_op("restorebench::channel_products_backward", _backward, mutates_args=())


@_statistics.register_fake
def _(q: Tensor, k: Tensor, heads: int) -> Statistics:
    batch, each = q.shape[0], q.shape[1] // heads
    dtype = torch.promote_types(q.dtype, torch.float32)
    return (
        q.new_empty(batch, heads, each, each, dtype=dtype),
        q.new_empty(batch, heads, each, dtype=dtype),
        q.new_empty(batch, heads, each, dtype=dtype),
    )


@_statistics_backward.register_fake
def _(
    of_products: Tensor, of_q_squares: Tensor, of_k_squares: Tensor, q: Tensor, k: Tensor, heads: int
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(q), torch.empty_like(k)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Statistics) -> None:
    q, k, ctx.heads = inputs
    ctx.save_for_backward(q, k)


def _differentiate(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    return *_statistics_backward(*gradients, *ctx.saved_tensors, ctx.heads), None


_statistics.register_autograd(_differentiate, setup_context=_save)


@register_flop_formula(torch.ops.restorebench.channel_products)
def _flops(q: tuple[int, ...], k: Any, heads: int, **_: Any) -> int:
    batch, channels, height, width = q
    return 2 * batch * height * width * channels * (channels // heads)


@register_flop_formula(torch.ops.restorebench.channel_products_backward)
def _backward_flops(a: Any, b: Any, c: Any, q: tuple[int, ...], k: Any, heads: int, **_: Any) -> int:
    return 2 * _flops(q, k, heads)
