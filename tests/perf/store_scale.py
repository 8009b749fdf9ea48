"""How time and memory of what reads a store grow with its cells: leaderboard, state, report's reading and page.

By hand: ``python -m tests.perf.store_scale FILE.csv [--cells 1000,10000] [--images 100] [--folder DIR]``. Each store is made by
this script, of real records and tables with their checksums, and each measurement is a process of its own, which
prints wall time, processor time and the most memory that it held; imports are measured apart from the work. A step that
would take too long or too much memory at a size is left out there (``--page-up-to``), not guessed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

COLUMNS = (
    *("step", "cells", "images_per_cell", "wall_s", "user_s", "system_s", "import_s", "peak_mib", "load_average"),
    *("processor", "processors", "python", "pandas", "file_system"),
)
TASKS = ("dehaze", "derain", "denoise-25", "deblur", "lowlight")
SUITE = "5d"
PER_GROUP = 50
"""Restorers that are compared with one another; more are on other images, as in a store of many trainings."""


def make_store(root: Path, cells: int, images: int) -> None:
    """Write a store of so many finished cells, five to a restorer, without syncing each file."""
    from restorebench.benchmarks.store.parts import cell_id
    from restorebench.benchmarks.store.records import Means, canonical
    from restorebench.benchmarks.store.rows import ImageRow, mean_rows, table

    from ..benchmarks.store.test_records import changed, record

    template = record()
    names = [f"image-{index:04d}.png" for index in range(images)]
    levels = random.Random(0)
    rows = [
        ImageRow(
            image=name,
            status="ok",
            psnr=levels.gauss(28, 3),
            ssim=levels.uniform(0.7, 0.99),
            input_psnr=levels.gauss(20, 3),
            input_ssim=levels.uniform(0.4, 0.7),
        )
        for name in names
    ]
    lines = [row._values() for row in rows]
    means = mean_rows(rows)
    for number in range(cells):
        restorer, place = divmod(number, len(TASKS))
        group, member = divmod(restorer, PER_GROUP)
        name, _, sigma = TASKS[place].partition("-")
        made = changed(
            template,
            {
                "suite": SUITE,
                "suite_tasks": tuple(f"{key}@set-{group}" for key in TASKS),
                "task": name,
                "dataset": f"set-{group}",
                "sigma": int(sigma) if sigma else None,
                "model": f"model-{member}",
                "title": f"Model {member}",
                "identity": {
                    "model": f"model-{member}",
                    "task": f"{TASKS[place]}@set-{group}",
                    "data": hashlib.sha256(f"{group} {place}".encode()).hexdigest(),
                },
                "expected": images,
                "scored": images,
                "failures": (),
                "means": means,
            },
        )
        made = replace(made, cell=cell_id(made.identity))
        # One table a cell, with the cell's own checksums; only the first row differs from cell to cell.
        text = _table(lines, made.cell)
        folder = root / made.suite / made.model / made.cell
        folder.mkdir(parents=True)
        (folder / "images.csv").write_bytes(text)
        sealed = replace(made, rows_sha256=hashlib.sha256(text).hexdigest())
        (folder / "record.json").write_text(sealed.to_json())


def _table(lines: list[str], cell: str) -> bytes:
    from restorebench.benchmarks.store.rows import IMAGE_HEADER

    begun = hashlib.sha256(f"{cell}\n".encode())
    text = [IMAGE_HEADER.encode()]
    for line in lines:
        digest = begun.copy()
        digest.update(line.encode())
        text.append(f"{line},{digest.hexdigest()[:16]}\n".encode())
    return b"".join(text)
