"""Files that are written whole or not at all: beside their place first, then renamed into it in one step."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import socket
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

PART = ".part-"
"""How the name of a file begins that is being written. What a killed process leaves bears it."""
ABANDONED_SECONDS = 24 * 3600
"""Age from which such a file is nobody's, where its writer is not known to be gone."""
LONGEST_SUFFIX = 20


def part_name(suffix: str = "") -> str:
    """A new name for a file that this process is writing; it says which process that is."""
    return f"{PART}{_machine()}-{os.getpid()}-{uuid.uuid4().hex}{suffix}"


@functools.cache
def _machine() -> str:
    """What tells process numbers of this machine, or container, from those of others that share a file system."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # a system without /proc
        space = ""
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An `OSError` of the block that names no file (a write to a full disk does not) names this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; what lies there when the block ends takes the place of `path`, synced.

    A reader sees the old file or the new one, never a part. Where the block fails, the old file stays and nothing is
    left behind. The name ends as `path` does, for writers that go by the suffix.

    Args:
        path: the file; its folder exists.
    """
    part = path.with_name(part_name(path.suffix if len(path.suffix) <= LONGEST_SUFFIX else ""))
    try:
        with naming(path):
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
    except OSError as error:
        # Copying names where it reads first, and the part second.
        if {part, str(part)} & {error.filename, error.filename2}:
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` for files on their way to another one, gone when the block ends.

    Args:
        parent: exists; `remove_parts` finds there what a killed process left.
    """
    scratch = parent / part_name()
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: Path, text: str) -> Path:
    """Write a UTF-8 text file whole, its newlines as they are; its path."""
    with written_whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path


def remove_parts(folder: Path, *, owned: bool = False) -> list[Path]:
    """Remove `abandoned_parts` of a folder, not below it; what was removed."""
    removed = []
    for path in abandoned_parts(folder, owned=owned):
        with contextlib.suppress(OSError):  # another process may have removed it, or may have the right to
            if stat.S_ISDIR(path.lstat().st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(path)
    return removed


def abandoned_parts(folder: Path, *, owned: bool = False) -> list[Path]:
    """What killed processes left half written in a folder, files and folders, not below it.

    What is of a living process of this machine is not among it; one whose writer is on another machine, or unknown, is
    when it is a day old, and a folder of such a writer never.

    Args:
        folder: need not exist.
        owned: nobody else may write into it now, so that only the files of living processes of this machine are not.
    """
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(folder) as entries:
        for path in [folder / entry.name for entry in entries if entry.name.startswith(PART)]:
            with contextlib.suppress(OSError):
                status = path.lstat()
                is_file, is_folder = stat.S_ISREG(status.st_mode), stat.S_ISDIR(status.st_mode)
                if (is_file and _is_abandoned(path.name, status.st_mtime, owned=owned)) or (
                    is_folder and _is_abandoned(path.name, time.time(), owned=False)
                ):
                    found.append(path)
    return found


def _is_abandoned(name: str, modified: float, *, owned: bool) -> bool:
    writer = re.match(rf"{re.escape(PART)}([0-9a-f]{{8}})-([0-9]{{1,9}})-", name)
    if writer and writer[1] == _machine():
        return not _is_alive(int(writer[2]))
    return owned or time.time() - modified > ABANDONED_SECONDS


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
