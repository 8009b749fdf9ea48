"""Archives as they are released, read under one root."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pytest

from restorebench.datasets.errors import DataError
from restorebench.datasets.files.sides import list_root


def made(root: Path, files: Iterable[str]) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    return root


def pairs(root: Path) -> dict[str, tuple[str, str]]:
    """Paths of the degraded and the clean image by name."""
    listing = list_root(root)
    assert listing is not None
    assert not listing.problems
    assert not listing.orphans
    return {
        image.name: (image.degraded.relative_to(root).as_posix(), image.clean.relative_to(root).as_posix())
        for image in listing.images
        if image.degraded and image.clean
    }


def test_gopro_as_released_keeps_blur_and_names_blur_gamma(tmp_path: Path) -> None:
    kinds = product(("train", "test"), ("GOPR1_11_00", "GOPR2_11_00"), ("blur", "blur_gamma", "sharp"), (1, 2))
    root = made(tmp_path, [f"{part}/{name}/{kind}/{frame:06d}.png" for part, name, kind, frame in kinds])
    found = pairs(root)
    assert len(found) == 8
    assert found["test/GOPR1_11_00/000002.png"] == (
        "test/GOPR1_11_00/blur/000002.png",
        "test/GOPR1_11_00/sharp/000002.png",
    )
    listing = list_root(root)
    assert listing is not None
    assert listing.notes == ("left out: blur_gamma, another version of blur (8 images)",)
    assert pairs(root / "test").keys() == {name.removeprefix("test/") for name in found if name.startswith("test/")}


def test_blur_gamma_alone_is_read(tmp_path: Path) -> None:
    root = made(tmp_path, ["S/blur_gamma/1.png", "S/sharp/1.png"])
    assert pairs(root) == {"S/1.png": ("S/blur_gamma/1.png", "S/sharp/1.png")}


def test_hide_as_released(tmp_path: Path) -> None:
    names = {"train": "1fromA1", "test/test-close-ups": "2fromA1", "test/test-long-shot": "3fromB2"}
    files = [f"{folder}/{name}.png" for folder, name in names.items()]
    root = made(tmp_path, [*files, *(f"GT/{name}.png" for name in names.values()), "train.txt", "test.txt"])
    assert pairs(root) == {f"{k}/{v}.png": (f"{k}/{v}.png", f"GT/{v}.png") for k, v in names.items()}
    listing = list_root(root)
    assert listing is not None
    assert sorted(path.name for path in listing.ignored) == ["test.txt", "train.txt"]


def test_realblur_and_reds_as_released(tmp_path: Path) -> None:
    real = made(tmp_path / "a", [f"scene{s}/{k}/{k}_{i}.png" for s, k, i in product((1, 2), ("blur", "gt"), (1, 2))])
    assert pairs(real)["scene2/blur_1.png"] == ("scene2/blur/blur_1.png", "scene2/gt/gt_1.png")
    kinds = product(("train", "val"), ("sharp", "blur", "blur_jpeg"), ("000", "001"))
    reds = made(tmp_path / "b", [f"{part}/{part}_{kind}/{s}/00000000.png" for part, kind, s in kinds])
    assert pairs(reds)["val/001/00000000.png"] == (
        "val/val_blur/001/00000000.png",
        "val/val_sharp/001/00000000.png",
    )
    assert len(pairs(reds)) == 4


def test_files_that_say_their_side_themselves_as_in_sidd(tmp_path: Path) -> None:
    root = made(tmp_path, [f"{s}/{k}_SRGB_010.PNG" for s, k in product(("0001_S6", "0002_S6"), ("NOISY", "GT"))])
    (root / "readme.txt").write_text("GT")
    assert pairs(root) == {
        f"{s}/NOISY_SRGB_010.PNG": (f"{s}/NOISY_SRGB_010.PNG", f"{s}/GT_SRGB_010.PNG") for s in ("0001_S6", "0002_S6")
    }
    assert list_root(made(tmp_path / "other", ["low.png", "1.png"])) is None


def test_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    files = [
        "blur/1.png",
        "sharp/1.png",
        "sharp/._1.png",
        "@eaDir/blur/1.png",
        "__MACOSX/sharp/1.png",
        "blur/Thumbs.db",
    ]
    root = made(tmp_path, files)
    (root / "blur" / "x.png").mkdir()
    assert pairs(root) == {"1.png": ("blur/1.png", "sharp/1.png")}


def test_a_root_without_two_sides_is_none(tmp_path: Path) -> None:
    assert list_root(made(tmp_path / "a", ["blur/1.png", "1.png"])) is None
    assert list_root(made(tmp_path / "b", ["sharp/1.png"])) is None
    (tmp_path / "c").mkdir()
    assert list_root(tmp_path / "c") is None


def test_several_degraded_sides_and_images_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"several folders of degraded images, haze, rain: give one of each side"):
        list_root(made(tmp_path / "a", ["clear/1.png", "haze/1.png", "rain/1.png"]))
    with pytest.raises(DataError, match=r"images of one name, s/1\.png"):
        list_root(made(tmp_path / "b", ["s/blur/1.png", "blur/s/1.png", "sharp/s/1.png"]))


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    root = made(tmp_path, ["s/blur/1.png", "s/sharp/1.png"])
    (root / "s" / "blur" / "again").symlink_to(root / "s")
    (root / "s" / "loop").symlink_to(root)
    assert pairs(root) == {"s/1.png": ("s/blur/1.png", "s/sharp/1.png")}
