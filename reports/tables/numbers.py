"""Leaderboard rows as Markdown, and how tables print numbers."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from ..analysis.leaderboard import AVERAGE, NOT_AVAILABLE, Entry, Row, comparable, entry_rows

MISSING = "-"


def number(value: float | None, digits: int) -> str:
    """A value with fixed decimals, or a dash."""
    return MISSING if value is None else f"{value:.{digits}f}"


def gain(row: Row) -> str:
    """PSNR gained over the degraded input, signed, in dB."""
    return MISSING if row.psnr is None or row.input_psnr is None else f"{row.psnr - row.input_psnr:+.2f}"


def scaled(value: int | None, unit: float, digits: int) -> str:
    """A count in millions or thousands of millions, or a dash."""
    return MISSING if value is None else f"{value / unit:.{digits}f}"


def task_label(task: str, sigma: int | None) -> str:
    """A task as tables print it."""
    return task if sigma is None else f"{task} {sigma}"


def markdown(entries: Sequence[Entry]) -> str:
    """One Markdown table per group of rows that may be compared: same suite, images and protocol."""
    parts = []
    for group in comparable(entries):
        suite, tasks, protocol = group[0].suite, group[0].tasks, group[0].any.protocol
        rows = [row for entry in group for row in entry_rows(entry)]
        order = {key.partition("@")[0]: index for index, key in enumerate(tasks)}
        rows.sort(key=lambda row: position(row, order))
        datasets = "+".join(sorted({key.partition("@")[2] for key in tasks}))
        backbone = group[0].any.lpips.backbone  # the protocol's, so it is the same in all of them
        body = tabulate(
            [markdown_cells(row) for row in rows],
            headers=[
                *("task", "model", "variant", "weights", "images", "input PSNR", "PSNR (dB)", "gain", "SSIM"),
                f"lpips_{backbone}",
                *("params (M)", "MACs 256 (G)", "dtype", "device", "cell"),
            ],
            tablefmt="github",
            disable_numparse=True,
            colalign=("left",) * 4 + ("right",) * 8 + ("left",) * 3,
        )
        notes = [f"- {task_label(row.task, row.sigma)}, {row.model}: {row.note}" for row in rows if row.note]
        parts.append("\n".join([f"### Suite {suite} on {datasets}, protocol {protocol}", "", body, *notes]))
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
        f"**{AVERAGE}**" if row.task == AVERAGE else task_label(row.task, row.sigma),
        row.model,
        row.variant,
        provenance,
        str(row.images) if row.status == "complete" else f"{row.images} (incomplete)",
        number(row.input_psnr, 2),
        number(row.psnr, 2),
        gain(row),
        number(row.ssim, 4),
        NOT_AVAILABLE if row.lpips is None else number(row.lpips, 4),
        scaled(row.params, 1e6, 3),
        scaled(row.macs_256, 1e9, 2),
        row.dtype,
        row.device,
        row.cell,
    ]
