"""DaAIR written out term by term: the oracle of the fast network, and what its speed is compared with.

Plain NCHW layout, every 1x1 convolution of every expert by itself, attention as Restormer writes it, and all three
specialised experts run for all images, weighted by the one-hot top-1 gate. Same keys as `models/networks/daair.py`,
and nothing shared with it. Evaluation only: no noise, no balance loss, and the controllers are as the state dict says.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Module()
        self.body.weight = nn.Parameter(torch.ones(channels))
        self.body.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=1, keepdim=True)
        variance = x.var(dim=1, keepdim=True, unbiased=False)
        normalised = (x - mean) / torch.sqrt(variance + 1e-5)
        return normalised * self.body.weight.view(1, -1, 1, 1) + self.body.bias.view(1, -1, 1, 1)


def conv1(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 1, bias=False)


def conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)


def depthwise3(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


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
        self.qkv_dwconv = depthwise3(3 * channels)
        self.project_out = conv1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        return self.project_out(channel_attention(q, k, v, self.temperature))


class PlainCrossAttention(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = conv1(channels, channels)
        self.q_dwconv = depthwise3(channels)
        self.kv = conv1(channels, 2 * channels)
        self.kv_dwconv = depthwise3(2 * channels)
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
        self.dwconv = depthwise3(2 * hidden)
        self.project_out = conv1(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(first) * second)


class PlainExperts(nn.Module):
    def __init__(self, channels: int, rank: int, count: int) -> None:
        super().__init__()
        self.reduce = nn.Parameter(torch.randn(count, rank, channels))
        self.mix = nn.Parameter(torch.randn(count, rank, rank))
        self.depthwise = nn.Parameter(torch.randn(count, rank, 3, 3))
        self.out = nn.Parameter(torch.randn(count, rank, rank))

    def forward(self, y: Tensor, number: int) -> Tensor:
        rank = self.out.shape[1]
        v = F.conv2d(y, self.reduce[number][:, :, None, None])
        u = F.conv2d(v, self.mix[number][:, :, None, None])
        u = u * F.conv2d(u, self.depthwise[number][:, None], padding=1, groups=rank)
        return F.conv2d(u, self.out[number][:, :, None, None])


class PlainRouter(nn.Module):
    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, channels))

    def forward(self, y: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(y, 1).flatten(1)
        return F.linear(pooled, self.weight).softmax(dim=-1)


class PlainDaLe(nn.Module):
    def __init__(self, channels: int, rank: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.router = PlainRouter(channels, count)
        self.specialised = PlainExperts(channels, rank, count)
        self.agnostic = PlainExperts(channels, rank, 1)
        self.project = nn.Linear(rank, channels, bias=False)

    def forward(self, y: Tensor) -> Tensor:
        probabilities = self.router(y)
        weights = probabilities * F.one_hot(probabilities.argmax(dim=1), self.count)
        specialised = sum(
            weights[:, number, None, None, None] * self.specialised(y, number) for number in range(self.count)
        )
        product = self.agnostic(y, 0) * specialised
        return F.conv2d(product, self.project.weight[:, :, None, None]) + y


class PlainController(nn.Module):
    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.expert = PlainExperts(channels, rank, 1)
        self.project = nn.Linear(rank, channels, bias=False)

    def forward(self, y: Tensor) -> Tensor:
        return F.conv2d(self.expert(y, 0), self.project.weight[:, :, None, None]) + y


class PlainBlock(nn.Module):
    """`kind`: encoder, decoder or refinement."""

    def __init__(self, kind: str, channels: int, heads: int, expansion: float, rank: int, count: int) -> None:
        super().__init__()
        self.kind = kind
        self.norm1 = PlainNorm(channels)
        self.attn = PlainCrossAttention(channels, heads) if kind == "decoder" else PlainMDTA(channels, heads)
        self.norm2 = PlainNorm(channels)
        self.ffn = PlainGDFN(channels, expansion)
        if kind != "refinement":
            self.dale = PlainDaLe(channels, rank, count)
        if kind == "decoder":
            self.controller = PlainController(channels, rank)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        if self.kind == "encoder":
            x = x + self.attn(self.dale(y))
        elif self.kind == "decoder":
            x = x + self.attn(self.dale(y), self.controller(y))
        else:
            x = x + self.attn(y)
        return x + self.ffn(self.norm2(x))


class PlainResample(nn.Module):
    def __init__(self, channels: int, out: int, shuffle: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3(channels, out), shuffle)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class PlainDaAIR(nn.Module):
    def __init__(
        self,
        dim: int = 24,
        encoder_blocks: Sequence[int] = (3, 5, 5, 7),
        decoder_blocks: Sequence[int] = (3, 5, 5),
        refinement_blocks: int = 2,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        experts: int = 3,
    ) -> None:
        super().__init__()

        def stage(kind: str, level: int, count: int) -> nn.Sequential:
            c = dim * 2**level
            return nn.Sequential(*[PlainBlock(kind, c, heads[level], expansion, c // 4, experts) for _ in range(count)])

        widths = [dim * 2**level for level in range(len(heads))]
        upper, lower = widths[:-1], widths[1:]
        self.patch_embed = nn.Module()
        self.patch_embed.proj = conv3(3, dim)
        self.encoder = nn.ModuleList([stage("encoder", level, count) for level, count in enumerate(encoder_blocks)])
        self.downs = nn.ModuleList([PlainResample(c, c // 2, nn.PixelUnshuffle(2)) for c in upper])
        self.ups = nn.ModuleList([PlainResample(c, 2 * c, nn.PixelShuffle(2)) for c in lower])
        self.fuses = nn.ModuleList([conv1(2 * c, c) for c in upper])
        self.decoder = nn.ModuleList([stage("decoder", level, count) for level, count in enumerate(decoder_blocks)])
        self.refinement = stage("refinement", 0, refinement_blocks)
        self.output = conv3(dim, 3)

    def forward(self, image: Tensor) -> Tensor:
        encoded = [self.encoder[0](self.patch_embed.proj(image))]
        for down, encoder in zip(self.downs, self.encoder[1:], strict=True):
            encoded.append(encoder(down(encoded[-1])))
        x = encoded.pop()
        for level in range(len(encoded) - 1, -1, -1):
            x = self.decoder[level](self.fuses[level](torch.cat([self.ups[level](x), encoded[level]], dim=1)))
        return self.output(self.refinement(x)) + image
