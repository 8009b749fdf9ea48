"""Shards: a cell is divided without gaps, the part of a worker that is gone is free, rows are joined."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.benchmarks.store import shards as shards_module
from restorebench.benchmarks.store.claims import SILENCE_SECONDS, claim_path, lock_path, read_claim
from restorebench.benchmarks.store.folders import CellFolder, Store
from restorebench.benchmarks.store.rows import ImageRow, table
from restorebench.benchmarks.store.shards import HeldShard, ShardLostError, SharedCell, divided, shard_count

CELL = "0123456789abcdef"
NAMES = tuple(f"{number:02d}.png" for number in range(10))


def row(name: str) -> ImageRow:
    return ImageRow(
        image=name, status="ok", psnr=30.0, ssim=0.9, lpips=0.1, input_psnr=20.0 + int(name[:2]), input_ssim=0.5
    )


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    return Store(tmp_path).cell("3d", "identity", CELL)


def shared(folder: CellFolder, wanted: str = "all") -> SharedCell:
    return SharedCell(folder, wanted, NAMES, {"suite": "3d", "model": "identity", "task": "denoise", "device": "cpu"})


def opened(folder: CellFolder, count: int = 3) -> SharedCell:
    """A cell that is divided, of which nothing is computed yet."""
    cell = shared(folder)
    with folder.claimed():
        cell.open([], NAMES, count)
    return cell


def claimed(cell: SharedCell) -> HeldShard | None:
    with cell.folder.claimed():
        division = cell.division()
        assert division is not None
        return cell.claim(division)


def computed(cell: SharedCell, shard: HeldShard, images: int | None = None) -> None:
    """Rows of a shard's images, and the shard given back: finished where all have one."""
    for name in shard.names[:images]:
        shard.append(row(name))
    if images is None:
        with cell.folder.claimed():
            shard.finish()
    shard.release()


def change(cell: SharedCell, shard: int, **values: object) -> None:
    """Another worker's words in a claim."""
    path = claim_path(cell.folder.path, shard)
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    os.utime(path, (datetime.fromisoformat(json.loads(path.read_text())["heartbeat"]).timestamp(),) * 2)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("asked", "missing", "workers", "count"),
    [
        *((None, 8, 1, 1), (None, 31, 1, 1), (None, 68, 1, 4), (None, 1111, 1, 64), (None, 1111, 8, 64)),
        *((None, 8, 2, 2), (None, 8, 16, 2), (None, 3, 16, 1), (None, 0, 1, 1)),
        *((5, 100, 1, 5), (5, 3, 1, 3), (1, 1111, 8, 1)),
    ],
)
def test_small_cells_stay_whole_unless_workers_wait(asked: int | None, missing: int, workers: int, count: int) -> None:
    assert shard_count(asked, missing, workers) == count


@given(st.lists(st.text(), unique=True, min_size=1), st.integers(1, 70))
@settings(max_examples=60, deadline=None)
def test_a_division_has_every_image_once_in_order_and_parts_of_one_size(names: list[str], count: int) -> None:
    parts = divided(names, min(count, len(names)))
    assert [name for part in parts for name in part] == names
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all(parts)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_joined_rows_are_those_of_one_worker_whoever_came_first(folder: CellFolder, order: tuple[int, ...]) -> None:
    cell = opened(folder)
    held = [claimed(cell) for _ in range(3)]
    assert claimed(cell) is None
    for number in order:
        shard = held[number]
        assert shard is not None
        computed(cell, shard)
    with folder.claimed():
        division = cell.division()
        assert division is not None
        assert cell.is_computed(division)
        assert cell.lacks(division) == []
        assert cell.work()[0] == len(NAMES)
        cell.fold()
    assert (folder.path / "images.csv").read_text() == table(map(row, NAMES), CELL)
    assert not (folder.path / "shards").exists()


def test_a_cell_of_one_shard_has_its_rows_in_the_table_at_once(folder: CellFolder) -> None:
    cell = opened(folder, 1)
    shard = claimed(cell)
    assert shard is not None
    computed(cell, shard, 4)
    assert (folder.path / "images.csv").read_text() == table(map(row, NAMES[:4]), CELL)


def test_the_shard_of_a_worker_that_is_gone_goes_on_where_it_stopped(folder: CellFolder) -> None:
    cell = opened(folder)
    first = claimed(cell)
    assert first is not None
    computed(cell, first, 2)
    with first.path.open("a") as file:
        file.write("02.png,ok,31.")  # killed inside a line
    again = claimed(cell)
    assert again is not None
    assert again.names == first.names[2:]
    computed(cell, again)
    claim = read_claim(claim_path(folder.path, 0))
    assert claim is not None
    assert (claim.done, claim.kept, claim.finished) == (3, 2, True)
    assert first.path.read_text() == table(map(row, first.names), CELL)


