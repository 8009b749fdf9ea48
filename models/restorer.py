"""A network behind the interface that the benchmark uses: any size in, the same shape out."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .card import ModelCard, SizeRule, WeightsInfo
from .errors import ModelError


class Restorer(nn.Module):
    """A network with its card, variant and weights.

    Attributes:
        card: what is known about it.
        variant: its size, a name of `card.variants`.
        weights: where its weights come from.
        network: the bare network; its state dict has the reference keys.
        overrides: constructor arguments that differ from the variant's.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        variant: str,
        weights: WeightsInfo,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.card = card
        self.variant = variant
        self.weights = weights
        self.overrides: dict[str, Any] = dict(overrides or {})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Restore images.

        Sides that the network does not take are padded on the right and bottom by the card's size rule, and cropped
        back. The values are not touched: clipping is the protocol's.

        Args:
            x: degraded images, (B, 3, H, W), floating, in [0, 1], sides from 1 pixel.

        Returns:
            Restored images, (B, 3, H, W), in the dtype that the network gives.

        Raises:
            ModelError: `x` has another shape or an integer dtype, or what the network gives is no floating tensor of
                the padded shape on the device of `x`.
        """
        if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape:
            raise ModelError(f"{self.card.name} takes images (B, 3, H, W), got shape {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ModelError(
                f"{self.card.name} takes floating images in [0, 1], got {x.dtype} of shape {tuple(x.shape)}"
            )
        height, width = x.shape[-2:]
        padded = pad(x, self.size)
        return self._checked(self.network(padded), padded)[..., :height, :width]

    def _checked(self, restored: object, padded: torch.Tensor) -> torch.Tensor:
        """What the network gave, if it is an image for each of `padded`."""
        if not isinstance(restored, torch.Tensor):
            raise ModelError(f"{self.card.name} gave a {type(restored).__name__}, not a tensor")
        if restored.shape != padded.shape:
            raise ModelError(
                f"{self.card.name} gave shape {tuple(restored.shape)} for an input of shape {tuple(padded.shape)}"
            )
        if not restored.is_floating_point():
            raise ModelError(f"{self.card.name} gave {restored.dtype}, not floating values in [0, 1]")
        if restored.device != padded.device:
            raise ModelError(f"{self.card.name} gave a tensor on {restored.device} for an input on {padded.device}")
        return restored

    @property
    def size(self) -> SizeRule:
        """Sizes that the bare network takes."""
        return self.card.size_of(self.variant)

    @property
    def parameters_count(self) -> int:
        """Number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def extra_repr(self) -> str:
        """Name, variant and weights, for ``print``."""
        return f"{self.card.name}, variant={self.variant!r}, weights={self.weights.description!r}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Restorer:
        # The card is frozen and shared: its read-only mappings cannot be copied. The rest is copied as usual.
        memo[id(self.card)] = self.card
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update({key: copy.deepcopy(value, memo) for key, value in self.__dict__.items()})
        return twin


def pad(x: torch.Tensor, rule: SizeRule) -> torch.Tensor:
    """Pad images on the right and bottom to a size that `rule` takes.

    Reflection can add at most one pixel less than the side has; where more is needed, the last pixels are repeated.

    Args:
        x: (B, C, H, W).
        rule: size rule of the network.

    Returns:
        (B, C, `rule.padded(H)`, `rule.padded(W)`); `x` itself where nothing is to be added.
    """
    height, width = x.shape[-2:]
    down, right = rule.padded(height) - height, rule.padded(width) - width
    if down == right == 0:
        return x
    if rule.padding == "zeros":
        return F.pad(x, (0, right, 0, down))
    reflected = min(right, width - 1), min(down, height - 1)
    if any(reflected):
        x = F.pad(x, (0, reflected[0], 0, reflected[1]), mode="reflect")
    rest = right - reflected[0], down - reflected[1]
    return F.pad(x, (0, rest[0], 0, rest[1]), mode="replicate") if any(rest) else x
