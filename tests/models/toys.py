"""A network of two convolutions, and cards for it."""

from __future__ import annotations

import torch
from torch import nn

from restorebench.models import Checkpoint, ModelCard, Variant


class Toy(nn.Module):
    def __init__(self, *, width: int = 4, widths: list[int] | None = None) -> None:
        super().__init__()
        if width < 1:
            raise ValueError("width must be positive")
        if widths is not None:
            width = widths.pop()  # constructors do such things
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(width, 3, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.body(x)
        return restored


def card(
    name: str = "toy", variants: dict[str, Variant] | None = None, checkpoints: tuple[Checkpoint, ...] = ()
) -> ModelCard:
    sizes = variants or {"paper": Variant(arguments={"width": 8}), "tiny": Variant(arguments={"width": 2})}
    return ModelCard(
        name=name, title=name.title(), variants=sizes, paper="", url="", year=2024, code_licence="MIT",
        checkpoints=checkpoints,
    )  # fmt: skip
