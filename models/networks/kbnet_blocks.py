"""Blocks of KBNet (arXiv 2303.02881): the block of KBNet-S, and the MFF and block of KBNet-L.

All of them take and return (B, C, H, W); inside they run in channels-last memory, which the layer norms bring about.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.kernel_basis import TAPS, kernel_basis_attention
from ..layers.layer_norm import ChannelLayerNorm
from ..layers.nafnet import Pointwise, SimpleGate, channel_weights, depthwise, times
from ..layers.restormer import MDTA, add_attention

LAYER_SCALE = 1e-2
"""What the learned scales of the branches start from."""


class KernelBasisBranch(nn.Module):
    """What both blocks share: predict the coefficients from x, filter u by the kernels they mix.

    Keys ``w``, ``b``, ``ga1``, ``attgamma``, ``conv2``, ``conv211``.

    Args:
        channels: C of x.
        filtered: C of u.
        group_channels: channels of a group of u.
        narrow: upper limit to the width of the spatial coefficient branch.
        bases: number of kernels.
    """

    def __init__(self, channels: int, filtered: int, *, group_channels: int, narrow: int, bases: int) -> None:
        super().__init__()
        self.group_channels = group_channels
        self.w = nn.Parameter(torch.empty(1, bases, filtered * group_channels * TAPS))
        self.b = nn.Parameter(torch.empty(1, bases, filtered))
        bound = self.w.numel() ** -0.5
        nn.init.uniform_(self.w, -bound, bound)
        nn.init.uniform_(self.b, -bound, bound)
        narrow = min(channels, narrow)
        self.conv2 = nn.Sequential(
            nn.Conv2d(channels, narrow, 3, padding=1, groups=narrow),
            SimpleGate(),
            Pointwise(narrow // 2, bases),
        )
        self.conv211 = Pointwise(channels, bases)
        self.attgamma = nn.Parameter(torch.full((1, bases, 1, 1), LAYER_SCALE))
        self.ga1 = nn.Parameter(torch.full((1, filtered, 1, 1), LAYER_SCALE))

    def adapted(self, x: Tensor, u: Tensor) -> Tensor:
        """u + ga1 * KBA(u, coefficients of x)."""
        coefficients = torch.addcmul(self.conv211(x), self.conv2(x), self.attgamma)
        filtered = kernel_basis_attention(u, coefficients, self.w, self.b, group_channels=self.group_channels)
        return torch.addcmul(u, filtered, self.ga1)


class KBBlockS(KernelBasisBranch):
    """Block of KBNet-S (section 3.3 in the NAFNet-like form), (B, C, H, W) -> (B, C, H, W).

    Args:
        channels: C.
        bases: number of kernels.
        ffn_scale: width of the feed-forward before its gate, times C.
        light: 3x3 depthwise instead of 5x5 grouped convolution in the local branch.
    """

    def __init__(self, channels: int, *, bases: int = 32, ffn_scale: float = 2.0, light: bool = False) -> None:
        super().__init__(channels, channels, group_channels=4, narrow=32, bases=bases)
        self.norm1 = ChannelLayerNorm(channels)
        self.norm2 = ChannelLayerNorm(channels)
        self.sca = channel_weights(channels, channels)
        local = (
            depthwise(channels, bias=True) if light else nn.Conv2d(channels, channels, 5, 1, 2, groups=channels // 4)
        )
        self.conv11 = nn.Sequential(Pointwise(channels, channels), local)
        self.conv1 = Pointwise(channels, channels)
        self.conv21 = depthwise(channels, bias=True)
        self.conv3 = Pointwise(channels, channels)
        hidden = int(channels * ffn_scale)
        self.conv4 = Pointwise(channels, hidden)
        self.gate = SimpleGate()
        self.conv5 = Pointwise(hidden // 2, channels)
        self.beta = nn.Parameter(torch.full((1, channels, 1, 1), LAYER_SCALE))
        self.gamma = nn.Parameter(torch.full((1, channels, 1, 1), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        n = self.norm1(x)
        fused = times(times(self.adapted(n, self.conv21(self.conv1(n))), self.conv11(n)), self.sca(n))
        y = torch.addcmul(x, self.conv3(fused), self.beta)
        return torch.addcmul(y, self.conv5(self.gate(self.conv4(self.norm2(y)))), self.gamma)


class MFF(KernelBasisBranch):
    """Multi-axis feature fusion of KBNet-L, (B, C, H, W) -> (B, C, H, W), hidden width int(C * expansion)."""

    def __init__(self, channels: int, expansion: float = 1.5, *, bases: int = 32) -> None:
        hidden = int(channels * expansion)
        super().__init__(channels, hidden, group_channels=2, narrow=24, bases=bases)
        self.sca = channel_weights(channels, hidden)
        self.dwconv = nn.Sequential(Pointwise(channels, hidden, bias=False), depthwise(hidden, bias=False))
        self.conv1 = nn.Sequential(Pointwise(channels, hidden, bias=False), depthwise(hidden, bias=False))
        self.project_out = Pointwise(hidden, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        fused = times(times(self.adapted(x, self.conv1(x)), F.gelu(self.dwconv(x))), self.sca(x))
        out: Tensor = self.project_out(fused)
        return out


class KBBlockL(nn.Module):
    """x + MFF(norm1(x)), then x + MDTA(norm2(x)). The MFF sits under the key ``attn``, the MDTA under ``ffn``."""

    def __init__(self, channels: int, heads: int, expansion: float = 1.5, *, bases: int = 32) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(channels)
        self.attn = MFF(channels, expansion, bases=bases)
        self.norm2 = ChannelLayerNorm(channels)
        self.ffn = MDTA(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return add_attention(x, self.norm2, self.ffn)
