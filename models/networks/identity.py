"""The degraded image itself: the floor that every table starts from."""

from __future__ import annotations

import torch
from torch import nn

from ..card import ModelCard, Variant
from ..registry import register

CARD = ModelCard(
    name="identity",
    title="Input",
    variants={"input": Variant(parameters=0, macs_256_g=0.0, note="the degraded image, unchanged")},
    paper="none: the degraded image itself",
    url="",
    year=0,
    code_licence="MIT",
    weights_licence="no weights",
    network_provenance="none",
    dtypes=("float32", "float64", "float16", "bfloat16"),
    trainable=False,
)


@register(CARD)
class Identity(nn.Module):
    """Gives back the images that it gets, (B, 3, H, W) of any size."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> the same tensor."""
        return x
