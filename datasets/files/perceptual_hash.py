"""A hash of what an image shows, by which two images are alike whatever was done to their files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

BITS = 64
"""Length of a hash; unrelated images differ in about half of it."""

_SIDE = 8  # coefficients along each axis
_THUMBNAIL_SIDE = 32
_FLAT = 2.0  # grey levels; below this standard deviation an image has no structure to compare


def perceptual_hash(image: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """64 bits that survive scaling, compression and small crops; None for an image without structure.

    The signs, against their median, of the lowest 8x8 coefficients of the discrete cosine transform of a grey 32x32
    thumbnail (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010).

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (64,) bool.
    """
    return _signs(_thumbnail(image))


@dataclass(frozen=True, eq=False)
class Look:
    """What an image shows, roughly: its hash (64,), and its thumbnail (32, 32), of mean 0 and norm 1."""

    bits: NDArray[np.bool_]
    thumbnail: NDArray[np.float64]

    def correlation(self, other: Look) -> float:
        """Of the two thumbnails, from -1 to 1."""
        return float((self.thumbnail * other.thumbnail).sum())


def flipped_looks(image: NDArray[np.uint8]) -> tuple[Look, ...]:
    """The looks of an image (H, W, 3) as it is, mirrored along each axis and along both; none without structure."""
    thumbnail = _thumbnail(image)
    flips = (thumbnail, thumbnail[:, ::-1], thumbnail[::-1], thumbnail[::-1, ::-1])
    return tuple(Look(bits, _normalised(flip)) for flip in flips if (bits := _signs(flip)) is not None)


def _normalised(thumbnail: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = thumbnail - thumbnail.mean()
    normalised: NDArray[np.float64] = centred / np.linalg.norm(centred)
    return normalised


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = Image.fromarray(image).convert("L").resize((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(grey, dtype=np.float64)


def _signs(thumbnail: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    if thumbnail.std() < _FLAT:
        return None
    low: NDArray[np.float64] = dctn(thumbnail, norm="ortho")[:_SIDE, :_SIDE].ravel()
    bits: NDArray[np.bool_] = low > np.median(low[1:])  # the first is the mean grey level
    return bits


def hash_distance(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> int:
    """How many bits differ."""
    return int(np.count_nonzero(one != other))
