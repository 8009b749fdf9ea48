"""Photographs taken with too little light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .degradation import Degradation
from .fixedpoint import NORMAL_UNIT, bell, between, check_image, fixed, power_curve

_BITS = 8  # fractional bits of grey levels


@dataclass(frozen=True)
class LowLightParameters:
    """Ranges (low, high) of one image's exposure, drawn uniformly; the defaults give 8 to 12 dB, as LOL-v1 has.

    Attributes:
        gamma: exponent that darkens the middle tones.
        gain: grey level of white, 0 to 1.
        shot: variance of the shot noise for each grey level of the signal, in grey levels.
        read: standard deviation of the read noise in grey levels.
    """

    gamma: tuple[float, float] = (1.6, 2.0)
    gain: tuple[float, float] = (0.3, 0.4)
    shot: float = 0.12
    read: float = 1.0


def _tables(gamma: int, gain: int, shot: int, read: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Signal (`_BITS` fractional bits) and noise (so that bell() * noise >> 24 has them) for the 256 grey levels."""
    # one curve for each gamma, whatever the gain, is all that has to be kept
    signal = (power_curve(gamma, 1 << 32) * (gain * 255) + (1 << 31)) >> 32
    variance = [shot * level + read * read for level in signal.tolist()]  # 2 * _BITS fractional bits
    noise = np.array([(math.isqrt(value << 16) << 16) // NORMAL_UNIT for value in variance], dtype=np.int64)
    return signal, noise


def low_light(
    image: NDArray[np.uint8], rng: np.random.Generator, *, parameters: LowLightParameters | None = None
) -> NDArray[np.uint8]:
    """Darken and add the noise of a sensor, as photographs of LOL have it.

        O = L + n,    L = 255 gain (B / 255)^gamma,    n ~ N(0, shot L + read^2)

    Gamma and gain are the darkening by which Lore et al., "LLNet", Pattern Recognition 2017, and Lv et al., "MBLLEN",
    BMVC 2018, made their training pairs; the noise is the Poisson-Gaussian one of Foi et al., "Practical
    Poissonian-Gaussian noise modeling and fitting for single-image raw-data", TIP 2008, with the normal approximation
    of the Poisson part. The signal has 8 fractional bits; all arithmetic is in integers, the normal numbers are sums
    of eight uniform ones.

    Args:
        image: (H, W, 3) uint8, any size.
        rng: source of every random choice.
        parameters: ranges; `LowLightParameters()` if None.

    Returns:
        (H, W, 3) uint8; the input is left alone.

    Raises:
        DataError: another shape or type.
    """
    check_image(image)
    parameters = parameters or LowLightParameters()
    gamma = between(rng, parameters.gamma, 5) << 3  # 1/32 steps: few tables, kept
    gain = between(rng, parameters.gain, 8)
    signal, noise = _tables(gamma, gain, fixed(parameters.shot, _BITS), fixed(parameters.read, _BITS))
    normal = bell(rng, image.size).reshape(image.shape)
    dark = signal[image] + ((normal * noise[image]) >> 24)
    exposed: NDArray[np.int64] = np.clip((dark + (1 << (_BITS - 1))) >> _BITS, 0, 255)
    return exposed.astype(np.uint8)


DEGRADATION = Degradation("lowlight", "low light", 1, LowLightParameters(), "LOL-v1", low_light)
