"""The leaderboard: derived from the stored records at any time, never appended to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from ...benchmarks.store.parts import plain
from ...benchmarks.store.records import Means, Record
from ..escape import csv_cell
from .restoration import OTHERWISE

_TEXTS = (
    *("suite", "task", "dataset", "model", "variant", "provenance", "weights", "protocol"),
    *("dtype", "device", "device_name", "status", "note", "cell"),
)
AVERAGE = "average"
COMPLETE, PARTIAL, INCOMPLETE, FAILED = "complete", "partial", "incomplete", "failed"
NOT_AVAILABLE = "n/a"
NO_MEANS = Means(psnr=None, ssim=None, input_psnr=None, input_ssim=None)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the leaderboard: a cell, or the average of a suite.

    Attributes:
        suite, task, dataset, sigma: what was restored (sigma on the 0..255 scale; None outside denoising).
        model, variant, provenance, weights: by what; `weights` is the beginning of their sha256, or what stands for it,
            and the label of a file that has one.
        protocol: under which protocol.
        images: images with scores; for an average, their sum over the tasks.
        psnr, ssim: mean of the restored images (dB; -1..1); None unless the cell, or every task of an average, is
            complete, or means over what was scored were asked for, which `note` says then.
        lpips_alex, lpips_vgg: mean LPIPS in the column of its backbone; None where it is not available.
        input_psnr, input_ssim: the same of the degraded inputs.
        params: trainable parameters.
        macs_256: multiply-adds at 1x3x256x256 without Fourier transforms; fft_macs_256: those of these, None where an
            earlier version did not say.
        dtype, device, device_name: numerics and hardware.
        status: ``complete``; ``partial`` where the other images were never asked for (``limit=N``); ``incomplete``; or,
            where no image has scores, ``failed``.
        note: why, and what else a reader must know.
        cell: id of the cell; empty for an average.
    """

    suite: str
    task: str
    dataset: str
    sigma: int | None
    model: str
    variant: str
    provenance: str
    weights: str
    protocol: str
    images: int
    psnr: float | None
    ssim: float | None
    lpips_alex: float | None
    lpips_vgg: float | None
    input_psnr: float | None
    input_ssim: float | None
    params: int | None
    macs_256: int | None
    fft_macs_256: int | None
    dtype: str
    device: str
    device_name: str
    status: str
    note: str
    cell: str

    @property
    def lpips(self) -> float | None:
        """Mean LPIPS by its protocol's backbone, the only one it can have."""
        return self.lpips_vgg if self.lpips_alex is None else self.lpips_alex


COLUMNS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True)
class RestorerRecords:
    """All cells of one restorer under one set of conditions on one suite."""

    suite: str
    tasks: tuple[str, ...]
    records: dict[str, Record]

    @property
    def first(self) -> Record:
        """One of the records, for what they all share."""
        return next(iter(self.records.values()))

    @property
    def label(self) -> str:
        """What the user calls the weights file, as it was said last; empty where nothing was said."""
        return next((record.weights.label for record in self._latest if record.weights.label), "")

    @property
    def group(self) -> str:
        """Name that several weights of one network share, as it was said last; empty where nothing was said."""
        return next((record.weights.group for record in self._latest if record.weights.group), "")

    @property
    def _latest(self) -> list[Record]:
        return sorted(self.records.values(), key=lambda record: record.finished, reverse=True)

    @property
    def complete(self) -> bool:
        """Whether every task of the suite is there, whole, with a finite score."""
        return all(
            key in self.records and self.records[key].complete and self.records[key].means.psnr is not None
            for key in self.tasks
        )


def conditions(record: Record) -> str:
    """What the cells of one table row share, as a key: the identity less the task and its images.

    The revision of network code is left out: of two revisions, the later computation stands. So is the hash of images
    that another tool restored: each task has its own, and of two lots of one task the one stored last stands.
    """
    apart = {"task", "data", "revision"} | ({"weights"} if record.provenance == "images" else set())
    shared = {name: value for name, value in plain(record.identity).items() if name not in apart}
    return json.dumps([record.suite, record.suite_tasks, shared], sort_keys=True)


