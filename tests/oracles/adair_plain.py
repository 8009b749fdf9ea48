"""AdaIR written out term by term on the plain Restormer: four Fourier transforms a block, a mask as large as the map.

Same reference keys as `models/networks/adair.py`, no shared code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .restormer_plain import PlainCrossAttention, PlainRestormer, conv1, conv3


class PlainSpatialGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        largest, mean = torch.max(x, dim=1, keepdim=True)[0], torch.mean(x, dim=1, keepdim=True)
        return torch.sigmoid(self.spatial(torch.cat([largest, mean], dim=1)))


class PlainChannelGate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(conv1(channels, channels // 16), nn.ReLU(), conv1(channels // 16, channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1)))


class PlainRefine(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.SpatialGate = PlainSpatialGate()
        self.ChannelGate = PlainChannelGate(channels)
        self.proj = conv1(channels, channels, bias=True)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        return self.proj(low * self.SpatialGate(high) + high * self.ChannelGate(low))


class PlainFrequencyBlock(nn.Module):
    def __init__(self, channels: int, published_spares: bool) -> None:
        super().__init__()
        self.para1 = nn.Parameter(torch.zeros(channels, 1, 1))
        self.para2 = nn.Parameter(torch.ones(channels, 1, 1))
        self.conv1 = conv3(3, channels)
        self.rate_conv = nn.Sequential(conv1(channels, channels // 8), nn.GELU(), conv1(channels // 8, 2))
        self.channel_cross_l = PlainCrossAttention(channels, 4)
        self.channel_cross_h = PlainCrossAttention(channels, 4)
        self.channel_cross_agg = PlainCrossAttention(channels, 4)
        self.frequency_refine = PlainRefine(channels)
        if published_spares:
            self.conv = conv3(3, channels)
            self.score_gen = nn.Conv2d(2, 2, 7, padding=3)

    def split(self, f: Tensor) -> tuple[Tensor, Tensor]:
        height, width = f.shape[-2:]
        share = torch.sigmoid(self.rate_conv(F.adaptive_avg_pool2d(f, 1)))
        mask = torch.zeros_like(f)
        for i in range(f.shape[0]):
            a, b = int(height // 128 * share[i, 0, 0, 0]), int(width // 128 * share[i, 1, 0, 0])
            mask[i, :, height // 2 - a : height // 2 + a, width // 2 - b : width // 2 + b] = 1
        centre = (height // 2, width // 2)
        spectrum = torch.roll(torch.fft.fft2(f), centre, dims=(2, 3))
        back = (-centre[0], -centre[1])
        low = torch.fft.ifft2(torch.roll(spectrum * mask, back, dims=(2, 3)))
        high = torch.fft.ifft2(torch.roll(spectrum * (1 - mask), back, dims=(2, 3)))
        return torch.abs(low), torch.abs(high)

    def forward(self, image: Tensor, y: Tensor) -> Tensor:
        resized = F.interpolate(image, y.shape[-2:], mode="bilinear", align_corners=False)
        low, high = self.split(self.conv1(resized))
        aggregate = self.frequency_refine(self.channel_cross_h(low, y), self.channel_cross_l(high, y))
        return self.channel_cross_agg(y, aggregate) * self.para1 + y * self.para2


class PlainAdaIR(PlainRestormer):
    def __init__(
        self,
        dim: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        published_spares: bool = True,
    ) -> None:
        super().__init__(dim, blocks, refinement_blocks, heads, expansion)
        self.fre1 = PlainFrequencyBlock(8 * dim, published_spares)
        self.fre2 = PlainFrequencyBlock(4 * dim, published_spares)
        self.fre3 = PlainFrequencyBlock(2 * dim, published_spares)

    def after_latent(self, x: Tensor, image: Tensor) -> Tensor:
        return self.fre1(image, x)

    def after_level3(self, x: Tensor, image: Tensor) -> Tensor:
        return self.fre2(image, x)

    def after_level2(self, x: Tensor, image: Tensor) -> Tensor:
        return self.fre3(image, x)
