"""Names come back exactly, whatever is in them, and the files that bear them have names that every disk takes."""

from __future__ import annotations

import math
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.benchmarks.store.cells import read_cell
from restorebench.benchmarks.store.folders import Store
from restorebench.benchmarks.store.names import (
    escaped,
    file_name,
    is_folder_name,
    is_label,
    preview_name,
    restorer_name,
    shown,
    unescaped,
)
from restorebench.benchmarks.store.records import Record
from restorebench.benchmarks.store.rows import ImageRow, mean_rows, parse_rows, table

from .test_records import record

CELL = "0123456789abcdef"
ALL_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
"""Any code points, control characters and surrogates included."""
CASES = [120, pytest.param(2000, marks=pytest.mark.nightly)]

ODD = [
    "two  spaces.png",
    " leading.png",
    "trailing.png ",
    "tab\there",
    "line\nbreak",
    "carriage\r\nreturn",
    "no\u00a0break space",
    os.fsdecode(b"not-utf-8-\xff\xfe.png"),
    "back\\slash",
    "\\n, not a line break",
    'quo"te, comma',
    "\u2028",
    "",
    "e\u0301 and \u00e9",
]


def row(name: str) -> ImageRow:
    return ImageRow(image=name, status="ok", psnr=30.0, ssim=0.9, input_psnr=20.0, input_ssim=0.5)


@pytest.mark.parametrize("name", ["image-01.png", "ü.png", "a b, c.png", "日本.png", "café (1)'s.png"])
def test_an_ordinary_name_is_written_as_it_is(name: str) -> None:
    assert escaped(name) == name
    assert preview_name(name) == f"{name}.png"


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_has_one_line_and_comes_back(name: str) -> None:
    line = row(name).line(CELL)
    assert line.count("\n") == 1
    assert len(line.splitlines()) == 1
    assert parse_rows(table([row(name)], CELL).encode(), CELL)[0].image == name


@pytest.mark.parametrize("cases", CASES)
def test_any_names_come_back_and_none_is_taken_for_another(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(st.lists(ALL_TEXT, unique=True, max_size=6))
    def check(names: list[str]) -> None:
        assert [each.image for each in parse_rows(table(map(row, names), CELL).encode(), CELL)] == names
        assert [unescaped(escaped(name)) for name in names] == names
        assert len({escaped(name) for name in names}) == len(names)
        assert all(shown(name).isprintable() for name in names)

    check()


@pytest.mark.parametrize("cases", CASES)
def test_any_row_comes_back_with_every_digit(cases: int) -> None:
    score = st.floats(allow_nan=False, allow_infinity=False)
    psnr = st.one_of(score, st.just(math.inf))
    rows = st.builds(
        ImageRow,
        image=ALL_TEXT,
        status=st.just("ok"),
        psnr=psnr,
        ssim=score,
        input_psnr=psnr,
        input_ssim=score,
        how=st.sampled_from(["whole", "tiles of 512", "cpu"]),
    )

    @settings(max_examples=cases, deadline=None)
    @given(rows)
    def check(made: ImageRow) -> None:
        (back,) = parse_rows(table([made], CELL).encode(), CELL)
        assert repr(back) == repr(made)

    check()


@pytest.mark.parametrize("cases", CASES)
def test_any_failure_comes_back_in_the_record(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(ALL_TEXT, ALL_TEXT, st.text(max_size=20))
    def check(name: str, reason: str, command: str) -> None:
        made = record(failures=((name, reason),), command=command)
        assert Record.from_json(made.to_json()) == made

    check()


@pytest.mark.parametrize("cases", CASES)
def test_any_name_gives_a_file_of_one_folder(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(st.text(st.characters(exclude_categories=()), max_size=400))
    def check(name: str) -> None:
        file = file_name(name, ".png")
        assert "/" not in file
        assert file.isprintable()
        assert not file.startswith(".")
        assert file.endswith(".png")
        assert len(file.encode()) <= 255

    check()


@pytest.mark.parametrize("cases", CASES)
def test_no_two_names_have_one_file(cases: int) -> None:
    pieces = st.one_of(st.text("ab/_.- \\\n", max_size=4), st.just("a-" + "0" * 16), ALL_TEXT)

    @settings(max_examples=cases, deadline=None)
    @given(st.lists(pieces, unique=True, max_size=6))
    def check(names: list[str]) -> None:
        # A file's own name is a name too, and has another file.
        for each in (names, list(dict.fromkeys([*names, *(file_name(name, "") for name in names)]))):
            files = [preview_name(name) for name in each]
            assert len(set(files)) == len(each)

    check()


@pytest.mark.parametrize(
    "names", [("a/b", "a_b"), ("a\nb", "a-b"), ("s/1.png", "s_1.png"), ("/a", "_a"), ("", "image")]
)
def test_names_that_look_alike_as_files_have_two(names: tuple[str, str]) -> None:
    assert preview_name(names[0]) != preview_name(names[1])


def test_two_unicode_forms_of_a_name_are_two_files_on_every_disk() -> None:
    files = {preview_name(name) for name in ("caf\u00e9", "cafe\u0301")}
    assert len({unicodedata.normalize("NFC", file) for file in files}) == 2


def test_a_long_name_gets_a_short_one_with_its_hash() -> None:
    first, second = ("n" * 300 + end for end in "ab")
    assert len(preview_name(first)) < 100
    assert preview_name(first) != preview_name(second)
    assert preview_name("n" * 251) == "n" * 251 + ".png"


def test_a_cell_with_odd_names_is_stored_and_read_whole(tmp_path: Path) -> None:
    rows = [row(name) for name in ODD[:-2]] + [ImageRow(image="bad\n one", status="failed", message="a  b\nc")]
    made = record(expected=len(rows), scored=len(rows) - 1, failures=(("bad\n one", "a b c"),), means=mean_rows(rows))
    folder = Store(tmp_path).cell("3d", "identity", made.cell)
    with folder.claimed():
        folder.begin([])
        for each in rows:
            folder.append(each)
        folder.finish(made, [each.image for each in rows])
    stored = read_cell(folder.path)
    assert [each.image for each in stored.rows] == [each.image for each in rows]
    assert stored.record.failures == (("bad\n one", "a b c"),)


@pytest.mark.parametrize("name", ["../../x", "/etc", "a/b", "..", ".hidden", "", "a\nb", "x}\\input{secret", "a" * 300])
def test_what_is_no_name_of_a_folder_is_refused(name: str) -> None:
    assert not is_folder_name(name)
    assert not is_label(name)


def test_a_restorer_whose_title_is_its_variant_is_named_once() -> None:
    assert restorer_name("Input", "input") == "Input"
    assert restorer_name("RBaIR", "tiny") == "RBaIR (tiny)"
