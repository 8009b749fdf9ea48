"""Textures of dead leaves: noise, stripes, and three grey close-ups of surfaces in scikit-image's wheel."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..embedded import photographs
from ..errors import DataError
from ..streams import rng_for

VERSION = 2
"""Raised, with that of `dead_leaves`, whenever a texture changes."""

TEXTURE_SIDE = 256
TEXTURE_FILES = ("brick.png", "grass.png", "gravel.png")
"""Grey close-ups of surfaces in scikit-image's data folder (CC0); all other colour or grey images stay out."""

Floats = NDArray[np.float32]


@lru_cache(maxsize=1)
def textures() -> Floats:
    """The bank of textures: (T, 256, 256) of zero mean and unit deviation, within +-3; made once per process.

    Noise with spectra 1/f to 1/f^2, the same stretched along a direction, wavy stripes, and the quarters of the three
    surfaces of the wheel.

    Raises:
        DataError: scikit-image or one of its three files is missing.
    """
    rng = rng_for("leaves textures", VERSION)
    bank = [_noise(rng, slope, stretch) for stretch in (1.0, 1.0, 4.0) for slope in (0.6, 1.0, 1.4, 1.8)]
    bank += [_stripes(rng, period) for period in (8, 16, 32)]
    for name in TEXTURE_FILES:
        surface = _surface(photographs.data_folder() / name)
        bank += [surface[y : y + TEXTURE_SIDE, x : x + TEXTURE_SIDE] for y in (0, 256) for x in (0, 256)]
    stacked = np.stack([np.clip((t - t.mean()) / t.std(), -3, 3) for t in bank]).astype(np.float32)
    stacked.setflags(write=False)
    return stacked


def _noise(rng: np.random.Generator, slope: float, stretch: float) -> NDArray[np.float64]:
    """Periodic noise with amplitudes 1 / f^slope, drawn out along one axis."""
    fy, fx = np.fft.fftfreq(TEXTURE_SIDE)[:, None] * stretch, np.fft.rfftfreq(TEXTURE_SIDE)[None, :]
    frequency = np.maximum(np.hypot(fy, fx), 2 / TEXTURE_SIDE)
    spectrum = np.fft.rfft2(rng.standard_normal((TEXTURE_SIDE, TEXTURE_SIDE))) / frequency**slope
    return np.fft.irfft2(spectrum, s=(TEXTURE_SIDE, TEXTURE_SIDE))


def _stripes(rng: np.random.Generator, period: int) -> NDArray[np.float64]:
    """Periodic stripes that waver."""
    waver = _noise(rng, 1.8, 1.0)
    phase = np.arange(TEXTURE_SIDE)[None, :] / period + waver / waver.std() * 0.25
    return np.asarray(np.tanh(2 * np.sin(2 * np.pi * phase)))


def _surface(path: Path) -> NDArray[np.float64]:
    """A grey file of the wheel, (512, 512)."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return np.asarray(opened.convert("L"), dtype=np.float64)[: 2 * TEXTURE_SIDE, : 2 * TEXTURE_SIDE]
    except OSError as error:
        raise DataError(
            f"{path.name} of scikit-image cannot be read: reinstall it (pip install --force-reinstall scikit-image)"
        ) from error
