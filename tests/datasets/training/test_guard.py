"""The photographs of the embedded test sets never join the training images, and nothing else is kept out."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from restorebench.datasets.embedded import photographs
from restorebench.datasets.embedded.tasks import crops
from restorebench.datasets.errors import DataError
from restorebench.datasets.training.folders import DecodedCache, FolderImages
from restorebench.datasets.training.guard import matching_photograph, refuse_test_photograph

Pixels = NDArray[np.uint8]


@lru_cache(maxsize=1)
def known_photographs() -> dict[str, Pixels]:
    """The whole test photographs and their crops of 256 pixels, all read-only."""
    whole = {crop.name: crop.of(photographs.pixels(crop.photograph)) for crop in crops("full")}
    return whole | {f"{crop.name}-256": crop.of(photographs.pixels(crop.photograph)) for crop in crops(256)}


def test_a_test_photograph_is_recognised_after_common_changes() -> None:
    for name, image in known_photographs().items():
        height, width = image.shape[:2]
        stored = io.BytesIO()
        Image.fromarray(image).resize((width * 2 // 3, height * 2 // 3)).save(stored, "JPEG", quality=60)
        with Image.open(stored) as opened:
            compressed = np.array(opened)
        darker = (image * 0.6).astype(np.uint8)
        trimmed = image[5:-5, 5:-5] if max(image.shape) > 256 else image
        for changed in (image, image[:, ::-1], image[::-1], compressed, darker, trimmed):
            assert matching_photograph(changed) is not None, name


def test_a_folder_with_a_test_photograph_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    Image.fromarray(photographs.pixels(photographs.PHOTOGRAPHS[1])).save(tmp_path / "holiday.jpg", quality=80)
    folder = FolderImages(tmp_path, DecodedCache(0))
    np.testing.assert_array_equal(folder.clean(0), noise)
    with pytest.raises(DataError, match=r"holiday\.jpg is the test photograph chelsea"):
        folder.clean(1)


def test_brightened_and_noisy_test_photographs_are_recognised() -> None:
    rng = np.random.default_rng(0)
    for name, image in known_photographs().items():
        brighter = (255 * (image / 255) ** (1 / 1.6)).astype(np.uint8)
        noisy = np.clip(image + rng.normal(0, 15, image.shape), 0, 255).astype(np.uint8)
        for changed in (brighter, noisy):
            assert matching_photograph(changed) is not None, name


def plain(level: int) -> Pixels:
    return np.full((96, 128, 3), level, dtype=np.uint8)


def gradient(axis: str) -> Pixels:
    ramp = np.arange(256)
    level = {"x": ramp[None] + 0 * ramp[:, None], "y": ramp[:, None] + 0 * ramp, "xy": (ramp[:, None] + ramp) // 2}[
        axis
    ]
    return np.repeat(level.astype(np.uint8)[:, :, None], 3, axis=2)


def sky(seed: int, grain: float) -> Pixels:
    """From a blue above to a paler one at the horizon, with a slope across and the grain of a sensor."""
    rng = np.random.default_rng(seed)
    down, across = np.linspace(0, 1, 192)[:, None, None], np.linspace(-1, 1, 256)[None, :, None]
    zenith, horizon = (
        rng.integers(60, 140, 3) + np.array([-20, 0, 60]),
        rng.integers(150, 200, 3) + np.array([0, 20, 40]),
    )
    light = zenith + (horizon - zenith) * down + rng.uniform(-20, 20) * across
    return np.clip(light + rng.normal(0, grain, (192, 256, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        *(pytest.param(plain(level), id=f"plain {level}") for level in (0, 128, 255)),
        *(pytest.param(gradient(axis), id=f"gradient along {axis}") for axis in ("x", "y", "xy")),
        *(pytest.param(sky(seed, grain), id=f"sky {seed}, grain {grain}") for seed in range(6) for grain in (0, 1, 3)),
    ],
)
def test_white_sky_and_gradients_are_accepted(image: Pixels) -> None:
    assert matching_photograph(image) is None
    refuse_test_photograph(image, Path("patch.png"))


def edged(seed: int) -> Pixels:
    """A soft slanted edge, or a bar that rises on white, as a wall, a horizon or a mast on the sky is."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0:1:96j, 0:1:128j]
    a, b, c, d = rng.uniform(-120, 120, 4)
    if seed % 2:
        level = 128 + a / 3 * np.tanh((across * b + down * c - d / 2) / 8)
    else:
        bar = np.exp(-((across - rng.uniform()) ** 2) / 0.002) * (down > rng.uniform())
        level = 250 - abs(a) * np.exp(-((down - 1) ** 2) / 0.1) - abs(b) * bar
    level = level + rng.normal(0, rng.choice([0, 0.5, 2, 5]), level.shape)
    return np.repeat(np.clip(level, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def test_edges_and_masts_on_a_plain_sky_are_accepted() -> None:
    taken = {seed: same for seed in range(300) if (same := matching_photograph(edged(seed))) is not None}
    assert not taken
