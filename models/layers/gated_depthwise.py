"""The gate of a gated feed-forward as an operator: on a GPU with Triton, one pass over the hidden map.

Written with torch, the convolution writes a map twice as wide as the result, which gelu and product read again. The
compiler fuses these two, but leaves the convolution to a library.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from .triton.device import kernels_run


def gated_depthwise(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """gelu(a) * b, where a and b are the halves of ``conv(x)``.

    Sums and gelu are float32. The backward pass computes the convolution anew; differentiable once.

    Args:
        x: (B, 2h, H, W).
        conv: depthwise 3x3 convolution of padding 1.

    Returns:
        (B, h, H, W) in channels-last memory, with the dtype of x.
    """
    gated: Tensor = _gated(x, conv.weight, conv.bias)
    return gated


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if kernels_run(x):
        from .triton import gated_depthwise as kernels

        return kernels.gated_depthwise(x, weight, bias)
    return _plain(x, weight, bias)


def _plain(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        gate, value = _convolved(x, weight, bias).chunk(2, dim=1)
        return (F.gelu(gate) * value).contiguous(memory_format=torch.channels_last)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    rows = x.contiguous(memory_format=torch.channels_last)
    return F.conv2d(rows, weight.to(x.dtype), None if bias is None else bias.to(x.dtype), padding=1, groups=x.shape[1])


def _backward(grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to x, weight and bias (of no elements where there is none)."""
    with torch.autocast(x.device.type, enabled=False):
        gate, value = _convolved(x, weight, bias).chunk(2, dim=1)
        towards = torch.cat([torch.ops.aten.gelu_backward(grad * value, gate), grad * F.gelu(gate)], dim=1)
        of_x, of_weight, of_bias = torch.ops.aten.convolution_backward(
            *(towards, x.contiguous(memory_format=torch.channels_last), weight.to(x.dtype)),
            *(None if bias is None else [x.shape[1]], [1, 1], [1, 1], [1, 1], False, [0, 0], x.shape[1]),
            [True, True, bias is not None],
        )
    return (
        torch.empty_like(x).copy_(of_x),
        torch.empty_like(weight).copy_(of_weight),
        weight.new_empty(0) if bias is None else of_bias.to(bias.dtype),
    )


_gated = torch.library.custom_op("restorebench::gated_depthwise", _forward, mutates_args=())
_gated_backward = torch.library.custom_op("restorebench::gated_depthwise_backward", _backward, mutates_args=())


@_gated.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    batch, doubled, height, width = x.shape
    shape, layout = (batch, doubled // 2, height, width), torch.channels_last
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)


@_gated_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), weight.new_empty(0 if bias is None else bias.shape[0])


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias = ctx.saved_tensors
    of_x, of_weight, of_bias = _gated_backward(grad, x, weight, bias)
    return of_x, of_weight, None if bias is None else of_bias


_gated.register_autograd(_differentiate, setup_context=_save)


@register_flop_formula(torch.ops.restorebench.gated_depthwise)
def _flops(x: tuple[int, ...], weight: tuple[int, ...], bias: Any, **_: Any) -> int:
    return 2 * x[0] * x[1] * x[2] * x[3] * weight[2] * weight[3]


@register_flop_formula(torch.ops.restorebench.gated_depthwise_backward)
def _backward_flops(grad: Any, x: tuple[int, ...], weight: tuple[int, ...], bias: Any, **_: Any) -> int:
    return 3 * _flops(x, weight, bias)
