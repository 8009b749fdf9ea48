"""Suites: named lists of tasks, and the data that a run of one reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from .degradations.registry import DEGRADATIONS
from .embedded.tasks import EmbeddedTask, Size, check_size, crops, dataset_name
from .errors import DataError, unknown
from .files.task import FileTask
from .samples import CDD11_TASKS, Task, TaskData
from .standard import layout as standard
from .standard.layout import Part, StandardSet

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
    """A suite before its data are chosen: (task name, sigma) of each task, and the standard set if it names one."""

    title: str
    tasks: tuple[tuple[str, int | None], ...]
    named: StandardSet | None = None

    @property
    def sets(self) -> tuple[StandardSet, ...]:
        """The standard set of each task."""
        return tuple(self.named or standard.DEFAULT_SETS[name] for name, _ in self.tasks)

    @property
    def embeddable(self) -> bool:
        """Whether the embedded photographs can stand in for its sets."""
        return self.named is None and all(name in (*DEGRADATIONS, "denoise") for name, _ in self.tasks)

    def on(self, name: str, datasets: Sequence[str]) -> Suite:
        """The suite on these data sets, one for each task."""
        tasks = (Task(task, dataset, sigma) for (task, sigma), dataset in zip(self.tasks, datasets, strict=True))
        return Suite(name, self.title, tuple(tasks))


_DENOISE = (("denoise", 15), ("denoise", 25), ("denoise", 50))
_PLANS: Mapping[str, _Plan] = MappingProxyType(
    {
        "3d": _Plan("Three degradations: haze, rain, noise", (("dehaze", None), ("derain", None), *_DENOISE)),
        "5d": _Plan(
            "Five degradations: haze, rain, noise, blur, low light",
            (("dehaze", None), ("derain", None), ("denoise", 25), ("deblur", None), ("lowlight", None)),
        ),
        "cdd11": _Plan("Eleven composite degradations of CDD-11", tuple((name, None) for name in CDD11_TASKS)),
        "denoise": _Plan("Gaussian noise of sigma 15, 25 and 50", _DENOISE),
        "derain": _Plan("Rain streaks", (("derain", None),)),
        "dehaze": _Plan("Haze", (("dehaze", None),)),
        "deblur": _Plan("Motion blur", (("deblur", None),)),
        "lowlight": _Plan("Low light", (("lowlight", None),)),
    }
)
_SINGLE = ("denoise", "derain", "dehaze", "deblur", "lowlight")

SUITE_NAMES: tuple[str, ...] = tuple(_PLANS)
"""Names that `resolve` takes; a single task also with one of its sets, as `denoise@Urban100`."""


def _plan(tasks: str) -> _Plan:
    """The plan called `tasks`: one of `SUITE_NAMES`, `TASK@SET`, or a degradation of CDD-11 as `low_haze@CDD-11`.

    Raises:
        DataError: there is none; near names are suggested.
    """
    task, at, dataset = tasks.partition("@")
    if not at:
        if task not in _PLANS:
            raise unknown("suite (tasks=)", tasks, SUITE_NAMES)
        return _PLANS[task]
    if task not in (*_SINGLE, *CDD11_TASKS):
        raise unknown("task in front of @ (tasks=)", task, (*_SINGLE, *CDD11_TASKS))
    named = standard.get_set(dataset, task)
    title, pairs = (_PLANS[task].title, _PLANS[task].tasks) if task in _PLANS else (task, ((task, None),))
    return _Plan(f"{title}, on {named.name}", pairs, named)


def sets_of_suite(name: str) -> tuple[StandardSet, ...]:
    """The standard sets of a suite, each once.

    Raises:
        DataError: an unknown suite; near names are suggested.
    """
    return tuple(dict.fromkeys(_plan(name).sets))


def _listed(name: str, plan: _Plan) -> Suite:
    return plan.on(name, [dataset_name(256) if plan.embeddable else s.name for s in plan.sets])


def list_suites() -> list[Suite]:
    """All suites on the embedded sets of the default size, where they can be, then single tasks on their other sets."""
    others = [f"{task}@{s.name}" for s in standard.ALL_SETS for task in s.tasks if task in _SINGLE]
    defaults = {f"{task}@{s.name}" for task, s in standard.DEFAULT_SETS.items()}
    names = [*SUITE_NAMES, *(name for name in others if name not in defaults)]
    return [_listed(name, _plan(name)) for name in names]


def resolve(
    tasks: str, *, source: Source = "auto", size: Size = 256, root: Path | None = None, partial: bool = False
) -> ResolvedSuite:
    """The suite called `tasks` with the data for it; no image is decoded yet.

    Args:
        tasks: one of `SUITE_NAMES`; or a single task with one of its standard sets, `denoise@Urban100`, which then
            has to be there.
        source: "embedded": the photographs inside scikit-image. "standard": the standard sets under `root`. "auto":
            these if all that the suite needs are whole, otherwise the embedded ones; the notice says which.
        size: side in pixels of the embedded images' centre crops (32 or more), or "full" for whole photographs.
        root: the data root with the standard sets.
        partial: take standard sets that have fewer or more images than they should, under a name that says so.

    Raises:
        DataError: unknown suite or source, a size that no set has, or standard sets that are needed and not there.
    """
    plan = _plan(tasks)
    if source not in get_args(Source):
        raise unknown("source (data=)", source, get_args(Source))
    if source == "embedded" and not plan.embeddable:
        raise DataError(f"tasks={tasks} has no embedded images: use data=standard, and data.root=DIR with the sets")
    check_size(size)
    if root is not None and source != "embedded":
        standard.check_root(root)
    if source == "embedded":
        return _embedded(tasks, plan, size, "")
    parts = [standard.find_part(s, name, root) for (name, _), s in zip(plan.tasks, plan.sets, strict=True)]
    insisted = source == "standard" or not plan.embeddable
    # Asked for by name, a set runs although files in it are unpaired: these fail by name and the rest is scored.
    wanting = [part for part in parts if not (part.counted if insisted else part.whole)]
    if partial:
        wanting = [part for part in parts if part.images == 0]
    if not wanting:
        return _standard(tasks, plan, parts)
    if insisted:
        raise DataError(_refusal(tasks, source, wanting, root))
    return _embedded(tasks, plan, size, _stand_in(plan, wanting, size, root))


def _embedded(tasks: str, plan: _Plan, size: Size, notice: str) -> ResolvedSuite:
    suite = plan.on(tasks, [dataset_name(size)] * len(plan.tasks))
    return ResolvedSuite(suite, tuple(EmbeddedTask(task, size) for task in suite.tasks), notice)


def _standard(tasks: str, plan: _Plan, parts: Sequence[Part]) -> ResolvedSuite:
    names = [p.set.name if p.counted else f"{p.set.name}[{p.images}of{p.set.images}]" for p in parts]
    suite = plan.on(tasks, names)
    data: list[TaskData] = []
    for task, part in zip(suite.tasks, parts, strict=True):
        assert part.listing is not None
        folders = " and ".join(str(folder) for folder in part.listing.folders)
        data.append(FileTask(task, part.listing, f"{part.title}: {part.images} images in {folders}", part.set.licence))
    counts = {name: part.images for name, part in zip(names, parts, strict=True)}
    notice = f"standard sets: {', '.join(f'{name} ({count} images)' for name, count in counts.items())}"
    unpaired = {f"{p.title} {entry.name}" for p in parts if p.listing is not None for entry in p.listing.problems}
    if unpaired:
        notice += f"; will fail: {', '.join(sorted(unpaired))}"
    return ResolvedSuite(suite, tuple(data), notice)


def _refusal(tasks: str, source: Source, wanting: Sequence[Part], root: Path | None) -> str:
    asked = "data=standard" if source == "standard" else f"tasks={tasks}"
    where = "data.root (not set; give data.root=DIR or set RESTOREBENCH_DATA)" if root is None else f"data.root={root}"
    text = f"{asked}: not whole under {where}: {standard.shortfalls(wanting)}"
    if any(part.images for part in wanting) and not any(part.images == 0 for part in wanting):
        text += ". data.partial=true runs what is there, under a name that says so"
    return text


def _stand_in(plan: _Plan, wanting: Sequence[Part], size: Size, root: Path | None) -> str:
    sets = ", ".join(dict.fromkeys(s.name for s in plan.sets))
    notice = (
        f"{dataset_name(size)} ({len(crops(size))} photographs inside scikit-image) stands in for {sets}: its scores"
        " are not comparable with the papers' tables"
    )
    if root is None:
        return notice
    return f"{notice}. Not whole under data.root={root}: {standard.shortfalls(wanting)}"
