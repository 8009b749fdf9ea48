"""MoCE-IR written out term by term: plain NCHW layout, every image alone, patches cut out and transformed.

Same reference keys as `models/networks/moceir.py`, no shared code. For evaluation: it has no noise and no balance loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .restormer_plain import (
    PlainCrossAttention,
    PlainDown,
    PlainEmbed,
    PlainGDFN,
    PlainMDTA,
    PlainNorm,
    PlainUp,
    conv1,
    conv3,
    depthwise,
)


class PlainBody(nn.Module):
    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.q = conv1(channels, channels)
        self.q_dwconv = depthwise(channels, bias=True)
        self.kv = conv1(channels, 2 * channels)
        self.kv_dwconv = depthwise(2 * channels, 7, bias=True)
        self.norm = PlainNorm(channels)
        self.proj_out = conv1(channels, channels, bias=True)

    def cut(self, x: Tensor) -> Tensor:
        p = self.patch
        x = F.pad(x, (0, -x.shape[3] % p, 0, -x.shape[2] % p))
        b, c, h, w = x.shape
        return x.reshape(b, c, h // p, p, w // p, p).permute(0, 1, 2, 4, 3, 5)

    def forward(self, u: Tensor) -> Tensor:
        height, width = u.shape[-2:]
        k, v = self.kv_dwconv(self.kv(u)).chunk(2, dim=1)
        q, k = self.cut(self.q_dwconv(self.q(u))), self.cut(k)
        product = torch.fft.rfft2(q) * torch.fft.rfft2(k)
        out = torch.fft.irfft2(product, s=(self.patch, self.patch)).permute(0, 1, 2, 4, 3, 5)
        b, c, n, p, m, _ = out.shape
        out = out.reshape(b, c, n * p, m * p)[:, :, :height, :width]
        return self.proj_out(self.norm(out) * v)


class PlainExpert(nn.Module):
    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.ModuleList([conv1(channels, width), conv1(channels, width), conv1(width, channels)])
        self.body = PlainBody(width, patch)

    def forward(self, a: Tensor, s: Tensor) -> Tensor:
        return a + self.proj[2](self.body(self.proj[0](a)) * F.silu(self.proj[1](s)))


class PlainRouting(nn.Module):
    def __init__(self, channels: int, embedding: int, experts: int) -> None:
        super().__init__()
        self.register_buffer("complexity", torch.ones(experts))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, experts, bias=False))
        self.freq_gate = nn.Linear(embedding, experts, bias=False)

    def forward(self, a: Tensor, e: Tensor) -> Tensor:
        return F.softmax(self.gate(a) + self.freq_gate(e), dim=1)


class PlainAdapter(nn.Module):
    def __init__(self, channels: int, embedding: int, experts: int, top_k: int) -> None:
        super().__init__()
        self.top_k = top_k
        self.experts = nn.ModuleList(
            nn.ModuleList([PlainExpert(channels, channels // 2 ** (experts - 1 - i), 2 ** (i + 2))])
            for i in range(experts)
        )
        self.proj_out = conv1(channels, channels)
        self.routing = PlainRouting(channels, embedding, experts)

    def forward(self, a: Tensor, e: Tensor, s: Tensor) -> Tensor:
        mixed = []
        for image in range(a.shape[0]):
            own = slice(image, image + 1)
            shares, chosen = self.routing(a[own], e[own])[0].topk(self.top_k)
            parts = [p * self.experts[int(i)][0](a[own], s[own]) for p, i in zip(shares, chosen, strict=True)]
            mixed.append(sum(parts[1:], parts[0]))
        return self.proj_out(torch.cat(mixed))


class PlainEncoderBlock(nn.Module):
    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([PlainNorm(channels), PlainNorm(channels)])
        self.mixer = PlainMDTA(channels, heads, bias=True)
        self.ffn = PlainGDFN(channels, expansion, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norms[0](x))
        return x + self.ffn(self.norms[1](x))


class PlainDecoderBlock(nn.Module):
    def __init__(self, channels: int, heads: int, expansion: float, embedding: int, experts: int, top_k: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([PlainNorm(channels), PlainNorm(channels)])
        self.proj = nn.ModuleList([conv1(channels, channels, bias=True), conv1(channels, channels, bias=True)])
        self.shared = PlainMDTA(channels, heads)
        self.mixer = PlainCrossAttention(channels, heads, 7)
        self.ffn = PlainGDFN(channels, expansion)
        self.adapter = PlainAdapter(channels, embedding, experts, top_k)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        n = self.norms[0](x)
        s = self.shared(self.proj[0](n))
        x = x + self.mixer(self.adapter(self.proj[1](n), e, s), s)
        return x + self.ffn(self.norms[1](x))


class PlainStage(nn.Module):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, *context)
        return x


class PlainFrequencyEmbedding(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        high_pass = nn.Module()
        high_pass.conv = depthwise(channels)
        self.high_conv = nn.ModuleList([high_pass])
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, z: Tensor) -> Tensor:
        return self.mlp(F.gelu(self.high_conv[0].conv(z)).mean(dim=(2, 3)))


class PlainMoCEIR(nn.Module):
    def __init__(
        self,
        dim: int = 48,
        encoder_blocks: Sequence[int] = (4, 6, 6),
        latent_blocks: int = 8,
        decoder_blocks: Sequence[int] = (4, 4, 2),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.0,
        experts: int = 4,
        top_k: int = 1,
    ) -> None:
        super().__init__()
        levels = len(encoder_blocks)
        lowest = dim * 2**levels

        def encoder(level: int, count: int) -> PlainStage:
            return PlainStage([PlainEncoderBlock(dim * 2**level, heads[level], expansion) for _ in range(count)])

        def decoder(level: int, count: int) -> PlainStage:
            shape = (dim * 2**level, heads[level], expansion, lowest, experts, top_k)
            return PlainStage([PlainDecoderBlock(*shape) for _ in range(count)])

        self.patch_embed = PlainEmbed(dim)
        self.enc = nn.ModuleList(
            nn.ModuleList([encoder(level, count), PlainDown(dim * 2**level)])
            for level, count in enumerate(encoder_blocks)
        )
        self.latent = encoder(levels, latent_blocks)
        self.freq_embed = PlainFrequencyEmbedding(lowest)
        self.dec = nn.ModuleList()
        for depth, count in enumerate(decoder_blocks):
            level = levels - 1 - depth
            width = dim * 2**level
            self.dec.append(nn.ModuleList([PlainUp(2 * width), conv1(2 * width, width), decoder(level, count)]))
        self.refinement = encoder(0, refinement_blocks)
        self.output = conv3(dim, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch_embed(image)
        skips = []
        for stage, down in self.enc:
            x = stage(x)
            skips.append(x)
            x = down(x)
        x = self.latent(x)
        e = self.freq_embed(x)
        for up, fusion, stage in self.dec:
            x = stage(fusion(torch.cat([up(x), skips.pop()], dim=1)), e)
        return self.output(self.refinement(x)) + image
