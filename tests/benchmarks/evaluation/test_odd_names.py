"""Images of the user's with odd names keep their rows, their previews and their saved images, each its own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import restorebench
from restorebench.benchmarks.store.cells import read_cells

NAMES = (
    *("two  spaces", "tab\there", " leading", "trailing ", "line\nbreak", "no\u00a0break", "n" * 245, "画" * 80),
    os.fsdecode(b"raw-\xff\xfe"),
)


def test_every_image_has_its_row_and_its_preview(tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    clean.mkdir()
    for index, name in enumerate(NAMES):
        image = Image.fromarray(np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8))
        image.save(tmp_path / "image.png")
        try:
            (tmp_path / "image.png").rename(clean / f"{name}.png")
        except OSError:  # a file system that takes UTF-8 only
            pytest.skip(f"no file here can be called {name!r}")
    results = tmp_path / "results"
    done = restorebench.evaluate(
        "identity", "denoise", clean=clean, sigma=15, device="cpu", results=results, progress=False
    )
    assert done.complete
    cells, problems = read_cells(results)
    assert problems == []
    assert sorted(row.image for row in cells[0].rows) == sorted(f"{name}.png" for name in NAMES)
    assert len(list((cells[0].folder / "previews").iterdir())) >= 4
