"""Transformer blocks computed a strip of rows at a time, for inference on a CPU.

The hidden maps of a Restormer block are three to six times as wide as its input. Written to memory whole, they cost
more than the arithmetic on them, and most of the peak memory. Here each strip of rows goes through norm, 1x1 and
depthwise convolution while it is in the cache; the two hidden rows that neighbouring strips share are kept, so nothing
is computed twice. The results equal those of the whole-map modules up to rounding, and do not depend on the other
images of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layout import add_product_, product, product_into

STRIP_BYTES = 4 << 20
"""Size aimed at for a strip of the hidden map: about what the cores' own caches hold."""
LEAST_ELEMENTS = 1 << 16
"""Of a last strip: threads that meet at a barrier after every operator on fewer take longer than one alone (0.12 ms
instead of 0.08 for 2,688, 0.28 instead of 0.20 for 65,024, medians on two busy processors, torch 2.14.1)."""


def strips_pay(x: Tensor, hidden_channels: int) -> bool:
    """Whether the strip functions of this module apply to x (B, C, H, W) and are worth it.

    They write into buffers, which rules out gradients, autocast and graph capture, and know float32 on the CPU only.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and 4 * hidden_channels * x.shape[2] * x.shape[3] > STRIP_BYTES
    )


def rows_of_strip(width: int, channels: int) -> int:
    """Rows of a strip of a (channels, H, width) float32 map."""
    return max(1, STRIP_BYTES // (4 * width * channels))


def strip_ends(height: int, rows: int, row_elements: int, least: int) -> list[int]:
    """End row of each strip of `rows` rows; a last one of at most `least` elements is joined with the one before."""
    ends = [*range(rows, height, rows), height]
    if len(ends) > 1 and (height - ends[-2]) * row_elements <= least:
        del ends[-2]
    return ends


def depthwise_strips(
    image: Tensor,
    norm: Callable[[Tensor], Tensor],
    pointwise: nn.Conv2d,
    depthwise: nn.Conv2d,
    *,
    least: int = 0,
) -> Iterator[tuple[int, int, Tensor]]:
    """Strips of ``depthwise(pointwise(norm(x)))``: (first row, end row, (rows * W, hidden)), from the top.

    Rows up to one beyond a strip have been read when it is yielded, so the caller may overwrite the strip's own rows.

    Args:
        image: (1, H, W, C), contiguous.
        norm: acts on each pixel, (1, C, rows, W) -> the same shape.
        pointwise: 1x1 convolution.
        depthwise: 3x3 convolution, padding 1.
        least: elements of a last strip up to which it is joined with the one before. Who adds strips up must leave it
            at 0, to add them in the same order as ever.
    """
    _, height, width, channels = image.shape
    hidden = pointwise.out_channels
    rows = min(rows_of_strip(width, hidden), height)
    matrix = pointwise.weight.flatten(1)
    # The batch axis stays in every view: one added later has a stride by which PyTorch takes the layout for NCHW.
    ends = strip_ends(height, rows, width * hidden, least)
    firsts = [0, *ends[:-1]]
    most = max(end - first for first, end in zip(firsts, ends, strict=True))
    buffer = image.new_empty(1, most + 2, width, hidden)
    buffer[:, 0].zero_()
    ready = 0
    for first, end in zip(firsts, ends, strict=True):
        if first:
            # The last two rows are the row above this strip and its first one.
            buffer[:, :2] = buffer[:, rows : rows + 2].clone()
        target = buffer[:, ready - first + 1 : min(end + 1, height) - first + 1].view(-1, hidden)
        if len(target):
            source = image[:, ready : min(end + 1, height)].permute(0, 3, 1, 2)
            pixels = norm(source).permute(0, 2, 3, 1).reshape(-1, channels)
            product_into(target, pixels, matrix, pointwise.bias)
        ready = min(end + 1, height)
        if end == height:
            buffer[:, end - first + 1].zero_()
        strip = buffer[:, : end - first + 2].permute(0, 3, 1, 2)
        out = F.conv2d(strip, depthwise.weight, depthwise.bias, padding=(0, 1), groups=hidden)
        yield first, end, out.permute(0, 2, 3, 1).reshape(-1, hidden)


def as_images(x: Tensor) -> tuple[Tensor, Tensor]:
    """x in channels-last memory (copied only if it is not), and its (B, H, W, C) view."""
    x = x.contiguous(memory_format=torch.channels_last)
    return x, x.permute(0, 2, 3, 1)


def feed_forward_(
    x: Tensor,
    norm: Callable[[Tensor], Tensor],
    project_in: nn.Conv2d,
    dwconv: nn.Conv2d,
    project_out: nn.Conv2d,
) -> Tensor:
    """x + project_out(gelu(a) * b), where a and b are the halves of dwconv(project_in(norm(x))); may overwrite x.

    Args:
        x: (B, C, H, W) float32 on the CPU; overwritten if it is in channels-last memory.
        norm: layer norm over channels, or any map of each pixel.
        project_in: 1x1 convolution.
        dwconv: 3x3 depthwise convolution.
        project_out: 1x1 convolution.
    """
    x, images = as_images(x)
    gated_channels = project_out.in_channels
    matrix = project_out.weight.flatten(1)
    for image in torch.split(images, 1):
        for first, end, hidden in depthwise_strips(image, norm, project_in, dwconv, least=LEAST_ELEMENTS):
            # Contiguous, because the quick gelu of the CPU takes nothing else.
            gated = F.gelu(hidden[:, :gated_channels].contiguous()).mul_(hidden[:, gated_channels:])
            rows = image[:, first:end].view(-1, image.shape[3])
            add_product_(rows, gated, matrix)
            if project_out.bias is not None:
                rows.add_(project_out.bias)
    return x


def attention(
    x: Tensor,
    norm: Callable[[Tensor], Tensor],
    qkv: nn.Conv2d,
    qkv_dwconv: nn.Conv2d,
    temperature: Tensor,
    project_out: nn.Conv2d,
    eps: float,
    *,
    residual: bool = True,
) -> Tensor:
    """x + project_out(transposed attention of norm(x)), a new tensor in channels-last memory.

    One pass over the strips sums up the logits and keeps the values; then attention and `project_out`, both maps of
    each pixel, are applied as one matrix.

    Args:
        x: (B, C, H, W) float32 on the CPU.
        norm: layer norm over channels, or any map of each pixel.
        qkv: 1x1 convolution C -> 3C.
        qkv_dwconv: 3x3 depthwise convolution.
        temperature: (heads, 1, 1).
        project_out: 1x1 convolution C -> C.
        eps: smallest length by which queries and keys are divided.
        residual: whether x is added.
    """
    x, images = as_images(x)
    restored = torch.empty_like(x)
    for image, out in zip(torch.split(images, 1), torch.split(restored.permute(0, 2, 3, 1), 1), strict=True):
        _, height, width, channels = image.shape
        heads = temperature.shape[0]
        logits = image.new_zeros(heads, channels // heads, channels // heads)
        squares = image.new_zeros(2 * channels)
        for first, end, hidden in depthwise_strips(image, norm, qkv, qkv_dwconv):
            q, k, v = (t.reshape(-1, heads, channels // heads).transpose(0, 1) for t in hidden.chunk(3, dim=1))
            logits.baddbmm_(q.transpose(1, 2), k)
            squares += hidden[:, : 2 * channels].square().sum(dim=0)
            out[:, first:end].view(-1, heads, channels // heads).copy_(v.transpose(0, 1))
        q_length, k_length = squares.sqrt_().clamp_min_(eps).view(2, heads, -1)
        weights = torch.softmax(logits / (q_length[:, :, None] * k_length[:, None, :]) * temperature, dim=-1)
        columns = project_out.weight.view(-1, heads, channels // heads).transpose(0, 1)
        matrix = (columns @ weights).transpose(0, 1).reshape(-1, channels)
        rows = rows_of_strip(width, channels)
        for first in range(0, height, rows):
            values = out[:, first : first + rows].view(-1, channels)
            mixed = product(values, matrix)
            values.copy_(mixed.add_(image[:, first : first + rows].view(-1, channels)) if residual else mixed)
        if project_out.bias is not None:
            out += project_out.bias
    return restored
