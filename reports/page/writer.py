"""``bench report page``: the leaderboard, figures and images as one static page that opens from disk."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import as_file, files
from pathlib import Path
from string import Template
from typing import Any

from ...atomic import remove_parts, scratch_folder, written_whole
from ..analysis.cells import Group
from ..escape import html, json_in_html
from .data import fullest_first, page_data
from .images import IMAGES, ImageFiles

PAGE = "index.html"
ASSETS = "assets"
TEMPLATE = "files"


def write_page(groups: Sequence[Group], folder: Path, *, problems: Sequence[str] = ()) -> Path:
    """Write ``index.html`` with its scripts in ``assets/`` and its images in ``images/``, and give back its path.

    The page is made beside the folder and moved in, images and scripts first, so that it is whole whenever it is
    opened. Images of an earlier page are removed at the end; other files in the folder stay.

    Args:
        groups: what can be chosen in the page, the fullest one shown first.
        folder: made if it is not there. Records are linked relative to it.
        problems: a line for each stored file that could not be read; the page lists them.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for place in (folder.parent, folder, folder / IMAGES, folder / ASSETS):
        remove_parts(place)
    with scratch_folder(folder.parent) as made:
        images = ImageFiles(made / IMAGES)
        groups = fullest_first(groups)
        data = page_data(groups, folder, images.collect)
        _copy_assets(made / ASSETS)
        (made / PAGE).write_text(_fill(groups, data, problems, page_bytes(made / PAGE)), encoding="utf-8")
        _move(made, folder)
    for path in (folder / IMAGES).glob("*.png"):
        if path.name not in images.names:
            path.unlink(missing_ok=True)
    return folder / PAGE


def _copy_assets(folder: Path) -> None:
    """Scripts and style sheets of the package, ours and those of others, side by side."""
    folder.mkdir()
    with as_file(files(__package__) / TEMPLATE) as source:
        for path in sorted([*source.glob("*.js"), *source.glob("*.css"), *(source / "vendor").iterdir()]):
            if path.suffix in {".js", ".css", ".txt"}:
                with written_whole(folder / path.name) as part:
                    shutil.copyfile(path, part)


def page_bytes(page: Path) -> int:
    """What a page takes with its scripts and images, in bytes; of one that is not there yet what the others take."""
    parts = [page, *(page.parent / ASSETS).glob("*"), *(page.parent / IMAGES).glob("*.png")]
    return sum(path.stat().st_size for path in parts if path.is_file())


def megabytes(size: int) -> str:
    """A size for readers: ``3.4 MB``."""
    return f"{size / 1e6:.1f} MB"


def _fill(groups: Sequence[Group], data: dict[str, Any], problems: Sequence[str], beside: int) -> str:
    template = Template((files(__package__) / TEMPLATE / PAGE).read_text(encoding="utf-8"))
    content = json_in_html(json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    return template.substitute(
        title=html(groups[0].title if groups else "no results"),
        version=html(_version()),
        notes=_notes(problems),
        size=megabytes(beside + len(content.encode())),
        data=content,
    )


def _finite(value: Any) -> Any:
    """Data as JSON can say it: numbers that are none, which a record's configuration may hold, as their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def _notes(problems: Sequence[str]) -> str:
    if not problems:
        return ""
    items = "".join(f"<li>{html(problem)}</li>" for problem in problems)
    count = "One stored file" if len(problems) == 1 else f"{len(problems)} stored files"
    return f'<div class="notice" role="note" id="problems"><p>{count} could not be read:</p><ul>{items}</ul></div>'


def _version() -> str:
    try:
        return version("restorebench")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "(not installed)"


def _move(made: Path, folder: Path) -> None:
    """Move every file into place, each in one step, the page last."""
    for path in sorted((path for path in made.rglob("*") if path.is_file()), key=lambda path: path.name == PAGE):
        target = folder / path.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as part:
            path.replace(part)
