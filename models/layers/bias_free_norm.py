"""The layer norm without mean and bias that Restormer uses for Gaussian denoising."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BiasFreeChannelNorm(nn.Module):
    """x / sqrt(var(x) + eps) * weight at every pixel, (B, C, H, W) -> the same shape in channels-last memory.

    The variance is that around the mean over the channels, but the mean is not taken off x, as the authors have it.

    Key ``weight`` (C,).
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.permute(0, 2, 3, 1)
        # In float32 at least, as layer norms are under autocast.
        precise = pixels.to(torch.promote_types(pixels.dtype, self.weight.dtype))
        scale = torch.rsqrt(precise.var(dim=-1, correction=0, keepdim=True) + self.eps)
        return (precise * scale * self.weight).permute(0, 3, 1, 2)


class BiasFreeLayerNorm2d(nn.Module):
    """`BiasFreeChannelNorm` under the key ``body.weight`` that Restormer uses."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.body = BiasFreeChannelNorm(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.body(x)
        return normalised
