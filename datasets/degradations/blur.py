"""Motion blur of a shaking camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .degradation import Degradation
from .fixedpoint import NORMAL_UNIT, bell, between, check_image, fixed, integers, power_curve

KERNEL_SUM = 1 << 12
"""Sum of the integer weights of a kernel."""

_LINEAR = (1 << 20) - 1  # white in linear light: times KERNEL_SUM it still fits in 32 bits
_GAMMA = 563  # 2.2 with 8 fractional bits
_STEPS = 96  # points of a trajectory


@dataclass(frozen=True)
class BlurParameters:
    """Ranges (low, high) of one image's camera shake, drawn uniformly; the defaults give about 26 dB, as GoPro has.

    Attributes:
        length: length of the camera's path in pixels.
        anxiety: how much the velocity changes by chance on the way, as a part of the speed for each of the 96 steps.
        pull: how strongly the camera is drawn back to where it started, as a part of the distance for each step.
        shakes: largest number of sudden changes of direction.
    """

    length: tuple[float, float] = (7.0, 14.0)
    anxiety: tuple[float, float] = (0.05, 0.2)
    pull: float = 0.0025
    shakes: int = 2


def _scaled(x: int, y: int, length: int) -> tuple[int, int]:
    """The vector (x, y) stretched to `length`, all in fixed point."""
    norm = max(math.isqrt(x * x + y * y), 1)
    return x * length // norm, y * length // norm


def _trajectory(rng: np.random.Generator, parameters: BlurParameters) -> list[tuple[int, int]]:
    """The camera's path: `_STEPS` points (x, y) with 16 fractional bits, around their mean."""
    speed = between(rng, parameters.length, 16) // _STEPS
    anxiety = between(rng, parameters.anxiety, 16) * speed >> 16
    pull = fixed(parameters.pull, 16)
    pushes = (bell(rng, 2 * _STEPS + 2) * (1 << 8) // NORMAL_UNIT).tolist()  # 8 fractional bits
    count = int(integers(rng, 0, parameters.shakes, 1)[0])
    shakes = set(integers(rng, _STEPS // 6, _STEPS - _STEPS // 6, parameters.shakes)[:count].tolist())
    vx, vy = _scaled(pushes[-2], pushes[-1], speed)
    x = y = 0
    path = []
    for step in range(_STEPS):
        path.append((x, y))
        px, py = pushes[2 * step], pushes[2 * step + 1]
        if step in shakes:  # the velocity is thrown about: reversed, in part, into a random direction
            sx, sy = _scaled(px, py, 2 * speed)
            vx, vy = sx - vx, sy - vy
        vx += (anxiety * px >> 8) - (pull * x >> 16)
        vy += (anxiety * py >> 8) - (pull * y >> 16)
        vx, vy = _scaled(vx, vy, speed)
        x, y = x + vx, y + vy
    mean_x, mean_y = (sum(axis) // _STEPS for axis in zip(*path, strict=True))
    return [(x - mean_x, y - mean_y) for x, y in path]


def shake_kernel(rng: np.random.Generator, parameters: BlurParameters | None = None) -> NDArray[np.int64]:
    """The point spread function of a shaking camera.

    Returns:
        (K, K) integers, K odd, not negative, with the sum `KERNEL_SUM` and the centre of mass within half a pixel of
        the middle (so the blurred image lies on the clean one).
    """
    path = _trajectory(rng, parameters or BlurParameters())
    reach = max(max(abs(x), abs(y)) for x, y in path) // (1 << 16) + 1
    size = 2 * reach + 1
    mass = np.zeros((size + 1, size + 1), dtype=np.int64)
    for x, y in path:
        column, fx = (x >> 16) + reach, (x >> 8) & 255
        row, fy = (y >> 16) + reach, (y >> 8) & 255
        mass[row, column] += (256 - fx) * (256 - fy)
        mass[row, column + 1] += fx * (256 - fy)
        mass[row + 1, column] += (256 - fx) * fy
        mass[row + 1, column + 1] += fx * fy
    mass = mass[:size, :size]  # |x| < reach, so the last row and column are empty
    scaled = mass.ravel() * KERNEL_SUM
    total = int(mass.sum())
    kernel = scaled // total
    missing = KERNEL_SUM - int(kernel.sum())
    kernel[np.argsort(-(scaled % total), kind="stable")[:missing]] += 1  # largest remainders
    return kernel.reshape(size, size)


@lru_cache(maxsize=1)
def _curves() -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Grey level to linear light (256 values up to `_LINEAR`), and back (for each of the linear values), read-only."""
    linear = power_curve(_GAMMA, _LINEAR).astype(np.uint32)
    edges = np.concatenate([[0], power_curve(_GAMMA, _LINEAR, midpoints=True), [_LINEAR + 1]])
    levels = np.repeat(np.arange(256, dtype=np.uint8), np.diff(edges))
    linear.setflags(write=False)
    levels.setflags(write=False)
    return linear, levels


def blur(
    image: NDArray[np.uint8], rng: np.random.Generator, *, parameters: BlurParameters | None = None
) -> NDArray[np.uint8]:
    """Blur by the motion of a hand-held camera, the same over the whole image.

        O = f(sum_i k_i f^-1(B shifted by i)),    f(x) = x^(1 / 2.2)

    The kernel k is a random camera path, sampled with bilinear weights: a velocity with inertia, random pushes, a
    pull back to the start and a few sudden shakes (Boracchi and Foi, "Modeling the performance of image restoration
    from motion blur", TIP 2012). Light is summed in linear light with the camera's curve f taken as gamma 2.2, as
    GoPro's frames were (Nah et al., "Deep multi-scale convolutional neural network for dynamic scene deblurring",
    CVPR 2017). Borders are mirrored. Kernel weights are integers with the sum 2**12 and linear light has 20 bits, so
    the sums are exact.

    Args:
        image: (H, W, 3) uint8, any size.
        rng: source of every random choice.
        parameters: ranges; `BlurParameters()` if None.

    Returns:
        (H, W, 3) uint8; the input is left alone.

    Raises:
        DataError: another shape or type.
    """
    check_image(image)
    kernel = shake_kernel(rng, parameters)
    linear, levels = _curves()
    reach = kernel.shape[0] // 2
    height, width = image.shape[:2]
    light = np.pad(linear[image], ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    total = np.full(image.shape, KERNEL_SUM // 2 - 1, dtype=np.uint32)
    for row, column in np.argwhere(kernel):
        shifted = light[2 * reach - row :, 2 * reach - column :][:height, :width]
        total += shifted * np.uint32(kernel[row, column])
    blurred: NDArray[np.uint8] = levels[total // np.uint32(KERNEL_SUM)]
    return blurred


DEGRADATION = Degradation("deblur", "camera shake", 1, BlurParameters(), "GoPro", blur)
