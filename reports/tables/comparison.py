"""Two restorers, or two results folders, cell by cell, as a table for the terminal."""

from __future__ import annotations

from pathlib import Path

from tabulate import tabulate

from ..analysis.pairings import Pairing, pairings
from ..analysis.scoreboard import SIGNIFICANT, TEST, Difference, least_p
from ..escape import visible
from .numbers import MISSING


def compare(first: str, second: str, results: Path) -> str:
    """A table for the terminal, of what `pairings` finds.

    Raises:
        ReportError: `first` and `second` are neither folders nor restorers, or have no cell in common.
    """
    pairs, lonely = pairings(first, second, results)
    folders = ["restorer"] if pairs[0].restorer else []
    table = tabulate(
        [_line(pair) for pair in pairs],
        headers=[
            *("suite, data, protocol", *folders, "task", "images", "clusters"),
            *("A (dB)", "B (dB)", "A - B", "95 %", "p", "SSIM A - B"),
        ],
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left",) * (2 + len(folders)) + ("right",) * 8,
    )
    test = TEST if any(pair.psnr is not None for pair in pairs) else ""
    note = f"PSNR on the images that both have. p: {test}, signs by cluster, Holm-adjusted "
    note += f"over the {len(pairs)} lines; * below {SIGNIFICANT}."
    least = [pair.psnr.clusters for pair in pairs if pair.psnr is not None]
    if least and least_p(max(least), len(least)) >= SIGNIFICANT:
        note += f" With at most {max(least)} clusters no difference can be significant at {SIGNIFICANT:g}."
    return "\n".join(
        [
            f"A: {visible(first)}",
            f"B: {visible(second)}",
            "",
            table,
            "",
            note,
            *(f"- {visible(line)}" for line in lonely),
        ]
    )


def _line(pair: Pairing) -> list[str]:
    psnr = pair.psnr
    return [
        visible(pair.title),
        *([visible(pair.restorer)] if pair.restorer else []),
        visible(pair.task_key.partition("@")[0]),
        "0" if psnr is None else str(psnr.images),
        "0" if psnr is None else str(psnr.clusters),
        MISSING if psnr is None else f"{psnr.first:.2f}",
        MISSING if psnr is None else f"{psnr.second:.2f}",
        MISSING if psnr is None else f"{psnr.mean:+.3f}",
        _interval(psnr),
        MISSING if pair.p is None else f"{pair.p:.3f}" + (" *" if pair.p < SIGNIFICANT else ""),
        MISSING if pair.ssim is None else f"{pair.ssim.mean:+.4f}",
    ]


def _interval(difference: Difference | None) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return MISSING
    return f"[{difference.low:+.3f}, {difference.high:+.3f}]"
