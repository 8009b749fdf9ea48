"""Which printed value belongs to which task of a suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from ...datasets.tasks import SUITES, Task
from ..errors import ReportError
from .results import AVERAGE, PublishedResult, load_published
from .transcriptions import Trap

PAPERS_PROTOCOLS = ("promptir", "moceir")
"""Protocols whose PSNR is that of the papers' tables of these suites."""

_PRINTED = {
    "dehaze": ("SOTS-Outdoor", "dehazing"),
    "derain": ("Rain100L", "deraining"),
    "denoise": ("BSD68", "denoising"),
    "deblur": ("GoPro", "deblurring"),
    "lowlight": ("LOL-v1", "low-light"),
}
"""Test set and degradation of a task in the papers' words, where these are not the suite's own."""
COLUMN_TRAPS = (Trap.SMALL_TEST_SET, Trap.TEST_SCENES_IN_TRAINING)
"""What is true of a test set, not of one model's value: a footnote of the column."""


@dataclass(frozen=True)
class Place:
    """Where papers print a task, and the measured data set whose scores may stand beside it."""

    dataset: str
    degradation: str
    sigma: int | None
    measured: str


def _place(task: Task) -> Place:
    dataset, degradation = _PRINTED.get(task.name, (task.dataset, task.name))
    return Place(dataset, degradation, task.sigma, task.dataset)


PLACES: Mapping[str, Mapping[str, Place]] = MappingProxyType(
    {name: {task.label: _place(task) for task in SUITES[name].tasks} for name in ("3d", "5d", "cdd11")}
)
"""Suite, which is also the papers' setting, and task without its data set -> printed column; in the suite's order."""

AVERAGE_PLACE = Place(AVERAGE, AVERAGE, None, "")


def places(suite: str) -> Mapping[str, Place]:
    """Printed columns of a suite.

    Raises:
        ReportError: papers' rows are not kept for this suite.
    """
    if suite not in PLACES:
        raise ReportError(
            f"papers' rows are there for suites {', '.join(PLACES)}, not for {suite}: leave out --published"
        )
    return PLACES[suite]


def column_notes(suite: str, key: str) -> tuple[str, ...]:
    """What to know about a task's test set."""
    printed = _by_place(suite).get(PLACES[suite][key], ())
    return tuple(dict.fromkeys(flag.text for row in printed for flag in row.flags if flag.trap in COLUMN_TRAPS))


@cache
def by_model(suite: str) -> Mapping[str, tuple[PublishedResult, ...]]:
    """Printed values in the columns of a suite, by model, in the order of the file."""
    wanted = {*PLACES[suite].values(), AVERAGE_PLACE}
    columns = {(place.dataset, place.degradation, place.sigma) for place in wanted}
    models: dict[str, list[PublishedResult]] = {}
    for row in load_published():
        if row.setting == suite and row.column in columns:
            models.setdefault(row.model, []).append(row)
    return {model: tuple(rows) for model, rows in models.items()}


@cache
def _by_place(suite: str) -> Mapping[Place, tuple[PublishedResult, ...]]:
    rows = [row for several in by_model(suite).values() for row in several]
    return {place: tuple(row for row in rows if fits(row, place)) for place in PLACES[suite].values()}


def fits(row: PublishedResult, place: Place) -> bool:
    """Whether a printed value belongs in a column."""
    return row.column == (place.dataset, place.degradation, place.sigma)
