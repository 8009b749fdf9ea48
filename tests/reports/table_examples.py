"""Groups of synthetic cells for the tests of tables."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from restorebench.reports.analysis.cells import Group, StoredCell, groups

from .stores import shared_cells

STANDARD = {
    "dehaze": "SOTS-Outdoor",
    "derain": "Rain100L",
    "denoise-15": "CBSD68",
    "denoise-25": "CBSD68",
    "denoise-50": "CBSD68",
    "deblur": "GoPro",
    "lowlight": "LOL-v1",
}


@functools.cache
def embedded_group(*, images: int = 12, protocol: str = "promptir@1") -> Group:
    """Five degradations on the embedded images, made once for all tests of a process."""
    return only(groups(shared_cells(suites=("5d",), images=images, protocol=protocol, previews=False)))


def only(several: list[Group]) -> Group:
    """The one group."""
    assert len(several) == 1
    return several[0]


def changed(group: Group, *, datasets: Mapping[str, str] | None = None, **fields: Any) -> Group:
    """The group with other data sets by task (``STANDARD``), and other fields in all records of networks."""
    tasks = tuple(_renamed(key, datasets or {}) for key in group.tasks)
    cells = [cell for restorer in group.restorers for cell in restorer.cells.values()]
    return only(groups(_changed(cell, tasks, datasets or {}, fields) for cell in cells))


def _changed(
    cell: StoredCell, tasks: tuple[str, ...], datasets: Mapping[str, str], fields: Mapping[str, Any]
) -> StoredCell:
    key = _renamed(cell.record.task_key, datasets)
    record = dataclasses.replace(
        cell.record,
        suite_tasks=tasks,
        dataset=key.partition("@")[2],
        identity=dataclasses.replace(cell.record.identity, task=key),
    )
    if record.provenance != "input":
        values = {name: value for name, value in fields.items() if name != "variant"}
        record = dataclasses.replace(record, **values)
        if "variant" in fields:
            identity = dataclasses.replace(record.identity, variant=fields["variant"])
            record = dataclasses.replace(record, variant=fields["variant"], identity=identity)
    return dataclasses.replace(cell, record=record)


def _renamed(key: str, datasets: Mapping[str, str]) -> str:
    task, _, dataset = key.partition("@")
    return f"{task}@{datasets.get(task, dataset)}"
