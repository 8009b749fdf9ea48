"""Pieces that NAFNet (arXiv 2204.04676) and KBNet-S share: gates, channel weights, and a U-Net with additive skips.

All of them take and return (B, C, H, W); inside they run in channels-last memory, which the layer norms bring about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layout import channels_last, feature_map, product


def depthwise(channels: int, *, bias: bool) -> nn.Conv2d:
    """3x3 depthwise convolution."""
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias)


def channel_weights(in_channels: int, out_channels: int) -> nn.Sequential:
    """Channel attention: one weight a channel from the average over the image, (B, C', 1, 1)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), Pointwise(in_channels, out_channels))


def in_place(x: Tensor) -> bool:
    """Whether `x`, which nobody else holds, may be overwritten: no gradient is recorded."""
    return not (torch.is_grad_enabled() and x.requires_grad)


def times(x: Tensor, factor: Tensor) -> Tensor:
    """x * factor, in the memory of `x` if no gradient needs it."""
    return x.mul_(factor) if in_place(x) else x * factor


class Pointwise(nn.Conv2d):
    """1x1 convolution as a matrix product over the pixels of channels-last memory, with the keys of the convolution."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        return feature_map(product(channels_last(input), self.weight.flatten(1), self.bias))


class SimpleGate(nn.Module):
    """Product of the two halves of the channels, (B, 2C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


class AdditiveUNet(nn.Module):
    """A U-Net whose skips are added; (B, 3, H, W) of any size -> the same shape.

    It pads with zeros to a multiple of 2 to the power of its levels and crops back.

    Keys ``intro``, ``encoders``, ``downs``, ``middle_blks``, ``ups``, ``decoders``, ``ending``.
    """

    multiple: int

    def build_levels(
        self,
        width: int,
        encoder_blocks: Sequence[int],
        middle_blocks: int,
        decoder_blocks: Sequence[int],
        block: Callable[[int], nn.Module],
    ) -> None:
        """Make the layers; to be called once, in the constructor.

        Args:
            width: channels at full resolution; each level below has twice as many.
            encoder_blocks: blocks of each encoder level from the top.
            middle_blocks: blocks at the bottom.
            decoder_blocks: blocks of each decoder level from the bottom.
            block: makes one from its channels.
        """

        def stage(channels: int, blocks: int) -> nn.Sequential:
            return nn.Sequential(*(block(channels) for _ in range(blocks)))

        self.multiple = 2 ** len(encoder_blocks)
        widths = [width * 2**level for level in range(len(encoder_blocks) + 1)]
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList(stage(c, blocks) for c, blocks in zip(widths, encoder_blocks, strict=False))
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, 2) for c in widths[:-1])
        self.middle_blks = stage(widths[-1], middle_blocks)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 2 * c, 1, bias=False), nn.PixelShuffle(2)) for c in reversed(widths[1:])
        )
        deep_first = zip(reversed(widths[:-1]), decoder_blocks, strict=True)
        self.decoders = nn.ModuleList(stage(c, blocks) for c, blocks in deep_first)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)

    def restore(self, image: Tensor) -> Tensor:
        """The image (B, 3, H, W) in channels-last memory through all levels."""
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        x = self.intro(padded)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle_blks(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(up(x) + skips.pop())
        restored: Tensor = self.ending(x) + padded
        return restored[..., :height, :width]
