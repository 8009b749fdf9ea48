"""The columns of a paper's table: what a restorer costs, then its scores.

A column of costs is an entry of `COSTS`; all formats print what is listed there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ..analysis.captions import macs_size, task_label
from ..analysis.cells import Group, RestorerResult
from ..analysis.leaderboard import AVERAGE
from ..published.complexity import printed_operations, printed_parameters
from ..published.metrics import DIGITS, Metric
from ..published.places import PLACES, column_notes, places
from ..published.transcriptions import PrintedValue
from .model import Column, CostHead, Number
from .numbers import scaled


@dataclass(frozen=True, kw_only=True)
class CostColumn:
    """A column between the names and the scores.

    Attributes:
        name: of its lines in the CSV.
        heading: with its unit.
        measured: the value of a restorer that was run here.
        in_print: the value of a model of that name in the papers.
        notes: footnotes of the heading, of a group that was measured.
    """

    name: str
    heading: str
    measured: Callable[[RestorerResult], Number]
    in_print: Callable[[str], PrintedValue]
    notes: Callable[[Group], tuple[str, ...]] = lambda _: ()

    def head(self, group: Group | None) -> CostHead:
        """The head over a group's rows, or over printed rows alone."""
        return CostHead(name=self.name, heading=self.heading, notes=() if group is None else self.notes(group))

    def printed(self, model: str) -> Number:
        """The value in print."""
        return Number.printed(self.in_print(model))


def _counted(name: str, unit: float, digits: int, restorer: RestorerResult) -> Number:
    """A count of the record's complexity; none of the input."""
    value = getattr(restorer.record.complexity, name)
    if restorer.is_input or value is None:
        return Number()
    return Number(value=value / unit, text=scaled(value, unit, digits))


def _macs_note(group: Group) -> tuple[str, ...]:
    return (f"measured rows: multiply-adds of one pass over {macs_size(group)}, without Fourier transforms",)


COSTS = (
    CostColumn(
        name="params_m",
        heading="params (M)",
        measured=partial(_counted, "parameters", 1e6, 3),
        in_print=printed_parameters,
    ),
    CostColumn(
        name="macs_g",
        heading="MACs (G)",
        measured=partial(_counted, "multiply_adds", 1e9, 2),
        in_print=printed_operations,
        notes=_macs_note,
    ),
)


def score_columns(
    group: Group | None, suite: str, metrics: Sequence[Metric], digits: Mapping[Metric, int] = DIGITS
) -> list[Column]:
    """The tasks' columns, then the average's if there are several tasks."""
    known = PLACES.get(suite, {})
    if group is None:
        keys = [f"{task}@{place.dataset}" for task, place in places(suite).items()]
        labels = [key.partition("@")[0].replace("-", " ").replace("_", "+") for key in keys]
    else:
        keys, labels = list(group.tasks), [task_label(group, key) for key in group.tasks]
    heads = []
    for key, label in zip(keys, labels, strict=True):
        task, _, dataset = key.partition("@")
        standard = group is None or (task in known and known[task].measured == dataset)
        notes = column_notes(suite, task) if standard else ()
        heads += [
            Column(key=key, label=label, dataset=dataset, metric=metric, notes=notes, digits=digits[metric])
            for metric in metrics
        ]
    if len(keys) > 1:
        heads += [
            Column(key=AVERAGE, label=AVERAGE, dataset="", metric=metric, digits=digits[metric]) for metric in metrics
        ]
    return heads
