"""Depthwise convolutions that libraries compute slowly: weight gradients of wide kernels, dilation, half precision.

Each equals the plain convolution up to rounding.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

WIDEST_HALF_KERNEL = 11
"""Widest kernel that a CPU convolves in half precision here: oneDNN 3.13 (PyTorch 2.15) never returns from a bfloat16
depthwise convolution of at most 16 channels-last channels with a kernel of 15 columns or more."""
WIDE_KERNEL = 13
"""Least side of a kernel whose weight gradient is `weight_gradient` on a CPU: below, the library is as quick."""


def full_precision(device_type: str) -> AbstractContextManager[object]:
    """Autocast off, on devices that know it (meta tensors, on which networks are counted, do not)."""
    if torch.amp.autocast_mode.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def weight_gradient(x: Tensor, gradient: Tensor, kernel: tuple[int, int]) -> Tensor:
    """Gradient of a same-padded depthwise convolution's weight, by the correlation theorem.

    Libraries form it window by window, which for a kernel of 21x21 takes ten times as long as the convolution itself.

    Args:
        x: the convolution's input, (B, C, H, W).
        gradient: that of its output, the same shape.
        kernel: odd height and width.

    Returns:
        (C, 1, *kernel).
    """
    reach = (kernel[0] // 2, kernel[1] // 2)
    # Offsets that wrap around meet zeros only, as far as the kernel reaches.
    size = (x.shape[2] + reach[0], x.shape[3] + reach[1])
    total: Tensor | None = None
    for image, towards in zip(x, gradient, strict=True):  # one at a time: a batch's spectra would fill the memory
        spectrum = torch.fft.rfft2(image.contiguous(), s=size)
        spectrum *= torch.fft.rfft2(towards.contiguous(), s=size).conj_physical_()
        total = spectrum if total is None else total.add_(spectrum)
    assert total is not None
    correlation = torch.fft.irfft2(total, s=size)
    rows, columns = (
        torch.arange(-side, side + 1, device=x.device) % length for side, length in zip(reach, size, strict=True)
    )
    around: Tensor = correlation[:, rows[:, None], columns]
    return around[:, None]


class WideDepthwise(torch.autograd.Function):
    """Same-padded depthwise convolution whose backward pass costs about as much as its forward pass on a CPU."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=(weight.shape[2] // 2, weight.shape[3] // 2), groups=x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        kernel = (weight.shape[2], weight.shape[3])
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            padding = (kernel[0] // 2, kernel[1] // 2)
            of_x = F.conv2d(
                gradient.contiguous(memory_format=torch.channels_last),
                weight.flip(2, 3),
                padding=padding,
                groups=x.shape[1],
            )
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, gradient, kernel)
        return of_x, of_weight


def dilated_by_phases(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Same-padded dilated depthwise convolution as undilated ones on the dilation's phases; equal to ``conv(x)``.

    Pixels that a dilated kernel joins have the same row and column modulo the dilation. Libraries have quick kernels
    for dense windows only, so each of the d x d phases becomes an image of its own.

    Args:
        x: (B, C, H, W), any size.
        conv: square depthwise convolution with an odd kernel, stride 1, no bias and padding ``kernel // 2 * dilation``.
    """
    batch, channels, height, width = x.shape
    d = conv.dilation[0]
    right, bottom = -width % d, -height % d
    if right or bottom:
        x = F.pad(x, (0, right, 0, bottom))
    rows, columns = (height + bottom) // d, (width + right) // d
    phases = x.permute(0, 2, 3, 1).reshape(batch, rows, d, columns, d, channels).permute(0, 2, 4, 1, 3, 5)
    phases = phases.reshape(batch * d * d, rows, columns, channels).permute(0, 3, 1, 2)
    out = F.conv2d(phases, conv.weight, padding=conv.kernel_size[0] // 2, groups=channels)
    out = out.permute(0, 2, 3, 1).reshape(batch, d, d, rows, columns, channels).permute(0, 3, 1, 4, 2, 5)
    out = out.reshape(batch, rows * d, columns * d, channels).permute(0, 3, 1, 2)
    return out[:, :, :height, :width]


def depthwise(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """``conv(x)`` of a same-padded depthwise convolution without bias, (B, C, H, W) -> (B, C, H, W).

    The quickest safe way: for the gradients of a wide kernel on a CPU see `WideDepthwise`.
    """
    if conv.dilation != (1, 1):
        return dilated_by_phases(x, conv)
    half = x.dtype in {torch.bfloat16, torch.float16} or torch.is_autocast_enabled("cpu")
    if half and x.device.type == "cpu" and conv.kernel_size[1] > WIDEST_HALF_KERNEL:
        with full_precision("cpu"):
            return _undilated(x.float(), conv, conv.weight.float()).to(x.dtype)
    return _undilated(x, conv, conv.weight)


def _undilated(x: Tensor, conv: nn.Conv2d, weight: Tensor) -> Tensor:
    learns = torch.is_grad_enabled() and weight.requires_grad and not torch.compiler.is_compiling()
    if learns and x.device.type == "cpu" and min(conv.kernel_size) >= WIDE_KERNEL:
        out: Tensor = WideDepthwise.apply(x, weight)
        return out
    return F.conv2d(x, weight, padding=conv.padding, groups=conv.groups)
