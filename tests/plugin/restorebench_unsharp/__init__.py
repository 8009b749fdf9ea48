"""Learned unsharp masking: one file with a network and its card, and the suite benchmarks it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebench.models import ModelCard, SizeRule, Variant, register

CARD = ModelCard(
    name="unsharp",
    title="Unsharp masking",
    variants={"paper": Variant(arguments={"radius": 2}, parameters=78, macs_256_g=0.004915)},
    paper="none: an example of a plug-in",
    url="",
    year=2026,
    code_licence="MIT",
    size=SizeRule(minimum=8),
)


@register(CARD)
class Unsharp(nn.Module):
    """x + amount * (x - blurred x), the blur and the amount learned for each colour; (B, 3, H, W) -> the same shape."""

    def __init__(self, radius: int) -> None:
        super().__init__()
        self.blur = nn.Conv2d(3, 3, 2 * radius + 1, padding=radius, groups=3, bias=False)
        self.amount = nn.Parameter(torch.zeros(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.amount * (x - self.blur(x))
