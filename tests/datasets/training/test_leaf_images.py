"""A series of dead-leaves images is made once, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from restorebench.datasets.errors import DataError
from restorebench.datasets.training import leaf_images
from restorebench.datasets.training.dead_leaves import dead_leaves
from restorebench.datasets.training.leaf_images import LeafImages

Pixels = NDArray[np.uint8]


def test_the_series_is_made_once_and_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = LeafImages(3, size=48, seed=2, folder=tmp_path)
    np.testing.assert_array_equal(first.clean(1), dead_leaves(1, seed=2, size=48))
    monkeypatch.setattr(leaf_images, "dead_leaves", lambda *a, **k: pytest.fail("made a second time"))
    second = LeafImages(3, size=48, seed=2, folder=tmp_path)
    np.testing.assert_array_equal(second.clean(2), first.clean(2))
    assert second.names == ("leaves-2-00000", "leaves-2-00001", "leaves-2-00002")
    with pytest.raises(DataError, match="1 or more"):
        LeafImages(0, size=48, seed=0, folder=tmp_path)


def test_an_interrupted_series_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(index: int, *, seed: int, size: int) -> Pixels:
        if index == 1:
            raise KeyboardInterrupt
        return np.zeros((size, size, 3), dtype=np.uint8)

    monkeypatch.setattr(leaf_images, "dead_leaves", broken)
    series = LeafImages(3, size=48, seed=0, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        series.prepare()
    assert not list(tmp_path.glob("*.npy*.*[!k]"))
    assert [path.suffix for path in tmp_path.iterdir()] in ([], [".lock"])
    assert not series.path.exists()


@pytest.mark.parametrize("damage", ["cut", "header", "bit", "shape", "empty", "text"])
def test_a_damaged_series_is_made_anew_and_that_is_said(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = LeafImages(2, size=48, seed=0, folder=tmp_path)
    first.prepare()
    whole = first.path.read_bytes()
    contents = {
        "cut": whole[:-100],
        "header": b"\0" + whole[1:],
        "bit": whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
        "shape": whole.replace(b"(2, 48, 48, 3)", b"(3, 48, 32, 3)"),
        "empty": b"",
        "text": b"<html>",
    }
    first.path.unlink()  # it is mapped: other content in its place, not in it
    first.path.write_bytes(contents[damage])
    second = LeafImages(2, size=48, seed=0, folder=tmp_path)
    np.testing.assert_array_equal(second.clean(1), dead_leaves(1, seed=0, size=48))
    assert second.path.read_bytes() == whole
    assert "is damaged: made anew" in caplog.text


def test_a_series_of_an_earlier_version_without_a_checksum_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = LeafImages(2, size=48, seed=0, folder=tmp_path)
    first.prepare()
    first.path.with_suffix(".sha256").unlink()
    monkeypatch.setattr(leaf_images, "dead_leaves", lambda *a, **k: pytest.fail("made a second time"))
    LeafImages(2, size=48, seed=0, folder=tmp_path).prepare()
