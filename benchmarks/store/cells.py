"""Stored cells as evidence: each is compared with its own checksums, its rows and the folder that it was found in.

What does not add up is a `RecordError` that names the file. A checksum tells damage, a careless edit and a cell in the
wrong place; it is no signature, and who computes it anew is believed.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from .files import IMAGES, LARGEST_TABLE, RECORD, cell_folders, is_there, read_regular
from .names import is_folder_name, is_label, is_title, shown
from .parts import cell_id, plain
from .records import Record, read_record
from .rows import ImageRow, RecordError, Table, mean_rows, read_table

ATTEMPTS = 3
"""Readings of a cell that changes while it is read: another process may be finishing it."""


@dataclass(frozen=True)
class CheckedCell:
    """A finished cell whose files agree.

    Attributes:
        folder: that it was found in.
        record: what is known about it.
        rows: its images, in the data set's order.
    """

    folder: Path
    record: Record
    rows: tuple[ImageRow, ...]

    @property
    def unchecked(self) -> str:
        """What could not be checked, for a record of an earlier version; empty for others."""
        version = self.record.schema_version
        return f"no checksum (schema {version})" if version < 4 else ""


def read_cell(folder: Path) -> CheckedCell:
    """Read a finished cell.

    Raises:
        FileNotFoundError: it has no record.
        RecordError: something does not add up; the message names the file.
    """
    for attempt in range(1, ATTEMPTS + 1):
        record = read_record(folder / RECORD)
        try:
            return CheckedCell(folder, record, _agreeing_rows(record, folder))
        except RecordError:
            if attempt == ATTEMPTS or read_record(folder / RECORD) == record:
                raise
    raise AssertionError("unreachable")


def read_cells(results: Path, suites: Collection[str] | None = None) -> tuple[list[CheckedCell], list[str]]:
    """Finished cells of a results folder that add up, in a stable order, and a line for each that is left out.

    Args:
        results: the folder.
        suites: only those of these suites; None for all.
    """
    cells: list[CheckedCell] = []
    folders, problems = cell_folders(results)
    for folder in folders:
        if suites is not None and folder.parent.parent.name not in suites:
            continue
        if is_there(folder / RECORD):
            try:
                cells.append(read_cell(folder))
            except FileNotFoundError:  # taken away just now: it is being computed again
                continue
            except (RecordError, OSError) as error:
                problems.append(str(error))
    return cells, [shown(problem) for problem in problems]


def read_records(results: Path) -> tuple[list[Record], list[str]]:
    """The records of `read_cells`, and a line for each cell that is left out."""
    cells, problems = read_cells(results)
    return [cell.record for cell in cells], problems


def _agreeing_rows(record: Record, folder: Path) -> tuple[ImageRow, ...]:
    """The rows of a cell, once record, rows and folder have been found to agree.

    Raises:
        RecordError: they do not.
    """
    for problem in problems_of_record(record, folder):
        raise RecordError(f"{folder / RECORD}: {problem}")
    path = folder / IMAGES
    try:
        data = read_regular(path, LARGEST_TABLE)
    except FileNotFoundError as error:
        raise RecordError(f"{path}: is gone, though the record says {record.scored} images have scores") from error
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error
    read = read_table(data, folder.name)
    for problem in _problems_of_table(record, data, read):
        raise RecordError(f"{path}: {problem}")
    return read.rows


def problems_of_record(record: Record, folder: Path) -> Iterator[str]:
    """What does not add up in a record for itself and where it lies, in words."""
    yield from _problems_of_names(record)
    yield from _problems_of_place(record, folder)
    yield from _problems_of_values(record)


def _problems_of_names(record: Record) -> Iterator[str]:
    for what in ("suite", "model", "cell"):
        if not is_folder_name(getattr(record, what)):
            yield f"{what} cannot be called {getattr(record, what)[:80]!r}"
    labels = [record.task, record.dataset, record.variant, record.protocol, record.provenance, *record.suite_tasks]
    for name in labels:
        if not is_label(name):
            yield f"no task, data set, variant or protocol can be called {name[:80]!r}"
    if not is_title(record.title):
        yield f"title is not one line of at most 200 characters: {record.title[:80]!r}"


def _problems_of_place(record: Record, folder: Path) -> Iterator[str]:
    """The record's id is that of its identity, and its folder is called as it says."""
    identity = record.identity
    try:
        actual = cell_id(identity)
    except (ValueError, RecursionError) as error:
        yield f"identity: {error}"
        return
    if record.cell != actual:
        yield f"cell {record.cell} is not the id of its identity, {actual}"
    found = {"suite": folder.parent.parent.name, "model": folder.parent.name, "cell": folder.name}
    for what, name in found.items():
        if getattr(record, what) != name:
            yield f"it is the record of {what} {getattr(record, what)}, and lies in a folder {name!r}"
    stated = {
        "model": (record.model, identity.model),
        "variant": (record.variant, identity.variant),
        "overrides": (record.overrides, identity.overrides),
        "weights": (record.weights.sha256, identity.weights),
        "weights_key": (record.weights.key, identity.weights_key),
        "task": (record.task_key, identity.task),
        "protocol": (record.protocol, identity.protocol.get("protocol")),
    }
    for what, (said, identified) in stated.items():
        if said != identified:
            yield f"{what} is {str(said)[:80]!r}, and {str(identified)[:80]!r} in its identity"
    if record.task_key not in record.suite_tasks:
        yield f"{record.task_key} is no task of its suite"


