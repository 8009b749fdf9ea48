"""How time and memory of what reads a store grow with its cells: leaderboard, state, report's reading and page.

By hand: ``python -m tests.perf.store_scale FILE.csv [--cells 1000,10000] [--images 100] [--folder DIR]``. Each store
is made by this script, of real records and tables with their checksums. Each measurement is a process of its own; wall
time, processor time and the most memory that it held are of the work, the processor time of its imports stands apart. A
step that would take too long or too much memory at a size is left out there (``--page-up-to``), not guessed.
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
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from restorebench.benchmarks.store.cells import read_cells
from restorebench.benchmarks.store.files import IMAGES, RECORD
from restorebench.benchmarks.store.index import INDEX
from restorebench.benchmarks.store.parts import WeightsRecord, cell_id
from restorebench.benchmarks.store.records import SCHEMA_VERSION, Record
from restorebench.benchmarks.store.rows import IMAGE_HEADER, ImageRow, mean_rows, row_check
from restorebench.reports.tables.leaderboard import write_leaderboard

STORED = Path(__file__).parents[1] / "benchmarks/store/record.json"
"""A record as a run wrote it, of which the others are made."""
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
    template = replace(Record.from_json(STORED.read_text(encoding="utf-8")), schema_version=SCHEMA_VERSION)
    levels = random.Random(0)
    rows = [_row(f"image-{index:04d}.png", levels) for index in range(images)]
    values = [row.line("").rpartition(",")[0] for row in rows]
    means = mean_rows(rows)
    for number in range(cells):
        restorer, place = divmod(number, len(TASKS))
        group, member = divmod(restorer, PER_GROUP)
        key, (name, _, sigma) = f"{TASKS[place]}@set-{group}", TASKS[place].partition("-")
        data = hashlib.sha256(key.encode()).hexdigest()
        identity = replace(template.identity, model=f"model-{member}", task=key, data=data)
        made = replace(
            template,
            cell=cell_id(identity),
            suite=SUITE,
            suite_tasks=tuple(f"{task}@set-{group}" for task in TASKS),
            task=name,
            dataset=f"set-{group}",
            sigma=int(sigma) if sigma else None,
            model=f"model-{member}",
            weights=_trained(template.weights, restorer),
            title=f"Model {member}",
            identity=identity,
            expected=images,
            scored=images,
            means=means,
        )
        text = _table(values, made.cell)
        folder = root / made.suite / made.model / made.cell
        folder.mkdir(parents=True)
        (folder / IMAGES).write_bytes(text)
        sealed = replace(made, rows_sha256=hashlib.sha256(text).hexdigest())
        (folder / RECORD).write_text(sealed.to_json(), encoding="utf-8")


def _trained(weights: WeightsRecord, restorer: int) -> WeightsRecord:
    """Weights that say of their training what no other restorer's do: nothing of it is told apart by being the same."""
    training = weights.training or {}
    stages = [{**stage, "data": f"{stage.get('data', '')}\nfor restorer {restorer}"} for stage in training["stages"]]
    return replace(weights, training={**training, "stages": stages})


def _row(image: str, levels: random.Random) -> ImageRow:
    return ImageRow(
        image=image,
        status="ok",
        psnr=levels.gauss(28, 3),
        ssim=levels.uniform(0.7, 0.99),
        input_psnr=levels.gauss(20, 3),
        input_ssim=levels.uniform(0.4, 0.7),
    )


def _table(values: Sequence[str], cell: str) -> bytes:
    return (IMAGE_HEADER + "".join(f"{line},{row_check(line, cell)}\n" for line in values)).encode()


def _reading(results: Path) -> None:
    cells, problems = read_cells(results)
    if problems or not cells:
        raise RuntimeError(f"{results} is not what this script made: {problems[:1]}")


def _leaderboard(results: Path) -> None:
    write_leaderboard(results)


def _cold(results: Path) -> None:
    (results / INDEX).unlink(missing_ok=True)
    write_leaderboard(results)


def _one_changed(results: Path) -> None:
    """As after a cell was computed again."""
    record = next(results.glob(f"*/*/*/{RECORD}"))
    record.write_bytes(record.read_bytes())
    write_leaderboard(results)


def _status(results: Path) -> None:
    import_module("restorebench.benchmarks.commands.stores.status").main(["--results", str(results)])


def _page(results: Path) -> None:
    with tempfile.TemporaryDirectory() as output:
        import_module("restorebench.reports.report").page_of(results, Path(output))


STEPS: dict[str, Callable[[Path], None]] = {
    "reading every row": _reading,
    "leaderboard, cold": _cold,
    "leaderboard, nothing changed": _leaderboard,
    "leaderboard, one cell changed": _one_changed,
    "status": _status,
    "page": _page,
}
"""In the order in which they are measured."""


def measure(step: str, results: Path) -> dict[str, float]:
    """Time and memory of one step, in this process."""
    if step == "page":
        import_module("restorebench.reports.report")
    before, began = os.times(), time.perf_counter()
    STEPS[step](results)
    after, ended = os.times(), time.perf_counter()
    return {
        "wall_s": ended - began,
        "user_s": after.user - before.user,
        "system_s": after.system - before.system,
        "import_s": before.user + before.system,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def conditions(folder: Path) -> dict[str, str | int]:
    """Machine and software, as columns."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=False)
    return {
        "processor": model[0] if model else platform.processor(),
        "processors": os.cpu_count() or 0,
        "python": platform.python_version(),
        "pandas": version("pandas"),
        "file_system": kind.stdout.strip(),
    }


def main() -> None:
    """Measure all steps at all sizes and append a line for each to the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--cells", default="1000,10000,100000")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--page-up-to", type=int, default=1000, help="cells beyond which the page is left out")
    parser.add_argument("--rows-up-to", type=int, default=10000, help="the same for reading every row, for its memory")
    parser.add_argument("--longest", type=float, default=900, help="seconds after which a step is given up")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the stores are made")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        sys.stderr.write("\n" + json.dumps(measure(options.step, options.folder)) + "\n")
        return
    for cells in map(int, options.cells.split(",")):
        results = options.folder / f"restorebench-scale-{cells}x{options.images}"
        began = time.perf_counter()
        if not results.exists():
            make_store(results, cells, options.images)
        sys.stdout.write(f"{cells} cells made in {time.perf_counter() - began:.0f} s\n")
        time.sleep(3)  # until no file has just been changed
        most = {"page": options.page_up_to, "reading every row": options.rows_up_to}
        for step in STEPS:
            if cells <= most.get(step, cells):
                known: dict[str, str | int] = {"step": step, "cells": cells, "images_per_cell": options.images}
                _add(options.file, known, results, options.longest)
        shutil.rmtree(results)


def _add(file: Path, known: dict[str, str | int], results: Path, longest: float) -> None:
    command = [sys.executable, "-m", __spec__.name, "--step", str(known["step"]), "--folder", str(results)]
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=longest)
    except subprocess.TimeoutExpired:
        sys.stdout.write(f"{known}: given up after {longest:g} s\n")
        return
    if done.returncode:
        sys.stdout.write(f"{known}: {done.stderr[-300:]}\n")
        return
    measured = json.loads(done.stderr.strip().splitlines()[-1])
    line = {**known, **{name: round(value, 3) for name, value in measured.items()}}
    line |= {"load_average": round(os.getloadavg()[0], 1), **conditions(results)}
    new = not file.exists()
    with file.open("a", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(line)
    sys.stdout.write(f"{known['step']}: {measured}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
