"""The store: locks that die with their holder, tables that are never half written, twins that are shared."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.store.folders import CellBusyError, CellFolder, Store
from restorebench.benchmarks.store.records import IMAGE_HEADER, ImageRow

from .test_records import record

ROW = ImageRow(image="a.png", status="ok", psnr=30.0, ssim=0.9, lpips=0.1, input_psnr=20.0, input_ssim=0.5)

ONE = record(
    expected=1, scored=1, means={"psnr": 30.0, "ssim": 0.9, "lpips": 0.1, "input_psnr": 20.0, "input_ssim": 0.5}
)
"""The record of a cell whose only row is `ROW`."""

HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from restorebench.benchmarks.store.folders import CellFolder
with CellFolder(Path(sys.argv[1])).claimed():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    return Store(tmp_path).cell("3d", "identity", ONE.cell)


def holder(folder: CellFolder) -> subprocess.Popen[str]:
    """Another process that holds the lock of a cell."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(folder.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_live_process_keeps_its_cell_and_is_named(folder: CellFolder) -> None:
    process = holder(folder)
    try:
        with pytest.raises(CellBusyError, match=f"process {process.pid} on "), folder.claimed():
            pass
    finally:
        process.kill()
        process.wait()


def test_the_cell_of_a_killed_process_is_taken_over(folder: CellFolder) -> None:
    process = holder(folder)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert json.loads((folder.path / "owner.json").read_text())["pid"] == process.pid
    with folder.claimed():
        assert json.loads((folder.path / "owner.json").read_text())["pid"] == os.getpid()
    assert not (folder.path / "owner.json").exists()


def test_waiting_for_a_cell_gets_it_when_the_holder_is_gone(folder: CellFolder) -> None:
    process = holder(folder)
    process.kill()
    with folder.claimed(wait_seconds=20):
        assert process.wait() == -signal.SIGKILL


def test_rows_are_on_disk_as_soon_as_they_are_appended(folder: CellFolder) -> None:
    with folder.claimed():
        folder.begin([])
        folder.append(ROW)
        assert (folder.path / "images.csv").read_text() == IMAGE_HEADER + ROW.line(ONE.cell)
        assert folder.rows() == [ROW]


def test_beginning_again_drops_the_record_and_a_cut_line(folder: CellFolder) -> None:
    with folder.claimed():
        folder.begin([ROW])
        folder.finish(ONE, ["a.png"])
        assert folder.complete
        with (folder.path / "images.csv").open("a") as file:
            file.write("b.png,ok,31.")
        assert not folder.complete
        folder.begin(folder.rows())
    assert not folder.complete
    assert (folder.path / "images.csv").read_text() == IMAGE_HEADER + ROW.line(ONE.cell)


def test_a_damaged_table_counts_as_empty_and_is_said_so(folder: CellFolder, caplog: pytest.LogCaptureFixture) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "images.csv").write_text("something else\n")
    assert folder.rows() == []
    assert "unknown columns" in caplog.text


def test_a_damaged_record_is_no_record(folder: CellFolder, caplog: pytest.LogCaptureFixture) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "record.json").write_text('{"schema_version": 1')
    assert not folder.complete
    assert "computed again" in caplog.text


def test_finishing_puts_rows_in_the_order_of_the_data_set(folder: CellFolder) -> None:
    other = ImageRow(image="b.png", status="ok", psnr=1.0, ssim=0.1, input_psnr=1.0, input_ssim=0.1)
    with folder.claimed():
        folder.begin([other])
        folder.append(ROW)
        folder.finish(record(), ["a.png", "b.png"])
    assert [row.image for row in folder.rows()] == ["a.png", "b.png"]


def test_only_a_complete_cell_of_another_suite_is_a_twin(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.cell("5d", "identity", ONE.cell)
    with folder.claimed():
        folder.begin([ROW])
        folder.finish(dataclasses.replace(ONE, suite="5d", expected=3), ["a.png"])
        assert store.twin("3d", "identity", ONE.cell) is None
        folder.finish(dataclasses.replace(ONE, suite="5d"), ["a.png"])
    assert store.twin("5d", "identity", ONE.cell) is None
    twin = store.twin("3d", "identity", ONE.cell)
    assert twin is not None
    assert twin.path == folder.path


def test_a_results_folder_that_cannot_be_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="results=DIR"):
        Store(tmp_path / "file" / "results").prepare()