def _problems_of_values(record: Record) -> Iterator[str]:
    if not 0 <= record.scored <= record.expected:
        yield f"{record.scored} of {record.expected} images have scores"
    counted = {
        "computed": record.computed,
        "seconds": record.seconds,
        "complexity.parameters": record.complexity.parameters or 0,
        "complexity.macs": record.complexity.macs or 0,
        "cost.latency_ms": record.cost.latency_ms if record.cost else 0,
        "cost.passes": record.cost.passes if record.cost else 0,
        "cost.latency_q1_ms": (record.cost.latency_q1_ms or 0) if record.cost else 0,
        "cost.latency_q3_ms": (record.cost.latency_q3_ms or 0) if record.cost else 0,
        "cost.load": (record.cost.load or 0) if record.cost else 0,
        "cost.peak_mib": (record.cost.peak_mib or 0) if record.cost else 0,
    }
    for name, value in counted.items():
        if value < 0:
            yield f"{name} is {value}"
    if record.cost and len(record.cost.size) != 2:
        yield f"cost.size is {record.cost.size}"
    for name in ("started", "finished"):
        try:
            datetime.fromisoformat(getattr(record, name))
        except ValueError:
            yield f"{name} is no time: {getattr(record, name)[:80]!r}"
    for name, digest in (("identity.weights", record.identity.weights), ("rows_sha256", record.rows_sha256)):
        if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
            yield f"{name} is no SHA-256: {digest[:80]!r}"


def _problems_of_table(record: Record, data: bytes, read: Table) -> Iterator[str]:
    """The rows are those over which the record was written, and its counts and means are theirs."""
    yield from read.problems
    if read.cut:
        yield "ends inside a line"
    if record.schema_version >= 4:
        if not read.checked:
            yield "rows without checksums beside a record that has one"
        if hashlib.sha256(data).hexdigest() != record.rows_sha256:
            yield "its SHA-256 is not the one in the record"
    scored = [row for row in read.rows if row.status == "ok"]
    failures = {row.image: row.message for row in read.rows if row.status == "failed"}
    if len(scored) != record.scored or len(read.rows) > record.expected:
        yield (
            f"{len(scored)} of {len(read.rows)} rows have scores, the record says"
            f" {record.scored} of {record.expected} images"
        )
    if len(failures) != len(record.failures) or failures != dict(record.failures):
        yield "other failed images than in the record"
    means, stated = asdict(mean_rows(scored)), plain(record.means)
    for name, value in means.items():
        if not _same(value, stated[name], exact=record.schema_version >= 4):
            yield f"mean {name} of the rows is {value}, the record says {stated[name]}"


def _same(value: float | None, stated: float | None, *, exact: bool) -> bool:
    if exact or value is None or stated is None:
        return value == stated
    return math.isclose(value, stated, rel_tol=1e-12)
