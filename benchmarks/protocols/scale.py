"""What values outside [0, 1] of a floating point image mean: a little overshoot, or another scale altogether."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import RestorationError

LEVELS = 8.0
"""Slope against the clean image from which values are levels of a wider range, such as 0..255."""
SIGNED = -0.4
"""What black is at the most where the range begins below zero, such as -1..1 or -0.5..0.5."""
STEEP = 1.5
"""Slope that tells -1..1 from -0.5..0.5."""


def overshoot(restored: NDArray[np.float32], clean: NDArray[np.uint8]) -> str:
    """The range of values outside [0, 1] that the protocols clip, in words; "" if there are none.

    What the restored image makes of black and white is read off a straight line through its values over the clean
    one's, which noise and a few large values do not turn.

    Args:
        restored: (H, W, 3), nominally in [0, 1]; values that are not finite are none of this function's.
        clean: (H, W, 3).

    Raises:
        RestorationError: the values are on another scale.
    """
    if not np.isfinite(restored).all():
        return ""
    low, high = float(restored.min()), float(restored.max())
    if low >= 0 and high <= 1:
        return ""
    x, y = restored.astype(np.float64).ravel(), clean.astype(np.float64).ravel() / 255
    spread = y - y.mean()
    energy = float(spread @ spread)
    slope = float(spread @ x) / energy if energy > 0 else 0.0
    black = float(x.mean()) - slope * float(y.mean())
    if slope > LEVELS:
        raise RestorationError(
            f"values from {low:g} to {high:g} are levels, about 0 to {slope:.0f}; the scale is [0, 1]"
        )
    if slope > 0 and black < SIGNED:
        scale, turned = ("[-1, 1]", "(x + 1) / 2") if slope > STEEP else ("[-0.5, 0.5]", "x + 0.5")
        raise RestorationError(f"values from {low:g} to {high:g} look like the scale {scale}; save {turned}, in [0, 1]")
    return f"from {low:.3g} to {high:.3g}"
