"""Rain streaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .degradation import Degradation
from .fixedpoint import between, check_image, fixed, integers

_BITS = 8  # fractional bits of positions, slopes and opacities


@dataclass(frozen=True)
class RainParameters:
    """Ranges (low, high) of one image's rain, drawn uniformly; the defaults give about 27 dB, as in Rain100L.

    Attributes:
        density: streaks for each 1000 pixels of the image.
        slope: horizontal pixels for each vertical one; the tangent of the angle to the vertical.
        slope_jitter: largest deviation of one streak from the image's slope.
        length: mean vertical extent of a streak in pixels; single streaks have 0.6 to 1.4 times that.
        width: width of a streak in pixels, beyond the one pixel that it has by sampling.
        opacity: opacity of the brightest streaks, 0 to 1; single streaks have 0.4 to 1 times that.
        limit: largest opacity where streaks cross, 0 to 1.
    """

    density: tuple[float, float] = (2.4, 4.0)
    slope: tuple[float, float] = (-0.45, 0.45)
    slope_jitter: float = 0.04
    length: tuple[float, float] = (18.0, 36.0)
    width: tuple[float, float] = (0.2, 1.0)
    opacity: tuple[float, float] = (0.4, 0.6)
    limit: float = 0.85


def _opacity(height: int, width: int, rng: np.random.Generator, parameters: RainParameters) -> NDArray[np.int64]:
    """Opacity of the rain at each pixel: (H, W) with 16 fractional bits."""
    density = between(rng, parameters.density, _BITS)
    slope = between(rng, parameters.slope, _BITS)
    mean_length = between(rng, parameters.length, 0)
    thickness = between(rng, parameters.width, _BITS)
    opacity = between(rng, parameters.opacity, _BITS)

    longest = mean_length * 7 // 5 + 1
    margin = (abs(slope) + fixed(parameters.slope_jitter, _BITS)) * longest // 256 + 3
    tall, wide = height + longest, width + 2 * margin  # streaks also enter from above and from the sides
    count = max(1, density * tall * wide // 256_000)
    jitter = fixed(parameters.slope_jitter, _BITS)
    top = integers(rng, -longest, height - 1, count)[:, None]
    left = integers(rng, -margin * 256, (width + margin) * 256 - 1, count)[:, None]
    slopes = slope + integers(rng, -jitter, jitter, count)[:, None]
    lengths = np.maximum(mean_length * integers(rng, 154, 358, count)[:, None] // 256, 2)
    strengths = opacity * integers(rng, 102, 256, count)[:, None]  # 16 fractional bits

    step = np.arange(longest)[None, :]
    fade = np.maximum(lengths // 4, 1)  # the ends fade over a quarter of the length
    taper = np.clip(np.minimum(step + 1, lengths - step), 0, fade)
    strength = strengths * taper // fade  # 0 beyond the end
    y, x = np.broadcast_arrays(top + step, left + slopes * step)
    total = np.zeros(height * width)
    for offset in (-(thickness // 2), thickness - thickness // 2):
        column, fraction = (x + offset) >> _BITS, (x + offset) & 255
        for shift, share in ((0, 256 - fraction), (1, fraction)):
            inside = (y >= 0) & (y < height) & (column + shift >= 0) & (column + shift < width) & (strength > 0)
            at = (y * width + column + shift)[inside]
            # bincount sums in float64: exact, in any order, as these are integers far below 2**53
            total += np.bincount(at, weights=(strength * share)[inside], minlength=height * width)
    opaque = total.astype(np.int64).reshape(height, width) >> (_BITS + 1)  # two halves of a streak
    limited: NDArray[np.int64] = np.minimum(opaque, fixed(parameters.limit, 16))
    return limited


def rain(
    image: NDArray[np.uint8], rng: np.random.Generator, *, parameters: RainParameters | None = None
) -> NDArray[np.uint8]:
    """Add rain streaks, as in the synthetic set Rain100L.

    A falling drop, blurred by its motion while the shutter is open, covers a pixel for a part `a` of the exposure and
    is brighter than what is behind it (Garg and Nayar, "Vision and rain", IJCV 2007):

        O = B + a (255 - B)          for the image B and the opacity a (screen blending)

    `a` is the sum of straight streaks with nearly one direction, each with its own place, length and opacity, drawn
    with sub-pixel precision and fading at the ends: oriented, motion-blurred noise. One image has one kind of
    streaks, as in Rain100L (Yang et al., "Deep joint rain detection and removal from a single image", CVPR 2017). All
    arithmetic is in integers.

    Args:
        image: (H, W, 3) uint8, any size.
        rng: source of every random choice.
        parameters: ranges; `RainParameters()` if None.

    Returns:
        (H, W, 3) uint8; the input is left alone.

    Raises:
        DataError: another shape or type.
    """
    check_image(image)
    opacity = _opacity(image.shape[0], image.shape[1], rng, parameters or RainParameters())[:, :, None]
    behind = image.astype(np.int64)
    blended: NDArray[np.uint8] = (behind + (((255 - behind) * opacity + (1 << 15)) >> 16)).astype(np.uint8)
    return blended


DEGRADATION = Degradation("derain", "rain streaks", 1, RainParameters(), "Rain100L", rain)
