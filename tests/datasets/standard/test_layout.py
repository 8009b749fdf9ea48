from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.datasets.clusters import cluster_of
from restorebench.datasets.standard.layout import find_subset
from restorebench.datasets.standard.sets import get_set

from ..roots import pixels, save


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
    subset = find_subset(get_set(name), task, tmp_path)
    assert subset.listing is not None
    assert [str(folder.relative_to(tmp_path)) for folder in subset.listing.folders] == folders
    assert subset.images == 1
    assert not subset.whole


def test_half_a_pair_of_folders_is_absent(tmp_path):
    save(tmp_path / "test/derain/Rain100L/input/1.png", pixels(1))
    subset = find_subset(get_set("Rain100L"), "derain", tmp_path)
    assert subset.listing is None
    assert subset.shortfall == "Rain100L is absent (100 images), goes in test/derain/Rain100L/{input,target}/*"


def test_a_folder_named_as_a_set_that_is_a_file_is_absent(tmp_path):
    save(tmp_path / "test/denoise/bsd68.png", pixels(1)).rename(tmp_path / "test/denoise/bsd68")
    assert find_subset(get_set("CBSD68"), "denoise", tmp_path).listing is None


def test_promptir_names_make_a_whole_set(tmp_path):
    base = tmp_path / "test/derain/Rain100L"
    for i in range(1, 101):
        save(base / "input" / f"rain-{i:03d}.png", pixels(1, 8, 8))
        save(base / "target" / f"norain-{i:03d}.png", pixels(2, 8, 8))
    assert find_subset(get_set("Rain100L"), "derain", tmp_path).whole
    (base / "target/norain-007.png").unlink()
    subset = find_subset(get_set("Rain100L"), "derain", tmp_path)
    assert not subset.whole
    assert subset.counted
    assert "100 of 100 images, 1 of them unpaired (rain-007.png: no clean image for it in target)" in subset.shortfall


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
    subset = find_subset(get_set(name), task, real_root)
    assert subset.images == count
    assert subset.whole == (name in ("CBSD68", "Rain100H"))


@pytest.mark.parametrize("folder", ["test/deblur/gopro", "test/deblur/GOPRO_Large", "GOPRO_Large"])
def test_gopro_as_released_is_read_as_it_is(tmp_path: Path, folder: str) -> None:
    for part, sequence in (("test", "GOPR0384_11_00"), ("test", "GOPR0385_11_01"), ("train", "GOPR0372_07_00")):
        for kind in ("blur", "blur_gamma", "sharp"):
            save(tmp_path / folder / part / sequence / kind / "000001.png", pixels(1))
    subset = find_subset(get_set("GoPro"), "deblur", tmp_path)
    assert subset.listing is not None
    assert [image.name for image in subset.listing.images] == [
        *("GOPR0384_11_00/000001.png", "GOPR0385_11_01/000001.png")
    ]
    for image in subset.listing.images:
        assert image.degraded is not None
        assert image.degraded.parent.name == "blur"
        assert image.clean == image.degraded.parent.parent / "sharp" / "000001.png"
    assert subset.listing.notes == ("left out: blur_gamma, another version of blur (2 images)",)
    assert {cluster_of("GoPro", image.name) for image in subset.listing.images} == {"GOPR0384_11_00", "GOPR0385_11_01"}


def test_sequences_below_the_two_sides_are_read(tmp_path: Path) -> None:
    for side in ("blur", "sharp"):
        save(tmp_path / "test/deblur/gopro" / side / "GOPR0384_11_00" / "000001.png", pixels(1))
    subset = find_subset(get_set("GoPro"), "deblur", tmp_path)
    assert subset.listing is not None
    assert [image.name for image in subset.listing.images] == ["GOPR0384_11_00/000001.png"]


@pytest.mark.parametrize("folder", ["test/deblur/hide", "HIDE_dataset"])
def test_hide_as_released_is_read_as_it_is(tmp_path: Path, folder: str) -> None:
    base = tmp_path / folder
    for path in ("train/1fromGOPR0854", "test/test-close-ups/2fromGOPR0854", "test/test-long-shot/3fromGOPR0950"):
        save(base / f"{path}.png", pixels(1))
        save(base / "GT" / f"{path.rpartition('/')[2]}.png", pixels(2))
    for text in ("train.txt", "test.txt", "GT/list.csv"):
        (base / text).write_text("1fromGOPR0854.png\n")
    subset = find_subset(get_set("HIDE"), "deblur", tmp_path)
    assert subset.listing is not None
    assert not subset.listing.problems
    assert not subset.listing.orphans
    assert [(image.name, image.clean_name) for image in subset.listing.images] == [
        ("test-close-ups/2fromGOPR0854.png", "2fromGOPR0854.png"),
        ("test-long-shot/3fromGOPR0950.png", "3fromGOPR0950.png"),
    ]
    assert [cluster_of("HIDE", image.name) for image in subset.listing.images] == ["GOPR0854", "GOPR0950"]


def test_a_training_part_alone_is_no_test_set(tmp_path: Path) -> None:
    for kind in ("blur", "sharp"):
        save(tmp_path / "GOPRO_Large/train/GOPR0372_07_00" / kind / "000001.png", pixels(1))
    assert find_subset(get_set("GoPro"), "deblur", tmp_path).listing is None
