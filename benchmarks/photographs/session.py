"""One file after another: read, restored by one or several restorers, written, and what was done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...datasets.errors import DataError
from .files import Outputs
from .photograph import Photograph
from .pictures import Panel, panel, write_picture
from .reading import MAX_PIXELS, read_photograph
from .restoring import PhotographRestorer
from .tiles import Progress
from .writing import write_photograph

INPUT_LABEL = "input"


@dataclass(frozen=True)
class Done:
    """What was made of a file.

    Attributes:
        written: the files, in the order in which they were written.
        size: width and height in pixels, upright.
        how: ``whole``, or the tiles.
        seconds: of reading, restoring and writing.
        notes: what was left out or rounded.
    """

    written: tuple[Path, ...]
    size: tuple[int, int]
    how: str
    seconds: float
    notes: tuple[str, ...]


def restore_file(
    outputs: Outputs,
    restorers: Mapping[str, PhotographRestorer],
    *,
    main: str | None,
    strip: Iterable[str] = (),
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str], Progress] | None = None,
) -> Done | None:
    """Make of a file what is asked for.

    Args:
        outputs: the file, and what is to be written; folders are made as needed.
        restorers: by label.
        main: label of the one whose result is written and compared.
        strip: labels of those that the strip shows.
        overwrite: whether files that are there are replaced; else they stay, and only the missing are made.
        max_pixels: see `read_photograph`.
        progress: for a label, what is told of each tile.

    Returns:
        What was done; None where all files were there.

    Raises:
        DataError: the file cannot be read, or one of the others not be written.
        RestorationError, MemoryError: see `PhotographRestorer.restore`.
    """
    missing = [path for path in outputs.files if overwrite or not os.path.lexists(path)]
    if not missing:
        return None
    started = time.perf_counter()
    photograph = read_photograph(outputs.source, max_pixels=max_pixels)
    notes, how = list(photograph.notes), []
    shown = list(strip) if outputs.strip in missing else []
    panels: list[Panel] = [panel(INPUT_LABEL, photograph, len(shown) + 1)] if shown else []
    of_main = [path for path in (outputs.restored, outputs.compare) if path in missing]
    for label in dict.fromkeys([*([main] if main is not None and of_main else []), *shown]):
        restorer = restorers[label]
        restored = restorer.restore(photograph, None if progress is None else progress(label))
        how.append(restorer.tiling(photograph.height, photograph.width).describe(photograph.height, photograph.width))
        if label == main and of_main:
            notes += _write_main(outputs, of_main, photograph, restored, restorer.restorer.card.title)
        if label in shown:
            panels.append(panel(restorer.restorer.card.title, restored, len(shown) + 1))
    if outputs.strip is not None and shown:
        _make_folder(outputs.strip)
        write_picture(outputs.strip, panels, photograph.metadata.icc)
    size = (photograph.width, photograph.height)
    seconds = time.perf_counter() - started
    return Done(tuple(missing), size, ", ".join(dict.fromkeys(how)), seconds, tuple(dict.fromkeys(notes)))


def _write_main(
    outputs: Outputs, wanted: list[Path], photograph: Photograph, restored: Photograph, title: str
) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if outputs.restored in wanted and outputs.restored is not None:
        _make_folder(outputs.restored)
        notes = write_photograph(outputs.restored, restored)
    if outputs.compare in wanted and outputs.compare is not None:
        _make_folder(outputs.compare)
        panels = [panel(INPUT_LABEL, photograph, 2), panel(title, restored, 2)]
        write_picture(outputs.compare, panels, photograph.metadata.icc)
    return notes


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path.parent}: no folder can be made there: {error.strerror or error}") from error
