"""A results folder is evidence: whatever was done to a stored cell, it is never shown with other numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.benchmarks.store.cells import CheckedCell, read_cell, read_cells
from restorebench.benchmarks.store.files import LARGEST_RECORD
from restorebench.benchmarks.store.records import canonical
from restorebench.benchmarks.store.rows import RecordError, read_table
from restorebench.reports.report import write_report

from ...reports.stores import cells_of

RECORD, IMAGES = "record.json", "images.csv"


def numbers(results: Path) -> dict[str, Any]:
    """What a report would show of every cell."""
    cells, _ = read_cells(results)
    return {str(cell.folder.relative_to(results)): (cell.record.means, repr(cell.rows)) for cell in cells}


def edited(path: Path, *, sealed: bool = True, **changes: Any) -> None:
    """Change fields of a record as an editor would; sealed: with a checksum that fits, as a program would."""
    values = {**json.loads(path.read_text()), **changes}
    if sealed:
        values.pop("checksum")
        values["checksum"] = hashlib.sha256(canonical(values)).hexdigest()
    path.write_text(json.dumps(values))


def left_out(results: Path, *, but: int = 2) -> str:
    """The only problem of a results folder, with the others of its cells there."""
    cells, problems = read_cells(results)
    assert len(cells) == but
    assert len(problems) == 1, problems
    assert "\n" not in problems[0]
    return problems[0]


def test_a_run_leaves_cells_that_add_up(stored: Path) -> None:
    cells, problems = read_cells(stored)
    assert problems == []
    assert len(cells) == 3
    assert all(not cell.unchecked and len(cell.rows) == 8 for cell in cells)


@pytest.mark.parametrize("file", [RECORD, IMAGES])
@pytest.mark.parametrize("cases", [250, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_no_changed_byte_shows_other_numbers(results: Path, file: str, cases: int) -> None:
    folder = cells_of(results)[0]
    before = numbers(results)
    original = (folder / file).read_bytes()
    places = range(len(original))
    if len(original) > cases:
        places = sorted(random.Random(14).sample(places, cases))  # type: ignore[assignment]
    for place in places:
        damaged = bytearray(original)
        damaged[place] ^= 1 << (place % 8)
        (folder / file).write_bytes(damaged)
        assert_as_before(folder, before)


@pytest.mark.parametrize("file", [RECORD, IMAGES])
def test_no_cut_shows_other_numbers(results: Path, file: str) -> None:
    folder = cells_of(results)[0]
    before = numbers(results)
    original = (folder / file).read_bytes()
    for length in range(0, len(original), 7):
        (folder / file).write_bytes(original[:length])
        assert_as_before(folder, before, complete=length == len(original) - 1 and file == RECORD)


def assert_as_before(folder: Path, before: dict[str, Any], *, complete: bool = True) -> None:
    """The cell is left out, or is shown with the numbers that it had."""
    try:
        cell = read_cell(folder)
    except RecordError:
        return
    assert complete
    assert (cell.record.means, repr(cell.rows)) == before["/".join(folder.parts[-3:])]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text + text, id="doubled"),
        pytest.param(lambda text: text + "".join(text.splitlines(True)[1:]), id="rows doubled"),
        pytest.param(lambda text: text + text.splitlines(True)[-1], id="last row twice"),
        pytest.param(lambda text: "".join(text.splitlines(True)[:-1]), id="last row gone"),
        pytest.param(lambda text: text.splitlines(True)[0], id="all rows gone"),
        pytest.param(lambda text: "", id="empty"),
        pytest.param(lambda text: text.replace("ok", "fine", 1), id="unknown status"),
        pytest.param(lambda text: "".join(reversed(text.splitlines(True))), id="turned round"),
    ],
)
def test_a_damaged_table_costs_its_cell_alone(results: Path, damage: Callable[[str], str]) -> None:
    path = cells_of(results)[1] / IMAGES
    path.write_text(damage(path.read_text()))
    assert str(path) in left_out(results)


def test_a_deleted_table_is_named(results: Path) -> None:
    path = cells_of(results)[1] / IMAGES
    path.unlink()
    assert "is gone" in left_out(results)


@pytest.mark.parametrize("file", [RECORD, IMAGES])
def test_files_swapped_between_cells_are_told(results: Path, file: str) -> None:
    one, other, _ = cells_of(results)
    a, b = (one / file).read_bytes(), (other / file).read_bytes()
    (one / file).write_bytes(b)
    (other / file).write_bytes(a)
    cells, problems = read_cells(results)
    assert [cell.folder for cell in cells] == [cells_of(results)[2]]
    assert len(problems) == 2


def test_a_cell_copied_under_another_id_model_or_suite_is_left_out(results: Path) -> None:
    before = numbers(results)
    folder = cells_of(results)[0]
    copies = [
        folder.with_name("f" * 16),
        results / "denoise" / "rbair" / folder.name,
        results / "5d" / "identity" / "x",
    ]
    for copy in copies:
        shutil.copytree(folder, copy)
    problems = read_cells(results)[1]
    assert len(problems) == 3
    assert {str(copy) for copy in copies} == {str(Path(problem.split(": ")[0]).parent) for problem in problems}
    assert numbers(results) == before


def test_an_altered_copy_with_a_later_date_never_replaces_the_row(results: Path) -> None:
    folder = cells_of(results)[0]
    copy = folder.with_name("0" * 16)
    shutil.copytree(folder, copy)
    means = {**json.loads((copy / RECORD).read_text())["means"], "psnr": 99.0}
    edited(copy / RECORD, cell="0" * 16, finished="2999-01-01T00:00:00+00:00", means=means)
    assert "is not the id of its identity" in left_out(results, but=3)


@pytest.mark.parametrize("version", [2, 3])
def test_a_record_of_an_earlier_version_is_checked_as_far_as_it_can_be(results: Path, version: int) -> None:
    folder = cells_of(results)[0]
    as_version(folder, version)
    cell = read_cell(folder)
    assert cell.unchecked == f"no checksum (schema {version})"
    lines = (folder / IMAGES).read_text().splitlines(True)
    (folder / IMAGES).write_text("".join([*lines[:3], re.sub(r"ok,\d", "ok,7", lines[3]), *lines[4:]]))
    assert "mean psnr of the rows is" in left_out(results)
    (folder / IMAGES).write_text("".join(lines[:-1]))
    assert "7 of 7 rows have scores" in left_out(results)


def as_version(folder: Path, version: int) -> None:
    """Write a cell as an earlier version did."""
    values = json.loads((folder / RECORD).read_text())
    gone = ("checksum", "rows_sha256", *(("cost",) if version < 3 else ()))
    kept = {name: value for name, value in values.items() if name not in gone}
    (folder / RECORD).write_text(json.dumps({**kept, "schema_version": version}, indent=2, sort_keys=True) + "\n")
    lines = (folder / IMAGES).read_text().splitlines()
    (folder / IMAGES).write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))


def test_a_record_cannot_shed_its_checksum_by_calling_itself_older(results: Path) -> None:
    edited(cells_of(results)[0] / RECORD, sealed=False, schema_version=3)
    assert "unknown field" in left_out(results)


WRONG: dict[str, dict[str, Any]] = {
    "suite outside": {"suite": "../../x"},
    "absolute suite": {"suite": "/tmp/x"},
    "model outside": {"model": "../x"},
    "another cell's id": {"cell": "0123456789abcdef"},
    "cell outside": {"cell": "../../../x"},
    "title of two lines": {"title": "a\nb"},
    "task is markup": {"task": "x}\\input{secret"},
    "task of a suite is a path": {"suite_tasks": ["denoise-15@../../x"]},
    "variant is a path": {"variant": "a/b"},
    "protocol is a path": {"protocol": "../x@1"},
    "counts": {"scored": 7},
    "negative": {"scored": -1, "expected": -1},
    "more than there are": {"scored": 9},
    "wrong type": {"scored": "8"},
    "truth for a number": {"scored": True},
    "means are none": {"means": None},
    "failures are text": {"failures": "abc"},
    "no time": {"finished": "yesterday"},
    "overrides are a list": {"overrides": []},
    "another failed image": {"failures": [["a.png", "NaN"]]},
    "rows of another hash": {"rows_sha256": "0" * 64},
    "version is text": {"schema_version": "4"},
    "later version": {"schema_version": 99},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_a_record_with_a_wrong_value_costs_its_cell_alone(results: Path, changes: dict[str, Any]) -> None:
    path = cells_of(results)[0] / RECORD
    edited(path, **changes)
    assert str(path.parent) in left_out(results)


@pytest.mark.parametrize("name", ["psnr", "ssim", "input_psnr", "input_ssim"])
@pytest.mark.parametrize("value", ["30.0", "NaN", "Infinity", "1e999", "null", '"30"', "true"])
def test_a_changed_mean_costs_its_cell_alone(results: Path, name: str, value: str) -> None:
    path = cells_of(results)[0] / RECORD
    values = json.loads(path.read_text())
    path.write_text(path.read_text().replace(f'"{name}": {values["means"][name]!r}', f'"{name}": {value}'))
    assert str(path) in left_out(results)
    if value == "30.0":
        edited(path)
        assert "mean" in left_out(results)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "deep": lambda path: path.write_text("[" * 200_000),
    "deep object": lambda path: path.write_text('{"a":' * 200_000),
    "digits": lambda path: path.write_text('{"schema_version": ' + "9" * 5000 + "}"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "list": lambda path: path.write_text("[]"),
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "loop": lambda path: path.symlink_to(path.name),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a file": lambda path: path.symlink_to("/etc/passwd"),
    "socket": lambda path: bound_socket(path),
    "huge": lambda path: os.truncate(path, 2**40) if path.write_bytes(b"{") else None,
}


def bound_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("file", [RECORD, IMAGES])
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_file_of_a_cell_is_named_and_never_opened(
    results: Path, file: str, make: Callable[[Path], object]
) -> None:
    path = cells_of(results)[0] / file
    path.unlink()
    make(path)
    assert str(path) in left_out(results)


def test_an_unreadable_file_is_named(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cells_of(results)[0] / RECORD
    opened = os.open

    def refuse(file: Any, *arguments: Any, **named: Any) -> int:
        if Path(file) == path:
            raise PermissionError(13, "Permission denied")
        return opened(file, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse)
    assert "Permission denied" in left_out(results)


def test_a_large_file_is_not_read(results: Path) -> None:
    path = cells_of(results)[0] / RECORD
    os.truncate(path, LARGEST_RECORD + 1)
    assert "more than" in left_out(results)


def test_linked_folders_are_not_followed(results: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "identity"
    shutil.copytree(cells_of(results)[0], outside / "aaaa")
    (results / "linked").symlink_to(outside.parent)
    (results / "denoise" / "loop").symlink_to(results)
    cells, problems = read_cells(results)
    assert len(cells) == 3
    assert len(problems) == 2
    assert all("a link to a folder" in problem for problem in problems)


def test_a_report_names_what_it_leaves_out_and_writes_nothing_elsewhere(results: Path, tmp_path: Path) -> None:
    edited(cells_of(results)[0] / RECORD, suite="../../x")
    evidence = {path: path.read_bytes() for path in (results / "denoise").rglob("*") if path.is_file()}
    report = write_report(results)
    assert all(path.resolve().is_relative_to(results.resolve()) for path in report.files)
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
    assert {path: path.read_bytes() for path in (results / "denoise").rglob("*") if path.is_file()} == evidence
    assert cells_of(results)[0].name in (results / "report" / "index.html").read_text()


def test_a_damaged_record_with_odd_bytes_in_its_folders_name_has_one_line(results: Path) -> None:
    folder = results / "denoise" / "identity" / os.fsdecode(b"a\nb\xff")
    folder.mkdir()
    (folder / RECORD).write_text("{")
    left_out(results, but=3)


@pytest.mark.parametrize("cases", [60, pytest.param(2000, marks=pytest.mark.nightly)])
def test_whatever_json_is_in_a_record_it_costs_its_cell_alone(stored: Path, cases: int) -> None:
    """Any field of a record is given any value, with a checksum that fits: the cell is left out, or its rows stand."""
    folder = cells_of(stored)[0]
    text = (folder / RECORD).read_text()
    before: CheckedCell = read_cell(folder)
    values = json.loads(text)
    places = [(name,) for name in values] + [
        (name, key) for name, part in values.items() if isinstance(part, dict) for key in part
    ]
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )

    @settings(max_examples=cases, deadline=None)
    @given(st.sampled_from(places), anything)
    def check(place: tuple[str, ...], value: object) -> None:
        changed = json.loads(text)
        part = changed
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = value
        changed.pop("checksum", None)
        changed["checksum"] = hashlib.sha256(canonical(changed)).hexdigest()
        (folder / RECORD).write_text(json.dumps(changed))
        try:
            cell = read_cell(folder)
        except RecordError:
            return
        assert (repr(cell.rows), cell.record.means) == (repr(before.rows), before.record.means)
        assert (cell.record.cell, cell.record.identity) == (before.record.cell, before.record.identity)

    try:
        check()
    finally:
        (folder / RECORD).write_text(text)


def test_rows_of_an_interrupted_cell_hold_for_themselves(results: Path) -> None:
    folder = cells_of(results)[0]
    lines = (folder / IMAGES).read_bytes().splitlines(True)
    rows = read_cell(folder).rows
    digit = re.sub(rb"ok,\d", b"ok,7", lines[3])
    assert digit != lines[3]
    foreign = (cells_of(results)[1] / IMAGES).read_bytes().splitlines(True)[4]
    read = read_table(b"".join([*lines[:3], digit, foreign, *lines[5:], lines[-1]]) + b"cut,ok,3", folder.name)
    assert repr(read.rows) == repr((*rows[:2], *rows[4:]))
    assert len(read.problems) == 3
    assert read.cut


def test_two_rows_of_one_image_count_for_none(results: Path) -> None:
    folder = cells_of(results)[0]
    row = read_cell(folder).rows[0]
    other = dataclasses.replace(row, psnr=row.psnr + 1)
    data = (folder / IMAGES).read_bytes() + other.line(folder.name).encode()
    assert row.image not in {each.image for each in read_table(data, folder.name).rows}
