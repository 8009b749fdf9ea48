"""Restormer and the pieces of its family written out term by term, shared by the oracles of the networks built of them.

Plain NCHW layout, layer norm from mean and variance over the channel axis, normalised queries and keys and the
attention of each head written out. Nothing is shared with the package.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv1(channels_in: int, channels_out: int, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 1, bias=bias)


def conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)


def depthwise(channels: int, kernel: int = 3, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=bias)


class PlainLayerNorm(nn.Module):
    """Keys ``weight`` and ``bias``."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=1, keepdim=True)
        variance = x.var(dim=1, keepdim=True, unbiased=False)
        normalised = (x - mean) / torch.sqrt(variance + self.eps)
        return normalised * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class PlainNorm(nn.Module):
    """The same with eps 1e-5, under ``body``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = PlainLayerNorm(channels, 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class PlainBiasFreeNorm(nn.Module):
    """x / sqrt(var(x) + 1e-5) * weight, the mean taken off for the variance only; key ``body.weight``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Module()
        self.body.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        variance = x.var(dim=1, keepdim=True, unbiased=False)
        return x / torch.sqrt(variance + 1e-5) * self.body.weight.view(1, -1, 1, 1)


def channel_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    b, c, h, w = q.shape
    heads = temperature.shape[0]
    q, k, v = (t.reshape(b, heads, c // heads, h * w) for t in (q, k, v))
    q = F.normalize(q, dim=-1)
    k = F.normalize(k, dim=-1)
    attention = (q @ k.transpose(-2, -1)) * temperature
    return (attention.softmax(dim=-1) @ v).reshape(b, c, h, w)


class PlainMDTA(nn.Module):
    def __init__(self, channels: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv1(channels, 3 * channels, bias)
        self.qkv_dwconv = depthwise(3 * channels, bias=bias)
        self.project_out = conv1(channels, channels, bias)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        return self.project_out(channel_attention(q, k, v, self.temperature))


class PlainCrossAttention(nn.Module):
    def __init__(self, channels: int, heads: int, kernel: int = 3) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = conv1(channels, channels)
        self.q_dwconv = depthwise(channels)
        self.kv = conv1(channels, 2 * channels)
        self.kv_dwconv = depthwise(2 * channels, kernel)
        self.project_out = conv1(channels, channels)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        q = self.q_dwconv(self.q(queries))
        k, v = self.kv_dwconv(self.kv(context)).chunk(2, dim=1)
        return self.project_out(channel_attention(q, k, v, self.temperature))


class PlainGDFN(nn.Module):
    def __init__(self, channels: int, expansion: float, bias: bool = False) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = conv1(channels, 2 * hidden, bias)
        self.dwconv = depthwise(2 * hidden, bias=bias)
        self.project_out = conv1(hidden, channels, bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class PlainBlock(nn.Module):
    """x + attention(norm1(x)), then x + GDFN(norm2(x)); the attention is MDTA where no other is given."""

    def __init__(self, channels: int, heads: int, expansion: float, attention: nn.Module | None = None) -> None:
        super().__init__()
        self.norm1 = PlainNorm(channels)
        self.attn = attention or PlainMDTA(channels, heads)
        self.norm2 = PlainNorm(channels)
        self.ffn = PlainGDFN(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class PlainEmbed(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = conv3(3, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class PlainDown(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3(channels, channels // 2), nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class PlainUp(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3(channels, 2 * channels), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class PlainRestormer(nn.Module):
    """The U-Net, with three places where other networks add to it; `lowest`: channels that enter ``up4_3``."""

    def __init__(
        self,
        dim: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        norm: str = "with_bias",
        lowest: int | None = None,
    ) -> None:
        super().__init__()

        def stage(width: int, level: int, count: int) -> nn.Sequential:
            made = nn.Sequential(*[PlainBlock(width, heads[level], expansion) for _ in range(count)])
            for block in made if norm == "bias_free" else ():
                block.norm1, block.norm2 = PlainBiasFreeNorm(width), PlainBiasFreeNorm(width)
            return made

        lowest = lowest or 8 * dim
        self.patch_embed = PlainEmbed(dim)
        self.encoder_level1 = stage(dim, 0, blocks[0])
        self.down1_2 = PlainDown(dim)
        self.encoder_level2 = stage(2 * dim, 1, blocks[1])
        self.down2_3 = PlainDown(2 * dim)
        self.encoder_level3 = stage(4 * dim, 2, blocks[2])
        self.down3_4 = PlainDown(4 * dim)
        self.latent = stage(8 * dim, 3, blocks[3])
        self.up4_3 = PlainUp(lowest)
        self.reduce_chan_level3 = conv1(lowest // 2 + 4 * dim, 4 * dim)
        self.decoder_level3 = stage(4 * dim, 2, blocks[2])
        self.up3_2 = PlainUp(4 * dim)
        self.reduce_chan_level2 = conv1(4 * dim, 2 * dim)
        self.decoder_level2 = stage(2 * dim, 1, blocks[1])
        self.up2_1 = PlainUp(2 * dim)
        self.decoder_level1 = stage(2 * dim, 0, blocks[0])
        self.refinement = stage(2 * dim, 0, refinement_blocks)
        self.output = conv3(2 * dim, 3)

    def after_latent(self, x: Tensor, image: Tensor) -> Tensor:
        return x

    def after_level3(self, x: Tensor, image: Tensor) -> Tensor:
        return x

    def after_level2(self, x: Tensor, image: Tensor) -> Tensor:
        return x

    def forward(self, image: Tensor) -> Tensor:
        level1 = self.encoder_level1(self.patch_embed(image))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.after_latent(self.latent(self.down3_4(level3)), image)
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([self.up4_3(x), level3], dim=1)))
        x = self.after_level3(x, image)
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], dim=1)))
        x = self.after_level2(x, image)
        x = self.decoder_level1(torch.cat([self.up2_1(x), level1], dim=1))
        return self.output(self.refinement(x)) + image
