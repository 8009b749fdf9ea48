"""RBaIR written out term by term: the oracle of the fast network, and what its speed and memory are compared with.

The pieces of `restormer_plain`, deformable attention with its matrix written out, the six experts concatenated. Same
reference keys as `restorebench.models.networks.rbair`, and nothing shared with it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .restormer_plain import (
    PlainBlock,
    PlainCrossAttention,
    PlainDown,
    PlainEmbed,
    PlainNorm,
    PlainUp,
    conv1,
    conv3,
)

WIDTHS = (48, 96, 192, 384)
BLOCKS = (4, 6, 6, 8)
HEADS = (1, 2, 4, 8)
EXPANSION = 2.66


class PlainExpert(nn.Module):
    def __init__(self, channels: int, kernel: tuple[int, int], dilation: int = 1, name: str = "body") -> None:
        super().__init__()
        padding = (kernel[0] // 2 * dilation, kernel[1] // 2 * dilation)
        depthwise = nn.Conv2d(
            channels, channels, kernel, padding=padding, dilation=dilation, groups=channels, bias=False
        )
        self.name = name
        self.add_module(name, nn.Sequential(depthwise, nn.GELU(), conv1(channels, channels)))

    def forward(self, x: Tensor) -> Tensor:
        return x + getattr(self, self.name)(x)


class PlainFourier(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.processmag = self.branch(channels)
        self.processpha = self.branch(channels)

    @staticmethod
    def branch(channels: int) -> nn.Sequential:
        return nn.Sequential(conv1(channels, channels, True), nn.LeakyReLU(0.1), conv1(channels, channels, True))

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(x, norm="backward")
        magnitude = self.processmag(torch.abs(spectrum))
        phase = self.processpha(torch.angle(spectrum))
        spectrum = torch.complex(magnitude * torch.cos(phase), magnitude * torch.sin(phase))
        return x + torch.fft.irfft2(spectrum, s=x.shape[-2:], norm="backward")


class PlainExperts(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Op = nn.ModuleList(
            [
                PlainExpert(channels, (3, 3)),
                PlainExpert(channels, (21, 21)),
                PlainExpert(channels, (9, 9), 8, "op"),
                PlainExpert(channels, (21, 1)),
                PlainExpert(channels, (1, 21)),
                PlainFourier(channels),
            ]
        )
        self.weight = nn.Module()
        self.weight.body = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 12), nn.GELU(), nn.Linear(12, 6)
        )
        self.out_ = conv1(6 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.weight.body(x).softmax(dim=-1)
        outputs = [weights[:, i].view(-1, 1, 1, 1) * expert(x) for i, expert in enumerate(self.Op)]
        return self.out_(torch.cat(outputs, dim=1))


class PlainMoCE(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = PlainNorm(channels)
        self.proj_conv = conv1(channels, channels)
        self.layers = nn.ModuleList([PlainExperts(channels)])
        self.out_ = conv1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.proj_conv(self.norm(x)))
        return self.out_(self.layers[0](h)) + x


class PlainDeformable(nn.Module):
    def __init__(self, channels: int, heads: int, groups: int, factor: float, kernel: int, stride: int) -> None:
        super().__init__()
        self.heads, self.groups, self.factor = heads, groups, factor
        width = channels // groups
        padding = kernel // 2 if kernel != stride else 0
        self.conv_offset = nn.Sequential(
            nn.Conv2d(width, width, kernel, stride, padding, groups=width),
            PlainNorm(width),
            nn.GELU(),
            conv1(width, 2),
        )
        self.proj_q, self.proj_k, self.proj_v, self.proj_out = (conv1(channels, channels, True) for _ in range(4))

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        b, c, h, w = y.shape
        q = self.proj_q(y)
        offset = self.conv_offset(q.reshape(b * self.groups, c // self.groups, h, w))
        hk, wk = offset.shape[-2:]
        scale = torch.tensor([1 / (hk - 1), 1 / (wk - 1)], dtype=offset.dtype, device=offset.device)
        offset = torch.tanh(offset) * scale.view(1, 2, 1, 1) * self.factor
        rows = (torch.arange(hk, dtype=offset.dtype, device=offset.device) + 0.5) / (hk - 1) * 2 - 1
        columns = (torch.arange(wk, dtype=offset.dtype, device=offset.device) + 0.5) / (wk - 1) * 2 - 1
        position = offset + torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        grid = position.permute(0, 2, 3, 1).flip(-1)
        x = x.reshape(b * self.groups, c // self.groups, *x.shape[-2:])
        sampled = F.grid_sample(x, grid, mode="bilinear", align_corners=True).reshape(b, c, hk, wk)
        k = self.proj_k(sampled).reshape(b, self.heads, c // self.heads, hk * wk)
        v = self.proj_v(sampled).reshape(b, self.heads, c // self.heads, hk * wk)
        q = q.reshape(b, self.heads, c // self.heads, h * w)
        attention = (q.transpose(-2, -1) @ k * (c // self.heads) ** -0.5).softmax(dim=-1)
        return self.proj_out((v @ attention.transpose(-2, -1)).reshape(b, c, h, w))


class PlainDaCA(nn.Module):
    def __init__(self, channels: int, heads: int, groups: int, factor: float, kernel: int, stride: int) -> None:
        super().__init__()
        self.norm11 = PlainNorm(channels)
        self.norm12 = PlainNorm(channels)
        self.attn = PlainDeformable(channels, heads, groups, factor, kernel, stride)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        return y + self.attn(self.norm11(y), self.norm12(x))


class PlainCross(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm11 = PlainNorm(channels)
        self.norm12 = PlainNorm(channels)
        self.attn = PlainCrossAttention(channels, heads)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return x + self.attn(self.norm11(x), self.norm12(other))


class PlainDyRBA(nn.Module):
    def __init__(
        self,
        channels: int,
        hidden: int,
        heads: int,
        groups: int,
        factor: float,
        kernel: int,
        stride: int,
        centres: int,
        m: float,
    ) -> None:
        super().__init__()
        half = hidden // 2
        self.conv_x = conv3(3, hidden)
        self.conv_y = conv3(channels, hidden)
        self.DaCA = PlainDaCA(hidden, heads, groups, factor, kernel, stride)
        self.transformation = nn.Linear(hidden, half)
        self.norm_rbf = nn.LayerNorm(half)
        self.rbf = nn.Module()
        self.rbf.center = nn.Parameter(torch.linspace(-m, m, centres), requires_grad=False)
        self.delta = 2 * m / (centres - 1)
        self.dynamic_W1 = nn.Linear(hidden, centres * half)
        self.dynamic_W2 = nn.Linear(half, hidden)
        self.compression = nn.Linear(hidden, half)
        self.rbf_linear = nn.Linear(half, hidden)
        self.emb_linear = nn.Linear(half, hidden)
        self.out_linear = nn.Linear(hidden, hidden)
        self.conv_out = conv1(hidden, channels, True)
        self.cross_attn = PlainCross(channels, heads)

    def forward(self, image: Tensor, features: Tensor) -> Tensor:
        x = self.conv_x(image)
        y = self.conv_y(features)
        deformed = self.DaCA(y, x)
        e = y.mean(dim=(2, 3))
        d = deformed.mean(dim=(2, 3))
        t = self.transformation(e)
        basis = torch.exp(-(((self.norm_rbf(t)[..., None] - self.rbf.center) / self.delta) ** 2)).flatten(1)
        w1 = F.gelu(self.dynamic_W1(d))
        w2 = F.gelu(self.dynamic_W2(t))
        z = ((w2[:, :, None] @ w1[:, None, :]) @ basis[:, :, None]).squeeze(-1)
        g = F.gelu(self.compression(z + e))
        mixing = torch.stack([self.emb_linear(g), self.rbf_linear(g)]).softmax(dim=0)
        v = F.gelu(self.out_linear(mixing[0] * e + mixing[1] * z))
        out = self.conv_out(deformed * v[:, :, None, None])
        out = F.interpolate(out, size=features.shape[-2:], mode="bilinear", align_corners=False)
        return self.cross_attn(features, out)


class PlainRBaIR(nn.Module):
    """The published size of RBaIR, (B, 3, H, W) in [0, 1] -> the same shape; H and W multiples of 8 from 16 up."""

    def __init__(self) -> None:
        super().__init__()
        w1, w2, w3, w4 = WIDTHS
        self.patch_embed = PlainEmbed(w1)
        self.MoCE_in = nn.Sequential(PlainMoCE(w1))
        self.encoder_level1 = self.stage(w1, 0, BLOCKS[0])
        self.down1_2 = PlainDown(w1)
        self.encoder_level2 = self.stage(w2, 1, BLOCKS[1])
        self.down2_3 = PlainDown(w2)
        self.encoder_level3 = self.stage(w3, 2, BLOCKS[2])
        self.down3_4 = PlainDown(w3)
        self.latent = self.stage(w4, 3, BLOCKS[3])
        self.chnl_reduce3 = conv1(w4, w3)
        self.DyRBF1 = PlainDyRBA(w3, 256, 4, 4, 4, 3, 1, 32, 4)
        self.up4_3 = PlainUp(w3)
        self.reduce_chan_level3 = conv1(w2 + w3, w3)
        self.decoder_level3 = self.stage(w3, 2, BLOCKS[2])
        self.DyRBF2 = PlainDyRBA(w3, 128, 4, 2, 3, 5, 2, 16, 3)
        self.up3_2 = PlainUp(w3)
        self.reduce_chan_level2 = conv1(w3, w2)
        self.decoder_level2 = self.stage(w2, 1, BLOCKS[1])
        self.DyRBF3 = PlainDyRBA(w2, 64, 2, 1, 2, 7, 4, 8, 2)
        self.up2_1 = PlainUp(w2)
        self.decoder_level1 = self.stage(w2, 0, BLOCKS[0])
        self.refinement = self.stage(w2, 0, 4)
        self.MoCE_out = nn.Sequential(PlainMoCE(w2))
        self.output = conv3(w2, 3)

    @staticmethod
    def stage(channels: int, level: int, blocks: int) -> nn.Sequential:
        return nn.Sequential(*[PlainBlock(channels, HEADS[level], EXPANSION) for _ in range(blocks)])

    def forward(self, image: Tensor) -> Tensor:
        level1 = self.encoder_level1(self.MoCE_in(self.patch_embed(image)))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.chnl_reduce3(self.latent(self.down3_4(level3)))
        x = self.DyRBF1(image, x)
        x = self.reduce_chan_level3(torch.cat([self.up4_3(x), level3], dim=1))
        x = self.DyRBF2(image, self.decoder_level3(x))
        x = self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], dim=1))
        x = self.DyRBF3(image, self.decoder_level2(x))
        x = self.decoder_level1(torch.cat([self.up2_1(x), level1], dim=1))
        x = self.MoCE_out(self.refinement(x))
        return self.output(x) + image
