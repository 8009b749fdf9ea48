"""Where reports write: only inside the folder they were given, and what to say where that fails."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import ReportError
from .escape import visible

_PART = re.compile(r"^\.part-[0-9a-f]+-")
"""How a file begins that is being written (`restorebench.atomic`)."""


def inside(folder: Path, name: str) -> Path:
    """`name` below a folder; nothing of the way there leads out of it.

    Raises:
        ReportError: a link leads elsewhere.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ReportError(f"{visible(str(path))} leads out of {folder}: remove the link, or write to another --output")
    return path


def failure(error: OSError) -> str:
    """One line on what could not be read or written, with the file's name."""
    name = error.filename if isinstance(error.filename, str | bytes) else error.filename and str(error.filename)
    if not name:
        return visible(error.strerror or str(error))
    path = Path(name.decode(errors="backslashreplace") if isinstance(name, bytes) else name)
    if _PART.match(path.name):  # it bears the file's name, and its suffix once more
        path = path.with_name(_PART.sub("", path.name).removesuffix(path.suffix))
    return visible(f"{path}: {error.strerror or error}")
