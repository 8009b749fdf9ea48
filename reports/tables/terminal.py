"""What a run shows when it ends: what came in, what came out, how fast, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from ...benchmarks.store.records import Record
from ..analysis.cells import Group
from ..analysis.leaderboard import AVERAGE, COMPLETE, INCOMPLETE, Row, average_row, cell_row
from ..analysis.restoration import otherwise
from ..escape import visible
from .numbers import MISSING, number, task_label

LPIPS = "LPIPS"
HEADERS = (
    *("restorer", "task", "images", "input PSNR", "input SSIM"),
    *("PSNR (dB)", "SSIM", "gain", LPIPS, "img/s"),
)


def terminal_table(groups: Sequence[Group], *, partial: bool = False) -> str:
    """A compact table for each group: a line a task of each restorer, then its average.

    Args:
        groups: what is shown.
        partial: average what was scored where images are missing, too, and say how many they are.

    The degraded input has lines of its own only where nothing else was run: its scores stand in every line. LPIPS has a
    column where any line has it. Below each table stands what it lacks.
    """
    return "\n\n".join(_table(group, partial=partial) for group in groups) or "No finished cells yet."


def _table(group: Group, *, partial: bool) -> str:
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
    kept = [i for i, header in enumerate(HEADERS) if header != LPIPS or any(line[i] != MISSING for line in lines)]
    body = tabulate(
        [[line[i] for i in kept] for line in _without_repeats(lines)],
        headers=[HEADERS[i] for i in kept],
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "left") + ("right",) * (len(kept) - 2),
    )
    return "\n".join([visible(group.title), "", body, *map(visible, missing)])


def images_per_second(record: Record) -> float | None:
    """Images of a cell by the wall seconds that its last run took for them; None where it computed none."""
    return record.computed / record.seconds if record.computed and record.seconds else None


def _line(label: str, row: Row, gain: float | None, speed: float | None) -> list[str]:
    return [
        visible(label),
        visible(_task(row)),
        str(row.images) if row.status == COMPLETE else f"{row.images} {'FAILED' if _failed(row) else row.status}",
        number(row.input_psnr, 2),
        number(row.input_ssim, 3),
        number(row.psnr, 2),
        number(row.ssim, 3),
        MISSING if gain is None or row.psnr is None else f"{gain:+.2f}",
        number(row.lpips, 3),
        MISSING if speed is None else f"{speed:.3g}",
    ]


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
