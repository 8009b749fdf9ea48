"""Validation photographs: a folder of clean images, degraded as the embedded sets are, that choices are made on.

What is chosen by looking at scores (stages, mixes, where to stop) is chosen on images that are neither trained on nor
tested on. The embedded photographs are the suite's test images; these stand between.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..degradations.registry import DEGRADATIONS
from ..embedded.tasks import fingerprint_of
from ..errors import DataError
from ..samples import Sample
from ..streams import rng_for
from ..suites import suite_called
from ..tasks import Task
from .folders import FolderImages

DATASET = "validation"
"""Name of the data set in the tasks."""


class HeldOutTask:
    """One task on the centre crops of a folder's photographs; see `samples.TaskData`.

    A degraded image depends on its pixels, its name, the task and the degradation's version alone. Haze has a smooth,
    random depth.

    Args:
        task: one that has a synthetic degradation, or `denoise`.
        images: the photographs.
        size: side of the crops in pixels.

    Raises:
        DataError: a task that cannot be made.
    """

    def __init__(self, task: Task, images: FolderImages, size: int) -> None:
        if task.name not in (*DEGRADATIONS, "denoise"):
            raise DataError(f"{task.label} cannot be made from photographs: choose a suite of single degradations")
        self._task = Task(task.name, DATASET, task.sigma)
        self._images, self._size = images, size

    @property
    def task(self) -> Task:
        return self._task

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._images.names)

    @property
    def description(self) -> str:
        """One line: which images, how cropped, how degraded."""
        degradation = DEGRADATIONS.get(self._task.name)
        what = f"noise of sigma {self._task.sigma} drawn by the protocol"
        if degradation is not None:
            what = f"{degradation.name} v{degradation.version}"
        return f"centre crops of {self._size}x{self._size} pixels of {self._images.identity}, {what}"

    @property
    def licence(self) -> str:
        return "the photographs' own"

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        name, clean = self.names[index], self._clean(index)
        degradation = DEGRADATIONS.get(self._task.name)
        degraded = None
        if degradation is not None:
            degraded = degradation(clean, rng_for("validation", self._task.name, degradation.version, name))
        return Sample(name, clean, degraded, self._task)

    def _clean(self, index: int) -> NDArray[np.uint8]:
        image, side = self._images.clean(index), self._size
        height, width = image.shape[:2]
        if min(height, width) < side:
            raise DataError(
                f"{self.names[index]} is {width}x{height}, less than validation.size={side}: lower that, or remove it"
            )
        top, left = (height - side) // 2, (width - side) // 2
        return np.ascontiguousarray(image[top : top + side, left : left + side])

    def fingerprint(self) -> str:
        """SHA-256 (hex) of task, degradation (version, parameters), and names, shapes and pixels of all images."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint_of(self)


def held_out_tasks(tasks: str, images: FolderImages, size: int) -> Sequence[HeldOutTask]:
    """The tasks of a suite (``5d``) on these photographs.

    Raises:
        DataError: an unknown suite, or one with a task that cannot be made.
    """
    return tuple(HeldOutTask(task, images, size) for task in suite_called(tasks).tasks)