def by_restorer(records: Iterable[Record]) -> list[RestorerRecords]:
    """Group records by restorer and conditions; of several cells for one place the one finished last is taken."""
    grouped: dict[str, dict[str, Record]] = {}
    for record in sorted(records, key=lambda record: (record.finished, record.cell)):
        grouped.setdefault(conditions(record), {})[record.task_key] = record
    result = [
        RestorerRecords(next(iter(group.values())).suite, next(iter(group.values())).suite_tasks, group)
        for group in grouped.values()
    ]
    return sorted(
        result,
        key=lambda restorer: (
            restorer.suite,
            restorer.tasks,
            restorer.first.protocol,
            restorer.first.model,
            restorer.first.variant,
        ),
    )


def comparable(several: Iterable[RestorerRecords]) -> list[list[RestorerRecords]]:
    """Restorers that may be ranked together: same suite, tasks and protocol, and, task by task, the same images."""
    bundles: list[tuple[tuple[str, tuple[str, ...], str], dict[str, Any], list[RestorerRecords]]] = []
    for restorer in several:
        place = (restorer.suite, restorer.tasks, restorer.first.protocol)
        images = {key: record.identity.data for key, record in restorer.records.items()}
        for known, shared, members in bundles:
            if known == place and all(shared.get(key, digest) == digest for key, digest in images.items()):
                members.append(restorer)
                shared.update(images)
                break
        else:
            bundles.append((place, images, [restorer]))
    return [members for _, _, members in bundles]


def weights_label(record: Record) -> str:
    """Short name of the weights: beginning of their hash with the label of a file that has one, ``untrained`` with its
    seed, or ``none`` (with a seed for the user's own network, for the input without)."""
    digest = record.weights.sha256
    if digest:
        return f"{str(digest)[:12]} {record.weights.label}".rstrip()
    if record.provenance == "yours":
        return f"none (seed {record.identity.seed})"
    return f"untrained (seed {record.identity.seed})" if record.provenance == "untrained" else "none"


def cell_status(record: Record) -> str:
    """``complete``, ``partial`` (others of its images were never asked for), ``incomplete`` (some failed) or ``failed``
    (no image has scores)."""
    if record.complete:
        return COMPLETE
    if record.failures and not record.scored:
        return FAILED
    return PARTIAL if record.not_asked and not record.failures else INCOMPLETE


def cell_row(record: Record, otherwise: str = "", *, partial: bool = False) -> Row:
    """The leaderboard's line for a cell.

    Args:
        record: of the cell.
        otherwise: how images were restored that did not go as asked (`restoration.otherwise`).
        partial: give the means over what was scored where images are missing, too.
    """
    notes = []
    if record.not_asked:
        tried = record.scored + len(record.failures)
        notes.append(f"partial: only {tried} of {record.expected} images were asked for")
    if record.failures:
        name, reason = record.failures[0]
        of = record.expected - record.not_asked
        notes.append(f"{len(record.failures)} of {of} images failed, first {name}: {reason}")
    if partial and record.scored < record.expected and record.means.psnr is not None:
        notes.append(f"mean over the {record.scored} of {record.expected} images with scores")
    if record.means.infinite:
        notes.append(f"{record.means.infinite} restored images equal the clean ones (infinite PSNR, not in the mean)")
    notes += [otherwise] if otherwise else []
    means = record.means if record.complete or partial else NO_MEANS
    return Row(
        suite=record.suite,
        task=record.task,
        dataset=record.dataset,
        sigma=record.sigma,
        model=record.model,
        variant=record.variant,
        provenance=record.provenance,
        weights=weights_label(record),
        protocol=record.protocol,
        images=record.scored,
        psnr=means.psnr,
        ssim=means.ssim,
        lpips_alex=means.lpips if record.lpips.backbone == "alex" else None,
        lpips_vgg=means.lpips if record.lpips.backbone == "vgg" else None,
        input_psnr=means.input_psnr,
        input_ssim=means.input_ssim,
        params=record.complexity.parameters,
        macs_256=record.complexity.multiply_adds,
        fft_macs_256=record.complexity.fourier_multiply_adds,
        dtype=record.identity.numerics.dtype,
        device=record.identity.numerics.device,
        device_name=record.environment.device_name,
        status=cell_status(record),
        note="; ".join(notes),
        cell=record.cell,
    )


