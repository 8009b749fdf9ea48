"""The leaderboard: derived from the stored records at any time, never appended to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import pandas as pd

from ...benchmarks.store.facts import CellFacts
from ...benchmarks.store.records import Means, Record
from ..escape import csv_cell
from .restoration import OTHERWISE, otherwise_text

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
    """All cells of one restorer under one set of conditions on one suite, by the key of their task."""

    suite: str
    tasks: tuple[str, ...]
    cells: dict[str, CellFacts]

    @property
    def first(self) -> CellFacts:
        """One of the cells, for what they all share."""
        return next(iter(self.cells.values()))

    @cached_property
    def rows(self) -> list[Row]:
        """Its lines of the leaderboard (`restorer_rows`)."""
        return restorer_rows(self)

    @property
    def label(self) -> str:
        """What the user calls the weights file, as it was said last; empty where nothing was said."""
        return next((cell.label for cell in self._latest if cell.label), "")

    @property
    def group(self) -> str:
        """Name that several weights of one network share, as it was said last; empty where nothing was said."""
        return next((cell.group for cell in self._latest if cell.group), "")

    @property
    def _latest(self) -> list[CellFacts]:
        return sorted(self.cells.values(), key=lambda cell: cell.finished, reverse=True)

    @property
    def complete(self) -> bool:
        """Whether every task of the suite is there, whole, with a finite score."""
        return all(
            key in self.cells and self.cells[key].complete and self.cells[key].means.psnr is not None
            for key in self.tasks
        )


def known(cell: Record | CellFacts) -> CellFacts:
    """The facts of a cell, of which its record may be given."""
    return cell if isinstance(cell, CellFacts) else CellFacts.of(cell)


def by_restorer(cells: Iterable[Record | CellFacts]) -> list[RestorerRecords]:
    """Group cells by restorer and conditions; of several cells for one place the one finished last is taken."""
    grouped: dict[str, dict[str, CellFacts]] = {}
    for cell in sorted(map(known, cells), key=lambda cell: (cell.finished, cell.cell)):
        grouped.setdefault(cell.conditions, {})[cell.task_key] = cell
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
    bundles: dict[tuple[str, tuple[str, ...], str], list[tuple[dict[str, str], list[RestorerRecords]]]] = {}
    ordered: list[list[RestorerRecords]] = []
    for restorer in several:
        images = {key: cell.data for key, cell in restorer.cells.items()}
        alike = bundles.setdefault((restorer.suite, restorer.tasks, restorer.first.protocol), [])
        for shared, members in alike:
            if all(shared.get(key, digest) == digest for key, digest in images.items()):
                members.append(restorer)
                shared.update(images)
                break
        else:
            alike.append((images, [restorer]))
            ordered.append(alike[-1][1])
    return ordered


def weights_label(cell: Record | CellFacts) -> str:
    """Short name of the weights: beginning of their hash with the label of a file that has one, ``untrained`` with its
    seed, or ``none`` (with a seed for the user's own network, for the input without)."""
    if isinstance(cell, Record):
        digest, label, seed = cell.weights.sha256, cell.weights.label, cell.identity.seed
    else:
        digest, label, seed = cell.weights, cell.label, cell.seed
    if digest:
        return f"{digest[:12]} {label}".rstrip()
    if cell.provenance == "yours":
        return f"none (seed {seed})"
    return f"untrained (seed {seed})" if cell.provenance == "untrained" else "none"


def cell_status(facts: CellFacts) -> str:
    """``complete``, ``partial`` (others of its images were never asked for), ``incomplete`` (some failed) or ``failed``
    (no image has scores)."""
    if facts.complete:
        return COMPLETE
    if facts.failed and not facts.scored:
        return FAILED
    return PARTIAL if facts.not_asked and not facts.failed else INCOMPLETE


def cell_row(cell: Record | CellFacts, otherwise: str = "", *, partial: bool = False) -> Row:
    """The leaderboard's line for a cell.

    Args:
        cell: its record or facts.
        otherwise: how images were restored that did not go as asked (`restoration.otherwise`); facts know it.
        partial: give the means over what was scored where images are missing, too.
    """
    facts = known(cell)
    means = facts.means if facts.complete or partial else NO_MEANS
    return Row(
        suite=facts.suite,
        task=facts.task,
        dataset=facts.dataset,
        sigma=facts.sigma,
        model=facts.model,
        variant=facts.variant,
        provenance=facts.provenance,
        weights=weights_label(facts),
        protocol=facts.protocol,
        images=facts.scored,
        psnr=means.psnr,
        ssim=means.ssim,
        lpips_alex=means.lpips if facts.backbone == "alex" else None,
        lpips_vgg=means.lpips if facts.backbone == "vgg" else None,
        input_psnr=means.input_psnr,
        input_ssim=means.input_ssim,
        params=facts.parameters,
        macs_256=facts.macs,
        fft_macs_256=facts.fft_macs,
        dtype=facts.dtype,
        device=facts.device,
        device_name=facts.device_name,
        status=cell_status(facts),
        note="; ".join(_notes(facts, otherwise, partial=partial)),
        cell=facts.cell,
    )


def _notes(facts: CellFacts, otherwise: str, *, partial: bool) -> list[str]:
    notes = []
    if facts.not_asked:
        notes.append(f"partial: only {facts.scored + facts.failed} of {facts.expected} images were asked for")
    if facts.failed:
        name, reason = facts.first_failure
        of = facts.expected - facts.not_asked
        notes.append(f"{facts.failed} of {of} images failed, first {name}: {reason}")
    if partial and facts.scored < facts.expected and facts.means.psnr is not None:
        notes.append(f"mean over the {facts.scored} of {facts.expected} images with scores")
    if facts.means.infinite:
        notes.append(f"{facts.means.infinite} restored images equal the clean ones (infinite PSNR, not in the mean)")
    return [*notes, *filter(None, [otherwise or otherwise_text(facts.otherwise)])]


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
    states = {key: cell_status(cell) for key, cell in restorer.cells.items()}
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
        **vars(rows[0]),
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
    expected = sum(restorer.cells[key].expected for key in restorer.tasks if key in restorer.cells)
    return f"mean over {len(rows)} of {len(restorer.tasks)} tasks, {images} of the {expected} images of those run"


def restorer_rows(restorer: RestorerRecords) -> list[Row]:
    """The lines of a restorer: its tasks in the suite's order, then the average where the suite has several tasks."""
    rows = [cell_row(restorer.cells[key]) for key in restorer.tasks if key in restorer.cells]
    if len(restorer.tasks) > 1:
        rows.append(average_row(restorer, rows))
    return rows


def leaderboard(cells: Iterable[Record | CellFacts]) -> list[Row]:
    """All lines, grouped by suite, data, protocol and restorer."""
    return [row for restorer in by_restorer(cells) for row in restorer.rows]


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write the leaderboard with every digit; missing values are empty, LPIPS that is not available is ``n/a``."""
    frame = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in COLUMNS}, columns=list(COLUMNS))
    for name in ("sigma", "params", "macs_256", "fft_macs_256"):
        frame[name] = frame[name].astype("Int64")
    for name in ("lpips_alex", "lpips_vgg"):
        frame[name] = [NOT_AVAILABLE if value is None else value for value in (getattr(row, name) for row in rows)]
    for name in _TEXTS:
        frame[name] = [csv_cell(getattr(row, name)) for row in rows]
    frame.to_csv(path, index=False)
