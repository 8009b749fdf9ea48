"""Data roots made by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from restorebench.datasets.standard.layout import ALL_SETS
from restorebench.datasets.tasks import CDD11_TASKS


def arrange(test_data: Path, root: Path) -> Path:
    """The real images under the data root's names, by symbolic links."""
    for source, place in {
        "cbsd68": "test/denoise/bsd68",
        "rain100h": "test/derain/Rain100H",
        "rain100l": "test/derain/Rain100L",
        "sots_outdoor": "test/dehaze",
        "lol_v1_eval15": "test/enhance/lolv1",
    }.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(test_data / source, target_is_directory=True)
    return root


def pixels(seed: int, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    """A smooth picture (H, W, 3) uint8, another for every seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def save(path: Path, image: NDArray[np.uint8]) -> Path:
    """Write an image, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def whole_root(root: Path) -> Path:
    """Every standard set with its number of images; all files are hard links to two."""
    degraded, clean = save(root / "one.png", pixels(1)), save(root / "two.png", pixels(2))
    for standard in ALL_SETS:
        folder = root / standard.folders[0]
        names = [f"{i:04d}.png" for i in range(standard.images)]
        if standard.tasks == CDD11_TASKS:
            places = {folder / "clear": clean, **{folder / task: degraded for task in CDD11_TASKS}}
        elif standard.subfolders[0][0]:
            places = {folder / standard.subfolders[0][0]: degraded, folder / standard.subfolders[0][1]: clean}
        else:
            places = {folder: clean}
        for place, source in places.items():
            place.mkdir(parents=True)
            for name in names:
                os.link(source, place / name)
    return root
