"""``bench status``: every planned or stored cell in its state, with who computes it, as text and as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from restorebench.benchmarks.commands.stores.status import as_data, as_text, duration, look
from restorebench.benchmarks.store.claims import SHARDS, SILENCE_SECONDS, Claim, claim_path, lock_path, write_claim
from restorebench.benchmarks.store.index import Index

from ....reports.stores import fail_image, write_store
from ...command_line import bench_path
from ...conftest import Bench
from .test_gc import plan_of


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two restorers on five tasks, planned; of KBNet one cell is missing and one has a failed image."""
    root = write_store(
        tmp_path / "results", suites=("3d",), gains={"rbair": 6.0, "kbnet": 4.0}, images=4, previews=False
    )
    plan_of(sorted(root.glob("3d/*/*"))).write(root)
    first, second = sorted(root.glob("3d/kbnet/*"))[:2]
    shutil.rmtree(first)
    fail_image(second, "image-01.png", "NaN")
    return root


def absent(store: Path) -> Path:
    """The folder of the cell that is missing, as a worker makes it."""
    plan = json.loads(next((store / "plans").iterdir()).read_text())
    places = [(cell["suite"], cell["model"], cell["cell"]) for cell in plan["jobs"][0]["cells"]]
    (folder,) = [path for place in places if not (path := store.joinpath(*place)).exists()]
    (folder / SHARDS).mkdir(parents=True)
    return folder


def claim(folder: Path, shard: int, **values: Any) -> Claim:
    """Write what a worker says that has computed 6 of 10 images, 2 of which were there, in 8 seconds."""
    now = datetime.now(UTC)
    started, heartbeat = now - timedelta(seconds=8), now
    made = Claim(
        suite="3d",
        model="kbnet",
        task="dehaze@embedded-256",
        cell=folder.name,
        shard=shard,
        shards=2,
        total=10,
        done=6,
        kept=2,
        device="cuda:1",
        started=started.isoformat(),
        heartbeat=heartbeat.isoformat(),
    )
    made = replace(made, **values)
    write_claim(made, claim_path(folder, shard))
    os.utime(claim_path(folder, shard), (datetime.fromisoformat(made.heartbeat).timestamp(),) * 2)
    return made


def looked(bench_here: Bench, store: Path) -> dict[str, Any]:
    done = bench_here("status", "--json", cwd=store.parent)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_done_failed_and_missing_by_restorer_and_suite(store: Path, bench_here: Bench) -> None:
    state = looked(bench_here, store)
    counts = {
        row["restorer"]: (row["done"], row["failed"], row["missing"], row["running"]) for row in state["restorers"]
    }
    assert counts == {"RBaIR (tiny)": (5, 0, 0, 0), "KBNet (tiny)": (3, 1, 0, 0), "some": (0, 0, 1, 0)}
    cells = {cell["state"]: cell for cell in state["cells"]}
    assert cells["failed"]["reason"] == "1 of 4 images failed, first image-01.png: NaN"
    assert (cells["missing"]["images"], cells["missing"]["expected"]) == (0, 4)
    text = bench_here("status", cwd=store.parent).stdout
    assert "failed: 3d, KBNet (tiny), " in text
    assert "missing: 3d, some, " in text


def test_who_computes_a_cell_since_when_how_fast_and_how_long_still(store: Path, bench_here: Bench) -> None:
    folder = absent(store)
    made = claim(folder, 0)
    elsewhere = claim(folder, 1, host="node-7", pid=12, done=8, kept=0)
    with FileLock(lock_path(folder, 0)):
        (cell,) = [cell for cell in looked(bench_here, store)["cells"] if cell["state"] == "running"]
        text = bench_here("status", cwd=store.parent).stdout
    assert {(each["host"], each["pid"], each["device"]) for each in cell["workers"]} == {
        (socket.gethostname(), made.pid, "cuda:1"),
        ("node-7", 12, "cuda:1"),
    }
    assert {each["since"] for each in cell["workers"]} == {made.started, elsewhere.started}
    assert cell["images"] == 14
    assert cell["images_per_second"] == pytest.approx(4 / 8 + 8 / 8, rel=1e-3)
    assert cell["seconds_left"] == pytest.approx(6 / 1.5, rel=1e-3)
    (line,) = [line for line in text.splitlines() if line.startswith("running: ")]
    assert "1.5 images/s, 4 s left" in line
    assert "process 12 on node-7 (cuda:1) since" in line


