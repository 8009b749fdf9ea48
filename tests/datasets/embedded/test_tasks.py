"""The hashes in `sha256.json` hold on every machine; other pixels need a new version of the degradation."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from restorebench.datasets import DataError, Task
from restorebench.datasets.degradations import registry as degradations
from restorebench.datasets.embedded import photographs
from restorebench.datasets.embedded import tasks as embedded
from restorebench.datasets.embedded.photographs import PHOTOGRAPHS
from restorebench.datasets.embedded.tasks import EmbeddedTask, crops

RECORDED = json.loads((Path(__file__).parent / "sha256.json").read_text())
NAMES = (
    "astronaut-face",
    "astronaut-helmet",
    "chelsea",
    "coffee-left",
    "coffee-right",
    "motorcycle-left",
    "motorcycle-right",
    "rocket",
)
WHOLE = ("astronaut", "chelsea", "coffee", "motorcycle-left", "motorcycle-right", "rocket")


def task_data(name, size=256, sigma=None):
    return EmbeddedTask(Task(name, f"embedded-{size}", sigma), size)


def psnr(sample):
    return 10 * np.log10(255**2 / np.mean((sample.degraded.astype(float) - sample.clean) ** 2))


@pytest.mark.parametrize("task", ["derain", "dehaze", "deblur", "lowlight"])
def test_degraded_images_have_the_recorded_bits(task):
    digests = {sample.name: hashlib.sha256(sample.degraded.tobytes()).hexdigest() for sample in task_data(task)}
    assert digests == RECORDED["256"][task]


def test_whole_photographs_have_the_recorded_bits():
    digests = {}
    for task in RECORDED["full"]:
        data = task_data(task, "full")
        sample = data[data.names.index("chelsea")]
        digests[task] = {"chelsea": hashlib.sha256(sample.degraded.tobytes()).hexdigest()}
    assert digests == RECORDED["full"]


@pytest.mark.parametrize(
    ("task", "low", "high"), [("derain", 26, 28), ("dehaze", 17, 19), ("deblur", 25, 27), ("lowlight", 8, 12)]
)
def test_mean_input_psnr_is_near_that_of_the_real_set(task, low, high):
    assert low < np.mean([psnr(sample) for sample in task_data(task)]) < high


def test_every_image_of_a_set_has_its_size():
    data = task_data("denoise", sigma=25)
    assert data.names == NAMES
    assert len(data) == len(NAMES)
    assert {sample.clean.shape for sample in data} == {(256, 256, 3)}
    assert [sample.name for sample in data] == list(NAMES)


def test_crops_lie_in_the_middle_of_their_part():
    boxes = {crop.name: crop.box for crop in crops(256)}
    assert boxes["astronaut-face"] == (0, 0, 256, 256)
    assert boxes["chelsea"] == (22, 97, 256, 256)
    assert boxes["coffee-right"] == (72, 322, 256, 256)
    assert boxes["rocket"] == (85, 192, 256, 256)
    rocket = next(photograph for photograph in PHOTOGRAPHS if photograph.name == "rocket")
    expected = photographs.pixels(rocket)[85:341, 192:448]
    assert np.array_equal(task_data("denoise", sigma=15)[7].clean, expected)


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (32, NAMES),
        (300, ("astronaut", "chelsea", "coffee-left", "coffee-right", "motorcycle-left", "motorcycle-right", "rocket")),
        (301, ("astronaut", "coffee", "motorcycle-left", "motorcycle-right", "rocket")),
        (512, ("astronaut",)),
        ("full", WHOLE),
    ],
)
def test_photographs_give_their_parts_or_themselves_or_nothing(size, names):
    assert tuple(crop.name for crop in crops(size)) == names
    if size != "full":
        assert {crop.box[2:] for crop in crops(size)} == {(size, size)}


def test_whole_photographs_keep_their_size():
    shapes = {sample.name: sample.clean.shape for sample in task_data("denoise", "full", sigma=50)}
    assert shapes["chelsea"] == (300, 451, 3)
    assert shapes["rocket"] == (427, 640, 3)
    assert len(shapes) == 6


@pytest.mark.parametrize("size", [31, 513, 0, -5, 64.0, "whole", None, True])
def test_other_sizes_are_refused(size):
    with pytest.raises(DataError, match=r"data\.size must be 'full' or a whole number from 32 to 512"):
        crops(size)


def test_what_is_left_out_is_said():
    assert "left out: chelsea" in task_data("derain", 301).description
    assert "left out" not in task_data("derain").description
    assert "rain streaks v1 in place of Rain100L" in task_data("derain").description
    assert "noise of sigma 50" in task_data("denoise", sigma=50).description


def test_licences_name_every_photograph():
    licence = task_data("derain").licence
    assert all(name in licence for name in WHOLE)
    assert "chelsea" not in task_data("derain", 301).licence


def test_noise_is_left_to_the_protocol():
    assert all(sample.degraded is None for sample in task_data("denoise", sigma=15))


def test_arrays_are_read_only():
    sample = task_data("derain", 64)[0]
    with pytest.raises(ValueError, match="read-only"):
        sample.clean[0, 0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        sample.degraded[0, 0, 0] = 0


def test_an_image_does_not_depend_on_what_was_read_before():
    alone = task_data("deblur", 40)[5].degraded.copy()
    embedded._cached_degraded.cache_clear()
    data = task_data("deblur", 40)
    for index in (7, 0, 5):
        last = data[index].degraded
    assert np.array_equal(last, alone)


def test_every_name_has_a_degradation_of_its_own(monkeypatch):
    black = np.zeros((800, 800, 3), np.uint8)
    monkeypatch.setattr(photographs, "pixels", lambda photograph: black)
    rain = {sample.degraded.tobytes() for sample in task_data("derain", 52)}
    assert len(rain) == len(NAMES)
    embedded._cached_degraded.cache_clear()
    embedded._cached_clean.cache_clear()


def test_threads_read_the_same_arrays():
    data = task_data("dehaze", 80)
    expected = [data[index].degraded.copy() for index in range(len(data))]
    for cache in (embedded._cached_degraded, embedded._cached_clean, photographs._pixels, photographs._depth):
        cache.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        arrays = list(pool.map(lambda index: data[index % len(data)].degraded, range(32)))
    assert all(np.array_equal(array, expected[index % len(data)]) for index, array in enumerate(arrays))


def test_motorcycles_are_hazed_by_their_measured_depth(monkeypatch):
    data = task_data("dehaze", 72)
    index = data.names.index("motorcycle-left")
    measured = data[index].degraded.copy()
    monkeypatch.setattr(photographs, "depth", lambda photograph: None)
    embedded._cached_degraded.cache_clear()
    assert not np.array_equal(data[index].degraded, measured)
    embedded._cached_degraded.cache_clear()


def test_images_are_decoded_when_asked_for(monkeypatch):
    def fail(photograph):
        raise AssertionError("decoded too early")

    monkeypatch.setattr(photographs, "pixels", fail)
    data = task_data("derain", 44)
    assert data.names == NAMES
    with pytest.raises(AssertionError, match="too early"):
        data[0]


def test_an_index_outside_is_an_error():
    with pytest.raises(IndexError):
        task_data("derain", 64)[8]


def test_fingerprints_tell_tasks_sizes_and_versions_apart(monkeypatch):
    tasks = [task_data("derain", 64), task_data("derain", 65), task_data("deblur", 64)]
    tasks += [task_data("denoise", 64, sigma) for sigma in (15, 25)]
    prints = {data.fingerprint() for data in tasks}
    assert len(prints) == 5
    assert task_data("derain", 64).fingerprint() in prints
    newer = dict(degradations.DEGRADATIONS)
    newer["derain"] = replace(newer["derain"], version=2)
    monkeypatch.setattr(embedded, "DEGRADATIONS", newer)
    assert task_data("derain", 64).fingerprint() not in prints
    embedded._cached_degraded.cache_clear()


def test_the_fingerprint_is_the_recorded_one():
    assert task_data("derain").fingerprint() == RECORDED["fingerprint derain@embedded-256"]
    assert task_data("denoise", sigma=25).fingerprint() == RECORDED["fingerprint denoise-25@embedded-256"]


@pytest.mark.parametrize(("name", "dataset"), [("demoire", "embedded-64"), ("derain", "embedded-256")])
def test_tasks_of_other_sets_are_refused(name, dataset):
    with pytest.raises(DataError, match="is not a task of embedded-64"):
        EmbeddedTask(Task(name, dataset), 64)
