"""What the page shows of each group, as plain data for its scripts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...benchmarks.store.parts import plain
from ...benchmarks.store.records import Record
from ..analysis.captions import counting, stand_in, task_label
from ..analysis.cells import Group, RestorerResult, StoredCell, stems
from ..analysis.costs import CostName, CostPoint, cost_points, cost_statement, pareto
from ..analysis.leaderboard import AVERAGE, average_row, cell_row, weights_label
from ..analysis.restoration import otherwise
from ..analysis.scoreboard import Difference, Interval
from ..analysis.training import training_told
from ..figures.error_maps import error_colours
from ..marks import TIE, WORDS
from .download import download_csv
from .summary import facts, headline

COSTS: dict[str, tuple[CostName, float]] = {
    "params": ("params", 1e6),
    "macs": ("macs", 1e9),
    "latency": ("latency_ms", 1.0),
    "memory": ("peak_mib", 1.0),
}
"""Costs by their name in the page, with the unit they are shown in."""


def page_data(groups: Sequence[Group], folder: Path, strips: Callable[[Group], dict[str, Any]]) -> dict[str, Any]:
    """Everything the page shows.

    Args:
        groups: in the order in which they can be chosen.
        folder: of the page, from which records are linked.
        strips: the images of a group, as `images.collect` gives them.
    """
    return {
        "marks": {"sign": TIE, "words": {"tied" if mark == "tie" else mark: text for mark, text in WORDS.items()}},
        "errorColours": error_colours(),
        "groups": [
            {
                "id": name,
                "protocolLabel": _protocol_label(group, groups),
                **group_data(group, folder),
                **strips(group),
                "csv": download_csv(group),
            }
            for name, group in zip(stems(groups), groups, strict=True)
        ],
    }


def fullest_first(groups: Sequence[Group]) -> list[Group]:
    """The group with most complete restorers first, of those the one with most kinds of degradations, then of tasks."""

    def fullness(group: Group) -> tuple[int, int, int]:
        kinds = {key.partition("@")[0].partition("-")[0] for key in group.tasks}
        return sum(c.complete and not c.is_input for c in group.restorers), len(kinds), len(group.tasks)

    return sorted(groups, key=fullness, reverse=True)


def group_data(group: Group, folder: Path) -> dict[str, Any]:
    """One group, but for its images."""
    average = group.scoreboard.ranking(AVERAGE)
    points = cost_points(group, published=True)
    measured = {point.label: point for point in points if point.source == "measured"}
    return {
        "suite": group.suite,
        "datasets": group.datasets,
        "protocol": group.protocol,
        "title": group.title,
        "banner": stand_in(group),
        "tasks": [
            {"key": key, "label": task_label(group, key), "head": _head(key), "dataset": key.partition("@")[2]}
            for key in group.tasks
        ],
        "clusters": {key: group.scoreboard.clusters(key) for key in group.tasks},
        "headline": headline(group, measured),
        "facts": facts(group, measured),
        "order": list(average.order) if average else [],
        "rows": [_row(c, group, folder, measured.get(c.label)) for c in group.restorers],
        "images": {key: _images(group, key) for key in group.tasks},
        "differences": {key: _differences(group, key) for key in group.tasks},
        "costs": [_cost(point) for point in points],
        "fronts": {name: [point.label for point in pareto(points, cost)] for name, (cost, _) in COSTS.items()},
        "costNotes": {"latency": cost_statement(group, "latency_ms"), "memory": cost_statement(group, "peak_mib")},
    }


def _row(
    restorer: RestorerResult,
    group: Group,
    folder: Path,
    cost: CostPoint | None,
) -> dict[str, Any]:
    record = restorer.record
    cells = [restorer.cells[key] for key in group.tasks if key in restorer.cells]
    rows = [cell_row(cell.record, otherwise(cell)) for cell in cells]
    whole = average_row(restorer.records, rows)
    point = None if cost is None else _cost(cost)
    score = group.scoreboard.score(restorer.label, AVERAGE)
    return {
        "label": restorer.label,
        "isInput": restorer.is_input,
        "complete": restorer.complete,
        "reasons": [f"{task_label(group, cell.task_key)}: {row.note}" for cell, row in _noted(restorer, group)]
        + [f"{task_label(group, key)}: not run" for key in group.tasks if key not in restorer.cells],
        "average": {"psnr": score and score.mean, **_bounds(score), "mark": _mark(group, restorer, AVERAGE)},
        "gain": None if score is None else group.scoreboard.mean_gain(restorer.label, AVERAGE),
        "ssim": whole.ssim,
        "lpips": whole.lpips,
        "tasks": {key: _task(cell, group, restorer) for key, cell in restorer.cells.items()},
        "params": None if restorer.is_input else _scaled(record.complexity.parameters, 1e6),
        "macs": None if restorer.is_input else _scaled(record.complexity.multiply_adds, 1e9),
        "latency": point and point["latency"],
        "latencyDoubt": point and point["latencyDoubt"],
        "memory": point and point["memory"],
        "provenance": record.provenance,
        **_where(record),
        **_record(restorer, group, folder),
    }


def _where(record: Record) -> dict[str, str]:
    """How and where the network ran, as far as it did."""
    if record.provenance == "images":
        return {"dtype": "images of another tool", "device": "not run here"}
    return {"dtype": str(record.identity.numerics.dtype), "device": str(record.identity.numerics.device)}


def _record(restorer: RestorerResult, group: Group, folder: Path) -> dict[str, Any]:
    """What the record's dialog shows, for all cells of a row."""
    record = restorer.record
    cells = [restorer.cells[key] for key in group.tasks if key in restorer.cells]
    return {
        "model": record.model,
        "variant": record.variant,
        "weights": _weights(record),
        "weightsHash": record.weights.sha256,
        "training": training_told(record),
        "statement": counting(record.complexity.statement),
        "commands": list(dict.fromkeys(cell.record.command for cell in cells)),
        "configurations": _alike(group, cells, lambda cell: cell.record.config),
        "environments": _alike(group, cells, lambda cell: plain(cell.record.environment)),
        "cells": [
            {
                "task": task_label(group, cell.record.task_key),
                "id": cell.record.cell,
                "expected": cell.record.expected,
                "scored": cell.record.scored,
                "psnr": cell.record.means.psnr,
                "ssim": cell.record.means.ssim,
                "lpips": cell.record.means.lpips,
                "seconds": cell.record.seconds,
                "finished": cell.record.finished.partition(".")[0].removesuffix("+00:00").replace("T", " "),
                "failures": [list(failure) for failure in cell.record.failures],
                "identity": plain(cell.record.identity),
                "data": plain(cell.record.data),
                "cost": None if cell.record.cost is None else plain(cell.record.cost),
                "record": _link(cell.folder / "record.json", folder),
                "images": _link(cell.folder / "images.csv", folder),
            }
            for cell in cells
        ],
    }