def test_a_worker_that_is_gone_computes_nothing(store: Path, bench_here: Bench) -> None:
    folder = absent(store)
    claim(folder, 0)  # of this host, and nobody holds its lock
    silent = datetime.now(UTC) - timedelta(seconds=SILENCE_SECONDS + 5)
    claim(folder, 1, host="node-7", heartbeat=silent.isoformat(), done=8)
    state = looked(bench_here, store)
    assert sum(row["running"] for row in state["restorers"]) == 0
    (cell,) = [cell for cell in state["cells"] if cell["state"] == "missing"]
    assert cell["images"] == 14


def test_a_cell_whose_record_is_being_written_is_running(store: Path, bench_here: Bench) -> None:
    folder = absent(store)
    claim(folder, 0, done=10, finished=True)
    claim(folder, 1, done=10, finished=True, host="node-7")
    text = bench_here("status", cwd=store.parent).stdout
    assert "20 of 4 images; its record is being written" in text
    long_ago = (datetime.now(UTC) - timedelta(seconds=SILENCE_SECONDS + 5)).isoformat()
    claim(folder, 1, done=10, finished=True, host="node-7", heartbeat=long_ago)
    assert "running: " not in bench_here("status", cwd=store.parent).stdout


def test_a_damaged_cell_is_missing_and_named(store: Path, bench_here: Bench) -> None:
    folder = next(store.glob("3d/rbair/*"))
    (folder / "images.csv").write_bytes((folder / "images.csv").read_bytes()[:-3])
    state = looked(bench_here, store)
    assert folder.name in state["problems"][0]
    assert folder.name in {cell["cell"] for cell in state["cells"] if cell["state"] == "missing"}


def test_nothing_is_written(store: Path, bench_here: Bench) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    looked(bench_here, store)
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_an_empty_store_and_none(tmp_path: Path, bench_here: Bench) -> None:
    (tmp_path / "results").mkdir()
    assert "no cells, and no plan of a sweep" in bench_here("status", cwd=tmp_path).stdout
    done = bench_here("status", "--results", "elsewhere", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("bench: there is no results folder elsewhere")
    assert bench_here("status", "--watch", "0", cwd=tmp_path).returncode == 2


def test_the_input_is_called_so_once(stored: Path, bench_here: Bench) -> None:
    state = json.loads(bench_here("status", "--results", str(stored), "--json", cwd=stored.parent).stdout)
    assert [row["restorer"] for row in state["restorers"]] == ["Input"]


def test_cells_claims_and_plans_may_come_and_go_while_it_looks(store: Path) -> None:
    """As runs, `bench gc` and `bench merge` beside it do: whatever is there in that instant is said."""
    spare, over = store.parent / "spare", threading.Event()
    shutil.copytree(store, spare)
    places = [path.relative_to(store) for path in store.glob("3d/*/*")]

    def come_and_go() -> None:
        moments = random.Random(0)
        while not over.is_set():
            folder = store / moments.choice(places)
            with contextlib.suppress(OSError):
                shutil.rmtree(moments.choice([folder, folder / SHARDS, store / "plans", folder, store]))
            with contextlib.suppress(OSError):
                shutil.copytree(spare, store, dirs_exist_ok=True)
                (folder / SHARDS).mkdir()
                claim(folder, 0, host=moments.choice(["node-7", socket.gethostname()]))

    index = Index(store, writes=False)
    seen: set[tuple[int, int]] = set()
    interval = sys.getswitchinterval()
    thread = threading.Thread(target=come_and_go)
    thread.start()
    sys.setswitchinterval(1e-5)
    try:
        deadline = time.monotonic() + 30
        ended = time.monotonic() + 2
        while time.monotonic() < ended or (len(seen) < 4 and time.monotonic() < deadline):
            state = look(index)
            assert as_text(state)
            assert json.dumps(as_data(state))
            seen.add((len(state.cells), sum(cell.state == "running" for cell in state.cells)))
    finally:
        sys.setswitchinterval(interval)
        over.set()
        thread.join()
    assert len(seen) >= 4, seen


@pytest.mark.slow
def test_it_watches_until_it_is_interrupted(store: Path) -> None:
    command = [bench_path(), "status", "--watch", "0.2", "--json"]
    with subprocess.Popen(
        command, cwd=store.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        assert sum(row["failed"] for row in first["restorers"]) == 1
        fail_image(next(store.glob("3d/rbair/*")), "image-01.png", "NaN")
        deadline = time.monotonic() + 60
        while sum(row["failed"] for row in json.loads(watching.stdout.readline())["restorers"]) != 2:
            assert time.monotonic() < deadline
        watching.send_signal(2)
        assert watching.wait(60) == 130


def test_a_time_left_is_said_in_its_own_units() -> None:
    assert [duration(seconds) for seconds in (4.2, 90, 3600 * 3.34, 3600 * 51)] == [
        "4 s",
        "2 min",
        "3 h 20 min",
        "2 d 3 h",
    ]
