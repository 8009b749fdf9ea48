"""What a figure was drawn from, kept beside it, so that one whose inputs are the same is not drawn again.

A key is a hash of everything that can change a figure: the scores and records behind it, the previews' bytes, the
options, the code of the reports, the versions of what draws. It stands in ``STEM.key`` with hashes of the files that
were written. When in doubt (a file is missing or was changed, a key cannot be read) the figure is drawn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...atomic import write_text
from ..analysis.cells import Group
from .options import FigureOptions
from .previews import read_file
from .strip_images import Strip
from .style import Style

SUFFIX = ".key"
_DRAWING = ("matplotlib", "numpy", "pillow", "scipy")
_CODE = Path(__file__).parents[1]


def group_key(group: Group, looks: Mapping[str, Style], options: FigureOptions, *parts: Any) -> str:
    """The key of a figure of scores.

    Args:
        group: whose records and scores it shows.
        looks: of its restorers.
        options: of the figure.
        parts: what else it depends on, such as which figure it is.
    """
    cells = [
        (restorer.label, key, cell.record, cell.rows)
        for restorer in group.restorers
        for key, cell in restorer.cells.items()
    ]
    return _digest([group.suite, group.tasks, group.protocol, cells, sorted(looks.items()), options, *parts])


def strip_key(strip: Strip, options: FigureOptions) -> str:
    """The key of a strip: its labels, scores, crop and the bytes of its previews, wherever these lie.

    Raises:
        ReportError: a preview that cannot be read.
    """
    previews = [strip.degraded, strip.clean, *strip.restored_images]
    known = [strip.title, strip.task_key, strip.image, strip.input_psnr, strip.spread, strip.crop]
    scores = [(label, psnr) for label, _, psnr in strip.restored]
    return _digest([*known, strip.chosen, strip.conditions, scores, options, *map(_of_preview, previews)])


def kept(folder: Path, stem: str, key: str) -> list[Path] | None:
    """The files of a figure that was drawn from the same inputs and is as it was written; None otherwise."""
    try:
        known = json.loads((folder / f"{stem}{SUFFIX}").read_text(encoding="utf-8"))
        files = {str(name): str(digest) for name, digest in known["files"].items()}
        same = known["key"] == key and bool(files) and all(Path(name).name == name for name in files)
        if same and all(_of_file(folder / name) == digest for name, digest in files.items()):
            return [folder / name for name in files]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no key, or none that can be trusted
    return None


def keep(folder: Path, stem: str, key: str, files: Sequence[Path]) -> None:
    """Note what a figure was drawn from.

    Raises:
        OSError: the note cannot be written.
    """
    known = {"key": key, "files": {path.name: _of_file(path) for path in files}}
    write_text(folder / f"{stem}{SUFFIX}", json.dumps(known, indent=1) + "\n")


def _digest(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256(_drawing().encode())
    for part in parts:
        digest.update(repr(part).encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


@cache
def _drawing() -> str:
    """The code and the versions that draw."""
    digest = hashlib.sha256()
    for path in sorted([*_CODE.rglob("*.py"), *_CODE.rglob("*.csv")]):
        digest.update(f"{path.relative_to(_CODE)}\0{_of_file(path)}\0".encode())
    return " ".join([digest.hexdigest(), *(f"{name} {version(name)}" for name in _DRAWING)])


def _of_preview(path: Path) -> str:
    return hashlib.sha256(read_file(path)).hexdigest()


def _of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
