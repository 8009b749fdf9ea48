"""Features (B, C, H, W) in channels-last memory, seen with the channels as last axis: as an image or as rows of pixels.

A 1x1 convolution of such a view is a matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor


def length_of(axis: int, x: Tensor) -> Tensor:
    """Length of an axis of x as a tensor (1,): a graph that takes any size cannot compute with the number itself."""
    return torch.arange(x.shape[axis], device=x.device)[-1:] + 1


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), a view."""
    return x.permute(0, 2, 3, 1)


def feature_map(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W), a view; the inverse of `channels_last`."""
    return x.permute(0, 3, 1, 2)


def pixel_rows(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C), a row for each pixel; a view of channels-last memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def planes(rows: Tensor, height: int, width: int) -> Tensor:
    """(B, H * W, C) -> (B, C, H, W) in channels-last memory, a view; the inverse of `pixel_rows`."""
    return rows.view(rows.shape[0], height, width, -1).permute(0, 3, 1, 2)
