"""The typed data that every data set yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

CDD11_TASKS = (
    *("low", "haze", "rain", "snow"),
    *("low_haze", "low_rain", "low_snow", "haze_rain", "haze_snow"),
    *("low_haze_rain", "low_haze_snow"),
)
"""The eleven degradations of CDD-11, named as its folders are, in the order of its paper's tables."""

TASK_NAMES = ("denoise", "derain", "dehaze", "deblur", "lowlight", *CDD11_TASKS, "restore")
"""Names that a task can have; `restore` is the removal of whatever a folder of the user's shows.

Only `denoise` has a `sigma`: where the protocol draws the noise.
"""


@dataclass(frozen=True)
class Task:
    """One degradation on one data set.

    Attributes:
        name: one of `TASK_NAMES`.
        dataset: name of the data set, such as `embedded-256`.
        sigma: standard deviation of the noise in grey levels (0 to 255); only for `denoise`.
    """

    name: str
    dataset: str
    sigma: int | None = None

    @property
    def label(self) -> str:
        """The task without its data set: `denoise-15`, `dehaze`."""
        return self.name if self.sigma is None else f"{self.name}-{self.sigma}"

    @property
    def key(self) -> str:
        """The task and its data set: `denoise-15@embedded-256`, `dehaze@embedded-256`."""
        return f"{self.label}@{self.dataset}"


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of a task.

    Attributes:
        name: unique within the data set; for files, the file's name.
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
