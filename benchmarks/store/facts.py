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
from .rows import COLUMNS, IMAGE_HEADER, SCORES, ImageRow, Means, RecordError


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
    try:
        lines = _plain_lines(data, record.cell)
        scored = [line for line in lines if line[1] == "ok"]
        failures = {line[0]: line[-1] for line in lines if line[1] == "failed"}
        columns = [[float(line[at]) for line in scored] for at in _SCORE_PLACES]
        lpips = [float(line[_LPIPS]) for line in scored]
        for line in lines if scored != lines else ():
            [float(line[at]) for at in (*_SCORE_PLACES, _LPIPS)]
    except ValueError:
        return None
    agree = (
        len({line[0] for line in lines}) == len(lines) <= record.expected
        and len(scored) + len(failures) == len(lines)
        and len(scored) == record.scored
        and len(record.failures) == len(failures)
        and dict(record.failures) == failures
        and _without_problem(scored, columns, lpips)
        and _means(columns, lpips, {line[_LPIPS_BY] for line in scored}) == record.means
    )
    return dict(Counter(line[_HOW] for line in scored).most_common()) if agree else None


_SCORE_PLACES = tuple(COLUMNS.index(name) for name in SCORES)
_LPIPS, _LPIPS_BY, _HOW = (COLUMNS.index(name) for name in ("lpips", "lpips_by", "how"))


def _plain_lines(data: bytes, cell: str) -> list[list[str]]:
    """The values of each row whose checksum is right.

    Raises:
        ValueError: the table has a value that is quoted or escaped, another header, a line that is cut or has another
            number of values, or a wrong checksum; what that means only `read_table` tells.
    """
    text = data.decode("utf-8")
    if not text.startswith(IMAGE_HEADER) or not text.endswith("\n") or '"' in text or "\\" in text:
        raise ValueError("not plain")
    if not text.replace("\n", "").isprintable():
        raise ValueError("not plain")
    begun = hashlib.sha256(f"{cell}\n".encode())
    result = []
    for line in text[len(IMAGE_HEADER) : -1].split("\n") if len(text) > len(IMAGE_HEADER) else ():
        body, _, check = line.rpartition(",")
        digest = begun.copy()
        digest.update(body.encode())
        values = body.split(",")
        if digest.hexdigest()[:16] != check or len(values) != len(COLUMNS):
            raise ValueError("not plain")
        result.append(values)
    return result


def _without_problem(scored: list[list[str]], columns: list[list[float]], lpips: list[float]) -> bool:
    """Whether no row contradicts itself (`ImageRow.problem`)."""
    for line, scores, perceptual in zip(scored, zip(*columns, strict=True), lpips, strict=True):
        if not all(map(math.isfinite, scores)) or math.isinf(perceptual):
            values = dict(zip(SCORES, scores, strict=True))
            if ImageRow(image=line[0], status="ok", lpips=perceptual, **values).problem:
                return False
    return True


def _means(columns: list[list[float]], lpips: list[float], lpips_by: set[str]) -> Means:
    """`mean_rows` of the values by column."""
    means: dict[str, float | None] = {}
    for name, values in zip(SCORES, columns, strict=True):
        finite = [value for value in values if math.isfinite(value)]
        means[name] = math.fsum(finite) / len(finite) if finite else None
    whole = len(lpips_by) == 1 and all(map(math.isfinite, lpips))
    infinite = dict(zip(SCORES, (sum(map(math.isinf, values)) for values in columns), strict=True))
    return Means(
        **means,
        lpips=math.fsum(lpips) / len(lpips) if whole else None,
        infinite=infinite["psnr"],
        input_infinite=infinite["input_psnr"],
    )
