"""The record of a cell, ``record.json``, as typed data.

Light on purpose (no torch): reports read records without loading any network.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .parts import (
    ComplexityRecord,
    CostRecord,
    DataRecord,
    EnvironmentRecord,
    Identity,
    LpipsRecord,
    NumericsRecord,
    WeightsRecord,
    check_names,
    part_of,
    plain,
)
from .rows import IMAGE_HEADER, ImageRow, Means, RecordError, in_order, mean_rows, parse_rows

__all__ = [
    "IMAGE_HEADER",
    "READABLE_VERSIONS",
    "SCHEMA_VERSION",
    "ImageRow",
    "Means",
    "Record",
    "RecordError",
    "in_order",
    "mean_rows",
    "parse_rows",
    "preview_name",
    "previews_key",
    "read_record",
    "read_records",
    "task_key",
]

SCHEMA_VERSION = 3
READABLE_VERSIONS = (2, SCHEMA_VERSION)
"""Version 2 had no `Record.cost`."""
PARTS: dict[str, type[Any]] = {
    "weights": WeightsRecord,
    "lpips": LpipsRecord,
    "data": DataRecord,
    "means": Means,
    "complexity": ComplexityRecord,
    "environment": EnvironmentRecord,
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything known about a finished cell; the content of ``record.json``.

    Attributes:
        schema_version: version of this layout.
        cell: id of the cell, a hash of `identity`.
        suite, suite_tasks: the suite and the keys of all its tasks, whose plain mean is the suite's average.
        task, dataset, sigma: the task (sigma on the 0..255 scale, None outside denoising).
        model, title, variant, overrides: the restorer.
        provenance: where the weights come from (`restorebench.models.card.Provenance`).
        weights: the weights.
        protocol: name with version.
        lpips: what computed the LPIPS column.
        identity: what the cell's id hashes: everything that can change the scores.
        data: the images.
        expected, scored: number of images in the data set, and of those that have scores.
        failures: name and reason of each image without scores.
        means: means over the scored images.
        complexity: parameters and multiply-adds.
        config: the configuration as it was asked for.
        environment: machine and software.
        command: the command line that repeats it.
        started, finished: ISO 8601 times in UTC.
        seconds: wall time spent on the images of this cell, interrupted runs left out.
        computed: images that the last run computed (the others were there already).
        cost: what the network took on this machine; None where nothing was computed, or by an older version.
    """

    schema_version: int
    cell: str
    suite: str
    suite_tasks: tuple[str, ...]
    task: str
    dataset: str
    sigma: int | None
    model: str
    title: str
    variant: str
    overrides: dict[str, Any]
    provenance: str
    weights: WeightsRecord
    protocol: str
    lpips: LpipsRecord
    identity: Identity
    data: DataRecord
    expected: int
    scored: int
    failures: tuple[tuple[str, str], ...]
    means: Means
    complexity: ComplexityRecord
    config: dict[str, Any]
    environment: EnvironmentRecord
    command: str
    started: str
    finished: str
    seconds: float
    computed: int
    cost: CostRecord | None = None

    @property
    def complete(self) -> bool:
        """Whether every image of the data set has its scores."""
        return self.scored == self.expected

    @property
    def task_key(self) -> str:
        """Key of the task inside its suite, as in `suite_tasks`."""
        return task_key(self.task, self.dataset, self.sigma)

    def to_json(self) -> str:
        """The record as indented JSON text with sorted keys."""
        values = plain(self)
        if self.schema_version < 3 and self.cost is None:
            del values["cost"]
        return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read a record; unknown or missing fields are errors.

        Raises:
            RecordError: if the text is not a record of this schema version.
        """
        try:
            values = json.loads(text)
            version = values["schema_version"]
        except (TypeError, KeyError, json.JSONDecodeError) as error:
            raise RecordError(f"not a record: {error}") from error
        if version not in READABLE_VERSIONS:
            raise RecordError(f"schema version {version}, this restorebench reads {SCHEMA_VERSION}")
        if version < 3:
            values.setdefault("cost", None)
        checked = dict(check_names(cls, values, ""))
        for name, part in PARTS.items():
            checked[name] = part_of(part, checked[name], name)
        identity = dict(check_names(Identity, checked["identity"], "identity."))
        identity["numerics"] = part_of(NumericsRecord, identity["numerics"], "identity.numerics")
        checked["identity"] = Identity(**identity)
        if checked.get("cost") is not None:
            checked["cost"] = part_of(CostRecord, checked["cost"], "cost")
        try:
            checked["suite_tasks"] = tuple(checked["suite_tasks"])
            checked["failures"] = tuple((name, reason) for name, reason in checked["failures"])
        except (TypeError, ValueError) as error:
            raise RecordError(f"not a record: {error}") from error
        return cls(**checked)


def task_key(task: str, dataset: str, sigma: int | None) -> str:
    """Unambiguous name of a task on a data set, such as ``denoise-25@CBSD68``."""
    return f"{task}@{dataset}" if sigma is None else f"{task}-{sigma}@{dataset}"


def read_record(path: Path) -> Record:
    """Read ``record.json``.

    Raises:
        RecordError: naming the file, if it is damaged.
    """
    try:
        return Record.from_json(path.read_text(encoding="utf-8"))
    except (RecordError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: {error}") from error


def read_records(results: Path) -> tuple[list[Record], list[str]]:
    """All records below a results folder, in a stable order, and one line for each file that could not be read."""
    records: list[Record] = []
    problems: list[str] = []
    for path in sorted(results.glob("*/*/*/record.json")):
        try:
            records.append(read_record(path))
        except (RecordError, OSError) as error:
            problems.append(str(error))
    return records, problems


def preview_name(image: str) -> str:
    """File name of a sample's preview, an 8-bit PNG."""
    return image.replace("/", "_") + ".png"


def previews_key(identity: Identity) -> str:
    """Folder of the degraded and clean previews that all cells of one task on the same images under one protocol share.

    Args:
        identity: of any such cell.
    """
    shared = {"task": identity.task, "data": identity.data, "protocol": identity.protocol}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:16]
