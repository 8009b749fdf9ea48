"""What a run shows when it ends: what came in, what came out, how fast, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from ...benchmarks.store.records import Record
from ..analysis.cells import Group
from ..analysis.leaderboard import AVERAGE, COMPLETE, FAILED, INCOMPLETE, Row, average_row, cell_row
from ..analysis.restoration import otherwise
from ..escape import visible
from .numbers import MISSING, number, task_label

LPIPS = "LPIPS"
HEADERS = (
    *("restorer", "task", "images", "input PSNR", "input SSIM"),
    *("PSNR (dB)", "SSIM", "gain", LPIPS, "img/s"),
)


@dataclass(frozen=True)
class FailedCell:
    """A cell that was asked for and has no record, since its job failed.

    Attributes:
        suite, protocol: of the table in which it would stand.
        restorer: title and variant.
        task: its label.
    """

    suite: str
    protocol: str
    restorer: str
    task: str


def terminal_table(groups: Sequence[Group], failed: Sequence[FailedCell] = (), *, partial: bool = False) -> str:
    """A compact table for each group: a line a task of each restorer, then its average; last the cells that failed.

    Args:
        groups: what is shown.
        failed: cells that have no record, since their job failed.
        partial: average what was scored where images are missing, too, and say how many they are.

    The degraded input has lines of its own only where nothing else was run: its scores stand in every line. LPIPS has a
    column where any line has it. Below each table stands what it lacks.
    """
    places = [(group.suite, group.protocol) for group in groups]
    shown = [cell for cell in failed if (cell.suite, cell.protocol) in places]
    tables = [
        # Of groups that differ in their images alone the first has the line: of a failed cell those are not known.
        _table(group, [c for c in shown if places.index((c.suite, c.protocol)) == number], partial=partial)
        for number, group in enumerate(groups)
    ]
    others = [cell for cell in failed if (cell.suite, cell.protocol) not in places]
    for suite, protocol in dict.fromkeys((cell.suite, cell.protocol) for cell in others):
        lines = [_failed_line(cell) for cell in others if (cell.suite, cell.protocol) == (suite, protocol)]
        tables.append("\n".join([visible(f"{suite}, {protocol}"), "", _tabulated(lines)]))
    return "\n\n".join(tables) or "No finished cells yet."


def _table(group: Group, failed: Sequence[FailedCell], *, partial: bool) -> str:
    networks = [restorer for restorer in group.restorers if not restorer.is_input]
    lines, missing = [], []
    for restorer in networks or group.restorers:
        columns = [key for key in group.tasks if key in restorer.cells]
        records = [restorer.cells[key].record for key in columns]
        cells = [restorer.cells[key] for key in columns]
        rows = [cell_row(cell.record, otherwise(cell), partial=partial) for cell in cells]
        speeds = [images_per_second(record) for record in records]
        if len(group.tasks) > 1:
            rows.append(average_row(restorer.records, rows, partial=partial))
            speeds.append(None)
            columns.append(AVERAGE)
        gains = [group.scoreboard.mean_gain(restorer.label, column) for column in columns]
        lines += [_line(restorer.label, *values) for values in zip(rows, gains, speeds, strict=True)]
        missing += [f"- {restorer.label}, {_task(row)}: {_lack(row)}" for row in rows if _lack(row)]
    lines += [_failed_line(cell) for cell in failed]
    return "\n".join([visible(group.title), "", _tabulated(lines), *map(visible, missing)])


def _tabulated(lines: list[list[str]]) -> str:
    kept = [i for i, header in enumerate(HEADERS) if header != LPIPS or any(line[i] != MISSING for line in lines)]
    return tabulate(
        [[line[i] for i in kept] for line in _without_repeats(lines)],
        headers=[HEADERS[i] for i in kept],
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "left") + ("right",) * (len(kept) - 2),
    )


def _failed_line(cell: FailedCell) -> list[str]:
    return [visible(cell.restorer), visible(cell.task), "failed", *[MISSING] * (len(HEADERS) - 3)]


def images_per_second(record: Record) -> float | None:
    """Images of a cell by the wall seconds that its last run took for them; None where it computed none."""
    return record.computed / record.seconds if record.computed and record.seconds else None


def _line(label: str, row: Row, gain: float | None, speed: float | None) -> list[str]:
    return [
        visible(label),
        visible(_task(row)),
        _counted(row),
        number(row.input_psnr, 2),
        number(row.input_ssim, 3),
        number(row.psnr, 2),
        number(row.ssim, 3),
        MISSING if gain is None or row.psnr is None else f"{gain:+.2f}",
        number(row.lpips, 3),
        MISSING if speed is None else f"{speed:.3g}",
    ]


def _counted(row: Row) -> str:
    """Images with scores, and what a reader must not overlook."""
    if row.status in (COMPLETE, FAILED):
        return str(row.images) if row.status == COMPLETE else row.status
    return f"{row.images} {'FAILED' if _failed(row) else row.status}"


def _failed(row: Row) -> bool:
    """Whether the line is a task of which images failed."""
    return row.task != AVERAGE and row.status == INCOMPLETE


def _task(row: Row) -> str:
    return AVERAGE if row.task == AVERAGE else task_label(row.task, row.sigma)


def _lack(row: Row) -> str:
    """What a line lacks or a reader must know, in words."""
    if row.status == COMPLETE or row.note.startswith(row.status):
        return row.note
    return f"{row.status}; {row.note}".removesuffix("; ")


def _without_repeats(lines: list[list[str]]) -> list[list[str]]:
    """A restorer's name stands in its first line only."""
    previous = [""] + [line[0] for line in lines]
    return [["" if line[0] == before else line[0], *line[1:]] for line, before in zip(lines, previous, strict=False)]
