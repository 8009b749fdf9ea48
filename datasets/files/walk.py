"""What a folder holds: its images, whatever else lies there, and what is passed over without a word.

A file that is no image is never taken for one: hidden files (``.DS_Store``, ``._x.png``), folders (even one called
``x.png``), the folders that systems and archives leave (``@eaDir``, ``__MACOSX``), lists and notes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .images import FOREIGN_SUFFIXES, FORMATS

SYSTEM_FOLDERS = frozenset(
    ("@eadir", "__macosx", "$recycle.bin", "#recycle", "#snapshot", "system volume information", "lost+found")
)
"""Folders that no person made, in lower case; hidden ones are passed over as well."""

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LONGEST_MAGIC = 10


@dataclass(frozen=True)
class Found:
    """The files of a folder; all names are paths below it, with ``/``, sorted.

    Attributes:
        images: with an image's extension, whatever they hold.
        foreign: with the extension of an image format that is not read.
        others: files that are no images.
        passed_over: sub-folders with images that are not read, as images lie beside them.
    """

    images: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()


def is_hidden(name: str) -> bool:
    """Whether a file or folder is passed over for its name."""
    return name.startswith(".") or name.casefold() in SYSTEM_FOLDERS


def has_suffix(name: str, suffixes: frozenset[str] = frozenset(FORMATS)) -> bool:
    """Whether a name ends as an image's does."""
    return PurePosixPath(name).suffix.lower() in suffixes


def found_in(folder: Path, *, nested: bool = True) -> Found:
    """The files of a folder: its own images, or, where it has none of its own, those of the folders below it.

    Args:
        folder: the folder.
        nested: whether the folders below are looked into.

    Raises:
        DataError: it cannot be listed.
    """
    own, folders = _listed(folder)
    found = _sorted_out(own)
    if not nested or not folders:
        return found
    if found.images or found.foreign:
        below = (name for name in folders if any(map(has_suffix, _below(folder / name, "", set()))))
        return replace(found, passed_over=tuple(f"{name}/" for name in below))
    return _sorted_out(list(files_below(folder)))


def image_names(folder: Path) -> list[str]:
    """Images of a folder and of all folders below it, sorted.

    Raises:
        DataError: it cannot be listed.
    """
    return [name for name in files_below(folder) if has_suffix(name)]


def files_below(folder: Path) -> Iterator[str]:
    """Every file in a folder and below it that is not passed over, sorted; a folder that links to itself is read once.

    Raises:
        DataError: the folder, or one below it, cannot be listed.
    """
    yield from sorted(_below(folder, "", set()))


def _below(folder: Path, prefix: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    status = _status(folder)
    if status in seen:
        return
    files, folders = _listed(folder)
    yield from (prefix + name for name in files)
    for name in folders:
        yield from _below(folder / name, f"{prefix}{name}/", seen | {status})


def _status(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise DataError(f"folder {folder} cannot be listed: {error.strerror or error}") from error
    return status.st_dev, status.st_ino


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, sorted, less what is passed over."""
    try:
        with os.scandir(folder) as entries:
            kinds = {entry.name: entry.is_dir() for entry in entries if not is_hidden(entry.name)}
    except OSError as error:
        raise DataError(f"folder {folder} cannot be listed: {error.strerror or error}") from error
    names = sorted(kinds)
    return [name for name in names if not kinds[name]], [name for name in names if kinds[name]]


def _sorted_out(names: list[str]) -> Found:
    images = tuple(name for name in names if has_suffix(name))
    rest = [name for name in names if not has_suffix(name)]
    foreign = tuple(name for name in rest if has_suffix(name, FOREIGN_SUFFIXES))
    return Found(images, foreign, tuple(name for name in rest if not has_suffix(name, FOREIGN_SUFFIXES)))


def looks_like_image(path: Path) -> bool:
    """Whether a file with another extension begins as PNG, JPEG, BMP or TIFF do; only regular files are opened."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(_LONGEST_MAGIC)
    except OSError:
        return False
    return start.startswith(_MAGIC) or (start.startswith(b"BM") and start[6:] == bytes(4))
