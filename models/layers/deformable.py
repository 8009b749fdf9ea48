"""Modulated deformable convolution (Zhu et al., arXiv 1811.11168), 3x3, on channels-last pixels."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint
from torchvision.ops import deform_conv2d

from .depthwise import full_precision
from .layout import channels_last, feature_map, length_of

TAPS = 9
"""Of the 3x3 kernel."""


def deformable_convolution(x: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Every tap of a 3x3 kernel reads a place of its own, between the pixels, weighed by the mask.

    Outside the image everything is zero; padding 1, no bias, one group. Computed in float32 at least.

    Args:
        x: (B, C, H, W).
        offsets: (B, 18, H, W) in pixels; of tap j = 3 * row + column, channel 2j is vertical and 2j + 1 horizontal.
        mask: (B, 9, H, W).
        weight: (C', C, 3, 3).

    Returns:
        (B, C', H, W).
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    with full_precision(x.device.type):
        x, offsets, mask, weight = (t.to(dtype) for t in (x, offsets, mask, weight))
        if torch.compiler.is_exporting():
            return _plain(x, offsets, mask, weight)
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            convolved: Tensor = deform_conv2d(x, offsets, weight, padding=1, mask=mask)
            return convolved
        # The library's operator takes four to six times as long on a CPU, in both directions.
        images = zip(*(channels_last(t).contiguous() for t in (x, offsets, mask)), strict=True)
        # What was sampled is nine times as large as the image: the backward pass samples it again.
        rows = [
            checkpoint(_gathered, *image, weight, use_reentrant=False, preserve_rng_state=False) for image in images
        ]
        return feature_map(torch.stack(rows))


def _plain(x: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """The convolution tap by tap, in operators that every runtime has; for files that other programs run."""
    height, width = x.shape[2:]
    row = torch.arange(height, device=x.device, dtype=x.dtype)[:, None]
    column = torch.arange(width, device=x.device, dtype=x.dtype)
    last_row, last_column = ((length_of(axis, x) - 1).clamp_min(1).to(x.dtype) for axis in (2, 3))
    total: Tensor | None = None
    for tap in range(TAPS):
        y = offsets[:, 2 * tap] + (row + (tap // 3 - 1))
        across = offsets[:, 2 * tap + 1] + (column + (tap % 3 - 1))
        # -1 and 1 are the middles of the outermost pixels; of a side of one pixel there is only -1.
        grid = torch.stack((2 * across / last_column - 1, 2 * y / last_row - 1), dim=-1)
        sampled = F.grid_sample(x, grid, padding_mode="zeros", align_corners=True) * mask[:, tap : tap + 1]
        part = F.conv2d(sampled, weight[:, :, tap // 3, tap % 3, None, None])
        total = part if total is None else total + part
    assert total is not None
    return total


def _gathered(image: Tensor, shifts: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """The convolution of one image (H, W, C) in channels-last memory."""
    sampled = sampled_rows(image, shifts, mask, first=0)
    return (sampled @ weight.permute(2, 3, 1, 0).flatten(0, 2)).view(*image.shape[:2], -1)


def sampled_rows(image: Tensor, shifts: Tensor, mask: Tensor, first: int) -> Tensor:
    """What the taps of some rows of pixels read, in one call of a gathering kernel.

    Args:
        image: (H, W, C), contiguous.
        shifts: offsets of the rows, (rows, W, 18).
        mask: (rows, W, 9).
        first: index of the first of the rows.

    Returns:
        (rows * W, 9 * C), the taps one after the other.
    """
    height, width, channels = image.shape
    rows = shifts.shape[0]
    shifts = shifts.reshape(rows, width, TAPS, 2)
    tap = torch.arange(TAPS, device=image.device)
    row = torch.arange(first, first + rows, device=image.device)[:, None] + tap // 3 - 1  # (rows, taps)
    column = torch.arange(width, device=image.device)[:, None] + tap % 3 - 1  # (W, taps)
    # All places outside the image are zero alike, so the nearest of them will do; whole numbers then stay in range.
    y = (shifts[..., 0] + row[:, None]).clamp_(-1, height)
    x = (shifts[..., 1] + column).clamp_(-1, width)
    top, left = y.floor(), x.floor()
    below, right = y.sub_(top), x.sub_(left)
    top, left = top.int(), left.int()
    upper, lower = (1 - below) * (top >= 0) * (top < height) * mask, below * (top < height - 1) * mask
    weights = torch.stack(
        (
            upper * ((1 - right) * (left >= 0) * (left < width)),
            upper * (right * (left < width - 1)),
            lower * ((1 - right) * (left >= 0) * (left < width)),
            lower * (right * (left < width - 1)),
        ),
        dim=-1,
    )
    # A corner outside has weight zero: which pixel is read for it does not matter.
    above, under = top.clamp(0, height - 1) * width, (top + 1).clamp_(0, height - 1) * width
    west, east = left.clamp(0, width - 1), (left + 1).clamp_(0, width - 1)
    corners = torch.stack((above + west, above + east, under + west, under + east), dim=-1)
    sampled: Tensor = WeightedRows.apply(corners.view(-1, 4), image.view(-1, channels), weights.view(-1, 4))  # type: ignore[no-untyped-call]
    return sampled.view(rows * width, TAPS * channels)


class WeightedRows(torch.autograd.Function):
    """Weighted sums of a few rows of a table, as ``F.embedding_bag`` has them, with gradients in a quarter of its time.

    Its own gradients sort the indices and go through them one by one; here each is a scattering of all rows at once.
    """

    @staticmethod
    def forward(ctx: Any, indices: Tensor, table: Tensor, weights: Tensor) -> Tensor:
        """(N, C) of `indices` (N, K), `table` (T, C) and `weights` (N, K)."""
        ctx.save_for_backward(indices, table, weights)
        return F.embedding_bag(indices, table, per_sample_weights=weights, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        """Of the table and of the weights, each where it is asked for."""
        indices, table, weights = ctx.saved_tensors
        of_table = of_weights = None
        if ctx.needs_input_grad[1]:
            of_table = torch.zeros_like(table)
            for index, weight in zip(indices.long().unbind(1), weights.unbind(1), strict=True):
                of_table.scatter_add_(0, index[:, None].expand_as(gradient), gradient * weight[:, None])
        if ctx.needs_input_grad[2]:
            rows = F.embedding_bag(indices.view(-1, 1), table, mode="sum").view(*indices.shape, -1)
            of_weights = (rows @ gradient[..., None])[..., 0]
        return None, of_table, of_weights
