from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from restorebench.datasets import DataError
from restorebench.datasets.files.perceptual_hash import perceptual_hash
from restorebench.datasets.standard.leakage import find_leakage, folder_images, set_images
from restorebench.datasets.standard.sets import get_set

from ..roots import save, scene


@pytest.fixture
def folders(tmp_path):
    """A and B with five scenes in common and some of their own."""
    a, b = tmp_path / "a", tmp_path / "b"
    for i in range(5):
        save(a / f"{i}.png", scene(i))
    for i in range(10, 16):
        save(a / "more" / f"{i}.png", scene(i))
        save(b / f"{i}.png", scene(i + 100))
    save(b / "same.bmp", scene(0))
    save(b / "cropped.png", scene(1)[:95, :120])
    Image.fromarray(scene(2)).save(b / "compressed.jpg", quality=70)
    Image.fromarray(scene(3)).resize((64, 48), Image.Resampling.LANCZOS).save(b / "smaller.png")
    save(b / "darker.png", (scene(4) * 0.7).astype(np.uint8))
    return a, b


def test_leakage_is_found_whatever_was_done_to_the_file(folders):
    a, b = map(folder_images, folders)
    report = find_leakage(a, b)
    assert {(leak.a, leak.b): leak.kind for leak in report.leaks} == {
        ("0.png", "same.bmp"): "same pixels",
        ("1.png", "cropped.png"): "same pixels, cropped",
        ("2.png", "compressed.jpg"): "alike",
        ("3.png", "smaller.png"): "alike",
        ("4.png", "darker.png"): "alike",
    }
    assert (report.images_a, report.images_b, report.leaked_a, report.leaked_b) == (11, 11, 5, 5)
    assert {(leak.b, leak.a) for leak in find_leakage(b, a).leaks} == {(leak.a, leak.b) for leak in report.leaks}


def test_unreadable_images_are_named_and_left_out(folders):
    a, b = folders
    (a / "0.png").write_bytes(b"")
    (b / "more.png").write_bytes(b"no image")
    report = find_leakage(folder_images(a), folder_images(b))
    assert report.unreadable == ("a/0.png: zero bytes long", "b/more.png: not an image that can be read")
    assert (report.images_a, report.images_b, report.leaked_a) == (10, 11, 4)


def test_images_without_structure_are_compared_by_pixels_alone(tmp_path):
    flat = np.full((32, 32, 3), 40, np.uint8)
    save(tmp_path / "a/1.png", flat)
    save(tmp_path / "b/1.png", flat)
    save(tmp_path / "b/2.png", flat + 1)
    assert perceptual_hash(flat) is None
    (leak,) = find_leakage(folder_images(tmp_path / "a"), folder_images(tmp_path / "b")).leaks
    assert (leak.b, leak.kind, leak.distance) == ("1.png", "same pixels", None)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="no PNG, JPEG, BMP or TIFF image"):
        folder_images(tmp_path)
    with pytest.raises(DataError, match=r"Kodak24 is not under .*goes in test/denoise/kodak24/\*"):
        set_images(get_set("Kodak24"), tmp_path)


@pytest.mark.slow
def test_rain100h_shows_the_25_that_are_in_cbsd68(real_root):
    rain, cbsd = (set_images(get_set(name), real_root) for name in ("Rain100H", "CBSD68"))
    report = find_leakage(rain, cbsd)
    assert (report.images_a, report.images_b) == (100, 68)
    assert (report.leaked_a, report.leaked_b, len(report.leaks)) == (25, 24, 25)
    assert {leak.kind for leak in report.leaks} == {"same pixels, cropped"}
    assert all(leak.distance is not None and leak.distance <= 2 for leak in report.leaks)
    assert ("3.png", "182053.png") in {(leak.a, leak.b) for leak in report.leaks}


def test_rain100h_has_91_distinct_clean_images(real_root):
    rain = set_images(get_set("Rain100H"), real_root)
    report = find_leakage(rain, rain)
    assert report.distinct_a == 91
    assert {leak.kind for leak in report.leaks} == {"same pixels"}
    assert len(report.leaks) == 9
