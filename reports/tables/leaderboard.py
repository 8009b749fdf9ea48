"""The leaderboard's files, which every run leaves up to date; `report` derives the rest."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from ...atomic import write_text, written_whole
from ..analysis.leaderboard import (
    AVERAGE,
    NOT_AVAILABLE,
    RestorerRecords,
    Row,
    by_restorer,
    comparable,
    leaderboard,
    restorer_rows,
    write_csv,
)
from ..analysis.restoration import otherwise
from ..analysis.vetting import stored_cells
from ..escape import markdown as in_markdown
from ..escape import visible
from .numbers import MISSING, number, scaled, task_label

logger = logging.getLogger("restorebench")


def write_leaderboard(results: Path, output: Path | None = None) -> list[Path]:
    """Derive ``leaderboard.csv`` and ``leaderboard.md`` from the records of a results folder; their paths.

    Args:
        results: the store.
        output: another folder to write them to; it exists.
    """
    cells, problems = stored_cells(results)
    records = [cell.record for cell in cells]
    notes = {cell.record.cell: text for cell in cells if (text := otherwise(cell))}
    output = output or results
    for problem in problems:
        logger.warning("left out of the leaderboard: %s", visible(problem))
    table = output / "leaderboard.csv"
    with written_whole(table) as part:
        write_csv(leaderboard(records, notes), part)
    text = "# Leaderboard\n\n" + markdown(by_restorer(records), notes)
    return [table, write_text(output / "leaderboard.md", text)]


def markdown(entries: Sequence[RestorerRecords], others: Mapping[str, str] | None = None) -> str:
    """One Markdown table per group of rows that may be compared: same suite, images and protocol.

    Args:
        entries: the restorers.
        others: by cell, how images were restored that did not go as asked.
    """
    parts = []
    for group in comparable(entries):
        suite, tasks, protocol = group[0].suite, group[0].tasks, group[0].first.protocol
        rows = [row for restorer in group for row in restorer_rows(restorer, others)]
        datasets = "+".join(sorted({key.partition("@")[2] for key in tasks}))
        title = f"Suite {suite} on {datasets}, protocol {protocol}"
        order = {key.partition("@")[0]: index for index, key in enumerate(tasks)}
        rows.sort(key=lambda row: position(row, order))
        backbone = str(group[0].first.lpips.backbone)  # the protocol's, so it is the same in all of them
        body = tabulate(
            [markdown_cells(row) for row in rows],
            headers=[
                *("task", "model", "variant", "weights", "images", "input PSNR", "PSNR (dB)", "gain", "SSIM"),
                f"lpips_{in_markdown(backbone)}",
                *("params (M)", "MACs 256 (G)", "dtype", "device", "cell"),
            ],
            tablefmt="github",
            disable_numparse=True,
            colalign=("left",) * 4 + ("right",) * 8 + ("left",) * 3,
        )
        notes = [
            f"- {in_markdown(f'{task_label(row.task, row.sigma)}, {row.model}: {row.note}')}"
            for row in rows
            if row.note
        ]
        parts.append("\n".join([f"### {in_markdown(title)}", "", body, *notes]))
    return "\n\n".join(parts) + "\n" if parts else "No finished cells yet.\n"


def position(row: Row, order: dict[str, int]) -> tuple[int, float, str, str]:
    """Tasks in the suite's order, the average last; within a task by PSNR, best first, incomplete ones last."""
    key = row.task if row.sigma is None else f"{row.task}-{row.sigma}"
    return (order.get(key, len(order)), -(row.psnr if row.psnr is not None else -1e9), row.model, row.variant)


def markdown_cells(row: Row) -> list[str]:
    """The cells of one Markdown line."""
    provenance = (
        row.provenance if row.weights.startswith((row.provenance, "none")) else f"{row.provenance} {row.weights}"
    )
    return [
        f"**{AVERAGE}**" if row.task == AVERAGE else in_markdown(task_label(row.task, row.sigma)),
        *map(in_markdown, (row.model, row.variant, provenance)),
        str(row.images) if row.status == "complete" else f"{row.images} ({row.status})",
        number(row.input_psnr, 2),
        number(row.psnr, 2),
        gain(row),
        number(row.ssim, 4),
        NOT_AVAILABLE if row.lpips is None else number(row.lpips, 4),
        scaled(row.params, 1e6, 3),
        scaled(row.macs_256, 1e9, 2),
        *map(in_markdown, (row.dtype, row.device, row.cell)),
    ]


def gain(row: Row) -> str:
    """PSNR gained over the degraded input, signed, in dB."""
    return MISSING if row.psnr is None or row.input_psnr is None else f"{row.psnr - row.input_psnr:+.2f}"
