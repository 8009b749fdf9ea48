"""Mixtures: the same sample for the same number, lists gone through as often as asked, patches that fit their clean."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from restorebench.datasets.errors import DataError
from restorebench.datasets.training.folders import DecodedCache, FolderImages, PairedFolder, denoise_images
from restorebench.datasets.training.mixtures import LABELS, Mixture, Part, turned

Pixels = NDArray[np.uint8]


@dataclass
class Noise:
    """Images of random pixels in memory."""

    count: int
    side: int = 48
    names: tuple[str, ...] = field(init=False)
    identity: str = "noise"

    def __post_init__(self) -> None:
        self.names = tuple(f"image-{index}" for index in range(self.count))

    def __len__(self) -> int:
        return self.count

    def clean(self, index: int) -> Pixels:
        return np.random.default_rng(index).integers(60, 200, (self.side, self.side + 8, 3), dtype=np.uint8)

    def degraded(self, index: int) -> Pixels:
        return self.clean(index) // 2


ALL = ("denoise-15", "derain", "dehaze", "deblur", "lowlight", "identity")


def test_a_sample_is_the_same_whoever_asks_in_whatever_order() -> None:
    parts = tuple(Part(label, 1, Noise(5)) for label in ALL)
    first, second = Mixture(parts, seed=3), Mixture(parts, seed=3)
    forwards = [first.sample(k, 16) for k in range(40)]
    for k in reversed(range(40)):
        again = second.sample(k, 16)
        assert (again.name, again.label) == (forwards[k].name, forwards[k].label)
        np.testing.assert_array_equal(again.degraded, forwards[k].degraded)
        np.testing.assert_array_equal(again.clean, forwards[k].clean)
        assert again.clean.shape == again.degraded.shape == (16, 16, 3)
        assert again.clean.dtype == again.degraded.dtype == np.uint8
    assert {sample.label for sample in forwards} == set(ALL)
    other = Mixture(parts, seed=4)
    assert [other.draw(k).name for k in range(40)] != [sample.name for sample in forwards]


@pytest.mark.parametrize("label", ALL)
def test_each_part_degrades_as_its_label_says(label: str) -> None:
    mixture = Mixture((Part(label, 1, Noise(2)),))
    for k in range(4):
        sample = mixture.sample(k, 24)
        source = Noise(2).clean(int(sample.name.split()[0].removeprefix("image-")))
        squares = [source[y : y + 24, x : x + 24] for y in range(25) for x in range(33)]
        assert any(np.array_equal(turned(square, turn), sample.clean) for square in squares for turn in range(8))
        error = sample.degraded.astype(float) - sample.clean
        if label == "identity":
            assert not error.any()
        elif label == "denoise-15":
            assert 13 < error.std() < 17
            assert -2 < error.mean() < 1  # truncated, half a level down
        elif label == "derain":
            assert error.min() >= 0
            assert error.max() > 10
        elif label == "lowlight":
            assert sample.degraded.mean() < 0.45 * sample.clean.mean()
        else:
            assert sample.degraded.std() < 0.9 * sample.clean.std()


def test_weights_are_met() -> None:
    mixture = Mixture((Part("derain", 3, Noise(2)), Part("identity", 1, Noise(2))))
    labels = Counter(mixture.draw(k).part.label for k in range(2000))
    assert labels["derain"] / 2000 == pytest.approx(0.75, abs=0.03)


def test_an_epoch_goes_through_every_list_as_often_as_asked() -> None:
    parts = (Part("denoise-25", 3, Noise(7)), Part("derain", 2, Noise(4), Noise(4)), Part("dehaze", 1, Noise(5)))
    mixture = Mixture(parts, "lists")
    assert mixture.epoch == 3 * 7 + 2 * 4 + 5
    orders = []
    for epoch in range(2):
        drawn = [mixture.draw(epoch * mixture.epoch + k) for k in range(mixture.epoch)]
        counts = Counter((draw.part.label, draw.index) for draw in drawn)
        assert counts == {
            **{("denoise-25", index): 3 for index in range(7)},
            **{("derain", index): 2 for index in range(4)},
            **{("dehaze", index): 1 for index in range(5)},
        }
        orders.append([draw.name for draw in drawn])
    assert orders[0] != orders[1]


def test_real_pairs_are_cropped_and_turned_together() -> None:
    images = Noise(3)
    mixture = Mixture((Part("deblur", 1, images, images),), "lists")
    for k in range(6):
        sample = mixture.sample(k, 32)
        np.testing.assert_array_equal(sample.degraded, sample.clean // 2)


def test_an_image_smaller_than_the_patch_is_continued() -> None:
    for label in ALL:
        sample = Mixture((Part(label, 1, Noise(1, side=20)),)).sample(0, 32)
        assert sample.clean.shape == sample.degraded.shape == (32, 32, 3)


def test_the_eight_turns_differ() -> None:
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert len({turned(image, turn).tobytes() for turn in range(8)}) == 8
    np.testing.assert_array_equal(turned(image, 0), image)


def test_the_fingerprint_changes_with_whatever_changes_the_samples() -> None:
    part = Part("dehaze", 1, Noise(3))
    mixtures = [
        Mixture((part,)),
        Mixture((part,), seed=1),
        Mixture((part,), "lists"),
        Mixture((Part("dehaze", 2, Noise(3)),)),
        Mixture((Part("derain", 1, Noise(3)),)),
        Mixture((Part("dehaze", 1, Noise(4)),)),
        Mixture((part,), ranges={"dehaze": {"beta": [0.1, 0.2]}}),
    ]
    assert len({mixture.fingerprint() for mixture in mixtures}) == len(mixtures)
    assert mixtures[0].fingerprint() == Mixture((part,)).fingerprint()


def test_ranges_change_what_is_drawn() -> None:
    part = Part("lowlight", 1, Noise(3))
    dark = Mixture((part,), ranges={"lowlight": {"gain": [0.1, 0.1]}}).sample(0, 16)
    assert dark.degraded.mean() < 0.6 * Mixture((part,)).sample(0, 16).degraded.mean()


@pytest.mark.parametrize(
    ("parts", "order", "ranges", "said"),
    [
        ((), "weights", {}, "at least one part"),
        ((Part("dehase", 1, Noise(1)),), "weights", {}, "did you mean 'dehaze'"),
        ((Part("denoise-0", 1, Noise(1)),), "weights", {}, LABELS[0]),
        ((Part("derain", -1, Noise(1)),), "weights", {}, r"mix\.parts\.derain=-1"),
        ((Part("derain", 1.5, Noise(1)),), "lists", {}, "whole number of repeats"),
        ((Part("derain", 1, Noise(0)),), "lists", {}, "is empty"),
        ((Part("derain", 1, Noise(1)),), "weights", {"rain": {}}, "unknown degradation"),
        ((Part("derain", 1, Noise(1)),), "weights", {"derain": {"densty": 1}}, "did you mean 'density'"),
    ],
)
def test_what_cannot_be_mixed_is_refused(parts: object, order: str, ranges: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Mixture(parts, order, 0, ranges)  # type: ignore[arg-type]


# Training sets on disk


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
    with pytest.raises(DataError, match=r"a\.png has no clean image a\.\*"):
        PairedFolder("deblur", tmp_path, DecodedCache(0))


def test_a_pair_of_two_sizes_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    save(tmp_path / "Train/Enhance/low/1.png", 0)
    save(tmp_path / "Train/Enhance/gt/1.png", 0, (20, 20))
    pairs = PairedFolder("lowlight", tmp_path, DecodedCache(0))
    with pytest.raises(DataError, match=r"1\.png: degraded .* differ in size"):
        Mixture((Part("lowlight", 1, pairs, pairs),), "lists").sample(0, 8)
    (tmp_path / "Train/Enhance/low/1.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(DataError, match=r"1\.png cannot be decoded"):
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


def test_contrast_is_lowered_about_the_mean_for_half_of_all_but_hazy_patches() -> None:
    part = {label: (Part(label, 1, Noise(1)),) for label in ("identity", "denoise-25", "deblur", "dehaze")}
    for label, parts in part.items():
        plain, soft = Mixture(parts), Mixture(parts, contrast=0.5)
        factors = []
        for k in range(200):
            before, after = plain.sample(k, 16).clean.astype(float), soft.sample(k, 16).clean.astype(float)
            factors.append(after.std() / before.std())
            assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.999
            assert after.mean() == pytest.approx(before.mean(), abs=4), label
        if label == "dehaze":
            assert factors == [1] * 200
        else:
            lowered = [factor for factor in factors if factor < 0.999]
            assert len(lowered) == pytest.approx(100, abs=25)
            assert min(lowered) == pytest.approx(0.5, abs=0.04)
            assert np.mean(lowered) == pytest.approx(0.75, abs=0.04)
    soft = Mixture(part["identity"], contrast=0.5)
    assert soft.fingerprint() != Mixture(part["identity"]).fingerprint()
    sample = soft.sample(0, 16)
    np.testing.assert_array_equal(sample.degraded, sample.clean)


@pytest.mark.parametrize("contrast", [0, 1.5])
def test_contrast_outside_its_range_is_refused(contrast: float) -> None:
    with pytest.raises(DataError, match=r"mix\.contrast=.*above 0, up to 1"):
        Mixture((Part("identity", 1, Noise(1)),), contrast=contrast)
