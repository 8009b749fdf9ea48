"""Training sets on disk: found in the usual layout, read by the rules of evaluation, refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.datasets.errors import DataError
from restorebench.datasets.files.images import read_image
from restorebench.datasets.training.folders import DecodedCache, FolderImages, PairedFolder, denoise_images
from restorebench.datasets.training.mixtures import Component, Mixture


def save(path: Path, seed: int, size: tuple[int, int] = (24, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("task", "degraded", "clean"),
    [
        ("derain", "Derain/rainy/rain-7.png", "Derain/gt/norain-7.png"),
        ("derain", "Derain/input/7.png", "Derain/target/7.png"),
        ("dehaze", "Dehaze/synthetic/part1/0025_0.8_0.1.jpg", "Dehaze/original/0025.png"),
        ("deblur", "Deblur/blur/GOPR0372_07_00_000047.png", "Deblur/sharp/GOPR0372_07_00_000047.png"),
        ("lowlight", "Enhance/low/2.png", "Enhance/gt/2.png"),
    ],
)
@pytest.mark.parametrize("train", ["Train", "train"])
def test_pairs_are_found_in_the_layout_of_promptir_and_adair(
    task: str, degraded: str, clean: str, train: str, tmp_path: Path
) -> None:
    save(tmp_path / train / degraded, 0)
    save(tmp_path / train / clean, 1)
    save((tmp_path / train / clean).with_name("other.png"), 2)
    pairs = PairedFolder(task, tmp_path, DecodedCache(1 << 20))
    assert len(pairs) == 1
    np.testing.assert_array_equal(pairs.clean(0), np.array(Image.open(tmp_path / train / clean)))
    np.testing.assert_array_equal(pairs.degraded(0), np.array(Image.open(tmp_path / train / degraded)))


def test_what_is_missing_on_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder Train"):
        PairedFolder("derain", tmp_path, DecodedCache(0))
    (tmp_path / "Train").mkdir()
    with pytest.raises(DataError, match=r"RESIDE OTS is missing: put its images into .*Dehaze/\{synthetic,original\}"):
        PairedFolder("dehaze", tmp_path, DecodedCache(0))
    with pytest.raises(DataError, match=r"no folder .*Denoise"):
        denoise_images(tmp_path, DecodedCache(0))
    save(tmp_path / "Train/Deblur/blur/a.png", 0)
    save(tmp_path / "Train/Deblur/sharp/b.png", 0)
    with pytest.raises(DataError, match=r"blur/a\.png: no clean image for it in sharp: add"):
        PairedFolder("deblur", tmp_path, DecodedCache(0))


def test_a_pair_of_two_sizes_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    save(tmp_path / "Train/Enhance/low/1.png", 0)
    save(tmp_path / "Train/Enhance/gt/1.png", 0, (20, 20))
    pairs = PairedFolder("lowlight", tmp_path, DecodedCache(0))
    with pytest.raises(DataError, match=r"1\.png: degraded .* differ in size"):
        Mixture((Component("lowlight", 1, pairs, pairs),), "lists").sample(0, 8)
    (tmp_path / "Train/Enhance/low/1.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(DataError, match=r"^low/1\.png: not an image that can be read: repair or remove .*low/1\.png$"):
        PairedFolder("lowlight", tmp_path, DecodedCache(0)).degraded(0)


def test_images_are_decoded_once_as_long_as_they_fit_in_memory(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", number)
    size = 24 * 20 * 3
    cache = DecodedCache(2 * size)
    folder = FolderImages(tmp_path, cache)
    kept = [folder.clean(index) for index in range(3)]
    assert cache.used == 2 * size
    assert folder.clean(0) is kept[0]
    assert folder.clean(2) is not kept[2]
    np.testing.assert_array_equal(folder.clean(2), kept[2])
    with pytest.raises(ValueError, match="read-only"):
        kept[0][:] = 0


def colours() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "image", "options", "reason"),
    [
        ("clear.png", colours().convert("RGBA"), {}, r"has alpha \(transparency\)"),
        ("grey.png", colours().convert("LA"), {}, r"has alpha \(transparency\)"),
        ("key.png", colours(), {"transparency": (1, 2, 3)}, r"has alpha \(transparency\)"),
        ("deep.png", Image.fromarray(np.full((24, 20), 40_000, dtype=np.uint16)), {}, "16 bits per channel"),
        ("deep.tif", Image.fromarray(np.full((24, 20), 40_000, dtype=np.uint16)), {}, "16 bits per channel"),
        ("print.jpg", colours().convert("CMYK"), {}, "CMYK colours"),
        ("moving.png", colours(), {"save_all": True, "append_images": [colours().rotate(180)]}, "holds 2 images"),
    ],
)
def test_what_evaluation_refuses_training_refuses_by_name_in_one_line(
    name: str, image: Image.Image, options: dict[str, object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir()
    image.save(path, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"^mine/{name}: {reason}"):
        read_image(path)
    with pytest.raises(DataError, match=rf"^mine/{name}: {reason}.*: repair or remove .*{name}$"):
        FolderImages(tmp_path, DecodedCache(0)).clean(0)


@pytest.mark.parametrize("name", ["photo.webp", "photo.gif", "PHOTO.WEBP"])
def test_images_of_other_formats_are_refused_and_not_passed_over(name: str, tmp_path: Path) -> None:
    save(tmp_path / "mine/1.png", 0)
    colours().save(tmp_path / "mine" / name)
    with pytest.raises(
        DataError, match=rf"natural images: mine/{name}: wrong extension .*: convert or remove .*{name}"
    ):
        FolderImages(tmp_path, DecodedCache(0))


def test_a_grey_image_and_notes_beside_it_are_fine(tmp_path: Path) -> None:
    colours().convert("L").save(tmp_path / "grey.png")
    (tmp_path / "licence.txt").write_text("CC0")
    (image,) = [FolderImages(tmp_path, DecodedCache(0)).clean(0)]
    np.testing.assert_array_equal(image, np.asarray(colours().convert("L").convert("RGB")))


@pytest.mark.parametrize(
    ("task", "pairs"),
    [
        ("deblur", [("Deblur/{}/blur/000001.png", "Deblur/{}/sharp/000001.png")]),
        ("deblur", [("Deblur/blur/{}/000001.png", "Deblur/sharp/{}/000001.png")]),
        ("lowlight", [("Enhance/low/{}_NOISY_1.png", "Enhance/high/{}_GT_1.png")]),
        ("derain", [("Derain/rainy/restored_{}.png", "Derain/gt/{}.png")]),
    ],
)
def test_training_pairs_by_the_rules_of_evaluation(task: str, pairs: list[tuple[str, str]], tmp_path: Path) -> None:
    for number, name in enumerate(("S1", "S2")):
        for degraded, clean in pairs:
            save(tmp_path / "Train" / degraded.format(name), number)
            save(tmp_path / "Train" / clean.format(name), 10 + number)
    found = PairedFolder(task, tmp_path, DecodedCache(0))
    assert len(found) == len(set(found.names)) == 2
    for number in range(2):
        for image, seed in ((found.degraded(number), number), (found.clean(number), 10 + number)):
            expected = np.random.default_rng(seed).integers(0, 256, (24, 20, 3), dtype=np.uint8)
            np.testing.assert_array_equal(image, expected)


def test_one_folder_as_both_sides_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "Train/Deblur/blur/a.png", 0)
    (tmp_path / "Train/Deblur/sharp").symlink_to(tmp_path / "Train/Deblur/blur")
    with pytest.raises(DataError, match="are one folder"):
        PairedFolder("deblur", tmp_path, DecodedCache(0))


def test_what_systems_leave_in_a_folder_is_no_training_image(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 0)
    for name in ("Thumbs.db", ".DS_Store", "._1.png", "@eaDir/1.png", "__MACOSX/._1.png", "blocks.mat", "list.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / "x.png").mkdir()
    assert FolderImages(tmp_path, DecodedCache(0)).names == ("1.png",)
