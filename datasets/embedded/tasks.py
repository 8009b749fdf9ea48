"""The embedded data sets: photographs of scikit-image's wheel and degradations generated from their names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..degradations.registry import DEGRADATIONS
from ..errors import DataError
from ..samples import Sample, TaskData
from ..streams import rng_for
from ..tasks import Task
from . import photographs
from .photographs import PHOTOGRAPHS, Photograph

MINIMUM_SIZE = 32
"""Smallest side of a crop in pixels."""

Size = int | Literal["full"]
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class Crop:
    """One image of an embedded set: `box` (top, left, height, width in pixels) of `photograph`."""

    name: str
    photograph: Photograph
    box: tuple[int, int, int, int]

    def of(self, array: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """This crop of an array (H, W, ...) as large as the photograph: a contiguous, read-only copy."""
        top, left, height, width = self.box
        cropped = array[top : top + height, left : left + width].copy()
        cropped.setflags(write=False)
        return cropped


def dataset_name(size: Size) -> str:
    """Name of the set with images of that size: `embedded-256`, `embedded-full`."""
    return f"embedded-{size}"


def check_size(size: Size) -> None:
    """Refuse a size that no embedded set has.

    Raises:
        DataError: neither "full" nor an int, below `MINIMUM_SIZE`, or larger than every photograph.
    """
    if size == "full":
        return
    largest = max(min(photograph.height, photograph.width) for photograph in PHOTOGRAPHS)
    if not isinstance(size, int) or isinstance(size, bool) or not MINIMUM_SIZE <= size <= largest:
        raise DataError(f"data.size must be 'full' or a whole number from {MINIMUM_SIZE} to {largest}, not {size!r}")


def _centred(box: tuple[int, int, int, int], size: int) -> tuple[int, int, int, int] | None:
    """The square of that size in the middle of `box`, or None if it does not fit."""
    top, left, height, width = box
    if min(height, width) < size:
        return None
    return top + (height - size) // 2, left + (width - size) // 2, size, size


def crops(size: Size = 256) -> tuple[Crop, ...]:
    """The images of the embedded set of that size, sorted by name.

    "full" means the six whole photographs. For a number, every image is exactly `size` x `size`: a photograph gives the
    centre crops of its regions that are large enough; if none is, the centre crop of the whole; else it is left out.

    Raises:
        DataError: see `check_size`.
    """
    check_size(size)
    selected: list[Crop] = []
    for photograph in PHOTOGRAPHS:
        whole = (0, 0, photograph.height, photograph.width)
        if size == "full":
            selected.append(Crop(photograph.name, photograph, whole))
            continue
        boxes = [(region.name, _centred(region.box, size)) for region in photograph.regions]
        if all(box is None for _, box in boxes):
            boxes = [(photograph.name, _centred(whole, size))]
        selected += [Crop(name, photograph, box) for name, box in boxes if box is not None]
    return tuple(sorted(selected, key=lambda crop: crop.name))


def _clean(crop: Crop) -> NDArray[np.uint8]:
    """Pixels of a crop: (H, W, 3) uint8, read-only."""
    return _cached_clean(photographs.data_folder(), crop)


# The caches are shared by all tasks and threads. Two threads that miss at once compute the same array twice, no more.
@lru_cache(maxsize=64)
def _cached_clean(folder: Path, crop: Crop) -> NDArray[np.uint8]:
    return crop.of(photographs.pixels(crop.photograph))


@lru_cache(maxsize=64)
def _cached_degraded(folder: Path, crop: Crop, task_name: str) -> NDArray[np.uint8]:
    degradation = DEGRADATIONS[task_name]
    depth = photographs.depth(crop.photograph) if degradation.uses_depth else None
    rng = rng_for("embedded", task_name, degradation.version, crop.name)
    degraded = degradation(_cached_clean(folder, crop), rng, None if depth is None else crop.of(depth))
    degraded.setflags(write=False)
    return degraded


class EmbeddedTask:
    """One task on the embedded photographs; see `samples.TaskData`.

    A degraded image depends on its pixels, its name, the task and the degradation's version alone: it has the same bits
    on every machine. Depth for haze is measured for the motorcycle, and smooth and random for the others.

    Args:
        task: its `dataset` must be the name of the set of that size.
        size: side of the crops in pixels, or "full".

    Raises:
        DataError: a task that is not made here, or a size that no set has.
    """

    def __init__(self, task: Task, size: Size = 256) -> None:
        self._crops = crops(size)
        if task.name not in (*DEGRADATIONS, "denoise") or task.dataset != dataset_name(size):
            raise DataError(f"{task.key} is not a task of {dataset_name(size)}")
        self._task = task
        self._size = size

    @property
    def task(self) -> Task:
        return self._task

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(crop.name for crop in self._crops)

    @property
    def description(self) -> str:
        """One line: which images, how cropped, which are left out, how degraded."""
        if self._size == "full":
            images = f"{len(self)} whole photographs"
        else:
            images = f"{len(self)} centre crops of {self._size}x{self._size} pixels"
        used = {crop.photograph.name for crop in self._crops}
        small = [photograph.name for photograph in PHOTOGRAPHS if photograph.name not in used]
        left_out = f" (too small and left out: {', '.join(small)})" if small else ""
        degradation = DEGRADATIONS.get(self._task.name)
        what = f"noise of sigma {self._task.sigma} drawn by the protocol"
        if degradation is not None:
            what = f"{degradation.name} v{degradation.version} in place of {degradation.stands_for}"
        return f"{images} inside scikit-image{left_out}, {what}"

    @property
    def licence(self) -> str:
        terms: dict[str, str] = {}
        for crop in self._crops:
            terms.setdefault(crop.photograph.name, crop.photograph.licence)
        return "; ".join(f"{name}: {licence}" for name, licence in terms.items())

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, index: int) -> Sample:
        crop = self._crops[index]
        degraded = None
        if self._task.name in DEGRADATIONS:
            degraded = _cached_degraded(photographs.data_folder(), crop, self._task.name)
        return Sample(crop.name, _clean(crop), degraded, self._task)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of task, degradation (version, parameters), and names, shapes and pixels of all images."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint_of(self)


def fingerprint_of(data: TaskData) -> str:
    """SHA-256 (hex) of images that are degraded here: task, degradation (version, parameters), names, shapes and
    pixels of all."""
    degradation = DEGRADATIONS.get(data.task.name)
    digest = hashlib.sha256(f"{data.task.key}\n{degradation.identity if degradation else 'clean'}\n".encode())
    for index in range(len(data)):
        sample = data[index]
        digest.update(f"{sample.name} {sample.clean.shape}\n".encode())
        digest.update(sample.clean.tobytes())
        if sample.degraded is not None:
            digest.update(sample.degraded.tobytes())
    return digest.hexdigest()
