"""AnyIR written out term by term: the oracle of the fast network, and what its speed and memory are compared with.

The pieces of `restormer_plain`, strided parity split, fusion in the Fourier domain. Same reference keys as
`models/networks/anyir.py`, no shared code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .restormer_plain import PlainBlock, PlainDown, PlainEmbed, PlainUp, channel_attention, conv1, conv3, depthwise


class PlainGatedDA(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.depth_channels = round(8 * channels / 3) - 2 * channels
        self.tau = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.norm = nn.BatchNorm2d(channels)
        self.W_exp = conv1(channels, 2 * channels + self.depth_channels)
        self.W_depth = depthwise(self.depth_channels, 7)
        self.W_gate = conv1(channels + self.depth_channels, channels)
        self.W_proj = conv1(channels, channels)

    def forward(self, g: Tensor) -> Tensor:
        b = self.norm(g)
        mu = b.mean(dim=(2, 3), keepdim=True)
        sd = torch.sqrt(b.var(dim=(2, 3), keepdim=True, unbiased=False) + 1e-6)
        t = self.tau * torch.sigmoid(mu + sd)
        gamma, beta, alpha = torch.split(self.W_exp(b), [self.channels, self.channels, self.depth_channels], dim=1)
        alpha = self.W_depth(alpha) * (1 + t[:, : self.depth_channels])
        gated = torch.sigmoid(gamma) * self.W_gate(torch.cat([beta, alpha], dim=1))
        return self.W_proj(gated + g)


class PlainMix(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        half = channels // 2
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.lam = nn.Parameter(torch.tensor(0.5))
        self.qkv = conv1(half, 3 * half)
        self.qkv_dwconv = depthwise(3 * half)
        self.gatedcnn = PlainGatedDA(half)
        self.project_out = conv1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        even, odd = x[:, 0::2].contiguous(), x[:, 1::2].contiguous()
        q, k, v = self.qkv_dwconv(self.qkv(even)).chunk(3, dim=1)
        attended = channel_attention(q, k, v, self.temperature)
        gate = self.gatedcnn(odd)
        spatial = torch.cat([attended + torch.sigmoid(gate), gate + torch.sigmoid(attended)], dim=1)
        spectrum = torch.fft.rfft2(attended) + torch.fft.rfft2(gate)
        frequency = torch.fft.irfft2(spectrum, s=attended.shape[-2:]).repeat_interleave(2, dim=1)
        return self.project_out(self.lam * spatial + (1 - self.lam) * frequency)


class PlainAnyIR(nn.Module):
    def __init__(
        self,
        channels: int = 28,
        blocks: Sequence[int] = (3, 5, 5, 7),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.0,
    ) -> None:
        super().__init__()
        c = channels

        def stage(width: int, level: int, count: int) -> nn.Sequential:
            return nn.Sequential(
                *[PlainBlock(width, heads[level], expansion, PlainMix(width, heads[level])) for _ in range(count)]
            )

        self.patch_embed = PlainEmbed(c)
        self.encoder_level1 = stage(c, 0, blocks[0])
        self.down1_2 = PlainDown(c)
        self.encoder_level2 = stage(2 * c, 1, blocks[1])
        self.down2_3 = PlainDown(2 * c)
        self.encoder_level3 = stage(4 * c, 2, blocks[2])
        self.down3_4 = PlainDown(4 * c)
        self.latent = stage(8 * c, 3, blocks[3])
        self.up4_3 = PlainUp(4 * c)
        self.reduce_chan_level3 = conv1(6 * c, 4 * c)
        self.reduce_dim_level3 = conv1(8 * c, 4 * c)
        self.decoder_level3 = stage(4 * c, 2, blocks[2])
        self.up3_2 = PlainUp(4 * c)
        self.reduce_chan_level2 = conv1(4 * c, 2 * c)
        self.decoder_level2 = stage(2 * c, 1, blocks[1])
        self.up2_1 = PlainUp(2 * c)
        self.decoder_level1 = stage(2 * c, 0, blocks[0])
        self.refinement = stage(2 * c, 0, refinement_blocks)
        self.output = conv3(2 * c, 3)

    def forward(self, image: Tensor) -> Tensor:
        level1 = self.encoder_level1(self.patch_embed(image))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.up4_3(self.reduce_dim_level3(self.latent(self.down3_4(level3))))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([x, level3], dim=1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], dim=1)))
        x = self.decoder_level1(torch.cat([self.up2_1(x), level1], dim=1))
        return self.output(self.refinement(x)) + image
