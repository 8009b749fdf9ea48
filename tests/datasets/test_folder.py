from __future__ import annotations

import re

import numpy as np
import pytest

from restorebench.datasets import DataError, folder_suite

from .roots import pixels, save


@pytest.fixture
def haze(tmp_path):
    """Two hazy images of one scene and one of another, with SOTS-like names, under `mine/hazy` and `mine/clear`."""
    for i, name in enumerate(("0001_0.8_0.2.png", "0001_1_0.1.png", "0002_0.9_0.1.png")):
        save(tmp_path / "mine" / "hazy" / name, pixels(i))
    for i, name in enumerate(("0001.png", "0002.png")):
        save(tmp_path / "mine" / "clear" / name, pixels(10 + i))
    return tmp_path / "mine"


def test_two_folders_are_a_suite_of_one_task(haze):
    resolved = folder_suite(haze / "hazy", haze / "clear", "dehaze")
    (task,) = resolved.suite.tasks
    (data,) = resolved.data
    assert resolved.suite.name == "folder"
    assert task.name == "dehaze"
    assert re.fullmatch(r"folder-mine-[0-9a-f]{8}", task.dataset)
    assert data.fingerprint().startswith(task.dataset[-8:])
    np.testing.assert_array_equal(data[1].clean, pixels(10))
    np.testing.assert_array_equal(data[2].degraded, pixels(2))
    assert folder_suite(haze / "hazy", haze / "clear").suite.tasks[0].label == "restore"


def test_other_images_are_another_data_set(haze):
    before = folder_suite(haze / "hazy", haze / "clear").suite.tasks[0].dataset
    save(haze / "hazy" / "0002_0.9_0.1.png", pixels(50))
    assert folder_suite(haze / "hazy", haze / "clear").suite.tasks[0].dataset != before


def test_the_notice_names_what_fails_and_what_is_passed_over(haze):
    save(haze / "hazy" / "0003_1.png", pixels(3))
    save(haze / "clear" / "0004.png", pixels(3))
    (haze / "hazy" / "notes.txt").write_text("hello")
    notice = folder_suite(haze / "hazy", haze / "clear").notice
    assert "4 images in" in notice
    assert "will fail: 0003_1.png (no clean image for it in clear)" in notice
    assert "clean without a degraded image: 0004.png" in notice
    assert "no images: hazy/notes.txt" in notice
    assert "\n" not in notice


def test_a_root_with_both_sides_is_given_once(haze, tmp_path):
    resolved = folder_suite(haze, None, "dehaze")
    assert re.fullmatch(r"folder-mine-[0-9a-f]{8}", resolved.suite.tasks[0].dataset)
    two = folder_suite(haze / "hazy", haze / "clear", "dehaze")
    assert resolved.data[0].names == two.data[0].names
    assert resolved.data[0].fingerprint() == two.data[0].fingerprint()
    with pytest.raises(DataError, match=r"has degraded images and clean ones: give degraded=.*mine to restore"):
        folder_suite(None, haze)


def test_frames_of_one_name_in_two_sequences_are_two_images_of_the_data_set(tmp_path):
    for seed, sequence in enumerate(("a", "b")):
        save(tmp_path / sequence / "blur" / "1.png", pixels(seed))
        save(tmp_path / sequence / "sharp" / "1.png", pixels(10 + seed))
    (data,) = folder_suite(tmp_path, None).data
    assert data.names == ("a/1.png", "b/1.png")
    before = data.fingerprint()
    for seed, sequence in enumerate(("b", "a")):  # the clean images change places
        save(tmp_path / sequence / "sharp" / "1.png", pixels(10 + seed))
    assert folder_suite(tmp_path, None).data[0].fingerprint() != before


def test_clean_images_alone_are_for_noise(haze):
    resolved = folder_suite(None, haze / "clear", "denoise", 30)
    assert [task.label for task in resolved.suite.tasks] == ["denoise-30"]
    assert resolved.data[0][0].degraded is None
    labels = [task.label for task in folder_suite(None, haze / "clear").suite.tasks]
    assert labels == ["denoise-15", "denoise-25", "denoise-50"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"degraded": "hazy", "clean": None}, r"needs clean=DIR"),
        ({"degraded": "hazi", "clean": "clear"}, r"degraded=.*hazi is not a folder"),
        ({"degraded": "hazy", "clean": "clean"}, r"clean=.*clean is not a folder"),
        ({"degraded": "hazy", "clean": "empty"}, r"no image in .*hazy has a clean one in .*empty: names"),
        ({"degraded": "empty", "clean": "clear"}, r"no PNG, JPEG, BMP or TIFF image in .*empty"),
        ({"degraded": None, "clean": "empty"}, r"no PNG, JPEG, BMP or TIFF image in .*empty"),
        ({"degraded": None, "clean": "clear", "task": "dehaze"}, r"the task dehaze needs degraded=DIR"),
        ({"degraded": "hazy", "clean": "clear", "task": "dehase"}, r"unknown task .*did you mean 'dehaze'"),
        ({"degraded": "hazy", "clean": "clear", "sigma": 25}, r"sigma= is for noise drawn on clean images"),
        ({"degraded": None, "clean": "clear", "sigma": 0}, r"sigma=0: give a noise level from 1 to 255"),
    ],
)
def test_mistakes_are_named(haze, arguments, reason):
    (haze / "empty").mkdir()
    for key in ("degraded", "clean"):
        if arguments[key] is not None:
            arguments = {**arguments, key: haze / arguments[key]}
    with pytest.raises(DataError, match=reason):
        folder_suite(**arguments)


def test_the_real_indoor_pairs_are_read(test_data):
    folder = test_data / "sots_indoor"
    resolved = folder_suite(folder / "hazy", folder / "GT", "dehaze")
    assert len(resolved.data[0]) == 20
    errors = [sample.clean - np.float64(sample.degraded) for sample in map(resolved.data[0].__getitem__, range(20))]
    psnr = np.mean([10 * np.log10(255**2 / np.mean(error**2)) for error in errors])
    assert psnr == pytest.approx(12.50, abs=0.01)  # as the images' own description says