def test_a_shard_of_another_host_is_its_own_until_its_heartbeat_is_silent(folder: CellFolder) -> None:
    cell = opened(folder, 1)
    shard = claimed(cell)
    assert shard is not None
    computed(cell, shard, 2)
    change(cell, 0, host="elsewhere", heartbeat=ago(SILENCE_SECONDS / 2))
    assert claimed(cell) is None
    assert [claim.host for claim in cell.workers()] == ["elsewhere"]
    change(cell, 0, heartbeat=ago(SILENCE_SECONDS + 5))
    assert cell.workers() == []
    again = claimed(cell)
    assert again is not None
    assert again.names == NAMES[2:]
    again.release()


@pytest.mark.parametrize("off", [-3600, 3600])
def test_clocks_that_disagree_take_no_shard_from_anybody(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    """This host's clock is an hour off that of the file system and of the host that has the shard."""
    cell = opened(folder, 1)
    shard = claimed(cell)
    assert shard is not None
    shard.release()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + off)
    change(cell, 0, host="elsewhere", heartbeat=ago(SILENCE_SECONDS / 2))
    assert claimed(cell) is None
    change(cell, 0, heartbeat=ago(SILENCE_SECONDS + 5))
    again = claimed(cell)
    assert again is not None
    again.release()


def test_the_lock_of_a_dead_host_holds_nobody_up(folder: CellFolder) -> None:
    cell = opened(folder, 1)
    shard = claimed(cell)
    assert shard is not None
    shard.release()
    with FileLock(lock_path(folder.path, 0), timeout=0):  # as its file server keeps it
        change(cell, 0, host="elsewhere", heartbeat=ago(SILENCE_SECONDS + 5))
        again = claimed(cell)
        assert again is not None
        assert claimed(cell) is None
        again.release()


def test_a_worker_that_was_believed_gone_writes_nothing_into_its_successors_rows(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards_module, "BEAT_SECONDS", 0.0)
    cell = opened(folder, 1)
    sleeper = claimed(cell)
    assert sleeper is not None
    sleeper.append(row(NAMES[0]))
    change(cell, 0, host="elsewhere", heartbeat=ago(SILENCE_SECONDS + 5))
    successor = claimed(cell)
    assert successor is not None
    sleeper.append(dataclasses.replace(row(NAMES[1]), psnr=99.0))  # it wakes, and learns of it
    assert sleeper.lost
    with pytest.raises(ShardLostError, match="another worker"):
        sleeper.append(row(NAMES[2]))
    sleeper.finish()
    sleeper.release()
    computed(cell, successor)
    assert folder.rows() == [row(name) for name in NAMES]


def test_a_row_that_was_damaged_is_lacking_and_the_others_are_kept(folder: CellFolder) -> None:
    cell = opened(folder)
    for _ in range(3):
        shard = claimed(cell)
        assert shard is not None
        computed(cell, shard)
    path = folder.path / "shards" / "1.csv"
    path.write_text(path.read_text().replace("24.0", "25.0"))
    with folder.claimed():
        division = cell.division()
        assert division is not None
        assert cell.lacks(division) == ["04.png"]
        cell.fold()
    assert folder.rows() == [row(name) for name in NAMES if name != "04.png"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[" * 5000, '{"wanted": "all", "started": "soon", "shards": [["00.png"]]}'),
        '{"wanted": "all", "started": "2026-01-01T00:00:00+00:00", "shards": [["00.png"], ["00.png"]]}',
    ],
    ids=["empty", "no keys", "deep", "no time", "an image twice"],
)
def test_what_is_no_division_is_none(folder: CellFolder, text: str) -> None:
    cell = opened(folder)
    (folder.path / "shards" / "division.json").write_text(text)
    assert cell.division() is None


def test_a_division_of_other_images_is_not_taken_part_in(folder: CellFolder) -> None:
    cell = opened(folder)
    division = cell.division()
    assert division is not None
    assert cell.fits(division)
    assert not shared(folder, "with saved images").fits(division)
    assert not dataclasses.replace(cell, names=NAMES[:3]).fits(division)


@pytest.mark.parametrize("place", ["shards", "shards/0.csv", "shards/0.lock", "shards/division.json"])
def test_nothing_is_written_through_a_link_among_the_shards(folder: CellFolder, tmp_path: Path, place: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious\n")
    (folder.path / place).parent.mkdir(parents=True)
    (folder.path / place).symlink_to(precious)
    cell = opened(folder)
    shard = claimed(cell)
    assert shard is not None
    computed(cell, shard)
    assert precious.read_text() == "precious\n"
