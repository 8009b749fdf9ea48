"""The guard of training: photographs of the embedded test sets are refused wherever they turn up."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..embedded import photographs
from ..embedded.tasks import Size, crops
from ..errors import DataError
from ..files.perceptual_hash import BITS, Look, flipped_looks, hash_distance

LARGEST_DISTANCE = 12
"""Perceptual hashes with at most this many different bits of 64 are taken for the same picture.

Wider than where two sets are compared (`standard.leakage`), as a test photograph that slips in costs more than a
training image left out: photographs scaled, compressed, darkened, with other gamma or 1/40 trimmed off each side are
0 to 12 bits apart. 322 photographs of CBSD68, Rain100H, Rain100L, SOTS and LOL are 16 and more, skies and gradients 20.
"""

LEAST_CORRELATION = 0.7
"""Of the thumbnails of two images that are taken for the same picture.

The hash of an image with little structure (an edge on white, a band of cloud) rests on a few weak coefficients and can
come near any other. Of 900 such images five had a hash within the distance and correlations up to 0.55; the test
photographs scaled, compressed, darkened, noisy, with other gamma or trimmed have 0.85 and more.
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
    looks = flipped_looks(image)
    distances = {
        name: distance
        for name, test in _test_looks().items()
        if (distance := min((_distance(look, test) for look in looks), default=BITS)) <= LARGEST_DISTANCE
    }
    return min(distances, key=lambda name: distances[name], default=None)


def _distance(look: Look, test: Look) -> int:
    """Bits apart; all of them where the thumbnails are not alike."""
    return hash_distance(look.bits, test.bits) if look.correlation(test) >= LEAST_CORRELATION else BITS


@lru_cache(maxsize=1)
def _test_looks() -> dict[str, Look]:
    """Looks of the images of the embedded sets: the whole photographs, and their crops of 128 and 256 pixels."""
    sizes: tuple[Size, ...] = ("full", 256, 128)
    return {
        crop.name if size == "full" else f"{crop.name}, its crop of {size} pixels": flipped_looks(
            crop.of(photographs.pixels(crop.photograph))
        )[0]
        for size in sizes
        for crop in crops(size)
    }