def _task(cell: StoredCell, group: Group, restorer: RestorerResult) -> dict[str, Any]:
    """One task of a row; without numbers where images are missing."""
    key, scoreboard, psnr = cell.record.task_key, group.scoreboard, cell.values("psnr")
    values = {"images": [_rounded(psnr.get(name)) for name in _images(group, key)]}
    score = scoreboard.score(restorer.label, key)
    if score is None:
        return {"psnr": None, "gain": None, "low": None, "high": None, "mark": None, **values}
    gain = None if restorer.is_input else scoreboard.gain(restorer.label, key)
    return {
        "psnr": score.mean,
        **_bounds(score),
        "ssim": cell.record.means.ssim,
        "gain": None if gain is None else {"mean": gain.mean, **_bounds(gain)},
        "mark": _mark(group, restorer, key),
        **values,
    }


def _differences(group: Group, key: str) -> dict[str, dict[str, Any]]:
    """Mean paired differences of all restorers that have a task, by their places among the rows: ``1-3`` is 1 minus 3.

    With intervals and without tests: those of the ranking are corrected for all comparisons, single ones would not be.
    """
    differences = {}
    places = [i for i, c in enumerate(group.restorers) if not c.is_input and key in c.cells]
    for first, second in combinations(places, 2):
        a, b = (group.restorers[place].label for place in (first, second))
        difference = group.scoreboard.difference(a, b, key)
        if difference is not None:
            differences[f"{first}-{second}"] = {"mean": difference.mean, **_bounds(difference)}
    return differences


def _images(group: Group, key: str) -> list[str]:
    """Names of a task's images, in the data set's order; an unfinished cell may hold fewer than another."""
    cells = [restorer.cells[key] for restorer in group.restorers if key in restorer.cells]
    return [row.image for row in max(cells, key=lambda cell: len(cell.rows)).rows] if cells else []


def _cost(point: CostPoint) -> dict[str, Any]:
    return {
        "label": point.label,
        "mean": point.psnr,
        **_bounds(point.interval),
        **{name: _scaled(point.cost(cost), unit) for name, (cost, unit) in COSTS.items()},
        "latencyLow": point.timing and point.timing.q1_ms,
        "latencyHigh": point.timing and point.timing.q3_ms,
        "latencyDoubt": point.doubtful("latency_ms"),
        "source": point.source,
        "citation": "; ".join((point.citation, *point.notes)) if point.citation else "",
    }


def _mark(group: Group, restorer: RestorerResult, column: str) -> str | None:
    mark = group.scoreboard.mark(restorer.label, column)
    return "tied" if mark == "tie" else mark


def _noted(restorer: RestorerResult, group: Group) -> list[tuple[Any, Any]]:
    cells = [restorer.cells[key] for key in group.tasks if key in restorer.cells]
    return [(cell.record, row) for cell in cells if (row := cell_row(cell.record, otherwise(cell))).note]


def _alike(group: Group, cells: Sequence[StoredCell], of: Callable[[StoredCell], Any]) -> list[dict[str, Any]]:
    """Values of the cells, each once, with the tasks that share it."""
    variants: list[tuple[Any, list[str]]] = []
    for cell in cells:
        value = of(cell)
        for known, tasks in variants:
            if known == value:
                tasks.append(task_label(group, cell.record.task_key))
                break
        else:
            variants.append((value, [task_label(group, cell.record.task_key)]))
    return [
        {"tasks": "all tasks" if len(tasks) == len(cells) else ", ".join(tasks), "value": value}
        for value, tasks in variants
    ]


def _weights(record: Record) -> str:
    """Kind, description and file of the weights."""
    known = [record.weights.kind, record.weights.description, record.weights.path]
    return ", ".join(dict.fromkeys(str(value) for value in known if value)) or weights_label(record)


def _link(path: Path, folder: Path) -> str:
    """Address of a file from the page's folder."""
    return quote(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())


def _head(key: str) -> str:
    """``denoise-25@set`` as ``denoise 25``, for columns that name the data set below."""
    return key.partition("@")[0].replace("-", " ")


def _bounds(interval: Interval | Difference | None) -> dict[str, float | None]:
    return {"low": None, "high": None} if interval is None else {"low": interval.low, "high": interval.high}


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _protocol_label(group: Group, groups: Sequence[Group]) -> str:
    """The protocol, with a number where groups differ in their images alone."""
    same = [
        other
        for other in groups
        if (other.suite, other.datasets, other.protocol) == (group.suite, group.datasets, group.protocol)
    ]
    return group.protocol if len(same) == 1 else f"{group.protocol}, images {same.index(group) + 1}"
