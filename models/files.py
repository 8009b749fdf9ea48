"""Weights files as bytes: regular ones only, of a bounded length, and their sha256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from .card import ModelCard
from .errors import ModelError

BYTES_VARIABLE = "RESTOREBENCH_MAX_WEIGHTS"
"""Environment variable with the length in bytes up to which weights files are read."""

MAX_BYTES = 2**30
"""Length of the largest file that is read where the size of the network is not known beforehand."""

_COPIES = 16  # a checkpoint can hold averaged weights and an optimizer's moments, in float64
_MARGIN = 2**28


def byte_limit(card: ModelCard | None = None) -> int:
    """Length in bytes up to which weights files are read.

    What ``RESTOREBENCH_MAX_WEIGHTS`` says; else 16 times the largest variant of the card in float32 and 256 MiB; else,
    where the card does not say how many parameters there are, 1 GiB.

    Raises:
        ModelError: the variable is no number above 0.
    """
    text = os.environ.get(BYTES_VARIABLE)
    if text:
        try:
            value = int(float(text))
        except (ValueError, OverflowError):
            value = 0
        if value < 1:
            raise ModelError(f"{BYTES_VARIABLE}={text}: give a number of bytes, such as 4e9")
        return value
    counts = [variant.parameters for variant in card.variants.values()] if card else []
    known = [count for count in counts if count is not None]
    return _COPIES * 4 * max(known) + _MARGIN if known and len(known) == len(counts) else MAX_BYTES


@contextlib.contextmanager
def opened(path: Path, limit: int | None = None) -> Iterator[BufferedReader]:
    """A regular file of at most `limit` bytes (None: see `byte_limit`), opened for reading.

    Nothing else is ever opened, so no pipe or device can make it wait.

    Raises:
        ModelError: there is no such file, it is of another kind or longer, or it cannot be read.
    """
    most = byte_limit() if limit is None else limit
    try:
        _check(path, path.stat(), most)  # before it is opened: opening a device can do something
        # Not blocking, and looked at again: what was a file may have become a pipe in between.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            _check(path, os.fstat(descriptor), most)
            yield file
    except FileNotFoundError as error:
        raise ModelError(f"no checkpoint at {path}: weights takes a path, 'bundled' or 'none'") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _check(path: Path, status: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ModelError(f"{path} is a folder: weights takes the path of a checkpoint file")
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path} is no regular file but a pipe, device or socket: weights takes a checkpoint file")
    if status.st_size > limit:
        raise ModelError(
            f"{path} is {status.st_size / 1e6:.0f} MB long, weights are read up to {limit / 1e6:.0f} MB here:"
            f" {BYTES_VARIABLE}=BYTES raises the limit"
        )


def check_file(path: Path, limit: int | None = None) -> None:
    """ModelError unless `path` is a file that can be opened, of at most `limit` bytes (None: see `byte_limit`)."""
    with opened(path, limit):
        pass


def sha256_of(file: BufferedReader) -> str:
    """sha256 of an open file from its beginning, in hexadecimal, read in pieces; then it is at its beginning again."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


def file_sha256(path: Path, limit: int | None = None) -> str:
    """sha256 of a file in hexadecimal.

    Raises:
        ModelError: see `opened`.
    """
    with opened(path, limit) as file:
        return sha256_of(file)
