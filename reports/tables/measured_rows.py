"""The rows of a paper's table that were measured here: means with intervals, and who is best in each column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis.captions import task_label
from ..analysis.cells import Contender, Group
from ..analysis.leaderboard import AVERAGE, cell_row
from ..analysis.statistics import (
    Interval,
    Ranking,
    average_interval,
    can_be_significant,
    mean_interval,
    rank,
    rank_averages,
)
from .model import DIGITS, Column, Mark, Metric, Number, TableRow
from .numbers import number, scaled

WEIGHTS = {
    "official": "the authors' weights",
    "retrained": "weights trained by this suite, not the authors'",
    "reconstructed": "network rebuilt from its paper, whose code is not published",
    "bundled": "small network with the weights inside the package, not the published one",
    "foreign": "a checkpoint from elsewhere, for a network of another package",
    "untrained": "untrained: random weights",
}


@dataclass(frozen=True)
class Measured:
    """What one column says about the restorers that are ranked in it; None without two of them."""

    column: Column
    ranking: Ranking | None

    def mark(self, label: str) -> Mark | None:
        """The mark of a restorer."""
        if self.ranking is None or label not in self.ranking.order:
            return None
        if label in self.ranking.best:
            return "best" if len(self.ranking.best) == 1 else "tie"
        return "second" if label in self.ranking.second else None


def measured_rows(group: Group, columns: Sequence[Column]) -> tuple[list[TableRow], list[Measured]]:
    """A row for each contender of a group, in its order, and the rankings of the columns."""
    found = [Measured(column, _ranking(group, column)) for column in columns]
    rows = [
        TableRow(
            kind="input" if contender.is_input else "measured",
            method=contender.label,
            model=contender.record.model,
            params=_count(contender, "parameters", 1e6, 3),
            macs=_count(contender, "macs", 1e9, 2),
            scores=tuple(_number(group, contender, one) for one in found),
            notes=() if contender.is_input else (_weights(contender),),
        )
        for contender in group.contenders
    ]
    return rows, found


def column_scores(group: Group, contender: Contender, column: Column) -> list[dict[str, float]] | None:
    """Scores by image for each task of a column; None unless all of them are complete."""
    keys = group.tasks if column.key == AVERAGE else (column.key,)
    cells = [contender.cells.get(key) for key in keys]
    found = [cell.values(column.metric) if cell is not None and cell.record.complete else {} for cell in cells]
    return found if all(found) else None


def few_images(measured: Sequence[Measured]) -> list[str]:
    """Columns in which no difference can be significant, with their numbers of images, for a remark."""
    found = dict.fromkeys(
        f"{one.column.label} ({one.ranking.images})"
        for one in measured
        if one.ranking is not None and not can_be_significant(one.ranking.images, len(one.ranking.order) - 1)
    )
    return list(found)


def _ranking(group: Group, column: Column) -> Ranking | None:
    scores = {c.label: column_scores(group, c, column) for c in group.contenders if not c.is_input}
    ranked = {label: tasks for label, tasks in scores.items() if tasks is not None}
    if len(ranked) < 2:
        return None
    # The page ranks PSNR by the same seeds, so both say the same.
    suffix = "" if column.metric == "psnr" else f"/{column.metric}"
    if column.key == AVERAGE:
        return rank_averages(ranked, seed=group.title + suffix)
    return rank({label: tasks[0] for label, tasks in ranked.items()}, seed=f"{group.title}/{column.key}{suffix}")


def _number(group: Group, contender: Contender, measured: Measured) -> Number:
    column = measured.column
    scores = column_scores(group, contender, column)
    if scores is None:
        return Number(notes=_lack(group, contender, column))
    interval = _interval(group, contender, column, scores)
    return Number(
        value=interval.mean,
        text=number(interval.mean, DIGITS[column.metric]),
        low=interval.low,
        high=interval.high,
        mark=measured.mark(contender.label),
        images=interval.images,
        notes=_remarks(contender, column),
    )


def _interval(group: Group, contender: Contender, column: Column, scores: list[dict[str, float]]) -> Interval:
    suffix = "" if column.metric == "psnr" else f"/{column.metric}"
    if column.key == AVERAGE:
        values = [list(task.values()) for task in scores]
        return average_interval(values, seed=f"{group.title}/{contender.label}{suffix}")
    return mean_interval(list(scores[0].values()), seed=f"{group.title}/{contender.label}/{column.key}{suffix}")


def _lack(group: Group, contender: Contender, column: Column) -> tuple[str, ...]:
    """Why a score is missing."""
    if column.key == AVERAGE:
        without = [task_label(group, key) for key in group.tasks if _reason(contender, key, column.metric)]
        return (f"{contender.label}: no average, since there is no complete {' or '.join(without)}",)
    return (f"{contender.label}, {task_label(group, column.key)}: {_reason(contender, column.key, column.metric)}",)


def _reason(contender: Contender, key: str, metric: Metric) -> str:
    """Why a task has no score; empty if it has one."""
    if key not in contender.cells:
        return "not measured"
    cell = contender.cells[key]
    if not cell.record.complete:
        return cell_row(cell.record).note or f"{cell.record.scored} of {cell.record.expected} images have scores"
    if cell.values(metric):
        return ""
    if metric == "ssim":
        return f"protocol {cell.record.protocol} has no SSIM"
    return cell_row(cell.record).note or "no image has a score"


def _remarks(contender: Contender, column: Column) -> tuple[str, ...]:
    """What a reader must know about a mean: images that are left out of it."""
    if column.metric != "psnr" or column.key == AVERAGE:
        return ()
    note = cell_row(contender.cells[column.key].record).note
    return (f"{contender.label}, {column.label}: {note}",) if note else ()


def _count(contender: Contender, name: str, unit: float, digits: int) -> Number:
    value = getattr(contender.record.complexity, name)
    if contender.is_input or value is None:
        return Number()
    return Number(value=value / unit, text=scaled(value, unit, digits))


def _weights(contender: Contender) -> str:
    provenance = contender.record.provenance
    return WEIGHTS.get(provenance, f"weights: {provenance}")
