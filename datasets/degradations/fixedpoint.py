"""Random numbers and curves in integers, so that a degraded image has the same bits on every machine.

Floating point sums, `exp`, `pow` and numpy's normal and Poisson generators may differ in the last bit between
processors, vector units and mathematical libraries, and a last bit can flip a pixel. So the degradations of this
package use:

- raw 64-bit words of the generator, from which integers and bell-shaped numbers are made by shifts and sums;
- fixed-point numbers: a real `x` with `b` fractional bits is the integer `round(x * 2**b)`;
- `exp` and powers from the standard library's `decimal`, whose results are correctly rounded, stored as integer tables.
"""

from __future__ import annotations

import decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

NORMAL_UNIT = 53510
"""Standard deviation of `bell`'s numbers: 2**16 * sqrt(8 / 12), rounded."""

_DECIMAL = decimal.Context(prec=28, rounding=decimal.ROUND_HALF_EVEN)


def fixed(value: float, bits: int) -> int:
    """`value` as a fixed-point number with `bits` fractional bits."""
    return round(value * (1 << bits))


def words(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    """The next `count` raw 64-bit words of `rng`."""
    return rng.integers(0, 2**64, size=count, dtype=np.uint64)


def integers(rng: np.random.Generator, low: int, high: int, count: int) -> NDArray[np.int64]:
    """`count` integers uniform on low..high, both included; `high - low` below 2**31."""
    if high < low:
        raise DataError(f"a range of parameters must go upwards, not from {low} to {high}")
    top = words(rng, count) >> np.uint64(32)
    return ((top * np.uint64(high - low + 1)) >> np.uint64(32)).astype(np.int64) + low


def between(rng: np.random.Generator, bounds: tuple[float, float], bits: int) -> int:
    """One fixed-point number uniform on `bounds`, both included."""
    low, high = (fixed(bound, bits) for bound in bounds)
    return int(integers(rng, low, high, 1)[0])


def bell(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """`count` integers of mean 0 and standard deviation `NORMAL_UNIT`, almost normally distributed.

    Each is the sum of eight uniform 16-bit numbers (Irwin-Hall): within +-4.9 standard deviations, excess kurtosis
    -0.15.
    """
    pairs = words(rng, 2 * count)
    lanes = np.uint64(0x0000FFFF0000FFFF)
    sums = (pairs & lanes) + ((pairs >> np.uint64(16)) & lanes)  # two 32-bit lanes a word, no carry between them
    sums = sums[:count] + sums[count:]
    total = (sums & np.uint64(0xFFFFFFFF)) + (sums >> np.uint64(32))
    return total.astype(np.int64) - 4 * 0xFFFF


def _power(base: decimal.Decimal, exponent: decimal.Decimal) -> decimal.Decimal:
    """`base ** exponent` for 0 <= base, through exp and ln, which `decimal` rounds correctly."""
    if base == 0:
        return decimal.Decimal(0)
    return _DECIMAL.exp(_DECIMAL.multiply(exponent, _DECIMAL.ln(base)))


@lru_cache(maxsize=256)
def power_curve(exponent: int, scale: int, *, midpoints: bool = False) -> NDArray[np.int64]:
    """`scale * (v / 255) ** (exponent / 256)` rounded, for the grey levels v = 0..255: 256 integers, read-only.

    Args:
        exponent: with 8 fractional bits.
        scale: value of the curve at v = 255.
        midpoints: for v = 0.5, 1.5, .. 254.5 instead: 255 integers.
    """
    doubled = range(1, 510, 2) if midpoints else range(0, 511, 2)
    power = _DECIMAL.divide(exponent, 256)
    values = [_DECIMAL.multiply(_power(_DECIMAL.divide(level, 510), power), scale) for level in doubled]
    curve = np.array([int(_DECIMAL.to_integral_value(value)) for value in values], dtype=np.int64)
    curve.setflags(write=False)
    return curve


@lru_cache(maxsize=256)
def decay_curve(rate: int, count: int, scale: int) -> NDArray[np.int64]:
    """`scale * exp(-rate / 256 * k / (count - 1))` rounded, for k = 0..count-1: `count` integers, read-only.

    Args:
        rate: with 8 fractional bits, not negative.
        count: number of points, at least 2.
        scale: value of the curve at k = 0.
    """
    ratio = int(_DECIMAL.multiply(_DECIMAL.exp(_DECIMAL.divide(-rate, 256 * (count - 1))), 1 << 60))
    values, value = [], 1 << 60
    for _ in range(count):
        values.append((value * scale + (1 << 59)) >> 60)
        value = (value * ratio) >> 60
    curve = np.array(values, dtype=np.int64)
    curve.setflags(write=False)
    return curve


def check_image(image: NDArray[np.uint8]) -> None:
    """Refuse anything but a non-empty (H, W, 3) uint8 array, naming what it is."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DataError(f"a degradation needs an (H, W, 3) uint8 image, not {image.shape} {image.dtype}")
