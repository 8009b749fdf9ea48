"""The data that a run of a suite reads: the standard sets, or the embedded photographs in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from .degradations.registry import DEGRADATIONS
from .embedded.tasks import EmbeddedTask, Size, check_size, crops, dataset_name
from .errors import DataError, unknown
from .files.task import FileTask, Reading
from .samples import TaskData
from .standard.layout import StandardSet, Subset, check_root, find_subset, shortfalls
from .standard.sets import ALL_SETS, get_set
from .tasks import SINGLE_TASKS, STANDARD_SETS, SUITES, Suite, Task

Source = Literal["auto", "embedded", "standard"]


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


def suite_called(tasks: str) -> Suite:
    """The suite called `tasks` on its standard sets: one of `SUITES`, `TASK@SET`, a degradation as `low_haze@CDD-11`.

    Raises:
        DataError: there is none; near names are suggested.
    """
    task, at, dataset = tasks.partition("@")
    if not at:
        if task not in SUITES:
            raise unknown("suite (tasks=)", tasks, SUITES)
        return SUITES[task]
    if task not in STANDARD_SETS:
        raise unknown("task in front of @ (tasks=)", task, STANDARD_SETS)
    named = get_set(dataset, task)
    single = SUITES.get(task) or Suite(task, task, (Task(task, named.name),))
    title = f"{single.title}, on {named.name}"
    return _on(Suite(tasks, title, single.tasks), [named.name] * len(single.tasks))


def _on(suite: Suite, datasets: Sequence[str]) -> Suite:
    """The suite on these data sets, one for each task."""
    tasks = (replace(task, dataset=dataset) for task, dataset in zip(suite.tasks, datasets, strict=True))
    return replace(suite, tasks=tuple(tasks))


def _embeddable(suite: Suite) -> bool:
    """Whether the embedded photographs can stand in for its sets: none is named, and each degradation can be made."""
    return "@" not in suite.name and all(task.name in (*DEGRADATIONS, "denoise") for task in suite.tasks)


def sets_of_suite(name: str) -> tuple[StandardSet, ...]:
    """The standard sets of a suite, each once.

    Raises:
        DataError: an unknown suite; near names are suggested.
    """
    return tuple(dict.fromkeys(get_set(task.dataset) for task in suite_called(name).tasks))


def list_suites() -> list[Suite]:
    """All suites on the embedded sets of the default size, where they can be, then single tasks on their other sets."""
    others = [
        f"{task}@{s.name}"
        for s in ALL_SETS
        for task in s.tasks
        if task in SINGLE_TASKS and STANDARD_SETS[task] != s.name
    ]
    suites = [suite_called(name) for name in (*SUITES, *others)]
    return [_on(s, [dataset_name(256)] * len(s.tasks)) if _embeddable(s) else s for s in suites]


def resolve(
    tasks: str,
    *,
    source: Source = "auto",
    size: Size = 256,
    root: Path | None = None,
    partial: bool = False,
    max_pixels: float | None = None,
    verify: bool = False,
) -> ResolvedSuite:
    """The suite called `tasks` with the data for it; no image is decoded yet.

    Args:
        tasks: one of `SUITES`; or a single task with one of its standard sets, `denoise@Urban100`, which then
            has to be there.
        source: "embedded": the photographs inside scikit-image. "standard": the standard sets under `root`. "auto":
            these if all that the suite needs are whole, otherwise the embedded ones; the notice says which.
        size: side in pixels of the embedded images' centre crops (32 or more), or "full" for whole photographs.
        root: the data root with the standard sets.
        partial: take standard sets that have fewer or more images than they should, under a name that says so.
        max_pixels: the largest image that is read; None: see `files.limits.pixel_limit`.
        verify: hash all files anew, whatever is remembered of them.

    Raises:
        DataError: unknown suite or source, a size that no set has, or standard sets that are needed and not there.
    """
    suite = suite_called(tasks)
    if source not in get_args(Source):
        raise unknown("source (data=)", source, get_args(Source))
    if source == "embedded" and not _embeddable(suite):
        raise DataError(f"tasks={tasks} has no embedded images: use data=standard, and data.root=DIR with the sets")
    check_size(size)
    reading = Reading(max_pixels, verify)
    if root is not None and source != "embedded":
        check_root(root)
    if source == "embedded":
        return _embedded(suite, size, "")
    subsets = [find_subset(get_set(task.dataset), task.name, root) for task in suite.tasks]
    insisted = source == "standard" or not _embeddable(suite)
    # Asked for by name, a set runs although files in it are unpaired: these fail by name and the rest is scored.
    wanting = [subset for subset in subsets if not (subset.counted if insisted else subset.whole)]
    if partial:
        wanting = [subset for subset in subsets if subset.images == 0]
    if not wanting:
        return _standard(suite, subsets, reading)
    if insisted:
        raise DataError(_refusal(tasks, source, wanting, root))
    return _embedded(suite, size, _stand_in(suite, wanting, size, root))


def _embedded(standard_suite: Suite, size: Size, notice: str) -> ResolvedSuite:
    suite = _on(standard_suite, [dataset_name(size)] * len(standard_suite.tasks))
    return ResolvedSuite(suite, tuple(EmbeddedTask(task, size) for task in suite.tasks), notice)


def _standard(standard_suite: Suite, subsets: Sequence[Subset], reading: Reading) -> ResolvedSuite:
    names = [
        subset.set.name if subset.counted else f"{subset.set.name}[{subset.images}of{subset.set.images}]"
        for subset in subsets
    ]
    suite = _on(standard_suite, names)
    data: list[TaskData] = []
    for task, subset in zip(suite.tasks, subsets, strict=True):
        assert subset.listing is not None
        folders = " and ".join(str(folder) for folder in subset.listing.folders)
        description = f"{subset.title}: {subset.images} images in {folders}"
        data.append(FileTask(task, subset.listing, description, subset.set.licence, reading))
    counts = {name: subset.images for name, subset in zip(names, subsets, strict=True)}
    notice = f"standard sets: {', '.join(f'{name} ({count} images)' for name, count in counts.items())}"
    unpaired = {
        f"{subset.title} {image.name}"
        for subset in subsets
        if subset.listing is not None
        for image in subset.listing.problems
    }
    if unpaired:
        notice += f"; will fail: {', '.join(sorted(unpaired))}"
    for subset in subsets:
        for note in subset.listing.notes if subset.listing is not None else ():
            if f"{subset.set.name}: {note}" not in notice:
                notice += f"; {subset.set.name}: {note}"
    return ResolvedSuite(suite, tuple(data), notice)


def _refusal(tasks: str, source: Source, wanting: Sequence[Subset], root: Path | None) -> str:
    asked = "data=standard" if source == "standard" else f"tasks={tasks}"
    where = "data.root (not set; give data.root=DIR or set RESTOREBENCH_DATA)" if root is None else f"data.root={root}"
    text = f"{asked}: not whole under {where}: {shortfalls(wanting)}"
    if any(subset.images for subset in wanting) and not any(subset.images == 0 for subset in wanting):
        text += ". data.partial=true runs what is there, under a name that says so"
    return text


def _stand_in(suite: Suite, wanting: Sequence[Subset], size: Size, root: Path | None) -> str:
    sets = ", ".join(dict.fromkeys(task.dataset for task in suite.tasks))
    notice = (
        f"{dataset_name(size)} ({len(crops(size))} photographs inside scikit-image) stands in for {sets}: its scores"
        " are not comparable with the papers' tables"
    )
    if root is None:
        return notice
    return f"{notice}. Not whole under data.root={root}: {shortfalls(wanting)}"
