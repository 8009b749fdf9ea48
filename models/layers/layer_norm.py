"""Layer norms over the channels of every pixel; they return channels-last memory whatever they are given."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layout import channels_last, feature_map


class ChannelLayerNorm(nn.Module):
    """Layer norm over the channels of every pixel, (B, C, H, W) -> the same shape in channels-last memory.

    Keys ``weight`` and ``bias``, both (C,). KBNet uses eps 1e-6, the other networks 1e-5.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        normalised = F.layer_norm(channels_last(x), (self.channels,), self.weight, self.bias, self.eps)
        return feature_map(normalised)


class LayerNorm2d(nn.Module):
    """`ChannelLayerNorm` under the keys ``body.weight`` and ``body.bias`` that Restormer, RBaIR and AnyIR use."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.body = ChannelLayerNorm(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.body(x)
        return normalised


class BiasFreeChannelNorm(nn.Module):
    """x / sqrt(var(x) + eps) * weight at every pixel, (B, C, H, W) -> the same shape in channels-last memory.

    The variance is that around the mean over the channels, but the mean is not taken off x, as Restormer has it.

    Key ``weight`` (C,).
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        # In float32 at least, as layer norms are under autocast.
        pixels = channels_last(x).contiguous().to(torch.promote_types(x.dtype, self.weight.dtype))
        scale = torch.rsqrt(pixels.var(dim=-1, correction=0, keepdim=True) + self.eps)
        return feature_map(pixels * scale * self.weight)


class BiasFreeLayerNorm2d(nn.Module):
    """`BiasFreeChannelNorm` under the key ``body.weight``."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.body = BiasFreeChannelNorm(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.body(x)
        return normalised
