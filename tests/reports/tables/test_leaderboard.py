"""The leaderboard's files: suites and protocols apart, ranked within a task, nothing left behind."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tabulate import tabulate

from restorebench.benchmarks.store import index
from restorebench.benchmarks.store.parts import cell_id
from restorebench.reports.analysis.leaderboard import COLUMNS, by_restorer
from restorebench.reports.tables.leaderboard import HEADERS, aligned, markdown, write_leaderboard

from ...benchmarks.store.test_records import rows_of
from ..analysis.test_leaderboard import TASKS, cell
from ..stores import change_cell, fail_image, store_cell, write_store


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
    assert present == {*files, tmp_path / index.INDEX, folder / "record.json", folder / "images.csv"}
    assert made.cell in files[0].read_text()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.text("ab|-ü ", max_size=12).map(str.strip), min_size=15, max_size=15), max_size=4))
def test_the_table_is_aligned_as_tabulate_aligns_it(lines: list[list[str]]) -> None:
    heads = [*HEADERS[:9], "lpips_alex", *HEADERS[9:]]
    sides = ("left",) * 4 + ("right",) * 8 + ("left",) * 3
    expected = tabulate(
        lines, headers=heads, tablefmt="github", disable_numparse=True, colalign=sides if lines else None
    )
    if lines:
        assert aligned([heads, *lines]) == expected


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store whose leaderboard is up to date; files count as settled a moment after they were written."""
    monkeypatch.setattr(index, "SETTLED_NS", 0)
    root = write_store(tmp_path / "store", suites=("3d",), images=3, previews=False)
    time.sleep(0.02)
    write_leaderboard(root)
    return root


def anew(store: Path) -> list[bytes]:
    """The leaderboard's files, written elsewhere by who remembers nothing."""
    elsewhere = Path(shutil.copytree(store, store.with_name("elsewhere"), ignore=shutil.ignore_patterns(index.INDEX)))
    files = [path.read_bytes() for path in write_leaderboard(elsewhere)]
    shutil.rmtree(elsewhere)
    return files


def stamps(store: Path) -> list[int]:
    return [(store / name).stat().st_ino for name in ("leaderboard.csv", "leaderboard.md")]


def test_a_leaderboard_that_is_up_to_date_stays(store: Path) -> None:
    before = stamps(store)
    files = write_leaderboard(store)
    assert stamps(store) == before
    assert [path.read_bytes() for path in files] == anew(store)


def test_a_leaderboard_that_someone_changed_is_written_anew(store: Path) -> None:
    table = store / "leaderboard.csv"
    whole = table.read_bytes()
    table.write_bytes(whole.replace(b"RBaIR", b"Other").replace(b"rbair", b"other"))
    write_leaderboard(store)
    assert table.read_bytes() == whole


def test_whatever_changes_the_leaderboard_is_the_one_made_of_all_cells(store: Path) -> None:
    folders = sorted(path.parent for path in store.glob("*/*/*/record.json"))
    fail_image(folders[0], "image-00.png", "NaN")
    assert [path.read_bytes() for path in write_leaderboard(store)] == anew(store)
    assert b"1 of 3 images failed, first image-00.png: NaN" in (store / "leaderboard.csv").read_bytes()
    shutil.rmtree(folders[7])
    change_cell(folders[3], finished="2027-01-01T00:00:01.000000+00:00")
    time.sleep(0.02)
    assert [path.read_bytes() for path in write_leaderboard(store)] == anew(store)
    before = stamps(store)
    write_leaderboard(store)
    assert stamps(store) == before


def test_a_cell_damaged_under_its_old_time_leaves_the_leaderboard(
    store: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = next(store.glob("3d/rbair/*/images.csv"))
    status = table.stat()
    with table.open("r+b") as file:
        file.write(b"imagE")
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))
    monkeypatch.setattr(logging.getLogger("restorebench"), "propagate", True)
    write_leaderboard(store)
    assert table.parent.name not in (store / "leaderboard.csv").read_text()
    assert str(table) in caplog.text
