"""Crops lie where restored images differ, and errors are on one scale."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from restorebench.reports.errors import ReportError
from restorebench.reports.figures.error_maps import error_map, find_crop


def saved(path: Path, image: np.ndarray) -> Path:
    Image.fromarray(image).save(path)
    return path


def test_the_crop_is_where_restored_images_differ(tmp_path: Path) -> None:
    clean = np.full((64, 100, 3), 100, np.uint8)
    other = clean.copy()
    other[40:56, 70:95] = 180
    paths = [saved(tmp_path / "a.png", clean), saved(tmp_path / "b.png", other)]
    assert find_crop(paths, paths[0]) == (40, 70, 16, 25)
    assert find_crop(paths[1:], paths[0]) == (40, 70, 16, 25)


@pytest.mark.parametrize("corner", [(0, 0), (0, 88), (52, 0), (52, 88)])
def test_the_crop_stays_inside(tmp_path: Path, corner: tuple[int, int]) -> None:
    clean = np.full((64, 100, 3), 100, np.uint8)
    other = clean.copy()
    other[corner[0] : corner[0] + 12, corner[1] : corner[1] + 12] = 180
    top, left, height, width = find_crop(
        [saved(tmp_path / "a.png", clean), saved(tmp_path / "b.png", other)], saved(tmp_path / "c.png", clean)
    )
    assert (height, width) == (16, 25)
    assert 0 <= top <= corner[0]
    assert 0 <= left <= corner[1]
    assert corner[0] + 12 <= top + height <= 64
    assert corner[1] + 12 <= left + width <= 100


def test_the_crop_of_equal_images_is_the_middle(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.full((64, 32, 3), 7, np.uint8))
    assert find_crop([path, path], path) == (24, 12, 16, 8)


def test_the_error_map_is_black_without_error_and_light_at_the_scale(tmp_path: Path) -> None:
    clean = np.full((8, 8, 3), 100, np.uint8)
    other = clean.copy()
    other[0, 0] = (130, 100, 100)
    other[0, 1] = (80, 120, 80)
    other[0, 2] = 0
    colours = error_map(saved(tmp_path / "a.png", other), saved(tmp_path / "c.png", clean), 20)
    table = matplotlib.colormaps["inferno"]
    assert colours.shape == (8, 8, 3)
    assert colours.dtype == np.uint8
    assert tuple(colours[5, 5]) == table(0.0, bytes=True)[:3]
    assert tuple(colours[0, 0]) == table(0.5, bytes=True)[:3]
    assert tuple(colours[0, 1]) == tuple(colours[0, 2]) == table(1.0, bytes=True)[:3]


def test_another_size_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    clean = saved(tmp_path / "c.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ReportError, match="4x8 pixels, the clean image has 8x8"):
        error_map(saved(tmp_path / "a.png", np.zeros((8, 4, 3), np.uint8)), clean, 1)
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ReportError, match=r"b\.png: not a readable preview"):
        error_map(tmp_path / "b.png", clean, 1)