def mean_or_none(values: Sequence[float | None]) -> float | None:
    """Plain mean; None if any value is missing."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present and len(present) == len(values) else None


def average_row(restorer: RestorerRecords, rows: Sequence[Row], *, partial: bool = False) -> Row:
    """The suite's average: the plain mean over its tasks, given only when all of them are complete.

    Args:
        restorer: its records.
        rows: of its tasks, those that it has.
        partial: average the tasks that have a mean, which the note says.
    """
    datasets = sorted({key.partition("@")[2] for key in restorer.tasks})
    states = {key: cell_status(record) for key, record in restorer.records.items()}
    missing = [key for key in restorer.tasks if states.get(key, INCOMPLETE) in (INCOMPLETE, FAILED)]
    halves = [key for key in restorer.tasks if states.get(key) == PARTIAL]
    averaged = [row for row in rows if row.psnr is not None] if partial and not restorer.complete else []
    others = [row.task if row.sigma is None else f"{row.task} {row.sigma}" for row in rows if OTHERWISE in row.note]
    notes = [
        f"missing: {', '.join(missing)}" if missing else "",
        f"partial: {', '.join(halves)}" if halves else "",
        _over(averaged, restorer) if averaged else "",
        f"with images {OTHERWISE} in {', '.join(others)}" if others else "",
    ]
    values = {
        **asdict(rows[0]),
        "task": AVERAGE,
        "dataset": "+".join(datasets),
        "sigma": None,
        "images": sum(row.images for row in rows),
        "device_name": "+".join(sorted({row.device_name for row in rows})),
        "status": COMPLETE if restorer.complete else PARTIAL if halves and not missing else INCOMPLETE,
        "note": "; ".join(filter(None, notes)),
        "cell": "",
    }
    for name in ("psnr", "ssim", "lpips_alex", "lpips_vgg", "input_psnr", "input_ssim"):
        values[name] = mean_or_none([getattr(row, name) for row in (rows if restorer.complete else averaged)])
    return Row(**values)


def _over(rows: Sequence[Row], restorer: RestorerRecords) -> str:
    images = sum(row.images for row in rows)
    known = sum(restorer.records[key].expected for key in restorer.tasks if key in restorer.records)
    return f"mean over {len(rows)} of {len(restorer.tasks)} tasks, {images} of the {known} images of those run"


def restorer_rows(restorer: RestorerRecords, otherwise: Mapping[str, str] | None = None) -> list[Row]:
    """The lines of a restorer: its tasks in the suite's order, then the average where the suite has several tasks.

    Args:
        restorer: its records.
        otherwise: by cell, how images were restored that did not go as asked.
    """
    records = [restorer.records[key] for key in restorer.tasks if key in restorer.records]
    rows = [cell_row(record, (otherwise or {}).get(record.cell, "")) for record in records]
    if len(restorer.tasks) > 1:
        rows.append(average_row(restorer, rows))
    return rows


def leaderboard(records: Iterable[Record], otherwise: Mapping[str, str] | None = None) -> list[Row]:
    """All lines, grouped by suite, data, protocol and restorer; `otherwise` as of `restorer_rows`."""
    return [row for restorer in by_restorer(records) for row in restorer_rows(restorer, otherwise)]


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write the leaderboard with every digit; missing values are empty, LPIPS that is not available is ``n/a``."""
    frame = pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))
    for name in ("sigma", "params", "macs_256", "fft_macs_256"):
        frame[name] = frame[name].astype("Int64")
    for name in ("lpips_alex", "lpips_vgg"):
        frame[name] = [NOT_AVAILABLE if value is None else value for value in (getattr(row, name) for row in rows)]
    for name in _TEXTS:
        frame[name] = [csv_cell(getattr(row, name)) for row in rows]
    frame.to_csv(path, index=False)
