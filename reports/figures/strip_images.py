"""Which images strips show: those that are named, else those on which restorers differ most."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...messages import nearest
from ..analysis.captions import conditions, task_label
from ..analysis.cells import Group, RestorerResult
from ..errors import ReportError
from ..escape import file_stem, visible
from .error_maps import Crop, find_crop
from .previews import read_alike, read_image

logger = logging.getLogger("restorebench")


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One image as a figure.

    Attributes:
        title: of the group. task_key, image: which image of it.
        degraded, clean: their previews.
        restored: label, preview and recorded PSNR (dB) of each restorer, in the group's order.
        input_psnr: recorded PSNR of the degraded image, dB.
        spread: highest less lowest PSNR of the restorers, dB.
        crop: (top, left, height, width) of what is magnified.
        chosen: whether a user named the image; else it is the one of largest spread.
        conditions: for the caption.
    """

    title: str
    task_key: str
    image: str
    degraded: Path
    clean: Path
    restored: tuple[tuple[str, Path, float], ...]
    input_psnr: float
    spread: float
    crop: Crop
    chosen: bool = False
    conditions: str = ""

    @property
    def restored_images(self) -> list[Path]:
        """The restored images' previews."""
        return [path for _, path, _ in self.restored]


def pick(
    group: Group,
    count: int = 1,
    images: Mapping[str, str | Sequence[str]] | None = None,
    crop: tuple[int, int, int, int] | None = None,
) -> list[Strip]:
    """The strips of a group: for each task the named images, else the `count` images of largest spread.

    Restorers without any preview of a task are left out of it, with a logged line; of the images left, only those of
    which every restorer has a preview and a finite score are candidates. A task with none gives no strip.

    Args:
        group: the restorers; the input is not one of them.
        count: images for each task that is not named in `images`.
        images: an image or several by task key; the key's part before @ does where it is clear.
        crop: what is magnified, (x, y, width, height) in pixels: of the named images, or of all where none is named;
            None for where restorers differ most.

    Raises:
        ReportError: an unknown task or image, a named one without previews that can be read, or a crop outside.
    """
    named: dict[str, list[str]] = {}
    for task, chosen in (images or {}).items():  # the same task may be there by its key and by its name alone
        known = named.setdefault(_task(group, task), [])
        known += [image for image in ([chosen] if isinstance(chosen, str) else chosen) if image not in known]
    found = _found(group, count, named)
    return [_cropped(strip, crop) if crop and (strip.chosen or not named) else strip for strip in found]


def _found(group: Group, count: int, named: Mapping[str, Sequence[str]]) -> list[Strip]:
    strips = []
    for task in group.tasks:
        restorers = [c for c in group.restorers if not c.is_input and task in c.cells]
        if task in named:
            strips += [_chosen(group, task, restorers, image) for image in named[task]]
            continue
        pictured = _with_previews(task, restorers)
        spreads = {image: _spread(pictured, task, image) for image in _candidates(task, pictured)}
        best = sorted(spreads, key=lambda image: (-spreads[image], image))
        strips += _readable(group, task, pictured, best, count)
    return strips


def _cropped(strip: Strip, crop: tuple[int, int, int, int]) -> Strip:
    """The strip with another crop.

    Raises:
        ReportError: it does not lie inside the image.
    """
    x, y, width, height = crop
    rows, columns = read_image(strip.clean).shape[:2]
    if x + width > columns or y + height > rows:
        wanted = ",".join(map(str, crop))
        raise ReportError(f"--crop {wanted}: {strip.image} of {strip.task_key} has {columns}x{rows} pixels")
    return replace(strip, crop=(y, x, height, width))


def knows(group: Group, task: str, image: str) -> bool:
    """Whether a group has such a task (by its key, or the part before @) with such an image."""
    keys = [key for key in group.tasks if task in (key, key.partition("@")[0])]
    return any(
        image == row.image for c in group.restorers for key in keys if key in c.cells for row in c.cells[key].rows
    )


def strip_stem(group: Group, strip: Strip) -> str:
    """A strip's name for files: its task and its image, safe for any file system."""
    task = task_label(group, strip.task_key).replace(", ", "-").replace(" ", "-")
    # A set's sub-folders, as sequences have them, are part of the name.
    image = strip.image.replace("/", "-") if "/" in strip.image else Path(strip.image).stem
    return file_stem(f"{task}-{image}")


