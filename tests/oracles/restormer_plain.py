"""The pieces of the Restormer family written out term by term, shared by the oracles of the networks built of them.

Plain NCHW layout, layer norm from mean and variance over the channel axis, normalised queries and keys and the
attention of each head written out. Nothing is shared with the package.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv1(channels_in: int, channels_out: int, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 1, bias=bias)


def conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)


def depthwise(channels: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)


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


def channel_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    b, c, h, w = q.shape
    heads = temperature.shape[0]
    q, k, v = (t.reshape(b, heads, c // heads, h * w) for t in (q, k, v))
    q = F.normalize(q, dim=-1)
    k = F.normalize(k, dim=-1)
    attention = (q @ k.transpose(-2, -1)) * temperature
    return (attention.softmax(dim=-1) @ v).reshape(b, c, h, w)


class PlainMDTA(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv1(channels, 3 * channels)
        self.qkv_dwconv = depthwise(3 * channels)
        self.project_out = conv1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        return self.project_out(channel_attention(q, k, v, self.temperature))


class PlainCrossAttention(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = conv1(channels, channels)
        self.q_dwconv = depthwise(channels)
        self.kv = conv1(channels, 2 * channels)
        self.kv_dwconv = depthwise(2 * channels)
        self.project_out = conv1(channels, channels)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        q = self.q_dwconv(self.q(queries))
        k, v = self.kv_dwconv(self.kv(context)).chunk(2, dim=1)
        return self.project_out(channel_attention(q, k, v, self.temperature))


class PlainGDFN(nn.Module):
    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = conv1(channels, 2 * hidden)
        self.dwconv = depthwise(2 * hidden)
        self.project_out = conv1(hidden, channels)

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
