"""The leaderboard's files: suites and protocols apart, ranked within a task, nothing left behind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd

from restorebench.benchmarks.store.index import INDEX
from restorebench.benchmarks.store.parts import cell_id
from restorebench.reports.analysis.leaderboard import COLUMNS, by_restorer
from restorebench.reports.tables.leaderboard import markdown, write_leaderboard

from ...benchmarks.store.test_records import rows_of
from ..analysis.test_leaderboard import TASKS, cell
from ..stores import store_cell


def test_markdown_keeps_suites_and_protocols_apart() -> None:
    other = cell(TASKS[0], 21.0, protocol="other@1", identity={"protocol": {"protocol": "other@1"}})
    text = markdown(by_restorer([cell(TASKS[0], 20.0), other]))
    assert text.count("### Suite 3d on set, protocol") == 2


def test_markdown_ranks_within_a_task_and_shows_the_gain() -> None:
    low, high = (
        cell(TASKS[0], 20.0),
        cell(TASKS[0], 25.0, model="better", identity={"model": "better"}),
    )
    lines = [line for line in markdown(by_restorer([low, high])).splitlines() if line.startswith("| dehaze")]
    assert ["better" in line for line in lines] == [True, False]
    assert "+5.00" in lines[0]
    assert "+0.00" in lines[1]


def test_publishing_an_empty_store_says_so(tmp_path: Path) -> None:
    files = write_leaderboard(tmp_path)
    assert [path.name for path in files] == ["leaderboard.csv", "leaderboard.md"]
    assert "No finished cells yet" in (tmp_path / "leaderboard.md").read_text()
    assert list(pd.read_csv(tmp_path / "leaderboard.csv").columns) == list(COLUMNS)


def test_publishing_leaves_no_temporary_files(tmp_path: Path) -> None:
    made = cell(TASKS[1], 20.0)
    made = dataclasses.replace(made, cell=cell_id(made.identity))
    folder = tmp_path / "3d" / "identity" / made.cell
    store_cell(folder, made, rows_of(made))
    files = write_leaderboard(tmp_path)
    present = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert present == {*files, tmp_path / INDEX, folder / "record.json", folder / "images.csv"}
    assert made.cell in files[0].read_text()
