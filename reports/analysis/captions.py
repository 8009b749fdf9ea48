"""What stands under a figure: on which images, under which conditions, on which machine."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...benchmarks.store.records import Record
from .cells import Group

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
    return "; ".join(
        (
            f"{group.suite} on {group.datasets}",
            f"protocol {group.protocol}",
            image_counts(group, task),
            _listed("device", (record.environment.device_name for record in records)),
            _listed("dtype", (values.dtype for values in numerics)),
            _listed("torch", (torch_version(record) for record in records)),
        )
    )


def measured_records(group: Group, task: str | None = None) -> list[Record]:
    """Records of the restorers, the input left out unless nothing else is there."""
    restorers = [c for c in group.restorers if not c.is_input] or list(group.restorers)
    return [cell.record for c in restorers for key, cell in c.cells.items() if task in (None, key)]


def image_counts(group: Group, task: str | None = None) -> str:
    """``12 images a task``, or the number for each task where they differ."""
    counts: dict[str, int] = {}
    for record in measured_records(group, task):
        counts[record.task_key] = max(record.expected, counts.get(record.task_key, 0))
    if len(counts) == 1:
        return f"{next(iter(counts.values()))} images"
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} images a task"
    return "images: " + ", ".join(f"{task_label(group, key)} {counts[key]}" for key in group.tasks if key in counts)


def macs_size(group: Group) -> str:
    """Input shape at which multiply-adds were counted, as the records' statement says it: ``1x3x256x256``."""
    shapes: list[str] = []
    for record in measured_records(group):
        shapes += INPUT_SHAPE.findall(record.complexity.statement)
    return " / ".join(dict.fromkeys(shapes)) or "input size not recorded"


def torch_version(record: Record) -> str:
    """Version of torch that computed a record."""
    return str(record.environment.versions.get("torch") or "not recorded")


def _listed(name: str, values: Iterable[str]) -> str:
    return f"{name} {' / '.join(dict.fromkeys(values)) or 'not recorded'}"
