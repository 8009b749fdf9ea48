"""Where a restored image lies on a clean one of another size: found by correlation, or refused where that cannot tell.

At every offset the two overlap in the smaller one's size; the offset sought is the one with the highest correlation
coefficient (all channels together, each less its mean), which neither brightness nor contrast of the restored image
moves. It is taken only if it stands out from every other offset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from .offsets import RULES, Offset, Size, nested, rule_offset

LEAST_CORRELATION = 0.3
"""Below it no offset is taken: the images do not show the same."""
LEAST_RATIO = 1.01
"""How many times the unexplained variance of every other offset must at least be that of the best one."""
LEAST_EVIDENCE = 10.0
"""Log-likelihood ratio of the best offset against every other one, where an independent observation is
`PIXELS_TOGETHER` pixels: errors of restored images are not those of single pixels."""
PIXELS_TOGETHER = 16
FLAT = 0.25 / 255
"""Standard deviation below which an image has no structure to be found by: less than the rounding to 8 bits."""
FAST = 32
"""Fourier transforms are of sides that are multiples of it, which have no large prime factors."""
EXACT = 1e-9
"""Unexplained variance that is none, for the sake of rounding."""


@dataclass(frozen=True)
class Places:
    """The offsets at which one image lies in another equally well.

    Attributes:
        inner, outer: sizes of the smaller and the larger image.
        offsets: the best, one if it stands out; up to `MOST_NAMED` of those that are as good; none if nothing fits.
        problem: why there is not one; "" where there is.
    """

    inner: Size
    outer: Size
    offsets: tuple[Offset, ...]
    problem: str = ""

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of `RULES` that say where this one lies; several where they mean the same offset."""
        return tuple(name for name in RULES if rule_offset(name, self.outer, self.inner) in self.offsets)


MOST_NAMED = 1000


def find(restored: NDArray[np.float32], clean: NDArray[np.uint8]) -> Places:
    """Where a restored image (H', W', 3) lies on the clean one (H, W, 3), or this one in it.

    Raises:
        UserError: neither fits into the other, or the restored image is not finite.
    """
    sides = restored.shape[:2], clean.shape[:2]
    inner, outer = nested(*sides)
    if not np.isfinite(restored).all():
        raise UserError("restored values are not finite (NaN or infinite)")
    x = torch.from_numpy(np.ascontiguousarray(restored.transpose(2, 0, 1))).double()
    y = torch.from_numpy(np.ascontiguousarray(clean.transpose(2, 0, 1))).double() / 255
    small, large = (x, y) if inner == sides[0] else (y, x)
    correlation = _correlations(small, large)
    if correlation is None:
        return Places(inner, outer, tuple(_every(inner, outer)), "it is flat, and looks the same everywhere")
    best = float(correlation.max())
    if best < LEAST_CORRELATION:
        return Places(inner, outer, (), f"it shows something else (correlation {best:.2f} at the most)")
    if _resized(small, large) > best:
        return Places(inner, outer, (), "it looks resized, not cropped or padded; protocols score at the clean size")
    offsets = _equally_good(correlation, math.prod(inner))
    problem = f"it fits equally well at {len(offsets)} places or more" if len(offsets) > 1 else ""
    return Places(inner, outer, offsets, problem)


def common_rule(places: Sequence[Places]) -> str | None:
    """The rule that lays every image of a folder where it was found, if one was found and one rule does for all.

    Where several rules do (a difference of one pixel has the centre at the top left), the first of `RULES`.
    """
    clear = [each for each in places if not each.problem]
    if not clear:
        return None
    return next((name for name in RULES if all(name in each.rules for each in clear)), None)


def _every(inner: Size, outer: Size) -> list[Offset]:
    corners = {rule_offset(rule, outer, inner): None for rule in RULES}
    return list(corners)


def _correlations(small: Tensor, large: Tensor) -> Tensor | None:
    """Correlation coefficient of (C, h, w) with every window of (C, H, W): (H - h + 1, W - w + 1); None if flat."""
    channels, height, width = small.shape
    small = small - small.mean(dim=(-2, -1), keepdim=True)
    large = large - large.mean(dim=(-2, -1), keepdim=True)
    energy = float(small.square().sum())
    least = FLAT**2 * small.numel()
    if energy < least:
        return None
    size = large.shape[-2:]
    padded = [length + -length % FAST for length in size]
    product = sum(
        torch.fft.rfft2(large[c], s=padded) * torch.fft.rfft2(small[c], s=padded).conj() for c in range(channels)
    )
    assert isinstance(product, Tensor)
    down, across = size[0] - height + 1, size[1] - width + 1
    shared = torch.fft.irfft2(product, s=padded)[:down, :across]
    squares = _window_sums(large.square().sum(dim=0), height, width)
    variance = squares - sum(_window_sums(large[c], height, width).square() for c in range(channels)) / (height * width)
    found = shared / (variance.clamp(min=least) * energy).sqrt()
    return torch.where(variance < least, -1.0, found).clamp(-1, 1)


def _window_sums(values: Tensor, height: int, width: int) -> Tensor:
    """Sums over every window (height, width) of (H, W)."""
    total = F.pad(values.cumsum(0).cumsum(1), (1, 0, 1, 0))
    return total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]


def _equally_good(correlation: Tensor, pixels: int) -> tuple[Offset, ...]:
    """The offset of the best, and of those that it does not stand out from, the best first; `MOST_NAMED` at most."""
    unexplained = 1 - correlation.clamp(min=0).square() + EXACT
    needed = max(math.log(LEAST_RATIO), 2 * LEAST_EVIDENCE / (pixels / PIXELS_TOGETHER))
    flat = unexplained.flatten()
    order = torch.argsort(flat, stable=True)[:MOST_NAMED]
    close = [int(index) for index in order if math.log(float(flat[index] / flat[order[0]])) < needed]
    return tuple(divmod(index, correlation.shape[1]) for index in close)


def _resized(small: Tensor, large: Tensor) -> float:
    """Correlation of the small image with the whole large one scaled to its size."""
    size = (int(small.shape[-2]), int(small.shape[-1]))
    scaled = F.interpolate(large[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    x, y = (each - each.mean(dim=(-2, -1), keepdim=True) for each in (small, scaled))
    energy = float(x.square().sum() * y.square().sum())
    return float((x * y).sum()) / math.sqrt(energy) if energy > 0 else -1.0
