"""Haze by the atmospheric scattering model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .degradation import Degradation
from .fixedpoint import between, check_image, decay_curve, fixed, integers

DEPTH_MAX = 65535
"""The depth of the farthest point; depths are uint16 in 0..DEPTH_MAX, proportional to the distance."""

_LEVELS = 4096  # depths that the transmission tells apart
_KNOTS = 3  # spline cells along the longer side of a random depth


@dataclass(frozen=True)
class HazeParameters:
    """Ranges (low, high) of one image's haze, drawn uniformly; the defaults give about 18 dB, as SOTS-Outdoor has.

    RESIDE draws beta from 0.6..1.8 and the light from 0.7..1.0 with depths that are mostly small; photographs whose
    whole depth range is used need less.

    Attributes:
        beta: scattering coefficient, for a depth of 1 at the farthest point.
        light: the atmospheric light A, the same for the three channels, 0 to 1.
        nearest: where no depth is given, the depth of the nearest point, 0 to 1.
    """

    beta: tuple[float, float] = (0.3, 0.55)
    light: tuple[float, float] = (0.8, 0.95)
    nearest: float = 0.3


def _spline(length: int, cell: int) -> NDArray[np.int64]:
    """Cubic B-spline weights of `length` pixels, knots `cell` pixels apart: (length, knots), rows sum to 6 cell^3."""
    position = np.arange(length, dtype=np.int64)
    index, t = position // cell, position % cell
    rest = cell - t
    weights = np.zeros((length, length // cell + 4), dtype=np.int64)
    basis = (
        rest**3,
        3 * t**3 - 6 * t**2 * cell + 4 * cell**3,
        3 * rest**3 - 6 * rest**2 * cell + 4 * cell**3,
        t**3,
    )
    for shift, values in enumerate(basis):
        weights[position, index + shift] = values
    return weights


def random_depth(height: int, width: int, rng: np.random.Generator, *, nearest: float = 0.3) -> NDArray[np.uint16]:
    """A smooth random depth for a photograph without one.

    A cubic B-spline surface with random knots, to which a slope is added that makes the top of the image farther than
    the bottom, as most photographs are taken.

    Args:
        height, width: size in pixels.
        rng: source of the knots.
        nearest: depth of the nearest point, 0 to 1.

    Returns:
        (H, W) uint16 from about `nearest * DEPTH_MAX` to `DEPTH_MAX`.
    """
    cell = max(1, -(-max(height, width) // _KNOTS))
    rows, columns = _spline(height, cell), _spline(width, cell)
    knots = integers(rng, 0, 1023, rows.shape[1] * columns.shape[1]).reshape(rows.shape[1], columns.shape[1])
    unit = 6 * cell**3
    across = (knots @ columns.T * 64) // unit  # 10 bits and 6 fractional ones
    surface = (rows @ across) // unit
    slope = (np.arange(height, 0, -1, dtype=np.int64) * 65535 // height)[:, None]
    depth = surface + slope
    low, high = int(depth.min()), int(depth.max())
    near = fixed(nearest, 16)
    stretched = near + (depth - low) * (DEPTH_MAX - near) // max(high - low, 1)
    return stretched.astype(np.uint16)


def haze(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    depth: NDArray[np.uint16] | None = None,
    *,
    parameters: HazeParameters | None = None,
) -> NDArray[np.uint8]:
    """Add haze by the atmospheric scattering model, as in RESIDE (SOTS).

        I = J t + A (1 - t),    t = exp(-beta d)

    for the image J, the atmospheric light A, the scattering coefficient beta and the depth d (Narasimhan and Nayar,
    "Vision and the atmosphere", IJCV 2002; Li et al., "Benchmarking single-image dehazing and beyond", TIP 2019, for
    RESIDE). Depth has 12 bits and t 16; all arithmetic is in integers.

    Args:
        image: (H, W, 3) uint8, any size.
        rng: source of every random choice.
        depth: (H, W) uint16, 0..`DEPTH_MAX`, proportional to the distance; None draws one by `random_depth`.
        parameters: ranges; `HazeParameters()` if None.

    Returns:
        (H, W, 3) uint8; the input is left alone.

    Raises:
        DataError: another shape or type.
    """
    check_image(image)
    parameters = parameters or HazeParameters()
    beta = between(rng, parameters.beta, 8)
    light = (between(rng, parameters.light, 8) * 255) >> 8
    if depth is None:
        depth = random_depth(image.shape[0], image.shape[1], rng, nearest=parameters.nearest)
    elif depth.dtype != np.uint16 or depth.shape != image.shape[:2]:
        raise DataError(
            f"the depth of an image {image.shape} must be {image.shape[:2]} uint16, not {depth.shape} {depth.dtype}"
        )
    transmission = decay_curve(beta, _LEVELS, 1 << 16)[depth >> 4][:, :, None]
    hazy: NDArray[np.int64] = light + (((image.astype(np.int64) - light) * transmission + (1 << 15)) >> 16)
    return hazy.astype(np.uint8)


DEGRADATION = Degradation("dehaze", "haze", 1, HazeParameters(), "SOTS-Outdoor", haze, uses_depth=True)
