"""What stands under a figure: on which images, under which conditions, on which machine."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...benchmarks.store.records import Record
from ...datasets.clusters import kind_of
from .cells import Group
from .leaderboard import AVERAGE, cell_row
from .restoration import otherwise
from .scoreboard import SIGNIFICANT, Ranking, least_p

EMBEDDED = "embedded-"
"""How the names of the data sets begin that are made of the photographs inside scikit-image."""
INPUT_SHAPE = re.compile(r"\b\d+x\d+x\d+x\d+\b")


def task_label(group: Group, key: str) -> str:
    """A task's name for axes: ``denoise 25``, with its data set where the group has one task on several."""
    task, _, dataset = key.partition("@")
    name = task.replace("-", " ")
    shared = sum(other.partition("@")[0] == task for other in group.tasks) > 1
    return f"{name}, {dataset}" if shared else name


def conditions(group: Group, task: str | None = None) -> str:
    """Suite, data, protocol, number of images, device, dtype and torch version of a group, or of one of its tasks.

    Where restorers of the group differ in one of the last three, all values are listed.
    """
    records = measured_records(group, task)
    numerics = [record.identity.numerics for record in records]
    otherwise_restored = [
        f"{restorer.label}, {task_label(group, key)}, {text}"
        for restorer in group.restorers
        for key, cell in restorer.cells.items()
        if task in (None, key) and (text := otherwise(cell))
    ]
    return "; ".join(
        (
            f"{group.suite} on {group.datasets}",
            f"protocol {group.protocol}",
            image_counts(group, task),
            _listed("device", (record.environment.device_name for record in records)),
            _listed("dtype", (values.dtype for values in numerics)),
            _listed("torch", (torch_version(record) for record in records)),
            *otherwise_restored,
            *_partial(group, task),
        )
    )


def _partial(group: Group, task: str | None) -> list[str]:
    """The rows of which only the first images were asked for, in words."""
    return [
        f"{restorer.label}, {task_label(group, key)}, {cell_row(cell.record).note}"
        for restorer in group.restorers
        for key, cell in restorer.cells.items()
        if task in (None, key) and cell.record.not_asked
    ]


def stand_in(group: Group) -> str:
    """What a reader must know first where the data stand in for the papers' sets; empty where they are those."""
    if any(key.partition("@")[2].startswith(EMBEDDED) for key in group.tasks):
        return "Embedded photographs: not comparable with the papers' tables."
    return ""


def measured_records(group: Group, task: str | None = None) -> list[Record]:
    """Records of the restorers, the input left out unless nothing else is there."""
    restorers = [c for c in group.restorers if not c.is_input] or list(group.restorers)
    return [cell.record for c in restorers for key, cell in c.cells.items() if task in (None, key)]


def image_counts(group: Group, task: str | None = None) -> str:
    """``12 images a task``, or the number for each task where they differ; and what they are clustered in.

    ``8 images a task, of the same 5 scenes``, ``images: dehaze 500 of 492 clean images, derain 100``.
    """
    counts: dict[str, int] = {}
    for record in measured_records(group, task):
        tried = record.expected - record.not_asked
        counts[record.task_key] = max(tried, counts.get(record.task_key, 0))
    scores, kinds = group.scoreboard, {key: _kind(group, key) for key in counts}
    if len(set(counts.values())) == 1 and len({key.partition("@")[2] for key in counts}) == 1:
        first = next(iter(counts))
        whole = AVERAGE if task is None and len(counts) == len(group.tasks) else first
        text = f"{counts[first]} images" + (" a task" if len(counts) > 1 else "")
        same = " the same" if len(counts) > 1 else ""
        return f"{text}, of{same} {_counted(scores.clusters(whole), kinds[first])}" if kinds[first] else text
    if len(set(counts.values())) == 1 and not any(kinds.values()):
        return f"{next(iter(counts.values()))} images a task"
    listed = [
        f"{task_label(group, key)} {counts[key]}"
        + (f" of {_counted(scores.clusters(key), kinds[key])}" if kinds[key] else "")
        for key in group.tasks
        if key in counts
    ]
    return f"images: {', '.join(listed)}"


def _counted(clusters: int, kind: str) -> str:
    """``5 scenes``, ``1 scene``."""
    return f"{clusters} {kind.removesuffix('s') if clusters == 1 else kind}"


def hopeless(ranking: Ranking, kind: str) -> str:
    """Why no difference in a ranking can be significant, in words; empty where one can.

    Args:
        ranking: of a column.
        kind: what its clusters are (`cluster_kind`).
    """
    if not ranking.hopeless:
        return ""
    comparisons = len(ranking.order) - 1
    corrected = f", corrected for {comparisons} comparisons," if comparisons > 1 else ""
    least = least_p(ranking.clusters, comparisons)
    return (
        f"{ranking.clusters} {kind}: no difference can be significant at {SIGNIFICANT:g} (the least possible p"
        f"{corrected} is {least:.2g})"
    )


def cluster_kind(group: Group, column: str) -> str:
    """What the clusters of a column's images are, in the plural."""
    keys = group.tasks if column == AVERAGE else (column,)
    kinds = {_kind(group, key) or "images" for key in keys}
    return kinds.pop() if len(kinds) == 1 else "independent images, scenes or sequences"


def _kind(group: Group, key: str) -> str:
    """What the clusters of a task's images are, in the plural; empty where every image is its own."""
    images = (row.image for each in group.restorers if key in each.cells for row in each.cells[key].rows)
    return kind_of(key.partition("@")[2], images)


def restorers_shown(ranking: Ranking) -> str:
    """The family of a Holm correction: ``over the 4 restorers shown``."""
    return f"over the {len(ranking.order)} restorers shown"


def macs_size(group: Group) -> str:
    """Input shape at which multiply-adds were counted, as the records' statement says it: ``1x3x256x256``."""
    shapes: list[str] = []
    for record in measured_records(group):
        shapes += INPUT_SHAPE.findall(record.complexity.statement)
    return " / ".join(dict.fromkeys(shapes)) or "input size not recorded"


def counting(statement: str) -> str:
    """What a record says that was counted; those of earlier versions added Fourier transforms, which no number shown
    has."""
    return re.sub(r"Fourier transforms by formula \([^)]*\)", "without Fourier transforms", statement)


def torch_version(record: Record) -> str:
    """Version of torch that computed a record."""
    return str(record.environment.versions.get("torch") or "not recorded")


def _listed(name: str, values: Iterable[str]) -> str:
    return f"{name} {' / '.join(dict.fromkeys(values)) or 'not recorded'}"
