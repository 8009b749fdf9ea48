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
