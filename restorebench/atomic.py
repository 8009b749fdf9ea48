"""Files that are written whole or not at all: beside their place first, then renamed into it in one step."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

PART = ".part-"
"""How the name of a file begins that is being written. What a killed process leaves bears it."""


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
    part = path.with_name(f"{PART}{uuid.uuid4().hex}-{path.name}"[:200] + path.suffix)
    try:
        with naming(path):
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
    except OSError as error:
        if error.filename in (part, str(part)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> Path:
    """Write a UTF-8 text file whole, its newlines as they are; its path."""
    with written_whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path
