from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.datasets import TASK_NAMES, DataError
from restorebench.datasets.standard.layout import ALL_SETS, find_part, get_set
from restorebench.datasets.tasks import CDD11_TASKS, STANDARD_SETS

from ..roots import pixels, save


def test_the_sets_have_the_counts_of_the_field():
    counts = [68, 24, 100, 100, 100, 500, 1111, 2025, 15, 100, 200]
    assert [s.images for s in ALL_SETS] == counts
    assert [s.name for s in ALL_SETS] == [
        *("CBSD68", "Kodak24", "Urban100", "Rain100L", "Rain100H", "SOTS-Outdoor"),
        *("GoPro", "HIDE", "LOL-v1", "LOL-v2-real", "CDD-11"),
    ]
    assert len(CDD11_TASKS) == 11
    assert set(STANDARD_SETS) == set(TASK_NAMES) - {"restore"}
    assert all(task in get_set(name).tasks for task, name in STANDARD_SETS.items())


def test_every_set_says_where_it_comes_from_and_under_which_terms():
    for s in ALL_SETS:
        assert "https://" in s.source
        assert s.licence
        assert str(s.images) in s.size


@pytest.mark.parametrize(
    ("name", "task", "folders"),
    [
        ("CBSD68", "denoise", ["test/denoise/bsd68"]),
        ("CBSD68", "denoise", ["test/denoise/CBSD68"]),
        ("CBSD68", "denoise", ["test/denoise/bsd68/target"]),
        ("CBSD68", "denoise", ["denoise/bsd68"]),
        ("Kodak24", "denoise", ["test/denoise/Kodak24"]),
        ("Urban100", "denoise", ["test/denoise/urban100"]),
        ("Rain100L", "derain", ["test/derain/Rain100L/input", "test/derain/Rain100L/target"]),
        ("Rain100L", "derain", ["Test/Derain/rain100l/Input", "Test/Derain/rain100l/Target"]),
        ("Rain100H", "derain", ["derain/Rain100H/input", "derain/Rain100H/target"]),
        ("SOTS-Outdoor", "dehaze", ["test/dehaze/input", "test/dehaze/target"]),
        ("GoPro", "deblur", ["test/deblur/gopro/blur", "test/deblur/gopro/sharp"]),
        ("GoPro", "deblur", ["test/deblur/GoPro/input", "test/deblur/GoPro/target"]),
        ("HIDE", "deblur", ["test/deblur/HIDE/blur", "test/deblur/HIDE/sharp"]),
        ("HIDE", "deblur", ["test/deblur/HIDE/input", "test/deblur/HIDE/target"]),
        ("LOL-v1", "lowlight", ["test/enhance/lolv1/low", "test/enhance/lolv1/high"]),
        ("LOL-v1", "lowlight", ["test/enhance/lol/input", "test/enhance/lol/target"]),
        ("LOL-v2-real", "lowlight", ["test/enhance/lolv2/low", "test/enhance/lolv2/high"]),
        ("LOL-v2-real", "lowlight", ["test/enhance/lolv2/Low", "test/enhance/lolv2/Normal"]),
        ("CDD-11", "low_haze_rain", ["test/cdd11/low_haze_rain", "test/cdd11/clear"]),
        ("CDD-11", "snow", ["CDD-11_test/snow", "CDD-11_test/clear"]),
    ],
)
def test_every_spelling_of_the_layout_is_found(tmp_path: Path, name: str, task: str, folders: list[str]):
    for i, folder in enumerate(folders):
        save(tmp_path / folder / "1.png", pixels(i))
    part = find_part(get_set(name), task, tmp_path)
    assert part.listing is not None
    assert [str(folder.relative_to(tmp_path)) for folder in part.listing.folders] == folders
    assert part.images == 1
    assert not part.whole


def test_half_a_pair_of_folders_is_absent(tmp_path):
    save(tmp_path / "test/derain/Rain100L/input/1.png", pixels(1))
    part = find_part(get_set("Rain100L"), "derain", tmp_path)
    assert part.listing is None
    assert part.shortfall == "Rain100L is absent (100 images), goes in test/derain/Rain100L/{input,target}/*"


def test_a_folder_named_as_a_set_that_is_a_file_is_absent(tmp_path):
    save(tmp_path / "test/denoise/bsd68.png", pixels(1)).rename(tmp_path / "test/denoise/bsd68")
    assert find_part(get_set("CBSD68"), "denoise", tmp_path).listing is None


def test_promptir_names_make_a_whole_set(tmp_path):
    base = tmp_path / "test/derain/Rain100L"
    for i in range(1, 101):
        save(base / "input" / f"rain-{i:03d}.png", pixels(1, 8, 8))
        save(base / "target" / f"norain-{i:03d}.png", pixels(2, 8, 8))
    assert find_part(get_set("Rain100L"), "derain", tmp_path).whole
    (base / "target/norain-007.png").unlink()
    part = find_part(get_set("Rain100L"), "derain", tmp_path)
    assert not part.whole
    assert part.counted
    assert "100 of 100 images, 1 of them unpaired (rain-007.png: no clean image for it in target)" in part.shortfall


def test_names_of_sets_are_suggested():
    with pytest.raises(DataError, match="did you mean 'Urban100'"):
        get_set("urban10")
    with pytest.raises(DataError, match=r"unknown data set of the task derain 'CBSD68'; known: Rain100L, Rain100H$"):
        get_set("CBSD68", "derain")


@pytest.mark.parametrize(
    ("name", "task", "count"),
    [
        ("CBSD68", "denoise", 68),
        ("Rain100H", "derain", 100),
        ("Rain100L", "derain", 4),
        ("SOTS-Outdoor", "dehaze", 2),
        ("LOL-v1", "lowlight", 1),
        ("GoPro", "deblur", 0),
    ],
)
def test_the_real_images_are_counted(real_root, name, task, count):
    part = find_part(get_set(name), task, real_root)
    assert part.images == count
    assert part.whole == (name in ("CBSD68", "Rain100H"))
