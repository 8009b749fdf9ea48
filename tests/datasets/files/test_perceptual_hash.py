"""Perceptual hashes: the same for one scene whatever was done to its file, far apart for two."""

from __future__ import annotations

import numpy as np
from PIL import Image

from restorebench.datasets.files.perceptual_hash import BITS, flipped_looks, hash_distance, perceptual_hash

from ..roots import scene


def test_an_image_without_structure_has_none() -> None:
    assert perceptual_hash(np.full((32, 32, 3), 40, np.uint8)) is None
    assert flipped_looks(np.full((32, 32, 3), 40, np.uint8)) == ()


def test_hashes_of_flips_are_those_of_the_flipped_images() -> None:
    for seed in range(5):
        image = scene(seed)
        for look, flip in zip(
            flipped_looks(image), (image, image[:, ::-1], image[::-1], image[::-1, ::-1]), strict=True
        ):
            expected = perceptual_hash(np.ascontiguousarray(flip))
            assert expected is not None
            assert hash_distance(look.bits, expected) <= 2  # thumbnails are rounded to grey levels


def test_scaling_and_darkening_leave_most_bits() -> None:
    for seed in range(10):
        image = scene(seed)
        bits = perceptual_hash(image)
        smaller = perceptual_hash(np.asarray(Image.fromarray(image).resize((64, 48), Image.Resampling.LANCZOS)))
        darker = perceptual_hash((image * 0.7).astype(np.uint8))
        assert bits is not None
        assert smaller is not None
        assert darker is not None
        assert bits.shape == (BITS,)
        assert hash_distance(bits, smaller) <= 6
        assert hash_distance(bits, darker) <= 6


def test_unrelated_scenes_are_far_apart() -> None:
    hashes = np.array([perceptual_hash(scene(seed)) for seed in range(40)])
    distances = (hashes[:, None] != hashes[None]).sum(axis=2)[np.triu_indices(40, 1)]
    assert distances.min() > 10
    assert 28 < distances.mean() < 36
