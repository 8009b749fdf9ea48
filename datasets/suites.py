"""Suites: named lists of tasks, and the data that a run of one reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from . import standard
from .embedded import EmbeddedTask, Size, check_size, crops, dataset_name
from .errors import DataError, unknown
from .samples import Task, TaskData

Source = Literal["auto", "embedded", "standard"]


@dataclass(frozen=True)
class Suite:
    """A named list of tasks whose scores are averaged.

    Attributes:
        name: as in `tasks=NAME`.
        title: for people.
        tasks: in the order of the papers' tables.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class ResolvedSuite:
    """A suite and the data found for it.

    Attributes:
        suite: its tasks name the data sets chosen.
        data: one for each task, in order.
        notice: one line to show to the user, or "".
    """

    suite: Suite
    data: tuple[TaskData, ...]
    notice: str


@dataclass(frozen=True)
class _Plan:
    """A suite before its data sets are chosen: (task name, sigma) of each task."""

    title: str
    tasks: tuple[tuple[str, int | None], ...]

    def on(self, name: str, dataset: str) -> Suite:
        return Suite(name, self.title, tuple(Task(task, dataset, sigma) for task, sigma in self.tasks))


_DENOISE = (("denoise", 15), ("denoise", 25), ("denoise", 50))
_PLANS: Mapping[str, _Plan] = MappingProxyType(
    {
        "3d": _Plan("Three degradations: haze, rain, noise", (("dehaze", None), ("derain", None), *_DENOISE)),
        "5d": _Plan(
            "Five degradations: haze, rain, noise, blur, low light",
            (("dehaze", None), ("derain", None), ("denoise", 25), ("deblur", None), ("lowlight", None)),
        ),
        "denoise": _Plan("Gaussian noise of sigma 15, 25 and 50", _DENOISE),
        "derain": _Plan("Rain streaks", (("derain", None),)),
        "dehaze": _Plan("Haze", (("dehaze", None),)),
        "deblur": _Plan("Motion blur", (("deblur", None),)),
        "lowlight": _Plan("Low light", (("lowlight", None),)),
    }
)

SUITE_NAMES: tuple[str, ...] = tuple(_PLANS)
"""Names that `resolve` takes."""


def list_suites() -> list[Suite]:
    """All suites, on the embedded sets of the default size."""
    return [plan.on(name, dataset_name(256)) for name, plan in _PLANS.items()]


def resolve(tasks: str, *, source: Source = "auto", size: Size = 256, root: Path | None = None) -> ResolvedSuite:
    """The suite called `tasks` with the data for it; no image is decoded yet.

    Args:
        tasks: one of `SUITE_NAMES`.
        source: "embedded": the photographs inside scikit-image. "standard": the standard sets under `root`, which no
            reader exists for yet. "auto": the embedded ones, with a notice that says so.
        size: side in pixels of the embedded images' centre crops (32 or more), or "full" for whole photographs.
        root: the data root with the standard sets.

    Raises:
        DataError: unknown suite or source, a size that no set has, or standard sets asked for.
    """
    plan = _PLANS.get(tasks)
    if plan is None:
        raise unknown("suite (tasks=)", tasks, SUITE_NAMES)
    if source not in get_args(Source):
        raise unknown("source (data=)", source, get_args(Source))
    sets = standard.sets_of(name for name, _ in plan.tasks)
    if source == "standard":
        raise DataError(standard.refusal(sets, root))
    check_size(size)
    suite = plan.on(tasks, dataset_name(size))
    data: tuple[TaskData, ...] = tuple(EmbeddedTask(task, size) for task in suite.tasks)
    notice = ""
    if source == "auto":
        notice = (
            f"{dataset_name(size)} ({len(crops(size))} photographs inside scikit-image) stands in for "
            f"{', '.join(s.name for s in sets)}: its scores are not comparable with the papers' tables"
        )
    return ResolvedSuite(suite, data, notice)
