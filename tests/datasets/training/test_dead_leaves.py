"""Dead-leaves images: reproducible, natural in their statistics, and never a test photograph."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from restorebench.datasets.embedded import photographs
from restorebench.datasets.errors import DataError
from restorebench.datasets.files.perceptual_hash import perceptual_hash
from restorebench.datasets.training import dead_leaves as leaves
from restorebench.datasets.training.dead_leaves import dead_leaves
from restorebench.datasets.training.guard import LARGEST_DISTANCE, matching_photograph
from restorebench.datasets.training.textures import TEXTURE_FILES, textures

from .test_guard import known_photographs

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def images() -> list[Pixels]:
    return [dead_leaves(index, size=160) for index in range(16)]


@pytest.mark.slow
def test_an_image_depends_on_seed_size_and_index_alone(images: list[Pixels]) -> None:
    again = dead_leaves(5, size=160)
    assert again.shape == (160, 160, 3)
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, images[5])
    assert not np.array_equal(again, images[6])
    assert not np.array_equal(again, dead_leaves(5, seed=1, size=160))
    with pytest.raises(DataError, match="at least 32"):
        dead_leaves(0, size=16)


def test_grey_levels_are_those_of_well_exposed_photographs(images: list[Pixels]) -> None:
    means, deviations = [image.mean() for image in images], [image.std() for image in images]
    assert 85 < np.mean(means) < 140  # photographs: about 110
    assert min(means) > 45
    assert 40 < np.mean(deviations) < 75  # photographs: about 55
    # a black point: what tells a clean image from a hazy one
    assert np.mean([np.quantile(image.min(axis=2), 0.01) < 25 for image in images]) > 0.8


def test_colours_vary_most_in_luminance_then_from_orange_to_blue_then_from_green_to_purple(
    images: list[Pixels],
) -> None:
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(float)
    red, green, blue = pixels.T
    # the principal axes of natural colours, in this order: Ohta, Kanade and Sakai 1980
    intensity, orange_blue = (red + green + blue) / 3**0.5, (red - blue) / 2**0.5
    green_purple = (2 * green - red - blue) / 6**0.5
    assert intensity.std() > 2.5 * orange_blue.std()
    assert orange_blue.std() > 1.7 * green_purple.std()


def test_spectra_fall_like_those_of_photographs(images: list[Pixels]) -> None:
    window = np.hanning(160)[:, None] * np.hanning(160)
    power = np.mean([np.abs(np.fft.fft2((i.mean(axis=2) - i.mean()) * window)) ** 2 for i in images], axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(160), np.fft.fftfreq(160)))
    bands = np.geomspace(0.02, 0.4, 10)
    binned = [power[(frequency >= a) & (frequency < b)].mean() for a, b in pairwise(bands)]
    slope = np.polyfit(np.log(np.sqrt(bands[:-1] * bands[1:])), np.log(binned), 1)[0]
    assert -3.0 < slope < -1.4  # photographs: about -2 (amplitudes fall like 1 / f)


def test_differences_of_neighbours_have_the_heavy_tails_of_photographs(images: list[Pixels]) -> None:
    steps = np.concatenate([np.diff(image.mean(axis=2), axis=1).ravel() for image in images])
    assert (steps**4).mean() / (steps**2).mean() ** 2 > 8  # 3 for noise


def test_an_image_is_made_of_occluding_shapes_of_many_sizes() -> None:
    rng = np.random.default_rng(0)
    scattered = leaves._scattered(320, rng)
    labels = leaves._occluded(320, scattered)
    sizes = np.bincount(labels.ravel())[1:]
    seen = np.sort(sizes[sizes > 0])
    assert len(seen) > 50
    assert seen[-1] > 30 * np.median(seen)
    front = int(labels[160, 160])
    inside = [
        index + 1
        for index in range(len(scattered.x))
        if leaves._shape(scattered, index, np.float32([[160]]), np.float32([[160]]))[0, 0]
    ]
    assert front == min(inside, default=0)


def test_no_generated_image_or_texture_is_a_test_photograph(images: list[Pixels]) -> None:
    bank = [np.repeat(((t + 3) * 42).astype(np.uint8)[:, :, None], 3, axis=2) for t in textures()]
    surfaces = []
    for name in TEXTURE_FILES:
        with Image.open(photographs.data_folder() / name) as opened:
            surfaces.append(np.array(opened.convert("RGB")))
    test_files = {photograph.file for photograph in photographs.PHOTOGRAPHS}
    assert not test_files & set(TEXTURE_FILES)
    known = known_photographs()
    pixel_hashes = {hashlib.sha256(image.tobytes()).hexdigest() for image in known.values()}
    hashes = np.stack([perceptual_hash(image) for image in known.values()])
    for image in [*images, *bank, *surfaces]:
        assert hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest() not in pixel_hashes
        assert int((perceptual_hash(image) != hashes).sum(axis=1).min()) > LARGEST_DISTANCE
        assert matching_photograph(image) is None
