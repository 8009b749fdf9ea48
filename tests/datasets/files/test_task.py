from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.datasets import DataError, Sample, Task
from restorebench.datasets.files.pairing import list_folder, list_pairs
from restorebench.datasets.files.task import FileTask, Reading

from ..roots import pixels, save

TASK = Task("derain", "Rain100L")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three pairs in `input` and `target`."""
    for i, name in enumerate(("a.png", "b.png", "c.png")):
        save(tmp_path / "input" / name, pixels(i))
        save(tmp_path / "target" / name, pixels(10 + i))
    return tmp_path


def paired(folder: Path) -> FileTask:
    return FileTask(TASK, list_pairs(folder / "input", folder / "target"), "three pairs", "for research")


def test_samples_are_the_pairs_in_the_order_of_their_names(pairs):
    data = paired(pairs)
    assert data.names == ("a.png", "b.png", "c.png")
    assert len(data) == 3
    assert (data.task, data.description, data.licence) == (TASK, "three pairs", "for research")
    sample = data[1]
    assert (sample.name, sample.task) == ("b.png", TASK)
    np.testing.assert_array_equal(sample.clean, pixels(11))
    np.testing.assert_array_equal(sample.degraded, pixels(1))
    with pytest.raises(IndexError):
        data[3]


def test_a_set_for_denoising_has_no_degraded_images(pairs):
    data = FileTask(Task("denoise", "CBSD68", 25), list_folder(pairs / "target"), "three images", "for research")
    assert data[0].degraded is None
    assert data.description == "three images, noise of sigma 25 drawn by the protocol"


def test_threads_read_the_same(pairs):
    data = paired(pairs)
    with ThreadPoolExecutor(8) as pool:
        samples = list(pool.map(data.__getitem__, [0, 1, 2] * 20))
    for index, sample in zip([0, 1, 2] * 20, samples, strict=True):
        np.testing.assert_array_equal(sample.degraded, pixels(index))


def damage(folder: Path) -> dict[str, str]:
    """One pair of every kind of damage beside the three good ones; names with the reasons."""
    good = (folder / "input" / "a.png").read_bytes()
    for name in ("cut", "zero", "link", "jpeg", "size", "deep", "cmyk", "alpha", "alone", "text", "clean"):
        save(folder / "target" / f"{name}.png", pixels(5))
        (folder / "input" / f"{name}.png").write_bytes(good)
    inputs = folder / "input"
    (inputs / "cut.png").write_bytes(good[:-100])
    (inputs / "zero.png").write_bytes(b"")
    (inputs / "folder.png").mkdir()  # no image, and so no damaged one
    (inputs / "link.png").unlink()
    (inputs / "link.png").symlink_to("nowhere")
    Image.fromarray(pixels(5)).save(inputs / "jpeg.png", "JPEG")
    save(inputs / "size.png", pixels(5, 20, 40))
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(inputs / "deep.png")
    (inputs / "cmyk.png").rename(inputs / "cmyk.jpg")
    Image.fromarray(pixels(5)).convert("CMYK").save(inputs / "cmyk.jpg")
    Image.fromarray(pixels(5)).convert("RGBA").save(inputs / "alpha.png")
    (folder / "target" / "alone.png").unlink()
    (inputs / "text.png").rename(inputs / "text.txt")
    (folder / "target" / "clean.png").write_bytes(b"")
    return {
        "cut.png": "damaged or cut off",
        "zero.png": "zero bytes",
        "link.png": "cannot be read",
        "jpeg.png": "wrong extension: the file holds JPEG",
        "size.png": "40x20 pixels, but its clean image size.png has 32x24",
        "deep.png": "16 bits per channel",
        "cmyk.jpg": "CMYK",
        "alpha.png": "has alpha",
        "alone.png": "no clean image",
        "text.txt": "wrong extension (.txt)",
        "clean.png": "target/clean.png: zero bytes",
    }


def test_every_kind_of_damage_is_reported_by_name_and_the_rest_is_read(pairs):
    wrong = damage(pairs)
    data = paired(pairs)
    assert data.names == tuple(sorted([*wrong, "a.png", "b.png", "c.png"]))
    read: list[Sample] = []
    for index, name in enumerate(data.names):
        if name not in wrong:
            read.append(data[index])
            continue
        with pytest.raises(DataError) as caught:
            data[index]
        assert name in str(caught.value)
        assert wrong[name] in str(caught.value)
        assert "\n" not in str(caught.value)
    assert [sample.name for sample in read] == ["a.png", "b.png", "c.png"]


def test_the_fingerprint_is_of_names_and_bytes_wherever_they_lie(pairs, tmp_path_factory):
    before = paired(pairs).fingerprint()
    assert len(before) == 64
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(pairs / "input", elsewhere / "blur")
    shutil.copytree(pairs / "target", elsewhere / "sharp")
    listing = list_pairs(elsewhere / "blur", elsewhere / "sharp")
    assert FileTask(Task("deblur", "GoPro"), listing, "", "").fingerprint() == before


@pytest.mark.parametrize("change", ["pixel", "name", "less", "clean", "damage"])
def test_the_fingerprint_changes_with_anything_that_changes_scores(pairs, change):
    before = paired(pairs).fingerprint()
    inputs, targets = pairs / "input", pairs / "target"
    match change:
        case "pixel":
            save(inputs / "b.png", pixels(99))
        case "name":
            for folder in (inputs, targets):
                (folder / "b.png").rename(folder / "d.png")
        case "less":
            (inputs / "b.png").unlink()
        case "clean":
            (targets / "b.png").unlink()
        case "damage":
            (inputs / "b.png").unlink()
            (inputs / "b.png").mkdir()
    assert paired(pairs).fingerprint() != before


def test_an_image_replaced_since_the_fingerprint_was_taken_fails_by_name_and_the_rest_is_read(pairs):
    data = paired(pairs)
    before = data.fingerprint()
    (pairs / "target" / "b.png").write_bytes((pairs / "target" / "c.png").read_bytes())
    with pytest.raises(DataError, match=r"^target/b\.png: changed since the run was planned: start it again$"):
        data[1]
    assert [data[index].name for index in (0, 2)] == ["a.png", "c.png"]
    assert data.fingerprint() == before
    assert paired(pairs).fingerprint() != before


def test_a_set_reads_images_up_to_its_limit(pairs):
    listing = list_pairs(pairs / "input", pairs / "target")
    assert FileTask(TASK, listing, "", "", Reading(max_pixels=32 * 24))[0].clean.shape == (24, 32, 3)
    with pytest.raises(DataError, match="32x24 pixels, more than"):
        FileTask(TASK, listing, "", "", Reading(max_pixels=32 * 24 - 1))[0]


def test_a_file_that_no_sample_uses_does_not_change_the_fingerprint(pairs):
    before = paired(pairs).fingerprint()
    save(pairs / "target" / "z.png", pixels(7))
    (pairs / "input" / "notes.txt").write_text("hello")
    os.utime(pairs / "input" / "a.png")
    assert paired(pairs).fingerprint() == before
