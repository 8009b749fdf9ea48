"""Reading what lies in a results folder, whoever put it there: ordinary files of bounded size, and no links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ...atomic import naming, part_name
from .rows import RecordError

RECORD = "record.json"
IMAGES = "images.csv"
TABLE_SUFFIX = ".csv"
LARGEST_RECORD = 16 * 2**20
LARGEST_TABLE = 256 * 2**20
"""Bytes beyond which a file is no record, or no table of images, and is not read."""

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_regular(path: Path, limit: int) -> bytes:
    """The content of an ordinary file.

    Anything else is refused before it is opened: a pipe would wait for ever, a link can lead anywhere.

    Raises:
        FileNotFoundError: there is nothing.
        RecordError: it is no file, larger than `limit` bytes, or cannot be read.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise RecordError(f"{_KINDS.get(stat.S_IFMT(status.st_mode), 'something else')}, not a file")
        if status.st_size > limit:
            raise RecordError(f"{status.st_size} bytes, more than the {limit} that are read")
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags)
        try:  # room for what is there, not for the limit, which takes its time
            data = os.read(descriptor, min(status.st_size, limit) + 1)
            if len(data) != status.st_size:  # in parts, or it grows
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    data += file.read(max(0, limit + 1 - len(data)))
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror or error}") from error
    if len(data) > limit:
        raise RecordError(f"more than the {limit} bytes that are read")
    return data


def write_unsynced(path: Path, text: str) -> None:
    """Write a text whole, without waiting for the disk: for what means nothing after the machine has lost its power."""
    part = path.with_name(part_name())
    try:
        with naming(path):
            with part.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def cell_folders(results: Path) -> tuple[list[Path], list[str]]:
    """Folders ``<suite>/<model>/<cell>`` of a results folder, in a stable order, and a line for each passed over.

    Links are not followed, wherever they lead: a cell is in the folder itself, once.
    """
    folders: list[Path] = [results]
    problems: list[str] = []
    for _ in range(3):
        below: list[Path] = []
        for folder in folders:
            found = list(_entries(folder, problems))
            below += found
        folders = below
    return sorted(folders), problems


def _entries(folder: Path, problems: list[str]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield folder / entry.name
                elif entry.is_symlink() and (folder / entry.name).is_dir():
                    problems.append(f"{folder / entry.name}: a link to a folder, not followed")
    except FileNotFoundError:  # collected just now
        return
    except OSError as error:
        problems.append(f"{folder}: cannot be read: {error.strerror or error}")


def listed(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of the names; nothing where it is gone, or is no folder.

    Another process may take a folder away between a look at it and its listing: a division that ends, a cell that is
    collected.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_there(path: Path) -> bool:
    """Whether something has this name, be it a link to nothing."""
    return os.path.lexists(path)
