"""A restorer of a few hundred parameters, with every hook that a trainer knows, and a command line that has it.

``python small_network.py train model=small ...`` is ``bench train`` for it; Lightning Fabric can start that line anew.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from restorebench.models import ModelCard, SizeRule, Variant, register

CARD = ModelCard(
    name="small",
    title="Small",
    variants={"tiny": Variant()},
    paper="made for tests",
    url="",
    year=2026,
    code_licence="MIT",
    size=SizeRule(multiple=4, minimum=8),
)


class Small(nn.Module):
    """Two convolutions with dropout between them, an auxiliary loss and a parameter that follows another one."""

    def __init__(self, width: int = 8, broken_after: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        self.noise = 0.0 if width == 8 else 0.05
        self.follower = nn.Parameter(torch.zeros(width), requires_grad=False)
        self.broken_after, self.calls, self.auxiliary = broken_after, 0, None

    def forward(self, image: Tensor) -> Tensor:
        features = torch.relu(self.first(image))
        if self.training:
            self.calls += 1
            features = features + self.noise * torch.randn_like(features)
            self.auxiliary = 0.01 * features.square().mean()
            if self.broken_after and self.calls > self.broken_after:
                features = features * float("nan")
        restored: Tensor = image + self.last(features)
        return restored

    def auxiliary_loss(self) -> Tensor:
        assert self.auxiliary is not None
        return self.auxiliary

    def after_step(self) -> None:
        assert self.first.bias is not None
        self.follower.lerp_(self.first.bias.detach(), 0.5)


def enter() -> None:
    """Put it into the registry."""
    register(CARD)(Small)


if __name__ == "__main__":
    from restorebench.benchmarks.commands import main as cli

    enter()
    cli.COMMANDS.setdefault("train", cli.Command("train a restorer", "train"))
    sys.exit(cli.main())
