"""The typed data that every data set yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .tasks import Task


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of a task.

    Attributes:
        name: unique within the data set; for files, the path below the folder of their side, ``sequence/frame.png``.
        clean: (H, W, 3) uint8 RGB, read-only.
        degraded: the same shape and type, or None where the protocol draws the degradation itself (`denoise`).
        task: the task it belongs to.
    """

    name: str
    clean: NDArray[np.uint8]
    degraded: NDArray[np.uint8] | None
    task: Task


class TaskData(Protocol):
    """The samples of one task, decoded when asked for; safe to read from several threads."""

    @property
    def task(self) -> Task:
        """The task whose samples these are."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples in their order, which is sorted."""
        ...

    @property
    def description(self) -> str:
        """One line: which images, how cropped, how degraded."""
        ...

    @property
    def licence(self) -> str:
        """One line: under which terms the images can be used."""
        ...

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, in the order of `names`; `IndexError` outside."""
        ...

    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that determines the decoded arrays."""
        ...
