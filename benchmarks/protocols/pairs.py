"""One image as a protocol feeds it: what the network sees, what its output is scored against, and how both travel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Pair:
    """One image as the network sees it, and what its output is scored against; both on the CPU.

    Attributes:
        degraded: (3, H', W') float32; in [0, 1] unless the protocol leaves noise unclipped. Larger than `clean` where
            the protocol pads.
        clean: (3, H, W) uint8.
    """

    degraded: Tensor
    clean: Tensor

    def placed(self, device: torch.device) -> Pair:
        """The pair on a device."""
        return Pair(degraded=self.degraded.to(device), clean=self.clean.to(device))


@dataclass(frozen=True, eq=False)
class Packed:
    """A `Pair` as it is sent to a device: in bytes where the protocol has whole levels, and before it is padded.

    Attributes:
        degraded: (3, H, W) uint8, or float32 as the network sees it.
        clean: (3, H, W) uint8.
        pad_multiple: of the protocol.
    """

    degraded: Tensor
    clean: Tensor
    pad_multiple: int | None

    def pinned(self) -> Packed:
        """In memory that a GPU reads by itself, so that nobody waits for the copy."""
        return replace(self, degraded=self.degraded.pin_memory(), clean=self.clean.pin_memory())

    def placed(self, device: torch.device) -> Pair:
        """The pair on a device; from pinned memory the copy is only begun."""
        degraded = self.degraded.to(device, non_blocking=True)
        if degraded.dtype == torch.uint8:
            # A tensor, as by a number a GPU divides by multiplying with its reciprocal: other last digits.
            degraded = degraded.to(torch.float32) / torch.full((), 255.0, device=device)
        return Pair(_padded(degraded, self.pad_multiple), self.clean.to(device, non_blocking=True))


def next_multiple(length: int, multiple: int | None) -> int:
    """`length`, raised to a multiple of `multiple`."""
    return length if multiple is None else -(-length // multiple) * multiple


def _padded(image: Tensor, multiple: int | None) -> Tensor:
    """(3, H, W) reflect-padded on the right and bottom to multiples."""
    height, width = image.shape[-2:]
    right = next_multiple(width, multiple) - width
    bottom = next_multiple(height, multiple) - height
    if not right and not bottom:
        return image
    return F.pad(image[None], (0, right, 0, bottom), mode="reflect")[0]


def channels_first(image: NDArray[Any]) -> Tensor:
    """(H, W, 3) -> contiguous (3, H, W) tensor of its own memory."""
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))
