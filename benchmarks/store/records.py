"""The record of a cell, ``record.json``, as typed data.

Light on purpose (no torch): reports read records without loading any network.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .files import LARGEST_RECORD, read_regular
from .names import escaped, preview_name, unescaped
from .parts import (
    ComplexityRecord,
    CostRecord,
    DataRecord,
    EnvironmentRecord,
    Identity,
    LpipsRecord,
    WeightsRecord,
    canonical,
    decoded,
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
    "canonical",
    "in_order",
    "mean_rows",
    "parse_rows",
    "preview_name",
    "previews_key",
    "read_record",
    "task_key",
]

SCHEMA_VERSION = 4
READABLE_VERSIONS = (2, 3, SCHEMA_VERSION)
"""Version 2 had no `Record.cost`; 2 and 3 had no checksums, and names in `Record.failures` were written unescaped."""
CHECKSUM = "checksum"
"""Field of the file, not of `Record`: the SHA-256 of all others as `canonical` writes them."""
LONGEST_INTEGER = 18
"""Digits of a whole number in a record; longer ones are none that this suite writes."""


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
        rows_sha256: of ``images.csv`` as it lies beside the record; None before version 4.
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
    rows_sha256: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every image of the data set has its scores."""
        return self.scored == self.expected

    @property
    def not_asked(self) -> int:
        """Images of the data set that nobody asked for yet (``limit=N``): they have neither scores nor a failure."""
        return max(0, self.expected - self.scored - len(self.failures))

    @property
    def task_key(self) -> str:
        """Key of the task inside its suite, as in `suite_tasks`."""
        return task_key(self.task, self.dataset, self.sigma)

    def to_json(self) -> str:
        """The record as indented JSON text with sorted keys, from version 4 on with a checksum over all of it."""
        values = plain(self)
        if self.schema_version < 3 and self.cost is None:
            del values["cost"]
        if self.schema_version < 4:
            del values["rows_sha256"]
        else:
            values["failures"] = [[escaped(name), escaped(reason)] for name, reason in self.failures]
            values[CHECKSUM] = hashlib.sha256(canonical(values)).hexdigest()
        return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read a record; unknown or missing fields and values of other types are errors.

        Raises:
            RecordError: if the text is not a record of a readable schema version, or is not what its checksum says.
        """
        try:
            values = json.loads(text, parse_float=_finite, parse_int=_bounded, parse_constant=_finite)
            version = values["schema_version"]
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise RecordError(f"not a record: {str(error)[:200]}") from error
        if type(version) is not int or version not in READABLE_VERSIONS:
            raise RecordError(f"schema version {repr(version)[:40]}, this restorebench reads {SCHEMA_VERSION}")
        if version < 4:
            for name in ("rows_sha256", CHECKSUM):
                if name in values:
                    raise RecordError(f"not a record: unknown field {name} for schema version {version}")
            values["rows_sha256"] = None
        else:
            _verify(values)
        if version < 3:
            values.setdefault("cost", None)
        record: Record = decoded(cls, values, "")
        if version < 4:
            return record
        try:
            failures = tuple((unescaped(name), unescaped(reason)) for name, reason in record.failures)
        except ValueError as error:
            raise RecordError(f"not a record: failures: {error}") from error
        return replace(record, failures=failures)


def _verify(values: dict[str, Any]) -> None:
    """Take the checksum out of a record's values, and compare.

    Raises:
        RecordError: it is that of other values.
    """
    stated = values.pop(CHECKSUM, None)
    if stated is None:
        raise RecordError(f"not a record: no field {CHECKSUM}")
    try:
        actual = hashlib.sha256(canonical(values)).hexdigest()
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not a record: {error}") from error
    if stated != actual:
        raise RecordError("its checksum is that of other values: it was changed or damaged")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no number of a record")
    return value


def _bounded(text: str) -> int:
    if len(text) > LONGEST_INTEGER and len(text.lstrip("-")) > LONGEST_INTEGER:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def task_key(task: str, dataset: str, sigma: int | None) -> str:
    """Unambiguous name of a task on a data set, such as ``denoise-25@CBSD68``."""
    return f"{task}@{dataset}" if sigma is None else f"{task}-{sigma}@{dataset}"


def read_record(path: Path) -> Record:
    """Read ``record.json`` for itself; `cells.read_cell` compares it with what lies around it.

    Raises:
        RecordError: naming the file, if it is damaged.
        FileNotFoundError: there is none.
    """
    try:
        return Record.from_json(read_regular(path, LARGEST_RECORD).decode("utf-8"))
    except (RecordError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: {error}") from error


def previews_key(identity: Identity) -> str:
    """Folder of the degraded and clean previews that all cells of one task on the same images under one protocol share.

    Args:
        identity: of any such cell.
    """
    shared = {"task": identity.task, "data": identity.data, "protocol": identity.protocol}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:16]
