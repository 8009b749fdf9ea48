"""What lists of cells say of one: a small part of its record, once record, rows and folder have been found to agree.

`read_facts` finds that out as `cells.read_cell` does and says the same of what does not agree, but makes no row of a
table that is plainly right, which is most of the time that a large store takes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .cells import problems_of_record, read_cell
from .files import IMAGES, LARGEST_TABLE, RECORD, read_regular
from .how import asked, how_counts
from .parts import plain
from .records import Record, previews_key, read_record, task_key
from .rows import SCORES, ImageRow, Means, RecordError, means_of, plain_columns


@dataclass(frozen=True, kw_only=True)
class CellFacts:
    """A finished cell, as far as leaderboard, state and plans need it.

    Attributes:
        suite, suite_tasks, task, dataset, sigma, model, title, variant, provenance, protocol, cell, expected, scored,
            finished, seconds, computed, means: as in `Record`.
        weights, label, group: of its weights: SHA-256, what the user calls them, and the name that several share.
        seed: of random weights; None for others.
        backbone: of the LPIPS column.
        failed: number of images without scores that were tried.
        first_failure: name of the first of them and the reason; both empty where there is none.
        parameters, macs, fft_macs: complexity; multiply-adds without those of Fourier transforms, and these.
        dtype, device, device_name: numerics and hardware.
        data: hash of the images.
        previews: see `previews_key`.
        conditions: see `conditions`.
        otherwise: how many images were restored otherwise than asked, and how, the most frequent first.
    """

    suite: str
    suite_tasks: tuple[str, ...]
    task: str
    dataset: str
    sigma: int | None
    model: str
    title: str
    variant: str
    provenance: str
    weights: str | None
    label: str
    group: str
    seed: int | None
    protocol: str
    backbone: str
    expected: int
    scored: int
    failed: int
    first_failure: tuple[str, str]
    means: Means
    parameters: int | None
    macs: int | None
    fft_macs: int | None
    dtype: str
    device: str
    device_name: str
    finished: str
    seconds: float
    computed: int
    cell: str
    data: str
    previews: str
    conditions: str
    otherwise: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, record: Record, how: dict[str, int] | None = None) -> CellFacts:
        """The facts of a record.

        Args:
            record: of the cell.
            how: `how_counts` of its rows; without them nothing is known to have gone otherwise than asked.
        """
        as_asked = asked(record.identity.numerics.tile)
        return cls(
            suite=record.suite,
            suite_tasks=record.suite_tasks,
            task=record.task,
            dataset=record.dataset,
            sigma=record.sigma,
            model=record.model,
            title=record.title,
            variant=record.variant,
            provenance=record.provenance,
            weights=record.weights.sha256,
            label=record.weights.label,
            group=record.weights.group,
            seed=record.identity.seed,
            protocol=record.protocol,
            backbone=record.lpips.backbone,
            expected=record.expected,
            scored=record.scored,
            failed=len(record.failures),
            first_failure=record.failures[0] if record.failures else ("", ""),
            means=record.means,
            parameters=record.complexity.parameters,
            macs=record.complexity.multiply_adds,
            fft_macs=record.complexity.fourier_multiply_adds,
            dtype=record.identity.numerics.dtype,
            device=record.identity.numerics.device,
            device_name=record.environment.device_name,
            finished=record.finished,
            seconds=record.seconds,
            computed=record.computed,
            cell=record.cell,
            data=record.identity.data,
            previews=previews_key(record.identity),
            conditions=conditions(record),
            otherwise=tuple((way, count) for way, count in (how or {}).items() if way != as_asked),
        )

    @property
    def complete(self) -> bool:
        """Whether every image of the data set has its scores."""
        return self.scored == self.expected

    @property
    def not_asked(self) -> int:
        """Images of the data set that nobody asked for yet (``limit=N``): they have neither scores nor a failure."""
        return max(0, self.expected - self.scored - self.failed)

    @property
    def task_key(self) -> str:
        """Key of the task inside its suite, as in `suite_tasks`."""
        return task_key(self.task, self.dataset, self.sigma)


def conditions(record: Record) -> str:
    """What the cells of one table row share, as a key: a hash of the identity less the task and its images.

    The revision of network code is left out: of two revisions, the later computation stands. So is the hash of images
    that another tool restored: each task has its own, and of two lots of one task the one stored last stands.
    """
    apart = {"task", "data", "revision"} | ({"weights"} if record.provenance == "images" else set())
    shared = {name: value for name, value in plain(record.identity).items() if name not in apart}
    text = json.dumps([record.suite, record.suite_tasks, shared], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_facts(folder: Path) -> tuple[CellFacts, Record]:
    """The facts of a finished cell, and its record.

    Raises:
        FileNotFoundError: it has no record.
        RecordError: something does not add up; the message names the file (`read_cell`).
    """
    how = None
    record = read_record(folder / RECORD)
    if record.schema_version >= 4 and not any(problems_of_record(record, folder)):
        try:
            how = _plainly_agreeing(record, read_regular(folder / IMAGES, LARGEST_TABLE))
        except (FileNotFoundError, RecordError):
            how = None
    if how is None:
        cell = read_cell(folder)
        record, how = cell.record, how_counts(cell.rows)
    return CellFacts.of(record, how), record


def _plainly_agreeing(record: Record, data: bytes) -> dict[str, int] | None:
    """`how_counts` of a table that adds up with its record; None where that takes a closer look."""
    if hashlib.sha256(data).hexdigest() != record.rows_sha256:
        return None
    columns = plain_columns(data, record.cell)
    if columns is None:
        return None
    rows, scored = len(columns["image"]), columns
    failures: dict[str, str] = {}
    alone = len(set(columns["image"])) == rows <= record.expected
    try:
        if "failed" in columns["status"]:
            failures, scored = _apart(columns)
        scores = {name: list(map(float, scored[name])) for name in SCORES}
        lpips = list(map(float, scored["lpips"]))
    except ValueError:
        return None
    agree = (
        alone
        and set(scored["status"]) <= {"ok"}
        and len(scored["image"]) + len(failures) == rows
        and len(scored["image"]) == record.scored
        and len(record.failures) == len(failures)
        and dict(record.failures) == failures
        and _without_problem(scores, lpips)
        and means_of(scores, lpips, set(scored["lpips_by"])) == record.means
    )
    return dict(Counter(scored["how"]).most_common()) if agree else None


def _apart(columns: dict[str, list[str]]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Messages of the failed images by their names, and the columns without those.

    Raises:
        ValueError: a failed row has scores that are no numbers.
    """
    lines = list(zip(*columns.values(), strict=True))
    names = list(columns)
    failed = [dict(zip(names, line, strict=True)) for line in lines if line[names.index("status")] == "failed"]
    for row in failed:
        for name in (*SCORES, "lpips"):
            float(row[name])
    others = [line for line in lines if line[names.index("status")] != "failed"]
    return (
        {row["image"]: row["message"] for row in failed},
        {name: [line[place] for line in others] for place, name in enumerate(names)},
    )


def _without_problem(scores: dict[str, list[float]], lpips: list[float]) -> bool:
    """Whether no row contradicts itself (`ImageRow.problem`)."""
    if any(map(math.isinf, lpips)):
        return False
    if all(all(map(math.isfinite, column)) for column in scores.values()):
        return True
    rows = zip(*(scores[name] for name in SCORES), strict=True)
    return not any(
        ImageRow(image="", status="ok", **dict(zip(SCORES, row, strict=True))).problem
        for row in rows
        if not all(map(math.isfinite, row))
    )
