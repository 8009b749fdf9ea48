"""Claims: the lock decides on one host, the heartbeat between hosts, and what is no claim is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from restorebench.benchmarks.store.claims import (
    SILENCE_SECONDS,
    Claim,
    claim_path,
    is_alive,
    lock_path,
    read_claims,
    write_claim,
)

CELL = "0123456789abcdef"

HOLD = """
import sys, time
from pathlib import Path
from filelock import FileLock
from restorebench.benchmarks.store.claims import Claim, claim_path, lock_path, write_claim
cell = Path(sys.argv[1])
lock = FileLock(lock_path(cell, 1))
lock.acquire()
write_claim(Claim(cell=cell.name, shard=1, shards=3, total=7), claim_path(cell, 1))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    folder = tmp_path / "3d" / "identity" / CELL
    (folder / "shards").mkdir(parents=True)
    return folder


def claimed(cell: Path, **values: object) -> Claim:
    """A claim as it is read back from the store."""
    claim = Claim(cell=CELL, shard=1, shards=3, total=7, **values)  # type: ignore[arg-type]
    write_claim(claim, claim_path(cell, 1))
    os.utime(claim_path(cell, 1), (datetime.fromisoformat(claim.heartbeat).timestamp(),) * 2)
    (read,) = read_claims(cell.parents[2])
    return read


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def test_a_claim_is_read_as_it_was_written(cell: Path) -> None:
    written = Claim(suite="3d", model="identity", task="denoise", cell=CELL, shard=1, shards=3, total=7, device="cpu")
    write_claim(written, claim_path(cell, 1))
    assert read_claims(cell.parents[2]) == [replace(written, path=claim_path(cell, 1))]


def test_a_worker_lives_until_it_is_killed_whatever_its_claim_says(cell: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(cell)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    (claim,) = read_claims(cell.parents[2])
    assert claim.pid == process.pid
    assert is_alive(claim)
    assert is_alive(replace(claim, heartbeat=ago(10 * SILENCE_SECONDS)))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not is_alive(claim)


def test_looking_at_a_lock_takes_it_from_nobody(cell: Path) -> None:
    claim = claimed(cell)
    lock_path(cell, 1).touch()
    assert not is_alive(claim)
    with FileLock(lock_path(cell, 1), timeout=0):
        assert is_alive(claim)
        assert is_alive(claim)


def test_of_another_host_the_heartbeat_decides(cell: Path) -> None:
    assert is_alive(claimed(cell, host="elsewhere", heartbeat=ago(SILENCE_SECONDS / 2)))
    assert not is_alive(claimed(cell, host="elsewhere", heartbeat=ago(SILENCE_SECONDS + 5)))
    # The lock of a dead host may stay on its file server; one of this host says nothing of the other.
    with FileLock(lock_path(cell, 1), timeout=0):
        assert not is_alive(claimed(cell, host="elsewhere", heartbeat=ago(SILENCE_SECONDS + 5)))


@pytest.mark.parametrize("off", [-3600, 3600])
def test_a_clock_that_is_an_hour_off_makes_no_host_dead_or_alive(cell: Path, off: float) -> None:
    """What another host says of the time is by its clock; when it said so, by that of the file system."""
    written = Claim(cell=CELL, shard=1, shards=3, total=7, host="elsewhere", started=ago(off + 9), heartbeat=ago(off))
    write_claim(written, claim_path(cell, 1))
    (claim,) = read_claims(cell.parents[2])
    assert is_alive(claim)
    assert claim.seconds == pytest.approx(9, abs=0.1)
    silent = time.time() - SILENCE_SECONDS - 5
    os.utime(claim_path(cell, 1), (silent, silent))
    (claim,) = read_claims(cell.parents[2])
    assert not is_alive(claim)


def test_a_finished_shard_has_no_worker(cell: Path) -> None:
    with FileLock(lock_path(cell, 1), timeout=0):
        assert not is_alive(claimed(cell, finished=True))


def test_speed_counts_the_images_of_this_worker_only(cell: Path) -> None:
    started = datetime(2026, 1, 1, tzinfo=UTC)
    later = (started + timedelta(seconds=20)).isoformat()
    claim = claimed(cell, started=started.isoformat(), heartbeat=later, done=14, kept=4)
    assert claim.images_per_second == pytest.approx(0.5)
    assert replace(claim, done=4).images_per_second is None


@pytest.mark.parametrize(
    "change",
    [{"pid": "1"}, {"heartbeat": "soon"}, {"started": "2026-01-01T00:00:00"}, {"extra": 1}, {"host": None}],
    ids=["pid no number", "no time", "no zone", "unknown field", "no host"],
)
def test_what_is_no_claim_is_passed_over(cell: Path, change: dict[str, object]) -> None:
    claim = claimed(cell)
    assert claim.path is not None
    values = json.loads(claim.path.read_text())
    claim.path.write_text(json.dumps({**values, **change}))
    assert read_claims(cell.parents[2]) == []


def test_links_pipes_and_cut_files_are_no_claims(cell: Path) -> None:
    path = claim_path(cell, 0)
    path.symlink_to("/dev/zero")
    os.mkfifo(claim_path(cell, 2))
    claim_path(cell, 3).write_text('{"host": ')
    assert read_claims(cell.parents[2]) == []
