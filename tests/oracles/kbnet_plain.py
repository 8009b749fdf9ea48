"""KBNet-S and KBNet-L written straight down from their descriptions, under the same keys: oracle, speed comparator.

Nothing here is shared with the package. The pieces of `restormer_plain`, and per-pixel kernels written out for the
whole image (unfold and matrix product).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .restormer_plain import PlainDown, PlainEmbed, PlainLayerNorm, PlainMDTA, PlainUp


def kernel_basis_attention(u: Tensor, a: Tensor, w: Tensor, b: Tensor, group_channels: int) -> Tensor:
    batch, channels, height, width = u.shape
    groups, pixels = channels // group_channels, height * width
    a = a.reshape(batch, -1, pixels).transpose(1, 2)
    kernels = (a @ w).reshape(batch, pixels, groups, group_channels, group_channels * 9)
    windows = F.unfold(u, 3, padding=1).reshape(batch, groups, group_channels * 9, pixels).permute(0, 3, 1, 2)
    out = (kernels @ windows.unsqueeze(-1)).reshape(batch, pixels, channels) + a @ b
    return out.transpose(1, 2).reshape(u.shape)


class PlainGate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


def pooled(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, out, 1))


class PlainBlockS(nn.Module):
    def __init__(self, c: int, bases: int, ffn_scale: float, light: bool) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(1, bases, c * 36) * 0.05)
        self.b = nn.Parameter(torch.randn(1, bases, c) * 0.05)
        narrow, hidden = min(c, 32), int(c * ffn_scale)
        self.norm1, self.norm2 = PlainLayerNorm(c, 1e-6), PlainLayerNorm(c, 1e-6)
        self.sca = pooled(c, c)
        local = nn.Conv2d(c, c, 3, 1, 1, groups=c) if light else nn.Conv2d(c, c, 5, 1, 2, groups=c // 4)
        self.conv11 = nn.Sequential(nn.Conv2d(c, c, 1), local)
        self.conv1 = nn.Conv2d(c, c, 1)
        self.conv21 = nn.Conv2d(c, c, 3, 1, 1, groups=c)
        self.conv2 = nn.Sequential(
            nn.Conv2d(c, narrow, 3, 1, 1, groups=narrow), PlainGate(), nn.Conv2d(narrow // 2, bases, 1)
        )
        self.conv211 = nn.Conv2d(c, bases, 1)
        self.conv3 = nn.Conv2d(c, c, 1)
        self.conv4 = nn.Conv2d(c, hidden, 1)
        self.conv5 = nn.Conv2d(hidden // 2, c, 1)
        self.gate = PlainGate()
        self.attgamma = nn.Parameter(torch.full((1, bases, 1, 1), 0.01))
        self.ga1, self.beta, self.gamma = (nn.Parameter(torch.full((1, c, 1, 1), 0.01)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        n = self.norm1(x)
        u = self.conv21(self.conv1(n))
        a = self.conv2(n) * self.attgamma + self.conv211(n)
        k = kernel_basis_attention(u, a, self.w, self.b, 4) * self.ga1 + u
        y = x + self.conv3(k * self.conv11(n) * self.sca(n)) * self.beta
        return y + self.conv5(self.gate(self.conv4(self.norm2(y)))) * self.gamma


class PlainKBNetS(nn.Module):
    def __init__(
        self,
        width: int = 64,
        encoder_blocks: Sequence[int] = (2, 2, 4, 8),
        middle_blocks: int = 12,
        decoder_blocks: Sequence[int] = (2, 2, 2, 2),
        ffn_scale: float = 2.0,
        bases: int = 32,
        light: bool = False,
    ) -> None:
        super().__init__()

        def stage(c: int, count: int) -> nn.Sequential:
            return nn.Sequential(*[PlainBlockS(c, bases, ffn_scale, light) for _ in range(count)])

        self.intro = nn.Conv2d(3, width, 3, 1, 1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        c = width
        for count in encoder_blocks:
            self.encoders.append(stage(c, count))
            self.downs.append(nn.Conv2d(c, 2 * c, 2, 2))
            c *= 2
        self.middle_blks = stage(c, middle_blocks)
        for count in decoder_blocks:
            self.ups.append(nn.Sequential(nn.Conv2d(c, 2 * c, 1, bias=False), nn.PixelShuffle(2)))
            c //= 2
            self.decoders.append(stage(c, count))
        self.ending = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        multiple = 2 ** len(self.encoders)
        image = F.pad(image, (0, -width % multiple, 0, -height % multiple))
        x = self.intro(image)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle_blks(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(up(x) + skips.pop())
        return (self.ending(x) + image)[..., :height, :width]


class PlainMFF(nn.Module):
    def __init__(self, c: int, expansion: float, bases: int) -> None:
        super().__init__()
        h, narrow = int(c * expansion), min(c, 24)
        self.w = nn.Parameter(torch.randn(1, bases, h * 18) * 0.05)
        self.b = nn.Parameter(torch.randn(1, bases, h) * 0.05)
        self.sca = pooled(c, h)
        self.dwconv, self.conv1 = (
            nn.Sequential(nn.Conv2d(c, h, 1, bias=False), nn.Conv2d(h, h, 3, 1, 1, groups=h, bias=False))
            for _ in range(2)
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(c, narrow, 3, 1, 1, groups=narrow), PlainGate(), nn.Conv2d(narrow // 2, bases, 1)
        )
        self.conv211 = nn.Conv2d(c, bases, 1)
        self.attgamma = nn.Parameter(torch.full((1, bases, 1, 1), 0.01))
        self.ga1 = nn.Parameter(torch.full((1, h, 1, 1), 0.01))
        self.project_out = nn.Conv2d(h, c, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        u = self.conv1(x)
        a = self.conv2(x) * self.attgamma + self.conv211(x)
        x2 = kernel_basis_attention(u, a, self.w, self.b, 2) * self.ga1 + u
        return self.project_out(F.gelu(self.dwconv(x)) * x2 * self.sca(x))


class PlainBlockL(nn.Module):
    def __init__(self, c: int, heads: int, expansion: float, bases: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = PlainLayerNorm(c, 1e-6), PlainLayerNorm(c, 1e-6)
        self.attn = PlainMFF(c, expansion, bases)
        self.ffn = PlainMDTA(c, heads)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class PlainKBNetL(nn.Module):
    def __init__(
        self,
        width: int = 48,
        encoder_blocks: Sequence[int] = (4, 6, 6),
        middle_blocks: int = 8,
        decoder_blocks: Sequence[int] = (6, 6, 4),
        ffn_scale: float = 1.5,
        bases: int = 32,
        heads: Sequence[int] = (1, 2, 4, 8),
        refinement_blocks: int = 4,
    ) -> None:
        super().__init__()
        c = width

        def stage(channels: int, count: int, level: int) -> nn.Sequential:
            return nn.Sequential(*[PlainBlockL(channels, heads[level], ffn_scale, bases) for _ in range(count)])

        self.patch_embed = PlainEmbed(c)
        self.encoder_level1 = stage(c, encoder_blocks[0], 0)
        self.down1_2 = PlainDown(c)
        self.encoder_level2 = stage(2 * c, encoder_blocks[1], 1)
        self.down2_3 = PlainDown(2 * c)
        self.encoder_level3 = stage(4 * c, encoder_blocks[2], 2)
        self.down3_4 = PlainDown(4 * c)
        self.latent = stage(8 * c, middle_blocks, 3)
        self.up4_3 = PlainUp(8 * c)
        self.reduce_chan_level3 = nn.Conv2d(8 * c, 4 * c, 1, bias=False)
        self.decoder_level3 = stage(4 * c, decoder_blocks[0], 2)
        self.up3_2 = PlainUp(4 * c)
        self.reduce_chan_level2 = nn.Conv2d(4 * c, 2 * c, 1, bias=False)
        self.decoder_level2 = stage(2 * c, decoder_blocks[1], 1)
        self.up2_1 = PlainUp(2 * c)
        self.decoder_level1 = stage(2 * c, decoder_blocks[2], 0)
        self.refinement = stage(2 * c, refinement_blocks, 0)
        self.output = nn.Conv2d(2 * c, 3, 3, 1, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        level1 = self.encoder_level1(self.patch_embed(image))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.latent(self.down3_4(level3))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([self.up4_3(x), level3], 1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], 1)))
        x = self.decoder_level1(torch.cat([self.up2_1(x), level1], 1))
        return self.output(self.refinement(x)) + image
