"""The leaderboard of a page's group as CSV, which its reader can download."""

from __future__ import annotations

import csv
import io

from ..analysis.cells import Group, RestorerResult
from ..analysis.costs import cost_points
from ..analysis.leaderboard import AVERAGE
from ..analysis.scoreboard import Interval
from ..escape import csv_cell
from ..published.metrics import METRICS

HEADER = (
    *("suite", "protocol", "restorer", "model", "variant", "weights", "dtype", "device", "task", "dataset", "metric"),
    *("mean", "low", "high", "images", "clusters", "mark"),
)


def download_csv(group: Group) -> str:
    """A line for each restorer, task (and average) and metric, with every digit; then one for each known cost."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    points = {point.label: point for point in cost_points(group, published=False)}
    for restorer in group.restorers:
        known = _known(group, restorer)
        for column in (*group.tasks, *([AVERAGE] if len(group.tasks) > 1 else [])):
            task, _, dataset = column.partition("@")
            for metric in METRICS:
                score = group.scoreboard.score(restorer.label, column, metric)
                mark = group.scoreboard.mark(restorer.label, column, metric) or ""
                if score is not None:
                    writer.writerow([*known, csv_cell(task), csv_cell(dataset), metric, *_numbers(score), mark])
        point = points.get(restorer.label)
        for name in ("params", "macs", "latency_ms", "peak_mib"):
            value = None if point is None else getattr(point, name)
            if value is not None:
                writer.writerow([*known, "", "", name, repr(value), *[""] * 5])
    return buffer.getvalue()


def _known(group: Group, restorer: RestorerResult) -> list[str]:
    record = restorer.record
    numerics = record.identity.numerics
    names = (group.suite, group.protocol, restorer.label, record.model, record.variant, record.provenance)
    return [csv_cell(str(text)) for text in (*names, numerics.dtype, numerics.device)]


def _numbers(score: Interval) -> list[str]:
    values = (score.mean, score.low, score.high, score.images, score.clusters)
    return ["" if value is None else repr(value) for value in values]
