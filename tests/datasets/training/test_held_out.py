"""Validation photographs: degraded as the embedded sets are, the same on every run, refused where they cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.datasets.errors import DataError
from restorebench.datasets.training.folders import DecodedCache, FolderImages
from restorebench.datasets.training.held_out import DATASET, HeldOutTask, held_out_tasks


@pytest.fixture
def images(tmp_path: Path) -> FolderImages:
    rng = np.random.default_rng(0)
    for name, size in (("b", (60, 40)), ("a", (48, 64))):
        pixels = rng.integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(tmp_path / f"{name}.png")
    return FolderImages(tmp_path, DecodedCache(2**20), "data.validation_images")


def test_a_suite_is_made_of_centre_crops_in_sorted_order(images: FolderImages) -> None:
    tasks = held_out_tasks("5d", images, 32)
    assert [data.task.label for data in tasks] == ["dehaze", "derain", "denoise-25", "deblur", "lowlight"]
    for data in tasks:
        assert data.names == ("a.png", "b.png")
        assert data.task.dataset == DATASET
        sample = data[0]
        assert sample.clean.shape == (32, 32, 3)
        np.testing.assert_array_equal(sample.clean, images.clean(0)[16:48, 8:40])
        if data.task.sigma is None:
            assert sample.degraded is not None
            assert sample.degraded.shape == sample.clean.shape
            assert (sample.degraded != sample.clean).any()
        else:
            assert sample.degraded is None


def test_degraded_pixels_are_the_same_on_every_reading(images: FolderImages) -> None:
    first, again = (held_out_tasks("5d", images, 32) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert one.fingerprint() == other.fingerprint()
        assert len({data.fingerprint() for data in first}) == len(first)
    assert first[0].fingerprint() != held_out_tasks("5d", images, 16)[0].fingerprint()


def test_a_photograph_below_the_crop_is_refused_by_name(images: FolderImages) -> None:
    (data,) = held_out_tasks("derain", images, 48)
    with pytest.raises(DataError, match=r"b\.png is 60x40, less than validation\.size=48"):
        data[1]


def test_a_task_that_cannot_be_made_is_refused(images: FolderImages) -> None:
    with pytest.raises(DataError, match="cannot be made from photographs"):
        held_out_tasks("cdd11", images, 32)
    assert HeldOutTask(held_out_tasks("denoise", images, 32)[0].task, images, 32).task.sigma == 15
