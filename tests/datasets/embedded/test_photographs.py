from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from restorebench.datasets import DataError
from restorebench.datasets.degradations.haze import DEPTH_MAX
from restorebench.datasets.embedded import photographs
from restorebench.datasets.embedded.photographs import PHOTOGRAPHS, Photograph

BY_NAME = {photograph.name: photograph for photograph in PHOTOGRAPHS}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the wheel's folder with the photographs, in its place."""
    source = photographs.data_folder()
    for name in ("chelsea.png", "motorcycle_left.png", "motorcycle_disp.npz"):
        shutil.copy(source / name, tmp_path)
    monkeypatch.setattr(photographs, "data_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=lambda photograph: photograph.name)
def test_the_wheel_has_every_photograph(photograph: Photograph):
    pixels = photographs.pixels(photograph)
    assert pixels.shape == (photograph.height, photograph.width, 3)
    assert pixels.dtype == np.uint8
    assert not pixels.flags.writeable
    assert photograph.licence


def test_parts_lie_in_their_photograph_and_do_not_overlap():
    for photograph in PHOTOGRAPHS:
        cover = np.zeros((photograph.height, photograph.width), int)
        for region in photograph.regions:
            top, left, height, width = region.box
            assert top + height <= photograph.height
            assert left + width <= photograph.width
            cover[top : top + height, left : left + width] += 1
        assert cover.max() == 1


def test_a_missing_file_is_named_with_the_version(folder):
    with pytest.raises(DataError, match=rf"coffee\.png is missing .*scikit-image {photographs.scikit_image_version()}"):
        photographs.pixels(BY_NAME["coffee"])


def test_an_altered_file_is_named_with_the_version(folder):
    with Image.open(folder / "chelsea.png") as opened:
        pixels = np.array(opened)
    pixels[17, 4, 1] ^= 1
    Image.fromarray(pixels).save(folder / "chelsea.png")
    with pytest.raises(
        DataError, match=rf"chelsea\.png of scikit-image {photographs.scikit_image_version()} decodes to"
    ):
        photographs.pixels(BY_NAME["chelsea"])


def test_a_broken_file_is_named(folder):
    (folder / "chelsea.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"chelsea\.png .* cannot be decoded"):
        photographs.pixels(BY_NAME["chelsea"])


def test_an_altered_disparity_is_refused(folder):
    with np.load(folder / "motorcycle_disp.npz") as archive:
        disparity = archive["arr_0"]
    disparity[100, 100] += 1
    np.savez(folder / "motorcycle_disp.npz", disparity)
    with pytest.raises(DataError, match=r"motorcycle_disp\.npz"):
        photographs.depth(BY_NAME["motorcycle-left"])


def test_depth_is_inverse_to_the_measured_disparity():
    with np.load(photographs.data_folder() / "motorcycle_disp.npz") as archive:
        disparity = archive["arr_0"].astype(float)
    known = np.isfinite(disparity)
    depth = photographs.depth(BY_NAME["motorcycle-left"])
    assert depth is not None
    assert depth.shape == (500, 741)
    expected = DEPTH_MAX * (disparity[known].min() + 31.086) / (disparity[known] + 31.086)
    assert np.abs(depth[known] / expected - 1).max() < 2e-3


def test_the_right_view_sees_a_point_at_the_depth_that_the_left_view_does():
    with np.load(photographs.data_folder() / "motorcycle_disp.npz") as archive:
        disparity = archive["arr_0"]
    left, right = (photographs.depth(BY_NAME[f"motorcycle-{side}"]) for side in ("left", "right"))
    assert left is not None
    assert right is not None
    rows, columns = np.nonzero(np.isfinite(disparity))
    moved = columns - np.rint(disparity[rows, columns]).astype(int)
    seen = moved >= 0
    rows, columns, moved = rows[seen], columns[seen], moved[seen]
    farther = (right[rows, moved].astype(float) - left[rows, columns]) / DEPTH_MAX
    assert (np.abs(farther) < 0.02).mean() > 0.9  # 0.72 without moving
    assert (farther >= 0.02).mean() < 0.04  # nearer is possible: something else hides the point from the right


def test_gaps_are_filled_from_the_farther_side():
    row = np.array([[0, 5, 0, 0, 3, 0], [7, 7, 0, 9, 9, 9]])
    assert photographs._filled(row).tolist() == [[5, 5, 3, 3, 3, 3], [7, 7, 7, 9, 9, 9]]


def test_photographs_without_disparity_have_no_depth():
    assert photographs.depth(BY_NAME["coffee"]) is None


def test_neither_torch_nor_scikit_image_is_imported():
    """scikit-image's own functions may download; and a list of suites must not wait for torch."""
    code = (
        "import sys; from restorebench.datasets import resolve; resolve('dehaze', size=32).data[0][0];"
        "print(sorted({'torch', 'skimage', 'pooch', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
