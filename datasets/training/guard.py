"""The guard of training: photographs of the embedded test sets are refused wherever they turn up."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..embedded import photographs
from ..embedded.tasks import Size, crops
from ..errors import DataError
from ..files.perceptual_hash import flipped_hashes, hash_distance, perceptual_hash

LARGEST_DISTANCE = 12
"""Perceptual hashes with at most this many different bits of 64 are taken for the same picture.

Wider than where two sets are compared (`standard.leakage`), as a test photograph that slips in costs more than a
training image left out: photographs scaled, compressed, darkened, with other gamma or 1/40 trimmed off each side are
0 to 12 bits apart. 322 photographs of CBSD68, Rain100H, Rain100L, SOTS and LOL are 16 and more, skies and gradients 20.
"""

Image = NDArray[np.uint8]


def refuse_test_photograph(image: Image, path: Path) -> None:
    """Refuse a photograph of the embedded test sets.

    Raises:
        DataError: naming the file and the photograph.
    """
    same = matching_photograph(image)
    if same:
        raise DataError(f"{path} is the test photograph {same} (or looks like it): training must not see it; remove it")


def matching_photograph(image: Image) -> str | None:
    """The photograph, or piece of one, of the embedded test sets that an image shows, flipped or not; else None.

    An image without structure (white, a patch of one colour) shows none.

    Args:
        image: (H, W, 3) uint8.
    """
    hashes = flipped_hashes(image)
    distances = {
        name: min(hash_distance(bits, test_bits) for bits in hashes)
        for name, test_bits in _test_hashes().items()
        if hashes
    }
    name = min(distances, key=lambda name: distances[name], default=None)
    return name if name is not None and distances[name] <= LARGEST_DISTANCE else None


@lru_cache(maxsize=1)
def _test_hashes() -> dict[str, NDArray[np.bool_]]:
    """Hashes of the images of the embedded sets: the whole photographs, and their crops of 128 and 256 pixels."""
    hashes: dict[str, NDArray[np.bool_]] = {}
    sizes: tuple[Size, ...] = ("full", 256, 128)
    for size in sizes:
        for crop in crops(size):
            bits = perceptual_hash(crop.of(photographs.pixels(crop.photograph)))
            assert bits is not None  # every photograph has structure, as a test shows
            hashes[crop.name if size == "full" else f"{crop.name}, its crop of {size} pixels"] = bits
    return hashes
