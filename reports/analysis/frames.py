"""``restorebench.read_results``: a store as pandas frames."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd

from ...benchmarks.store.records import ImageRow
from ..errors import ReportError
from .cells import StoredCell
from .leaderboard import COLUMNS, cell_row
from .restoration import otherwise
from .vetting import stored_cells

SHARED = ("model", "variant", "provenance", "weights", "suite", "task", "dataset", "sigma", "protocol")
"""Columns that the images of a cell have in common."""
IMAGE_COLUMNS = tuple(field.name for field in fields(ImageRow))


def read_results(results: str | os.PathLike[str], *, images: bool = False) -> pd.DataFrame:
    """The cells of a results folder, all of them, in a stable order.

    Args:
        results: the folder.
        images: a row an image instead of a row a cell.

    Returns:
        A row a cell has the leaderboard's columns (``suite, task, dataset, sigma, model, variant, provenance, weights,
        protocol, images, psnr, ssim, lpips_alex, lpips_vgg, input_psnr, input_ssim, params, macs_256, fft_macs_256,
        dtype, device, device_name, status, note, cell``); scores of an incomplete cell are NaN. A row an image has
        ``model, variant, provenance, weights, suite, task, dataset, sigma, protocol, cell``, then the columns of
        ``images.csv``: ``image, status, psnr, ssim, lpips, input_psnr, input_ssim, how, lpips_by, message``.

    Raises:
        ReportError: there is no such folder.

    Warns:
        UserWarning: for each cell that cannot be read, which is left out.
    """
    root = Path(results).expanduser()
    if not root.is_dir():
        raise ReportError(f"there is no results folder {root}")
    cells, problems = stored_cells(root)
    for problem in problems:
        warnings.warn(f"left out: {problem}", stacklevel=2)
    return _image_frame(cells) if images else _cell_frame(cells)


def _cell_frame(cells: list[StoredCell]) -> pd.DataFrame:
    frame = pd.DataFrame([asdict(cell_row(cell.record, otherwise(cell))) for cell in cells], columns=list(COLUMNS))
    scores = ("psnr", "ssim", "lpips_alex", "lpips_vgg", "input_psnr", "input_ssim")
    return frame.astype(
        {**dict.fromkeys(("sigma", "params", "macs_256", "fft_macs_256"), "Int64"), **dict.fromkeys(scores, "float64")}
    )


def _image_frame(cells: list[StoredCell]) -> pd.DataFrame:
    rows = []
    for cell in cells:
        known = asdict(cell_row(cell.record))
        shared = {name: known[name] for name in (*SHARED, "cell")}
        rows += [{**shared, **asdict(row)} for row in cell.rows]
    return pd.DataFrame(rows, columns=[*SHARED, "cell", *IMAGE_COLUMNS]).astype({"sigma": "Int64"})
