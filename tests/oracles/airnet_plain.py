"""AirNet written out term by term, as its authors run it: the whole query encoder, concatenations, NCHW layout.

Same reference keys as `models/networks/airnet.py`, no shared code. For evaluation: it has no contrastive loss.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from .restormer_plain import conv1


def conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


class PlainResidual(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(0.1),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False), nn.BatchNorm2d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.backbone(x) + self.shortcut(x), 0.1)


class PlainEncoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.E_pre = PlainResidual(3, width, 1)
        self.E = nn.Sequential(
            PlainResidual(width, 2 * width, 2), PlainResidual(2 * width, 4 * width, 2), nn.AdaptiveAvgPool2d(1)
        )
        self.mlp = nn.Sequential(nn.Linear(4 * width, 4 * width), nn.LeakyReLU(0.1), nn.Linear(4 * width, 4 * width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        degradation = self.E_pre(x)
        return degradation, self.mlp(self.E(degradation).flatten(1))


class PlainContrast(nn.Module):
    def __init__(self, width: int, queue_size: int) -> None:
        super().__init__()
        self.encoder_q = PlainEncoder(width)
        self.encoder_k = PlainEncoder(width).requires_grad_(False)
        self.register_buffer("queue", torch.randn(4 * width, queue_size))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))


class PlainDCN(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width, 3, 3))
        self.conv_offset_mask = conv(2 * width, 27)

    def forward(self, x: Tensor, d: Tensor) -> Tensor:
        found = self.conv_offset_mask(torch.cat([x, d], dim=1))
        return deform_conv2d(x, found[:, :18], self.weight, padding=1, mask=torch.sigmoid(found[:, 18:]))


class PlainSFT(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_gamma = nn.Sequential(conv1(width, width), nn.LeakyReLU(0.1), conv1(width, width))
        self.conv_beta = nn.Sequential(conv1(width, width), nn.LeakyReLU(0.1), conv1(width, width))

    def forward(self, x: Tensor, d: Tensor) -> Tensor:
        return x * self.conv_gamma(d) + self.conv_beta(d)


class PlainDGM(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dcn = PlainDCN(width)
        self.sft = PlainSFT(width)

    def forward(self, x: Tensor, d: Tensor) -> Tensor:
        return x + self.dcn(x, d) + self.sft(x, d)


class PlainDGB(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dgm1, self.dgm2 = PlainDGM(width), PlainDGM(width)
        self.conv1, self.conv2 = conv(width, width), conv(width, width)

    def forward(self, x: Tensor, d: Tensor) -> Tensor:
        o = F.leaky_relu(self.dgm1(x, d), 0.1)
        o = F.leaky_relu(self.conv1(o), 0.1)
        o = F.leaky_relu(self.dgm2(o, d), 0.1)
        return self.conv2(o) + x


class PlainDGG(nn.Module):
    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.ModuleList([*(PlainDGB(width) for _ in range(blocks)), conv(width, width)])

    def forward(self, x: Tensor, d: Tensor) -> Tensor:
        o = x
        for block in self.body[:-1]:
            o = block(o, d)
        return self.body[-1](o) + x


class PlainRestorer(nn.Module):
    def __init__(self, width: int, groups: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(3, width))
        self.body = nn.ModuleList([*(PlainDGG(width, blocks) for _ in range(groups)), conv(width, width)])
        self.tail = nn.Sequential(conv(width, 3))

    def forward(self, image: Tensor, d: Tensor) -> Tensor:
        x = self.head(image)
        o = x
        for group in self.body[:-1]:
            o = group(o, d)
        return self.tail(self.body[-1](o) + x)


class PlainAirNet(nn.Module):
    def __init__(self, width: int = 64, groups: int = 5, blocks: int = 5, queue_size: int = 1280) -> None:
        super().__init__()
        self.R = PlainRestorer(width, groups, blocks)
        self.E = nn.Module()
        self.E.E = PlainContrast(width, queue_size)

    def forward(self, image: Tensor) -> Tensor:
        degradation, _ = self.E.E.encoder_q(image)
        return self.R(image, degradation)
