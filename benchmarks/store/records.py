"""What the store keeps of a cell: the record and the per-image rows, as plain typed data.

Light on purpose (no torch): reports read records without loading any network.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

SCHEMA_VERSION = 3
READABLE_VERSIONS = (2, SCHEMA_VERSION)
"""Version 2 had no `Record.cost`."""
SCORES = ("psnr", "ssim", "input_psnr", "input_ssim")

Status = Literal["ok", "failed"]


class RecordError(ValueError):
    """A stored file is not what this version of the suite writes."""


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One image of a cell, as a line of ``images.csv``.

    Attributes:
        image: file name of the sample.
        status: ``ok`` or ``failed``.
        psnr, ssim: of the restored image (dB; -1..1); NaN where it failed.
        lpips: of the restored image; NaN where it is not computed.
        input_psnr, input_ssim: of the degraded input under the same protocol.
        how: ``whole``, ``tiles of N`` or ``cpu``: how the image went through the network.
        lpips_by: backbone of `lpips` and the beginning of its weights' hash; empty where it is not computed.
        message: why it failed.
    """

    image: str
    status: Status
    psnr: float = math.nan
    ssim: float = math.nan
    lpips: float = math.nan
    input_psnr: float = math.nan
    input_ssim: float = math.nan
    how: str = "whole"
    lpips_by: str = ""
    message: str = ""

    def line(self) -> str:
        """The row as one CSV line with its newline; floats keep every digit."""
        values = [
            repr(value) if isinstance(value, float) else " ".join(value.split()) for value in asdict(self).values()
        ]
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(values)
        return buffer.getvalue()


IMAGE_HEADER = ",".join(field.name for field in fields(ImageRow)) + "\n"


def parse_rows(text: str) -> list[ImageRow]:
    """Rows of the whole lines of an ``images.csv``; a last line cut off by a killed process is left out.

    Raises:
        RecordError: if the header or a whole line is not what `ImageRow` writes.
    """
    whole = text[: text.rfind("\n") + 1]
    if not whole:
        return []
    if not whole.startswith(IMAGE_HEADER):
        raise RecordError(f"unknown columns: {whole.splitlines()[0]!r}")
    rows = []
    for values in csv.DictReader(io.StringIO(whole)):
        try:
            rows.append(_parse_row(values))
        except (TypeError, ValueError) as error:
            raise RecordError(f"damaged row {values!r}") from error
    return rows


def _parse_row(values: dict[str, str]) -> ImageRow:
    status = values["status"]
    if status not in get_args(Status) or None in values.values() or None in values:
        raise ValueError(status)
    return ImageRow(
        image=values["image"],
        status=cast("Status", status),
        psnr=float(values["psnr"]),
        ssim=float(values["ssim"]),
        lpips=float(values["lpips"]),
        input_psnr=float(values["input_psnr"]),
        input_ssim=float(values["input_ssim"]),
        how=values["how"],
        lpips_by=values["lpips_by"],
        message=values["message"],
    )


@dataclass(frozen=True, kw_only=True)
class Means:
    """Means over the scored images of a cell.

    Attributes:
        psnr, ssim, input_psnr, input_ssim: arithmetic means of the finite per-image values; None where there is none.
        lpips: mean; None unless every scored image has one, all by the same backbone with the same weights.
        infinite: how many restored images equal the clean one exactly (infinite PSNR, left out of the mean).
        input_infinite: the same for the degraded inputs.
    """

    psnr: float | None
    ssim: float | None
    input_psnr: float | None
    input_ssim: float | None
    lpips: float | None = None
    infinite: int = 0
    input_infinite: int = 0


def mean_rows(rows: Iterable[ImageRow]) -> Means:
    """Means over rows with status ``ok``, exactly rounded so that their order does not matter."""
    scored = [row for row in rows if row.status == "ok"]
    means: dict[str, float | None] = {}
    for name in SCORES:
        finite = [value for row in scored if math.isfinite(value := getattr(row, name))]
        means[name] = math.fsum(finite) / len(finite) if finite else None
    perceived = [row.lpips for row in scored]
    whole = len({row.lpips_by for row in scored}) == 1 and all(map(math.isfinite, perceived))
    return Means(
        **means,
        lpips=math.fsum(perceived) / len(perceived) if whole else None,
        infinite=sum(math.isinf(row.psnr) for row in scored),
        input_infinite=sum(math.isinf(row.input_psnr) for row in scored),
    )


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
        weights: kind, path, sha256 and description of the weights.
        protocol: name with version.
        lpips: backbone of the LPIPS column, and the sha256 of its weights (None where LPIPS was not available).
        identity: what the cell's id hashes: everything that can change the scores.
        data: description and licence of the images.
        expected, scored: number of images in the data set, and of those that have scores.
        failures: name and reason of each image without scores.
        means: means over the scored images.
        complexity: parameters and multiply-adds, and the statement of what was counted.
        config: the resolved configuration of the run.
        environment: versions, git revision, host, device.
        command: the command line that repeats it.
        started, finished: ISO 8601 times in UTC.
        seconds: wall time spent on the images of this cell, interrupted runs left out.
        computed: images that the last run computed (the others were there already).
        cost: what the network took on this machine: ``latency_ms`` (median of its passes over one image), ``passes``,
            ``size`` (height and width of those images), ``batch``, ``threads``, ``peak_mib`` (most memory of one pass
            over such an image, weights included) and ``peak_how``; None where nothing was computed, or by an older
            version.
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
    weights: dict[str, Any]
    protocol: str
    lpips: dict[str, Any]
    identity: dict[str, Any]
    data: dict[str, Any]
    expected: int
    scored: int
    failures: tuple[tuple[str, str], ...]
    means: Means
    complexity: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any]
    command: str
    started: str
    finished: str
    seconds: float
    computed: int
    cost: dict[str, Any] | None = None

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
        return json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read a record; unknown or missing fields are errors.

        Raises:
            RecordError: if the text is not a record of this schema version.
        """
        try:
            values = json.loads(text)
            version = values["schema_version"]
            if version not in READABLE_VERSIONS:
                raise RecordError(f"schema version {version}, this restorebench reads {SCHEMA_VERSION}")
            values["means"] = Means(**values["means"])
            values["suite_tasks"] = tuple(values["suite_tasks"])
            values["failures"] = tuple((name, reason) for name, reason in values["failures"])
            return cls(**values)
        except (TypeError, KeyError, json.JSONDecodeError) as error:
            raise RecordError(f"not a record: {error}") from error


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


def previews_key(identity: dict[str, Any]) -> str:
    """Folder of the degraded and clean previews that all cells of one task on the same images under one protocol share.

    Args:
        identity: of any such cell.
    """
    shared = {name: identity[name] for name in ("task", "data", "protocol")}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:16]


def in_order(rows: Iterable[ImageRow], names: Sequence[str]) -> list[ImageRow]:
    """Rows in the order of `names`, the last one of each name, others left out."""
    latest = {row.image: row for row in rows}
    return [latest[name] for name in names if name in latest]
