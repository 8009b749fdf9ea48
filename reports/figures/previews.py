"""Previews as arrays, read within bounds: a stored picture that is none costs itself, neither memory nor time."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ReportError
from ..escape import visible

Levels = NDArray[np.uint8]

MOST_BYTES = 128 * 2**20
"""Of a preview's file: several times what a photograph of `MOST_PIXELS` takes."""
MOST_PIXELS = 64 * 10**6
"""Of a preview: more than cameras have, and less than 200 MB as an array."""


def read_image(path: Path) -> Levels:
    """An 8-bit PNG, (H, W, 3).

    Raises:
        ReportError: it is no regular file, larger than the bounds, or cannot be read.
    """
    return decoded(read_file(path), path)


def read_alike(path: Path, clean: Levels) -> Levels:
    """An image of the size of another.

    Raises:
        ReportError: it cannot be read, or has another size.
    """
    image = read_image(path)
    if image.shape != clean.shape:
        sizes = f"{image.shape[1]}x{image.shape[0]} pixels, the clean image has {clean.shape[1]}x{clean.shape[0]}"
        raise _unreadable(path, sizes)
    return image


def read_file(path: Path) -> bytes:
    """The bytes of a preview.

    Raises:
        ReportError: it is no regular file, too large, or cannot be read.
    """
    try:
        # A pipe would keep us waiting for its other end without O_NONBLOCK.
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise _unreadable(path, "no regular file")
            content = file.read(MOST_BYTES + 1) if facts.st_size <= MOST_BYTES else b""
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if facts.st_size > MOST_BYTES or len(content) > MOST_BYTES:
        raise _unreadable(path, f"larger than {MOST_BYTES // 2**20} MiB")
    return content


def decoded(content: bytes, path: Path) -> Levels:
    """The pixels of a preview's bytes, (H, W, 3).

    Raises:
        ReportError: they are no PNG, or one of more pixels than `MOST_PIXELS`; `path` is named.
    """
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width * image.height <= MOST_PIXELS:
                return np.asarray(image.convert("RGB"))
            size = f"{image.width}x{image.height} pixels, more than {MOST_PIXELS // 10**6} million"
    except (Exception, MemoryError) as error:  # Pillow raises nearly anything on damaged files
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    raise _unreadable(path, size)


def _unreadable(path: Path, why: str) -> ReportError:
    reason = visible(f"{path}: not a readable preview ({why})")
    return ReportError(f"{reason}; delete it and run again with previews=all")
