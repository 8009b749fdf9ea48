"""Files appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.atomic import PART, write_text, written_whole


def test_a_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", "old\n")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError), written_whole(path) as part:
        fail(part)
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", "old\n")
    with written_whole(path) as part:
        part.write_text("new\r\n", newline="")
        assert path.read_text() == "old\n"
        assert part.name.startswith(PART)
        assert part.suffix == ".csv"
    assert path.read_bytes() == b"new\r\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "a.csv"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stem", ["n" * 251, "照" * 83])  # a name may take 255 bytes, and these take three each
def test_the_longest_name_that_a_file_system_takes_can_be_written(stem: str, tmp_path: Path) -> None:
    path = tmp_path / f"{stem}.png"
    with written_whole(path) as part:
        part.write_bytes(b"x")
        assert part.suffix == ".png"
    assert path.read_bytes() == b"x"
