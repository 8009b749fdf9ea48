"""Files appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from restorebench.atomic import (
    ABANDONED_SECONDS,
    PART,
    part_name,
    remove_parts,
    scratch_folder,
    write_text,
    written_whole,
)


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


@pytest.mark.parametrize("name", ["画" * 80 + ".png", "n" * 100 + "." + "s" * 100, "x" * 255])
def test_a_long_name_of_any_characters_can_be_written(tmp_path: Path, name: str) -> None:
    assert write_text(tmp_path / name, "x").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def name_of(process: int) -> str:
    """A name as another process of this machine gives it."""
    return part_name(".csv").replace(f"-{os.getpid()}-", f"-{process}-")


def test_a_file_of_a_living_process_stays_and_of_a_dead_one_goes(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mine, living = tmp_path / part_name(), tmp_path / name_of(process.pid)
        mine.touch()
        living.touch()
        assert remove_parts(tmp_path, owned=True) == []
        process.kill()
        process.wait()
        assert remove_parts(tmp_path) == [living]
        assert list(tmp_path.iterdir()) == [mine]


def test_a_file_of_an_unknown_writer_goes_when_it_is_old_or_the_folder_is_owned(tmp_path: Path) -> None:
    old, new = tmp_path / f"{PART}0123-old.csv", tmp_path / f"{PART}00000000-1-new.csv"
    for path in (old, new, tmp_path / "a.csv"):
        path.touch()
    os.utime(old, (time.time() - ABANDONED_SECONDS - 60,) * 2)
    assert remove_parts(tmp_path) == [old]
    assert remove_parts(tmp_path, owned=True) == [new]
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert remove_parts(tmp_path / "nowhere") == []


def test_only_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / f"{PART}folder").mkdir()
    (tmp_path / f"{PART}link").symlink_to(tmp_path)
    assert remove_parts(tmp_path, owned=True) == []


def test_the_scratch_folder_of_a_killed_process_is_removed_and_a_living_ones_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    killed = (
        "import os, sys; from pathlib import Path; from restorebench.atomic import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'below').mkdir(); (folder / 'below' / 'a.png').write_bytes(b'x')\n"
        "    (folder / 'link').symlink_to('../outside'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
    (left,) = [path for path in tmp_path.iterdir() if path.name.startswith(PART)]
    with scratch_folder(tmp_path) as living:
        assert remove_parts(tmp_path) == [left]
        assert living.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "mine.txt").read_text() == "mine"


def test_a_copy_that_fails_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    source = write_text(tmp_path / "source.js", "x")

    def full(part: Path) -> None:
        raise OSError(28, "No space left on device", str(source), None, str(part))  # as `shutil.copyfile` does

    with pytest.raises(OSError, match=r"a\.js") as error, written_whole(tmp_path / "a.js") as part:
        full(part)
    assert error.value.filename == str(tmp_path / "a.js")
    assert error.value.filename2 is None
