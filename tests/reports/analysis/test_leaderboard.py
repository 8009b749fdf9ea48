"""The leaderboard: one row a cell and an average only when it can be had; nothing incomparable in one group."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restorebench.benchmarks.store.records import Means, Record
from restorebench.reports.analysis.leaderboard import COLUMNS, by_restorer, leaderboard, write_csv

from ...benchmarks.store.test_records import record

TASKS = ("dehaze@set", "denoise-15@set")
REQUIRED = (
    "suite task dataset sigma model variant provenance weights protocol "
    "images psnr ssim params macs_256 dtype device cell"
)


def cell(task: str, psnr: float, **changes: Any) -> Record:
    """A record of one of TASKS with its own cell id."""
    name, sigma = ("denoise", 15) if task.startswith("denoise") else (task.partition("@")[0], None)
    means = Means(psnr=psnr, ssim=psnr / 100, input_psnr=20.0, input_ssim=0.5)
    values = {"task": name, "sigma": sigma, "means": means, "cell": f"{task}-{psnr}", **changes}
    return record(suite_tasks=TASKS, **values)


def test_has_the_columns_that_papers_need() -> None:
    assert set(REQUIRED.split()) <= set(COLUMNS)


def test_the_average_is_the_plain_mean_over_tasks() -> None:
    rows = leaderboard([cell(TASKS[1], 31.0), cell(TASKS[0], 20.0)])
    assert [(row.task, row.sigma) for row in rows] == [("dehaze", None), ("denoise", 15), ("average", None)]
    assert rows[-1].psnr == 25.5
    assert rows[-1].ssim == pytest.approx(0.255)
    assert rows[-1].images == 4
    assert rows[-1].cell == ""


def test_no_average_while_a_task_is_missing() -> None:
    average = leaderboard([cell(TASKS[0], 20.0)])[-1]
    assert (average.task, average.status, average.psnr) == ("average", "incomplete", None)
    assert "denoise-15@set" in average.note


def test_a_cell_with_failed_images_shows_no_score() -> None:
    failed = cell(TASKS[0], 20.0, scored=1, failures=(("a.png", "NaN"),))
    rows = leaderboard([failed, cell(TASKS[1], 31.0)])
    assert rows[0].psnr is None
    assert rows[0].status == "incomplete"
    assert "1 of 2 images failed, first a.png: NaN" in rows[0].note
    assert rows[-1].psnr is None


def test_infinite_scores_are_said() -> None:
    means = Means(psnr=20.0, ssim=0.5, input_psnr=20.0, input_ssim=0.5, infinite=1)
    assert "1 restored images equal the clean ones" in leaderboard([cell(TASKS[0], 20.0, means=means)])[0].note


def test_different_weights_numerics_and_protocols_are_never_averaged_together() -> None:
    base = cell(TASKS[0], 20.0).identity
    others = [
        dataclasses.replace(base, weights="0" * 64),
        dataclasses.replace(base, numerics=dataclasses.replace(base.numerics, dtype="bfloat16")),
        dataclasses.replace(base, protocol={"protocol": "other@1"}),
    ]
    records = [cell(TASKS[0], 20.0), *(cell(TASKS[1], 30.0 + i, identity=other) for i, other in enumerate(others))]
    assert len(by_restorer(records)) == 4
    assert all(row.psnr is None for row in leaderboard(records) if row.task == "average")


def test_of_two_computations_of_one_place_the_later_stands() -> None:
    old = cell(TASKS[0], 20.0, finished="2026-01-01T00:00:00+00:00")
    new = cell(TASKS[0], 21.0, finished="2026-01-02T00:00:00+00:00")
    assert [row.psnr for row in leaderboard([new, old]) if row.task == "dehaze"] == [21.0]


def test_csv_keeps_every_digit_and_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.csv"
    write_csv(leaderboard([cell(TASKS[0], 1 / 3), cell(TASKS[1], 30.0)]), path)
    frame = pd.read_csv(path)
    assert frame["psnr"][0] == 1 / 3
    assert frame["sigma"].isna().tolist() == [True, False, True]
    assert "15," in path.read_text()
    assert "15.0" not in path.read_text()
