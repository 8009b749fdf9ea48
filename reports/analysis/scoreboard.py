"""What the scores of a group say, computed once: means and gains with intervals, paired differences, ranks and marks.

Whatever draws or prints reads it, and computes no statistics of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, TypeVar

from ...datasets.clusters import cluster_of
from ..published.metrics import Metric
from .intervals import CONFIDENCE, RESAMPLES, Interval, average_interval
from .leaderboard import AVERAGE
from .restoration import deviations
from .significance import (
    SIGNIFICANT,
    TEST,
    Difference,
    Mark,
    Ranking,
    holm,
    least_p,
    paired_average_difference,
    rank_averages,
)

if TYPE_CHECKING:
    from .cells import Group, RestorerResult, StoredCell

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "SIGNIFICANT",
    "TEST",
    "Difference",
    "Interval",
    "Mark",
    "Ranking",
    "Scoreboard",
    "holm",
    "least_p",
]

Quantity = Literal["psnr", "ssim", "gain"]
Result = TypeVar("Result")
Samples = list[Mapping[str, float]]
"""Values by image for each task of a column."""


class Scoreboard:
    """The statistics of a group of cells; each is computed when it is first asked for, and kept.

    A column is a task by its key, or `AVERAGE`, the mean over the suite's tasks; the average of a suite of one task is
    that task. Restorers are named by their labels. Three rules make all outputs agree:

    - A score is a mean over the images with a finite score of a cell without gaps, an average one over tasks of such
      cells. A gain is PSNR less the input's over the images of which both are finite; a difference of two restorers is
      over the images of which both have finite scores, with interval and p value from the same images. Gains and
      differences are also given for unfinished cells, by themselves and never in an average. Those who compare several
      restorers at once (`ranking`) use the images that all of them have.
    - What is resampled, and whose sign is flipped, is a cluster of images (`datasets.clusters`): what an image shows is
      not independent of what another one of the same scene shows. A cluster of a data set is the same in all tasks.
    - Random numbers are seeded by what they are for (`_seed`) and by nothing else.
    """

    def __init__(self, group: Group) -> None:
        """Nothing is computed yet."""
        self._group = group
        self._known: dict[tuple[str, ...], object] = {}

    def score(self, label: str, column: str, metric: Metric = "psnr") -> Interval | None:
        """A restorer's mean score; None unless every task of the column is complete and has one."""
        return self._interval(label, column, metric, complete=True)

    def gain(self, label: str, column: str) -> Interval | None:
        """Mean PSNR over the degraded input's, dB; None where no image has both."""
        return self._interval(label, column, "gain", complete=self._column(column) == AVERAGE)

    def mean_gain(self, label: str, column: str) -> float | None:
        """The mean of `gain` alone, which takes no resampling."""
        samples = self._samples(self._restorers[label], column, "gain", complete=self._column(column) == AVERAGE)
        return None if samples is None else _mean_of_means(samples)

    def input_level(self, column: str) -> float | None:
        """Mean PSNR of the degraded input, dB; None unless a complete cell of every task of the column has it."""
        levels = [self._input_of(key) for key in self._keys(column)]
        known = [level for level in levels if level is not None]
        return math.fsum(known) / len(known) if known and len(known) == len(levels) else None

    def difference(self, first: str, second: str, column: str, metric: Metric = "psnr") -> Difference | None:
        """First minus second on the images of which both have finite scores; None without one (in any task)."""
        if first > second:
            turned = self.difference(second, first, column, metric)
            return None if turned is None else turned.reversed()

        def compute() -> Difference | None:
            a, b = (self._samples(self._restorers[label], column, metric, complete=False) for label in (first, second))
            if a is None or b is None or not all(one.keys() & other.keys() for one, other in zip(a, b, strict=True)):
                return None
            seed = self._seed((first, second), column, metric)
            return paired_average_difference(a, b, seed=seed, clusters=self._clusters(column))

        return self._once(compute, "difference", first, second, self._column(column), metric)

    def differences_by_image(self, first: str, second: str, task: str) -> dict[str, float]:
        """PSNR of the first less that of the second, dB, of the images of a task of which both are finite."""
        a, b = (self._values(self._restorers[label], task, "psnr", complete=False) for label in (first, second))
        return {image: value - b[image] for image, value in a.items() if image in b}

    def ranking(self, column: str, metric: Metric = "psnr") -> Ranking | None:
        """The restorers with a score in the column, best first, the input left out; None without one.

        None, too, where no image is common to them. Where some were restored otherwise than asked, in tiles or on the
        CPU for want of memory, they are left out unless all of them were, image by image.
        """

        def compute() -> Ranking | None:
            scores = {
                label: samples
                for label, restorer in self._restorers.items()
                if not restorer.is_input
                and (samples := self._samples(restorer, column, metric, complete=True)) is not None
            }
            scores = self._alike(scores, column)
            tasks = list(zip(*scores.values(), strict=True))
            if not scores or not all(set.intersection(*(set(task) for task in several)) for several in tasks):
                return None
            seed = self._seed((), column, metric)
            return rank_averages(scores, seed=seed, clusters=self._clusters(column))

        return self._once(compute, "ranking", self._column(column), metric)

    def _alike(self, scores: dict[str, Samples], column: str) -> dict[str, Samples]:
        """Of the restorers those that were restored alike: all, or else those of which every image went as asked."""
        ways = {
            label: [deviations(self._restorers[label].cells[key]) for key in self._keys(column)] for label in scores
        }
        if all(way == next(iter(ways.values())) for way in ways.values()):
            return scores
        return {label: samples for label, samples in scores.items() if not any(ways[label])}

    def mark(self, label: str, column: str, metric: Metric = "psnr") -> Mark | None:
        """``best``: significantly better than every other; ``tie``: one of several best; ``second``; else None."""
        ranking = self.ranking(column, metric)
        return None if ranking is None else ranking.mark(label)

    @cached_property
    def _restorers(self) -> dict[str, RestorerResult]:
        return {restorer.label: restorer for restorer in self._group.restorers}

    def _interval(self, label: str, column: str, quantity: Quantity, *, complete: bool) -> Interval | None:
        def compute() -> Interval | None:
            samples = self._samples(self._restorers[label], column, quantity, complete=complete)
            if samples is None:
                return None
            values = [list(sample.values()) for sample in samples]
            pairs = zip(samples, self._clusters(column), strict=True)
            clusters = [[cluster(image) for image in sample] for sample, cluster in pairs]
            return average_interval(values, seed=self._seed((label,), column, quantity), clusters=clusters)

        return self._once(compute, "interval", label, self._column(column), quantity)

    def _samples(
        self, restorer: RestorerResult, column: str, quantity: Quantity, *, complete: bool
    ) -> list[Mapping[str, float]] | None:
        """Values by image for each task of a column; None where a task has none."""
        samples = [self._values(restorer, key, quantity, complete=complete) for key in self._keys(column)]
        return samples if all(samples) else None

    def _values(
        self, restorer: RestorerResult, task: str, quantity: Quantity, *, complete: bool
    ) -> Mapping[str, float]:
        """Finite values of a cell by image, in the data set's order; none of an unfinished cell if `complete`."""
        cell = restorer.cells.get(task)
        if cell is None or (complete and not cell.record.complete):
            return {}
        return _gains(cell) if quantity == "gain" else cell.values(quantity)

    def _input_of(self, task: str) -> float | None:
        cells = (restorer.cells[task] for restorer in self._group.restorers if task in restorer.cells)
        levels = (cell.record.means.input_psnr for cell in cells if cell.record.complete)
        return next((level for level in levels if level is not None), None)

    def clusters(self, column: str) -> int:
        """How many clusters the images of a column come from."""
        return len(
            {
                cluster(row.image)
                for key, cluster in zip(self._keys(column), self._clusters(column), strict=True)
                for restorer in self._group.restorers
                if key in restorer.cells
                for row in restorer.cells[key].rows
            }
        )

    def _clusters(self, column: str) -> list[Callable[[str], str]]:
        """For each task of a column, what names the cluster of an image."""
        return [partial(_cluster, key.partition("@")[2]) for key in self._keys(column)]

    def _keys(self, column: str) -> tuple[str, ...]:
        return self._group.tasks if column == AVERAGE else (column,)

    def _column(self, column: str) -> str:
        """The column itself; the task where it is the average of a single one."""
        return self._group.tasks[0] if column == AVERAGE and len(self._group.tasks) == 1 else column

    def _seed(self, labels: Sequence[str], column: str, quantity: Quantity) -> str:
        """The text that seeds a statistic: what it is of, restorers, and what is not PSNR.

        A task is the same in every suite that has it.
        """
        column = self._column(column)
        parts = [self._group.title if column == AVERAGE else f"{column}, {self._group.protocol}", *labels]
        parts += [] if quantity == "psnr" else [quantity]
        return "/".join(parts)

    def _once(self, compute: Callable[[], Result], *key: str) -> Result:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]  # type: ignore[return-value]


def _cluster(dataset: str, image: str) -> str:
    return f"{dataset}/{cluster_of(dataset, image)}"


def _gains(cell: StoredCell) -> dict[str, float]:
    floor = cell.values("input_psnr")
    return {image: value - floor[image] for image, value in cell.values("psnr").items() if image in floor}


def _mean_of_means(samples: Sequence[Mapping[str, float]]) -> float:
    return math.fsum(math.fsum(sample.values()) / len(sample) for sample in samples) / len(samples)