def _task(group: Group, name: str) -> str:
    """The key of a task by itself or by its part before @."""
    matching = [key for key in group.tasks if name in (key, key.partition("@")[0])]
    if len(matching) != 1:
        raise ReportError(f"{group.title} has no task {name!r}{nearest(name, group.tasks)}; give one of its tasks")
    return matching[0]


def _chosen(group: Group, task: str, restorers: list[RestorerResult], image: str) -> Strip:
    """The strip of a named image, or why there is none."""
    names = list(dict.fromkeys(row.image for c in restorers for row in c.cells[task].rows))
    if image not in names:
        raise ReportError(
            f"{task} of {group.title} has no image {image!r}{nearest(image, names)}; give one of its images"
        )
    pictured = [c for c in restorers if _has_preview(c, task, image) and image in _psnrs(c, task)]
    cell = pictured[0].cells[task] if pictured else None
    if cell is None or cell.degraded_preview(image) is None or cell.clean_preview(image) is None:
        raise ReportError(f"{image} of {task} has no previews; run it again with previews=all")
    return _strip(group, task, pictured, image, chosen=True)


def _with_previews(task: str, restorers: list[RestorerResult]) -> list[RestorerResult]:
    pictured = [c for c in restorers if any(_has_preview(c, task, row.image) for row in c.cells[task].rows)]
    without = [c.label for c in restorers if c not in pictured]
    if pictured and without:
        logger.warning("strips of %s without %s: the run kept no previews", task, ", ".join(without))
    return pictured


def _candidates(task: str, restorers: list[RestorerResult]) -> list[str]:
    """Images with everything that a strip needs, of every restorer."""
    if not restorers:
        return []
    cell = restorers[0].cells[task]
    floor = cell.values("input_psnr")
    return [
        image
        for image in cell.values("psnr")
        if image in floor
        and cell.degraded_preview(image) is not None
        and cell.clean_preview(image) is not None
        and all(image in c.cells[task].values("psnr") and _has_preview(c, task, image) for c in restorers)
    ]


def _strip(group: Group, task: str, restorers: list[RestorerResult], image: str, *, chosen: bool) -> Strip:
    cell = restorers[0].cells[task]
    restored = []
    for restorer in restorers:
        path = restorer.cells[task].restored_preview(image)
        assert path is not None
        restored.append((restorer.label, path, _psnrs(restorer, task)[image]))
    degraded, clean = cell.degraded_preview(image), cell.clean_preview(image)
    assert degraded is not None
    assert clean is not None
    read_alike(degraded, read_image(clean))
    return Strip(
        title=group.title,
        task_key=task,
        image=image,
        degraded=degraded,
        clean=clean,
        restored=tuple(restored),
        input_psnr=next(row.input_psnr for row in cell.rows if row.image == image),
        spread=_spread(restorers, task, image),
        crop=find_crop([path for _, path, _ in restored], clean),
        chosen=chosen,
        conditions=conditions(group, task),
    )


def _psnrs(restorer: RestorerResult, task: str) -> dict[str, float]:
    """PSNR of all images with scores, infinite ones too."""
    return {row.image: row.psnr for row in restorer.cells[task].rows if row.status == "ok"}


def _spread(restorers: list[RestorerResult], task: str, image: str) -> float:
    scores = [score for c in restorers if np.isfinite(score := _psnrs(c, task)[image])]
    return max(scores) - min(scores) if scores else 0.0


def _readable(group: Group, task: str, restorers: list[RestorerResult], images: list[str], count: int) -> list[Strip]:
    """Strips of the first images whose previews can all be read; a logged line for each other one."""
    strips: list[Strip] = []
    for image in images:
        if len(strips) == count:
            break
        try:
            strips.append(_strip(group, task, restorers, image, chosen=False))
        except ReportError as error:
            logger.warning("no strip of %s, %s: %s", visible(task), visible(image), error)
    return strips


def _has_preview(restorer: RestorerResult, task: str, image: str) -> bool:
    return restorer.cells[task].restored_preview(image) is not None
