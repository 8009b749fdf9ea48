"""Results folders made without a network: the scores are drawn from a seed, the images are small and synthetic."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from restorebench.benchmarks.store.cells import read_cell
from restorebench.benchmarks.store.folders import CellFolder
from restorebench.benchmarks.store.parts import cell_id
from restorebench.benchmarks.store.records import (
    SCHEMA_VERSION,
    ImageRow,
    Record,
    mean_rows,
    preview_name,
    previews_key,
)
from restorebench.reports.analysis.cells import StoredCell, read_cells

from ..benchmarks.store.test_records import changed, record

SUITES = {
    "3d": ("dehaze", "derain", "denoise-15", "denoise-25", "denoise-50"),
    "5d": ("dehaze", "derain", "denoise-25", "deblur", "lowlight"),
}
INPUT = {"dehaze": 16.0, "derain": 25.0, "denoise-15": 24.6, "denoise-25": 20.3, "denoise-50": 14.6, "deblur": 24.0}
TITLES = {"identity": "Input", "rbair": "RBaIR", "anyir": "AnyIR", "daair": "DaAIR", "kbnet": "KBNet"}
GAINS = {"identity": 0.0, "rbair": 6.0, "anyir": 5.9, "daair": 5.0, "kbnet": 4.0}
"""Mean gain over the input in dB; RBaIR and AnyIR are too close to be told apart."""


def write_store(
    root: Path,
    *,
    suites: tuple[str, ...] = ("3d", "5d"),
    gains: Mapping[str, float] = GAINS,
    images: int = 12,
    protocol: str = "promptir@1",
    previews: bool = True,
    side: int = 64,
    lpips: Mapping[str, float] | None = None,
) -> Path:
    """Write cells of restorers `gains` on `suites` and give back the results folder.

    Every image has its own difficulty, which all restorers share (sd 3 dB), and each restorer an image-wise deviation
    (sd 0.5 dB): as in real sets, paired differences are far tighter than means.
    """
    names = [f"image-{index:02d}.png" for index in range(images)]
    for suite in suites:
        for task in SUITES[suite]:
            for model, gain in gains.items():
                _write_cell(root, suite, task, model, gain, names, protocol, previews, side, (lpips or {}).get(model))
    return root


@functools.cache
def shared_store(**options: Hashable) -> Path:
    """A results folder as `write_store` makes it, once for all tests of a process: to be read, never written to."""
    root = Path(tempfile.mkdtemp(prefix="restorebench-store-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return write_store(root, **options)  # type: ignore[arg-type]


@functools.cache
def shared_cells(**options: Hashable) -> tuple[StoredCell, ...]:
    """The cells of `shared_store`."""
    cells, problems = read_cells(shared_store(**options))
    assert not problems
    return tuple(cells)


def _write_cell(
    root: Path,
    suite: str,
    task: str,
    model: str,
    gain: float,
    names: list[str],
    protocol: str,
    previews: bool,
    side: int,
    lpips: float | None,
) -> None:
    name, _, sigma = task.partition("-")
    difficulty = _rng(task).normal(0, 3, len(names))
    deviation = _rng(task, model).normal(0, 0.5, len(names)) if gain else np.zeros(len(names))
    floor = INPUT.get(task, 10.0) + difficulty
    rows = [
        ImageRow(
            image=image,
            status="ok",
            psnr=float(floor[i] + gain + deviation[i]),
            ssim=float(1 - 1 / (floor[i] + gain + deviation[i])),
            input_psnr=float(floor[i]),
            input_ssim=float(1 - 1 / floor[i]),
            **({} if lpips is None else {"lpips": lpips, "lpips_by": "alex 0123abcd"}),
        )
        for i, image in enumerate(names)
    ]
    identity = {
        "model": model,
        "variant": "tiny",
        "overrides": {},
        "weights": None if model == "identity" else _digest("weights", model),
        "seed": None,
        "task": f"{task}@embedded-256",
        "data": _digest("data", task),
        "protocol": {"protocol": protocol},
        "numerics": {"dtype": "float32", "device": "cpu"},
    }
    width = 1 + len(model)
    made = made_record(
        schema_version=SCHEMA_VERSION,
        suite=suite,
        suite_tasks=tuple(f"{key}@embedded-256" for key in SUITES[suite]),
        task=name,
        dataset="embedded-256",
        sigma=int(sigma) if sigma else None,
        model=model,
        title=TITLES.get(model, model),
        variant="tiny",
        provenance="input" if model == "identity" else "bundled",
        weights={"kind": "none" if model == "identity" else "bundled", "path": None, "sha256": identity["weights"]},
        protocol=protocol,
        identity=identity,
        expected=len(names),
        scored=len(names),
        failures=(),
        means=mean_rows(rows),
        complexity={
            "parameters": 0 if model == "identity" else 100_000 * width,
            "macs": 0 if model == "identity" else 10**9 * width,
        },
        command=f"bench run model={model} tasks={suite}",
        seconds=1.5,
        computed=len(names),
        cost={
            "latency_ms": 10.0 * width,
            "passes": len(names),
            "size": [256, 256],
            "batch": 1,
            "threads": 2,
            "peak_mib": 50.0 * width,
            "peak_how": "live tensors",
        },
    )
    folder = root / suite / model / made.cell
    store_cell(folder, made, rows)
    if previews:
        _write_previews(root, folder, made, names, gain, side)


def store_cell(folder: Path, made: Record, rows: Sequence[ImageRow]) -> None:
    """Write a finished cell as a run does, into the folder of its id."""
    folder.mkdir(parents=True, exist_ok=True)
    cell = CellFolder(folder)
    cell.begin(rows)
    cell.finish(made, [row.image for row in rows])


def change_cell(folder: Path, **changes: Any) -> Path:
    """Change the record of a stored cell as if it had been written so; its folder, another for another identity."""
    stored = read_cell(folder)
    made = changed(stored.record, {**changes})
    made = dataclasses.replace(made, cell=cell_id(made.identity))
    target = folder.with_name(made.cell)
    if target != folder:
        folder.rename(target)
    store_cell(target, made, stored.rows)
    return target


def change_rows(folder: Path, change: Callable[[ImageRow], ImageRow]) -> None:
    """Change the rows of a stored cell, and counts and means with them, as if they had been written so."""
    stored = read_cell(folder)
    rows = [change(row) for row in stored.rows]
    scored = [row for row in rows if row.status == "ok"]
    failures = tuple((row.image, row.message) for row in rows if row.status == "failed")
    made = dataclasses.replace(stored.record, scored=len(scored), failures=failures, means=mean_rows(scored))
    store_cell(folder, made, rows)


def fail_image(folder: Path, image: str, message: str) -> None:
    """Change a stored cell so that an image of it has failed."""
    failed = ImageRow(image=image, status="failed", message=message)
    change_rows(folder, lambda row: failed if row.image == image else row)


def made_record(**changes: Any) -> Record:
    """`record` with changes."""
    return record(**changes)


def _write_previews(root: Path, folder: Path, made: Record, names: list[str], gain: float, side: int) -> None:
    pairs = root / "previews" / previews_key(made.identity)
    ramp = np.linspace(40, 215, side)
    for index, name in enumerate(names):
        clean = np.stack([np.add.outer(ramp, ramp[::-1]) / 2, np.tile(ramp, (side, 1)), np.tile(ramp, (side, 1)).T], -1)
        noise = _rng(made.task, str(index)).normal(0, 30, clean.shape)
        for path, image in (
            (pairs / "clean" / preview_name(name), clean),
            (pairs / "degraded" / preview_name(name), clean + noise),
            (folder / "previews" / preview_name(name), clean + noise / 10 ** (gain / 20)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path)


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def _rng(*parts: str) -> np.random.Generator:
    return np.random.default_rng(int(_digest(*parts)[:12], 16))


def cells_of(results: Path) -> list[Path]:
    """Folders of the finished cells of a store, in a stable order."""
    return sorted(path.parent for path in results.glob("*/*/*/record.json"))
