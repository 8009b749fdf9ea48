"""The leaderboard's files, which every run leaves up to date; `report` derives the rest."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files as files_of
from pathlib import Path

from ...atomic import write_text, written_whole
from ...benchmarks.store.index import Index
from ..analysis.leaderboard import (
    AVERAGE,
    NOT_AVAILABLE,
    RestorerRecords,
    Row,
    by_restorer,
    comparable,
    write_csv,
)
from ..analysis.vetting import oddity
from ..escape import markdown as markdown_text
from ..escape import visible
from .numbers import MISSING, number, scaled, task_label

TABLE, TEXT = "leaderboard.csv", "leaderboard.md"
HEADERS = (
    *("task", "model", "variant", "weights", "images", "input PSNR", "PSNR (dB)", "gain", "SSIM"),
    *("params (M)", "MACs 256 without FFT (G)", "dtype", "device", "cell"),
)
"""Columns of the Markdown table; after the ninth stands LPIPS with its backbone."""
RIGHT = range(4, 12)
"""Places of the columns that are aligned to the right, LPIPS counted."""
SOURCES = ("benchmarks/store", "reports/analysis", "reports/tables", "reports")
"""Folders whose files decide what facts and leaderboard say."""

in_markdown = functools.lru_cache(maxsize=4096)(markdown_text)
"""Kept, since most texts of a leaderboard are those of the line above."""

logger = logging.getLogger("restorebench")


def write_leaderboard(results: Path, output: Path | None = None) -> list[Path]:
    """Derive ``leaderboard.csv`` and ``leaderboard.md`` from the records of a results folder; their paths.

    Only cells that changed since the last time are read (`benchmarks.store.index`), and where none has, and the two
    files are as they were written, they stay.

    Args:
        results: the store, which is only read where `output` is another folder.
        output: another folder to write them to; it exists.
    """
    output = output or results
    index = Index(results, code=made_by(), vet=oddity, writes=output == results)
    found = index.find()
    for problem in found.problems:
        logger.warning("left out of the leaderboard: %s", visible(problem))
    files = {name: output / name for name in (TABLE, TEXT)}
    if output == results and found.unchanged and index.up_to_date(files):
        return list(files.values())
    entries = by_restorer(found.facts)
    with written_whole(files[TABLE]) as part:
        write_csv([row for restorer in entries for row in restorer.rows], part)
    write_text(files[TEXT], "# Leaderboard\n\n" + markdown(entries))
    index.save(files)
    return list(files.values())


@functools.cache
def made_by() -> str:
    """What tells an index of other code apart: a hash of the sources that make facts and leaderboard."""
    digest = hashlib.sha256(version("pandas").encode())
    root = __package__.removesuffix(".reports.tables")
    for folder in SOURCES:
        package = files_of(f"{root}.{folder.replace('/', '.')}")
        for path in sorted(
            (path for path in package.iterdir() if path.name.endswith(".py")), key=lambda path: path.name
        ):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def markdown(entries: Sequence[RestorerRecords]) -> str:
    """One Markdown table per group of rows that may be compared: same suite, images and protocol."""
    parts = []
    for group in comparable(entries):
        suite, tasks, protocol = group[0].suite, group[0].tasks, group[0].first.protocol
        rows = [row for restorer in group for row in restorer.rows]
        datasets = "+".join(sorted({key.partition("@")[2] for key in tasks}))
        title = f"Suite {suite} on {datasets}, protocol {protocol}"
        order = {key.partition("@")[0]: index for index, key in enumerate(tasks)}
        rows.sort(key=lambda row: position(row, order))
        backbone = str(group[0].first.backbone)  # the protocol's, so it is the same in all of them
        body = aligned([(*HEADERS[:9], f"lpips_{in_markdown(backbone)}", *HEADERS[9:]), *map(markdown_cells, rows)])
        notes = [
            f"- {in_markdown(f'{task_label(row.task, row.sigma)}, {row.model}: {row.note}')}"
            for row in rows
            if row.note
        ]
        parts.append("\n".join([f"### {in_markdown(title)}", "", body, *notes]))
    return "\n\n".join(parts) + "\n" if parts else "No finished cells yet.\n"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned in the text too; the first line is its head.

    The same text as that of `tabulate` in its format ``github``, which takes most of the time of a large leaderboard.
    """
    widths = [max(len(cells[0]) + 2, *map(len, cells)) for cells in zip(*lines, strict=True)]
    pads = [str.rjust if place in RIGHT else str.ljust for place in range(len(widths))]
    text = [
        f"| {' | '.join([pad(cell, width) for pad, cell, width in zip(pads, cells, widths, strict=True)])} |"
        for cells in lines
    ]
    return "\n".join([text[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *text[1:]])


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
