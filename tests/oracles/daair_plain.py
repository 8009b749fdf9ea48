"""DaAIR written out term by term: the oracle of the fast network, and what its speed is compared with.

The pieces of `restormer_plain`, every 1x1 convolution of every expert by itself, and all three specialised experts run
for all images, weighted by the one-hot top-1 gate. Same keys as `models/networks/daair.py`,
and nothing shared with it. Evaluation only: no noise, no balance loss, and the controllers are as the state dict says.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .restormer_plain import PlainBlock, PlainCrossAttention, PlainDown, PlainEmbed, PlainUp, conv1, conv3


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


class PlainEncoderBlock(PlainBlock):
    def __init__(self, channels: int, heads: int, expansion: float, rank: int, count: int) -> None:
        super().__init__(channels, heads, expansion)
        self.dale = PlainDaLe(channels, rank, count)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.dale(self.norm1(x)))
        return x + self.ffn(self.norm2(x))


class PlainDecoderBlock(PlainBlock):
    def __init__(self, channels: int, heads: int, expansion: float, rank: int, count: int) -> None:
        super().__init__(channels, heads, expansion, PlainCrossAttention(channels, heads))
        self.dale = PlainDaLe(channels, rank, count)
        self.controller = PlainController(channels, rank)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn(self.dale(y), self.controller(y))
        return x + self.ffn(self.norm2(x))


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

        def stage(kind: type[PlainBlock], level: int, count: int) -> nn.Sequential:
            c = dim * 2**level
            return nn.Sequential(*[kind(c, heads[level], expansion, c // 4, experts) for _ in range(count)])

        widths = [dim * 2**level for level in range(len(heads))]
        upper, lower = widths[:-1], widths[1:]
        self.patch_embed = PlainEmbed(dim)
        self.encoder = nn.ModuleList(
            [stage(PlainEncoderBlock, level, count) for level, count in enumerate(encoder_blocks)]
        )
        self.downs = nn.ModuleList([PlainDown(c) for c in upper])
        self.ups = nn.ModuleList([PlainUp(c) for c in lower])
        self.fuses = nn.ModuleList([conv1(2 * c, c) for c in upper])
        self.decoder = nn.ModuleList(
            [stage(PlainDecoderBlock, level, count) for level, count in enumerate(decoder_blocks)]
        )
        self.refinement = nn.Sequential(*[PlainBlock(dim, heads[0], expansion) for _ in range(refinement_blocks)])
        self.output = conv3(dim, 3)

    def forward(self, image: Tensor) -> Tensor:
        encoded = [self.encoder[0](self.patch_embed(image))]
        for down, encoder in zip(self.downs, self.encoder[1:], strict=True):
            encoded.append(encoder(down(encoded[-1])))
        x = encoded.pop()
        for level in range(len(encoded) - 1, -1, -1):
            x = self.decoder[level](self.fuses[level](torch.cat([self.ups[level](x), encoded[level]], dim=1)))
        return self.output(self.refinement(x)) + image
