"""``profile.csv`` comes back as it was written, and whatever else lies in its place is one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.store.profiles import COLUMNS, ProfileRow, add_row, read_rows

ROW = replace(ProfileRow(**dict.fromkeys(COLUMNS, "x")), size="16x24", batch="1")


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=20))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("profile") / "profile.csv"
    row = replace(ROW, model=text, note=text)
    add_row(path, row)
    assert read_rows(path) == [row]


def test_no_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "profile.csv") == []


HEADER = ",".join(COLUMNS) + "\n"
LINE = ",".join(getattr(ROW, field.name) for field in fields(ROW)) + "\n"
ODD: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "loop": lambda path: path.symlink_to(path.name),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "empty": lambda path: path.write_bytes(b""),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "too few": lambda path: path.write_text(HEADER + "a,b\n"),
    "too many": lambda path: path.write_text(HEADER + LINE.strip() + ",more\n"),
    "quote": lambda path: path.write_text(HEADER + '"' + LINE),
    "size": lambda path: path.write_text(HEADER + LINE.replace("16x24", "16")),
    "batch": lambda path: path.write_text(HEADER + LINE.replace("16x24,1,", "16x24,one,")),
    "digits": lambda path: path.write_text(HEADER + LINE.replace("16x24", "9" * 5000 + "x1")),
    "huge": lambda path: os.truncate(path, 2**40) if path.write_bytes(b"model") else None,
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_profile_is_one_line_that_names_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.csv"
    ODD[kind](path)
    for action in (lambda: read_rows(path), lambda: add_row(path, ROW)):
        with pytest.raises(UserError, match=r"profile\.csv") as error:
            action()
        assert "\n" not in str(error.value)


def test_a_link_in_the_locks_place_is_not_opened(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years of work")
    (tmp_path / ".profile.csv.lock").symlink_to(thesis)
    with pytest.raises(UserError, match="is a link"):
        add_row(tmp_path / "profile.csv", ROW)
    assert thesis.read_text() == "years of work"
