"""Bounds on what a hostile or damaged image file can cost: its size, its pixels, its scans and its tags."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import DataError

MAX_PIXELS = 64_000_000
"""Pixels of the largest image that is read where no key says otherwise.

The largest images of the standard sets have 2 megapixels, cameras with 35 mm sensors have up to 61; decoded, as 8-bit
RGB, such an image takes 192 MB, and Pillow needs about three times as much while it decodes.
"""

PIXELS_VARIABLE = "RESTOREBENCH_MAX_PIXELS"
"""Environment variable with the limit, for commands that have no key ``data.max_pixels``."""

MAX_PICTURES = 16
"""Pictures of a TIFF that are counted; the file is refused from the second one on."""

_OVERHEAD = 2**24  # bytes of metadata beside the pixels
_DEEPEST = 8  # bytes of a pixel of 16 bits with alpha
_PASSES = 16  # times that all pixels of an image of the largest size may be gone through: scans of a progressive JPEG
_TAG_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def label(path: Path) -> str:
    """How messages name a file: its folder and its name."""
    return f"{path.parent.name}/{path.name}"


def pixel_limit(given: float | None = None) -> int:
    """The limit in force: `given`, else what the environment says, else `MAX_PIXELS`.

    Raises:
        DataError: it is no number above 0.
    """
    text: object = given if given is not None else os.environ.get(PIXELS_VARIABLE)
    name = "data.max_pixels" if given is not None else PIXELS_VARIABLE
    if text is None or text == "":
        return MAX_PIXELS
    try:
        value = int(float(str(text)))
    except (ValueError, OverflowError):
        value = 0
    if value < 1:
        raise DataError(f"{name}={text}: give the largest number of pixels of an image that is read, such as 64e6")
    return value


def check_pixels(path: Path, width: int, height: int, limit: int) -> None:
    """Refuse an image of more than `limit` pixels.

    Raises:
        DataError: naming the file, the limit, and what raises it.
    """
    if width * height > limit:
        raise DataError(
            f"{label(path)}: {width}x{height} pixels, more than the {limit / 1e6:g} million that are read:"
            f" data.max_pixels=N or {PIXELS_VARIABLE}=N raises the limit"
        )


def check_scans(path: Path, data: bytes, pixels: int, limit: int) -> None:
    """Refuse a progressive JPEG with so many scans that decoding it would take minutes.

    Raises:
        DataError: naming the file.
    """
    scans = data.count(b"\xff\xda")
    if scans * pixels > _PASSES * limit:
        raise DataError(f"{label(path)}: a JPEG of {scans} scans, more than are read of an image of this size")


def check_tags(path: Path, data: bytes) -> None:
    """Refuse a TIFF whose first directory claims more bytes than the file has: Pillow would copy them for every tag.

    Raises:
        DataError: naming the file.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2], "<")
    large = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    entry, count, width = (f"{order}HHQ", f"{order}Q", 20) if large else (f"{order}HHL", f"{order}H", 12)
    start = struct.unpack_from(f"{order}{'Q' if large else 'L'}", data, 8 if large else 4)[0]
    entries = struct.unpack_from(count, data, start)[0]
    start += struct.calcsize(count)
    claimed = 0
    for index in range(min(entries, (len(data) - start) // width)):
        _, kind, values = struct.unpack_from(entry, data, start + index * width)
        claimed += _TAG_SIZES.get(kind, 0) * values
    if claimed > len(data):
        raise DataError(f"{label(path)}: damaged or cut off: its tags claim {claimed} bytes, the file has {len(data)}")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file, opened for reading; nothing else is ever opened, so no pipe or device can make it wait.

    Raises:
        DataError: it is no regular file, or cannot be opened or read; the message names it.
    """
    try:
        _check_regular(path, path.stat().st_mode)  # before it is opened: opening a device can do something
        # Not blocking, and looked at again: what was a file may have become a pipe in between.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            _check_regular(path, os.fstat(descriptor).st_mode)
            yield file
    except OSError as error:
        raise DataError(f"{label(path)}: cannot be read: {error.strerror or error}") from error


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise DataError(f"{label(path)}: a folder, not a file")
    if not stat.S_ISREG(mode):
        raise DataError(f"{label(path)}: not a regular file")


def read_bytes(path: Path, max_pixels: float | None = None) -> bytes:
    """The content of a regular file that can be an image of at most `max_pixels` (see `pixel_limit`).

    Raises:
        DataError: it cannot be read, is empty or longer than such an image; the message names it.
    """
    limit = pixel_limit(max_pixels)
    most = _DEEPEST * limit + _OVERHEAD
    with opened(path) as file:
        length = os.fstat(file.fileno()).st_size
        data = file.read() if length <= most else b""
    if length > most:
        raise DataError(
            f"{label(path)}: {length / 1e6:.0f} MB, more than an image of {limit / 1e6:g} million pixels takes:"
            f" data.max_pixels=N or {PIXELS_VARIABLE}=N raises the limit"
        )
    if not data:
        raise DataError(f"{label(path)}: zero bytes long")
    return data
