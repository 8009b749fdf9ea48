"""An index spares reading and never stands against the files: what changed is read, and so is what might have."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from restorebench.benchmarks.store import index as module
from restorebench.benchmarks.store.index import INDEX, Index

from ...reports.stores import change_rows, write_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "store", suites=("3d",), images=3, previews=False)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled a moment after they were written, which this waits for."""
    monkeypatch.setattr(module, "SETTLED_NS", 0)


def remembered(store: Path, code: str = "this") -> Index:
    """An index of the store that has just been written, read back."""
    time.sleep(0.02)
    first = Index(store, code=code)
    first.find()
    first.save()
    return Index(store, code=code)


def cells(store: Path) -> list[Path]:
    return sorted(path.parent for path in store.glob("*/*/*/record.json"))


def change_in_place(path: Path, old: bytes, new: bytes) -> None:
    """Other bytes of the same number under the same inode and time of modification."""
    status = path.stat()
    with path.open("r+b") as file:
        data = file.read()
        file.seek(data.index(old))
        file.write(new)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size


@pytest.mark.usefixtures("settled")
def test_what_did_not_change_is_not_read_again(store: Path) -> None:
    whole = Index(store).find()
    assert (whole.read, len(whole.facts), whole.unchanged) == (25, 25, False)
    again = remembered(store).find()
    assert (again.read, again.unchanged) == (0, True)
    assert again.facts == whole.facts


@pytest.mark.usefixtures("settled")
def test_a_cell_that_was_written_anew_is_read_and_only_that(store: Path) -> None:
    index = remembered(store)
    time.sleep(0.02)
    folder = cells(store)[3]
    change_rows(folder, lambda row: row)
    time.sleep(0.02)
    found = index.find()
    assert (found.read, found.unchanged, len(found.facts)) == (1, False, 25)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    ("name", "old", "new"), [("images.csv", b"ok,", b"ok;"), ("record.json", b'"means"', b'"meant"')]
)
def test_a_byte_changed_in_place_under_the_old_time_is_told(store: Path, name: str, old: bytes, new: bytes) -> None:
    index = remembered(store)
    time.sleep(0.02)
    changed = cells(store)[3] / name
    change_in_place(changed, old, new)
    found = index.find()
    assert (found.read, len(found.facts)) == (1, 24)
    assert str(changed) in found.problems[0]
    index.save()
    assert str(changed) in Index(store, code="this").find().problems[0]  # what does not add up is not remembered


def test_a_file_written_just_now_is_read_again(store: Path) -> None:
    """A later change could bear the same time."""
    assert remembered(store).find().read == 25


@pytest.mark.usefixtures("settled")
def test_a_copy_of_a_store_does_not_believe_the_index_that_came_with_it(store: Path, tmp_path: Path) -> None:
    remembered(store)
    copy = Path(shutil.copytree(store, tmp_path / "copy"))  # with all times of modification
    assert (copy / INDEX).is_file()
    assert Index(copy, code="this").find().read == 25


@pytest.mark.usefixtures("settled")
def test_files_that_changed_places_are_told(store: Path) -> None:
    index = remembered(store)
    first, second = cells(store)[0], cells(store)[1]
    for name in ("record.json", "images.csv"):
        (first / name).rename(first / "kept")
        (second / name).rename(first / name)
        (first / "kept").rename(second / name)
    found = index.find()
    assert len(found.facts) == 23
    assert len(found.problems) == 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def other_digit(path: Path) -> None:
    data = path.read_bytes()
    place = data.rindex(b"1")
    path.write_bytes(data[:place] + b"2" + data[place + 1 :])


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def of_tomorrow(path: Path) -> None:
    head, _, body = path.read_text().partition("\n")
    path.write_text(json.dumps({**json.loads(head), "saved": time.time_ns() + 10**12}) + "\n" + body)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", [cut, other_digit, deep, pipe, of_tomorrow, Path.unlink])
def test_an_index_in_doubt_is_thrown_away(store: Path, damage: Callable[[Path], None]) -> None:
    index = remembered(store)
    damage(store / INDEX)
    found = index.find()
    assert (found.read, len(found.facts), found.problems) == (25, 25, [])


@pytest.mark.usefixtures("settled")
def test_an_index_of_other_code_is_thrown_away(store: Path) -> None:
    remembered(store, code="earlier")
    assert Index(store, code="later").find().read == 25


@pytest.mark.usefixtures("settled")
def test_a_store_that_is_only_read_stays_as_it_is(store: Path) -> None:
    before = sorted(store.rglob("*"))
    index = Index(store, writes=False)
    index.find()
    index.save()
    assert sorted(store.rglob("*")) == before


@pytest.mark.usefixtures("settled")
def test_a_cell_taken_away_is_gone_and_that_is_a_change(store: Path) -> None:
    index = remembered(store)
    shutil.rmtree(cells(store)[0])
    found = index.find()
    assert (found.read, len(found.facts), found.unchanged) == (0, 24, False)


@pytest.mark.usefixtures("settled")
def test_what_reports_cannot_show_is_left_out_each_time_and_said(store: Path) -> None:
    def vet(record: object) -> str:
        return "odd" if record.model == "rbair" else ""  # type: ignore[attr-defined]

    first = Index(store, vet=vet)
    time.sleep(0.02)
    first.find()
    first.save()
    found = Index(store, vet=vet).find()
    assert (found.read, len(found.facts), found.unchanged) == (0, 20, False)
    assert all(line.endswith(": odd") for line in found.problems)
    assert len(found.problems) == 5
