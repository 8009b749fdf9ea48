"""NAFNet written out term by term: plain NCHW layout, layer norm from mean and variance over the channel axis.

Same reference keys as `models/networks/nafnet.py`, no shared code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .restormer_plain import PlainLayerNorm, conv1, depthwise


def gate(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=1)
    return first * second


class PlainNAFBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.conv1 = conv1(channels, 2 * channels, bias=True)
        self.conv2 = depthwise(2 * channels, bias=True)
        self.conv3 = conv1(channels, channels, bias=True)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv1(channels, channels, bias=True))
        self.conv4 = conv1(channels, 2 * channels, bias=True)
        self.conv5 = conv1(channels, channels, bias=True)
        self.norm1 = PlainLayerNorm(channels, 1e-6)
        self.norm2 = PlainLayerNorm(channels, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        gated = gate(self.conv2(self.conv1(self.norm1(x))))
        gated = gated * self.sca(gated)
        y = x + self.conv3(gated) * self.beta
        return y + self.conv5(gate(self.conv4(self.norm2(y)))) * self.gamma


class PlainNAFNet(nn.Module):
    def __init__(
        self,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()

        def stage(channels: int, blocks: int) -> nn.Sequential:
            return nn.Sequential(*[PlainNAFBlock(channels) for _ in range(blocks)])

        levels = len(encoder_blocks)
        self.multiple = 2**levels
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList(stage(width << level, n) for level, n in enumerate(encoder_blocks))
        self.downs = nn.ModuleList(nn.Conv2d(width << level, 2 * width << level, 2, 2) for level in range(levels))
        self.middle_blks = stage(width << levels, middle_blocks)
        self.ups = nn.ModuleList(
            nn.Sequential(conv1(width << level, 2 * width << level), nn.PixelShuffle(2))
            for level in range(levels, 0, -1)
        )
        self.decoders = nn.ModuleList(stage(width << (levels - 1 - i), n) for i, n in enumerate(decoder_blocks))
        self.ending = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        x = self.intro(padded)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle_blks(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(up(x) + skip)
        return (self.ending(x) + padded)[:, :, :height, :width]
