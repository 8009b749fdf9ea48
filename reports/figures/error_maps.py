"""Previews as arrays: errors as colours, and where restored images differ."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

from .previews import Levels, read_alike, read_image

Crop = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""

CROP_SHARE = 4
"""The crop's sides are this part of the image's."""
SCALE_PERCENTILE = 99.5
ERROR_MAP = "inferno"


def error_scale(restored: Iterable[Path], clean: Path) -> float:
    """The largest error of a colour scale, in levels of 255: nearly all of the restored images' are below it.

    The degraded image does not count: beside its errors, those of the restorers would look alike.
    """
    target = read_image(clean)
    peaks = [np.percentile(_errors(read_alike(path, target), target), SCALE_PERCENTILE) for path in restored]
    return float(max(1, np.ceil(max(peaks))))


def error_map(restored: Path, clean: Path, scale: float) -> Levels:
    """Absolute error as a picture: (H, W, 3) uint8, mean over channels, black for none, light for `scale` and above.

    Args:
        restored, clean: 8-bit images of one size.
        scale: error of the last colour, in levels of 255 (see `error_scale`).

    Raises:
        ReportError: an image that cannot be read, or of another size.
    """
    target = read_image(clean)
    part = np.clip(_errors(read_alike(restored, target), target) / scale, 0, 1)
    colours: Levels = matplotlib.colormaps[ERROR_MAP](part, bytes=True)[..., :3]
    return np.ascontiguousarray(colours)


def error_colours(steps: int = 9) -> list[str]:
    """The colours of error maps from none to the scale's end, evenly spaced, as ``#rrggbb``."""
    colours = (matplotlib.colormaps[ERROR_MAP](step / (steps - 1), bytes=True)[:3] for step in range(steps))
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours]


def find_crop(restored: Iterable[Path], clean: Path) -> Crop:
    """Where the restored images differ most from one another: (top, left, height, width), inside the image.

    A single restored image is compared with the clean one.
    """
    target = read_image(clean)
    stack = np.stack([read_alike(path, target).astype(np.float32) for path in restored])
    pixels = (stack[0] - target) ** 2 if len(stack) == 1 else stack.var(axis=0)
    height, width = (max(1, round(side / CROP_SHARE)) for side in target.shape[:2])
    sums = np.pad(pixels.mean(axis=-1, dtype=np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    boxes = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    if np.ptp(boxes) == 0:
        return (target.shape[0] - height) // 2, (target.shape[1] - width) // 2, height, width
    top, left = np.unravel_index(int(boxes.argmax()), boxes.shape)
    return int(top), int(left), height, width


def _errors(image: Levels, clean: Levels) -> NDArray[np.float32]:
    errors: NDArray[np.float32] = np.abs(image.astype(np.float32) - clean).mean(axis=-1)
    return errors
