"""Leaderboard rows as Markdown for people and as LaTeX for papers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tabulate import tabulate

from .leaderboard import AVERAGE, NOT_AVAILABLE, Entry, Row, entry_rows

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
    """One Markdown table per group of rows that may be compared: same suite, data and protocol."""
    parts = []
    for (suite, tasks, protocol), grouped in groupby(entries, key=lambda e: (e.suite, e.tasks, e.any.protocol)):
        group = list(grouped)
        rows = [row for entry in group for row in entry_rows(entry)]
        order = {key.partition("@")[0]: index for index, key in enumerate(tasks)}
        rows.sort(key=lambda row: position(row, order))
        datasets = "+".join(sorted({key.partition("@")[2] for key in tasks}))
        backbone = str(group[0].any.lpips["backbone"])  # the protocol's, so it is the same in all of them
        body = tabulate(
            [markdown_cells(row, backbone) for row in rows],
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


def lpips_of(row: Row, backbone: str) -> float | None:
    """Mean LPIPS by that backbone."""
    return row.lpips_vgg if backbone == "vgg" else row.lpips_alex


def position(row: Row, order: dict[str, int]) -> tuple[int, float, str, str]:
    """Tasks in the suite's order, the average last; within a task by PSNR, best first, incomplete ones last."""
    key = row.task if row.sigma is None else f"{row.task}-{row.sigma}"
    return (order.get(key, len(order)), -(row.psnr if row.psnr is not None else -1e9), row.model, row.variant)


def markdown_cells(row: Row, backbone: str) -> list[str]:
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
        NOT_AVAILABLE if (lpips := lpips_of(row, backbone)) is None else number(lpips, 4),
        scaled(row.params, 1e6, 3),
        scaled(row.macs_256, 1e9, 2),
        row.dtype,
        row.device,
        row.cell,
    ]


def latex_escape(text: str) -> str:
    """Text with LaTeX's special characters made harmless."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {character: "\\" + character for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in text)


def latex_tables(entries: Sequence[Entry]) -> dict[str, str]:
    """One booktabs table per group of comparable rows, by file stem: restorers as rows, tasks as columns, PSNR/SSIM."""
    tables = {}
    for (suite, tasks, protocol), group in groupby(entries, key=lambda e: (e.suite, e.tasks, e.any.protocol)):
        datasets = "+".join(sorted({key.partition("@")[2] for key in tasks}))
        stem = f"{suite}-{datasets}-{protocol.replace('@', '-v')}"
        tables[stem] = latex_table(
            list(group), tasks, f"Suite {suite} on {datasets}, protocol {protocol}: PSNR (dB) / SSIM."
        )
    return tables


def latex_table(entries: Sequence[Entry], tasks: Sequence[str], caption: str) -> str:
    """A complete LaTeX table environment; needs the booktabs package."""
    several = len(tasks) > 1
    heads = ["Method", "Weights", "Params (M)", "MACs (G)", *(key.partition("@")[0].replace("-", " ") for key in tasks)]
    body = []
    for entry in entries:
        rows = {row.cell: row for row in entry_rows(entry)}
        first = next(iter(rows.values()))
        cells = [rows[entry.records[key].cell] if key in entry.records else None for key in tasks]
        values = [*cells, rows[""]] if several else cells
        body.append(
            [
                latex_escape(f"{entry.any.title} ({first.variant})"),
                latex_escape(first.provenance),
                scaled(first.params, 1e6, 2),
                scaled(first.macs_256, 1e9, 1),
                *(MISSING if row is None else f"{number(row.psnr, 2)} / {number(row.ssim, 3)}" for row in values),
            ]
        )
    table = tabulate(
        body,
        headers=[latex_escape(head) for head in heads] + (["Average"] if several else []),
        tablefmt="latex_raw",
        disable_numparse=True,
        colalign=("left", "left") + ("right",) * (len(heads) - 2 + several),
    )
    rules = iter((r"\toprule", r"\midrule", r"\bottomrule"))
    lines = [next(rules) if line == r"\hline" else line for line in table.splitlines()]
    size = "MACs: multiply-adds at 1x3x256x256."
    return "\n".join(
        [
            "% written by restorebench; needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_escape(caption + ' ' + size)}}}",
            *lines,
            r"\end{table}",
            "",
        ]
    )
