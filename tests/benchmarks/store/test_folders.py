"""The store: locks that die with their holder, tables that are never half written, twins that are shared."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from restorebench.atomic import PART
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.store.claims import read_claims
from restorebench.benchmarks.store.files import cell_folders, listed
from restorebench.benchmarks.store.folders import CellBusyError, CellFolder, Store
from restorebench.benchmarks.store.plans import read_plans
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


def finished(folder: CellFolder) -> CellFolder:
    """A finished cell of one image."""
    with folder.claimed():
        folder.begin([ROW])
        folder.finish(ONE, ["a.png"])
    assert folder.complete
    return folder


def aside(folder: CellFolder) -> dict[str, bytes]:
    """What was set aside, by the name that it had."""
    return {
        path.name.partition(".damaged-")[0]: path.read_bytes()
        for path in folder.path.iterdir()
        if ".damaged-" in path.name
    }


def test_what_adds_up_is_not_set_aside(folder: CellFolder) -> None:
    finished(folder)
    with folder.claimed():
        folder.set_aside_damage()
    assert folder.complete
    assert aside(folder) == {}


@pytest.mark.parametrize("file", ["record.json", "images.csv"])
def test_damage_is_set_aside_under_a_name_that_says_so_and_is_said(
    folder: CellFolder, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    finished(folder)
    path = folder.path / file
    path.write_bytes(path.read_bytes().replace(b"30.0", b"31.0"))
    before = {name: (folder.path / name).read_bytes() for name in ("record.json", "images.csv")}
    caplog.clear()
    with folder.claimed():
        folder.set_aside_damage()
    assert aside(folder) == before
    assert not (folder.path / "record.json").exists()
    assert folder.rows() == ([ROW] if file == "record.json" else [])
    said = [message for message in caplog.messages if "set aside as" in message]
    assert len(said) == 1
    assert str(path) in said[0]


def test_the_rows_of_an_interrupted_cell_that_hold_are_kept(folder: CellFolder) -> None:
    other = dataclasses.replace(ROW, image="b.png", psnr=40.0)
    with folder.claimed():
        folder.begin([ROW, other])
    path = folder.path / "images.csv"
    path.write_text(path.read_text().replace("40.0", "90.0"))
    with folder.claimed():
        folder.set_aside_damage()
    assert folder.rows() == [ROW]
    assert list(aside(folder)) == ["images.csv"]


def test_rows_of_an_interrupted_cell_of_an_earlier_version_are_computed_again(
    folder: CellFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.path.mkdir(parents=True)
    lines = [line.rpartition(",")[0] for line in (IMAGE_HEADER + ROW.line(ONE.cell)).splitlines()]
    (folder.path / "images.csv").write_text("\n".join(lines) + "\n")
    with folder.claimed():
        folder.set_aside_damage()
    assert folder.rows() == []
    assert "rows without checksums" in caplog.text


@pytest.mark.parametrize("name", ["lock", "owner.json", "record.json", "images.csv", "images", "previews"])
def test_nothing_is_written_through_a_link(folder: CellFolder, tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious\n")
    folder.path.mkdir(parents=True)
    (folder.path / name).symlink_to(precious)
    finished(folder)
    assert precious.read_text() == "precious\n"
    assert not (folder.path / name).is_symlink()


@pytest.mark.parametrize("kind", ["file", "link", "pipe"])
def test_what_stands_in_a_cells_place_is_set_aside(folder: CellFolder, tmp_path: Path, kind: str) -> None:
    folder.path.parent.mkdir(parents=True)
    if kind == "file":
        folder.path.write_text("no folder")
    elif kind == "link":
        folder.path.symlink_to(tmp_path)
    else:
        os.mkfifo(folder.path)
    assert not folder.begun
    finished(folder)
    assert len([path for path in folder.path.parent.iterdir() if ".damaged-" in path.name]) == 1


def test_a_suite_or_model_behind_a_link_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "3d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="3d is a link"):
        Store(tmp_path / "results").cell("3d", "identity", ONE.cell)


def test_a_damaged_twin_is_not_taken(tmp_path: Path) -> None:
    store = Store(tmp_path)
    twin = store.cell("5d", "identity", ONE.cell)
    with twin.claimed():
        twin.begin([ROW])
        twin.finish(dataclasses.replace(ONE, suite="5d"), ["a.png"])
    (tmp_path / "file").write_text("among the suites")
    assert store.twin("3d", "identity", ONE.cell) is not None
    (twin.path / "record.json").write_text("[" * 100_000)
    assert store.twin("3d", "identity", ONE.cell) is None


@pytest.mark.parametrize("text", ["[" * 5000, "[]", '{"pid": 1}', "\x00", '"'])
def test_an_odd_owner_file_stops_nobody(folder: CellFolder, text: str) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "owner.json").write_text(text)
    with folder.claimed():
        pass


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from restorebench.atomic import written_whole
with written_whole(Path(sys.argv[1]) / "a.csv") as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_killed_processes_left_half_written_is_removed_by_the_next(tmp_path: Path, folder: CellFolder) -> None:
    places = [tmp_path, folder.path, folder.path / "images", folder.path / "previews"]
    places += [tmp_path / "tables", tmp_path / "previews" / "0123" / "clean"]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        dead = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(place)], check=False)
        assert dead.returncode == -signal.SIGKILL
    alive = tmp_path / f"{PART}foreign-1-x.csv"
    alive.write_text("another machine's, of today")
    assert len(list(tmp_path.rglob(f"{PART}*"))) == len(places) + 1
    Store(tmp_path).prepare()
    with folder.claimed():
        assert list(tmp_path.rglob(f"{PART}*")) == [alive]


def come_and_go(folders: list[Path], ended: threading.Event) -> None:
    """What other workers do to a store: folders with a file each are made and removed again."""
    while not ended.is_set():
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "00-of-02.csv").write_text("")
        for folder in folders:
            shutil.rmtree(folder)


def test_folders_that_others_remove_meanwhile_stop_nobody(tmp_path: Path, folder: CellFolder) -> None:
    folder.path.mkdir(parents=True)
    pairs = tmp_path / "previews" / "0123" / "clean"
    others = [folder.path / "shards", pairs, tmp_path / "plans", tmp_path / "3d" / "rbair" / "fedcba9876543210"]
    ended = threading.Event()
    with ThreadPoolExecutor() as pool:
        coming = pool.submit(come_and_go, others, ended)
        try:
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                Store(tmp_path).prepare()
                assert folder.rows() == []
                assert read_plans(tmp_path) == ([], [])
                assert read_claims(tmp_path) == []
                assert cell_folders(tmp_path)[1] == []
                assert listed(pairs.parent / "degraded") == []
                with folder.claimed():
                    pass
        finally:
            ended.set()
        coming.result()
