"""Networks as a user's script has them: plain modules, in no registry."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Blend(nn.Module):
    """The image and its 3x3 mean, mixed by a parameter."""

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(share))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        smooth = nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return torch.lerp(x, self.dropout(smooth) if self.training else smooth, self.share)


class Sharpened(Blend):
    """The same parameters, another function."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - super().forward(x)


class Scaled(nn.Module):
    """No parameters: what it does is in an attribute."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class FailsWhereDark(nn.Module):
    """Raises, or gives what `result` makes of the image, where its mean is low."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    def forward(self, x: Tensor) -> Tensor:
        if x.mean() < 0.2:
            broken: Tensor = self.result(x)
            return broken
        return x
