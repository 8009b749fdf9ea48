"""Names of tasks and suites, and which tasks on which standard sets a suite has: said here once.

Light: whoever prints or plans can read it without numpy, Pillow or torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SINGLE_TASKS = ("denoise", "derain", "dehaze", "deblur", "lowlight")
"""Tasks of one degradation; each is a suite of its own, too."""

CDD11_TASKS = (
    *("low", "haze", "rain", "snow"),
    *("low_haze", "low_rain", "low_snow", "haze_rain", "haze_snow"),
    *("low_haze_rain", "low_haze_snow"),
)
"""The eleven degradations of CDD-11, named as its folders are, in the order of its paper's tables."""

TASK_NAMES = (*SINGLE_TASKS, *CDD11_TASKS, "restore")
"""Names that a task can have; `restore` is the removal of whatever a folder of the user's shows.

Only `denoise` has a `sigma`: where the protocol draws the noise.
"""

NOISE_LEVELS = (15, 25, 50)
"""Standard deviations of the noise, in grey levels, at which papers report denoising."""

STANDARD_SETS: Mapping[str, str] = MappingProxyType(
    {
        "denoise": "CBSD68",
        "derain": "Rain100L",
        "dehaze": "SOTS-Outdoor",
        "deblur": "GoPro",
        "lowlight": "LOL-v1",
        **dict.fromkeys(CDD11_TASKS, "CDD-11"),
    }
)
"""Name of the test set on which papers report each task."""


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


@dataclass(frozen=True)
class Suite:
    """A named list of tasks. Its average is the plain mean of the tasks' scores, so denoising counts thrice in `3d`.

    Attributes:
        name: as in `tasks=NAME`.
        title: for people.
        tasks: in the order of the papers' tables.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The tasks without their data sets, in order."""
        return tuple(task.label for task in self.tasks)


def _single(name: str, sigma: int | None = None) -> Task:
    return Task(name, STANDARD_SETS[name], sigma)


_DEHAZE, _DERAIN, _DEBLUR, _LOWLIGHT = (_single(name) for name in ("dehaze", "derain", "deblur", "lowlight"))
_DENOISE = tuple(_single("denoise", sigma) for sigma in NOISE_LEVELS)

SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        suite.name: suite
        for suite in (
            Suite("3d", "Three degradations: haze, rain, noise", (_DEHAZE, _DERAIN, *_DENOISE)),
            Suite(
                "5d",
                "Five degradations: haze, rain, noise, blur, low light",
                (_DEHAZE, _DERAIN, _single("denoise", 25), _DEBLUR, _LOWLIGHT),
            ),
            Suite("cdd11", "Eleven composite degradations of CDD-11", tuple(map(_single, CDD11_TASKS))),
            Suite("denoise", "Gaussian noise of sigma 15, 25 and 50", _DENOISE),
            Suite("derain", "Rain streaks", (_DERAIN,)),
            Suite("dehaze", "Haze", (_DEHAZE,)),
            Suite("deblur", "Motion blur", (_DEBLUR,)),
            Suite("lowlight", "Low light", (_LOWLIGHT,)),
        )
    }
)
"""The suites by name, their tasks on the standard sets."""

SUITE_NAMES: tuple[str, ...] = tuple(SUITES)
