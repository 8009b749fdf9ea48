"""Strips of one image: degraded, restored by each, clean, with a magnified crop, an error map and the PSNR."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from ..analysis.captions import conditions, task_label
from ..analysis.cells import Contender, Group
from ..errors import ReportError
from .style import MARGIN, captioned, house_style

logger = logging.getLogger("restorebench")

Levels = NDArray[np.uint8]
Crop = tuple[int, int, int, int]

CROP_SHARE = 4
"""The crop's sides are this part of the image's."""
SCALE_PERCENTILE = 99.5
ERROR_MAP = "inferno"
FRAME = "#D55E00"
_COLUMN = 1.5
_GAP = 0.05
_TITLE_LINE = 0.135


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


def pick(group: Group, count: int = 1, images: Mapping[str, str] | None = None) -> list[Strip]:
    """The strips of a group: for each task the named image, else the `count` images of largest spread.

    Restorers without any preview of a task are left out of it, with a logged line; of the images left, only those of
    which every restorer has a preview and a finite score are candidates. A task with none gives no strip.

    Args:
        group: the restorers; the input is not one of them.
        count: images for each task that is not named in `images`.
        images: image by task key; the key's part before @ does where it is clear.

    Raises:
        ReportError: an unknown task or image, or one without previews.
    """
    named = {_task(group, task): image for task, image in (images or {}).items()}
    strips = []
    for task in group.tasks:
        contenders = [c for c in group.contenders if not c.is_input and task in c.cells]
        if task in named:
            strips.append(_chosen(group, task, contenders, named[task]))
            continue
        shown = _with_previews(task, contenders)
        spreads = {image: _spread(shown, task, image) for image in _candidates(task, shown)}
        best = sorted(spreads, key=lambda image: (-spreads[image], image))[:count]
        strips += [_strip(group, task, shown, image, chosen=False) for image in best]
    return strips


def knows(group: Group, task: str, image: str) -> bool:
    """Whether a group has such a task (by its key, or the part before @) with such an image."""
    keys = [key for key in group.tasks if task in (key, key.partition("@")[0])]
    return any(
        image == row.image for c in group.contenders for key in keys if key in c.cells for row in c.cells[key].rows
    )


@house_style()
def draw(strip: Strip) -> Figure:
    """The figure: whole images with the crop's frame, the crop magnified, errors on one scale, PSNR below.

    Raises:
        ReportError: a preview that cannot be read, or whose size is not the clean image's.
    """
    columns = [("degraded", strip.degraded, strip.input_psnr), *strip.restored, ("clean", strip.clean, None)]
    clean, scale = _read(strip.clean), error_scale(strip)
    names = [_wrapped(label) for label, _, _ in columns]
    figure, grid = _grid(strip, clean, scale, lines=max(name.count("\n") for name in names) + 1)
    for index, (_, path, psnr) in enumerate(columns):
        image = _read_alike(path, clean)
        whole, magnified, errors = (row[index] for row in grid)
        _show(whole, image)
        whole.set_title(names[index], size=8, pad=4)
        _frame(whole, strip.crop)
        _show(magnified, _cut(image, strip.crop), interpolation="nearest")
        for spine in magnified.spines.values():
            spine.set(visible=True, color=FRAME, linewidth=1.2)
        if psnr is None:
            _scale_bar(figure, errors, scale)
        else:
            _show(errors, error_map(path, strip.clean, scale))
            errors.set_xlabel("equal to clean" if np.isinf(psnr) else f"{psnr:.2f} dB", size=8, labelpad=3)
    return figure


def _grid(strip: Strip, clean: Levels, scale: float, lines: int) -> tuple[Figure, list[list[Axes]]]:
    """A captioned figure with rows for whole images, crops and errors; a column for each image of the strip.

    Args:
        strip, clean, scale: what is drawn.
        lines: of the longest column title.
    """
    why = "named" if strip.chosen else f"largest spread between restorers ({strip.spread:.2f} dB)"
    caption = (
        f"{strip.task_key}, {strip.image}: {why}. PSNR as recorded, in dB.",
        f"Third row: |restored - clean|, mean over channels, of 255 levels, on one scale up to {scale:g}.",
        f"{strip.conditions or strip.title}.",
    )
    columns = len(strip.restored) + 2
    whole = _COLUMN * clean.shape[0] / clean.shape[1]
    heights = (whole, _COLUMN * strip.crop[2] / strip.crop[3], whole)
    head, foot = 0.08 + lines * _TITLE_LINE, 0.2
    width = 2 * MARGIN + columns * (_COLUMN + _GAP) - _GAP
    figure, below = captioned(width, MARGIN + head + sum(heights) + 2 * _GAP + foot, caption)
    total, top = figure.get_figheight(), below + foot + sum(heights) + 2 * _GAP
    grid = []
    for height in heights:
        top -= height
        lefts = (MARGIN + column * (_COLUMN + _GAP) for column in range(columns))
        grid.append([figure.add_axes((x / width, top / total, _COLUMN / width, height / total)) for x in lefts])
        top -= _GAP
    return figure, grid


def error_scale(strip: Strip) -> float:
    """The largest error of a strip's colour scale, in levels of 255: nearly all of the restored images' are below it.

    The degraded image does not count: beside its errors, those of the restorers would look alike.
    """
    clean = _read(strip.clean)
    peaks = [np.percentile(_errors(_read_alike(path, clean), clean), SCALE_PERCENTILE) for _, path, _ in strip.restored]
    return float(max(1, np.ceil(max(peaks))))


def error_map(restored: Path, clean: Path, scale: float) -> Levels:
    """Absolute error as a picture: (H, W, 3) uint8, mean over channels, black for none, light for `scale` and above.

    Args:
        restored, clean: 8-bit images of one size.
        scale: error of the last colour, in levels of 255 (see `error_scale`).

    Raises:
        ReportError: an image that cannot be read, or of another size.
    """
    target = _read(clean)
    part = np.clip(_errors(_read_alike(restored, target), target) / scale, 0, 1)
    colours: Levels = matplotlib.colormaps[ERROR_MAP](part, bytes=True)[..., :3]
    return np.ascontiguousarray(colours)


def find_crop(restored: Iterable[Path], clean: Path) -> Crop:
    """Where the restored images differ most from one another: (top, left, height, width), inside the image.

    A single restored image is compared with the clean one.
    """
    target = _read(clean)
    stack = np.stack([_read_alike(path, target).astype(np.float32) for path in restored])
    pixels = (stack[0] - target) ** 2 if len(stack) == 1 else stack.var(axis=0)
    height, width = (max(1, round(side / CROP_SHARE)) for side in target.shape[:2])
    sums = np.pad(pixels.mean(axis=-1, dtype=np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    boxes = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    if np.ptp(boxes) == 0:
        return (target.shape[0] - height) // 2, (target.shape[1] - width) // 2, height, width
    top, left = np.unravel_index(int(boxes.argmax()), boxes.shape)
    return int(top), int(left), height, width


def _task(group: Group, name: str) -> str:
    """The key of a task by itself or by its part before @."""
    matching = [key for key in group.tasks if name in (key, key.partition("@")[0])]
    if len(matching) != 1:
        raise ReportError(f"{group.title} has no task {name!r}{_hint(name, group.tasks)}; give one of its tasks")
    return matching[0]


def _chosen(group: Group, task: str, contenders: list[Contender], image: str) -> Strip:
    """The strip of a named image, or why there is none."""
    names = list(dict.fromkeys(row.image for c in contenders for row in c.cells[task].rows))
    if image not in names:
        raise ReportError(
            f"{task} of {group.title} has no image {image!r}{_hint(image, names)}; give one of its images"
        )
    shown = [c for c in contenders if _has_preview(c, task, image) and image in _psnrs(c, task)]
    cell = shown[0].cells[task] if shown else None
    if cell is None or cell.degraded_preview(image) is None or cell.clean_preview(image) is None:
        raise ReportError(f"{image} of {task} has no previews; run it again with previews=all")
    return _strip(group, task, shown, image, chosen=True)


def _with_previews(task: str, contenders: list[Contender]) -> list[Contender]:
    shown = [c for c in contenders if any(_has_preview(c, task, row.image) for row in c.cells[task].rows)]
    without = [c.label for c in contenders if c not in shown]
    if shown and without:
        logger.warning("strips of %s without %s: the run kept no previews", task, ", ".join(without))
    return shown


def _candidates(task: str, shown: list[Contender]) -> list[str]:
    """Images with everything that a strip needs, of every restorer."""
    if not shown:
        return []
    cell = shown[0].cells[task]
    floor = cell.values("input_psnr")
    return [
        image
        for image in cell.values("psnr")
        if image in floor
        and cell.degraded_preview(image) is not None
        and cell.clean_preview(image) is not None
        and all(image in c.cells[task].values("psnr") and _has_preview(c, task, image) for c in shown)
    ]


def _strip(group: Group, task: str, shown: list[Contender], image: str, *, chosen: bool) -> Strip:
    cell = shown[0].cells[task]
    restored = []
    for contender in shown:
        path = contender.cells[task].restored_preview(image)
        assert path is not None
        restored.append((contender.label, path, _psnrs(contender, task)[image]))
    degraded, clean = cell.degraded_preview(image), cell.clean_preview(image)
    assert degraded is not None
    assert clean is not None
    return Strip(
        title=group.title,
        task_key=task,
        image=image,
        degraded=degraded,
        clean=clean,
        restored=tuple(restored),
        input_psnr=next(row.input_psnr for row in cell.rows if row.image == image),
        spread=_spread(shown, task, image),
        crop=find_crop([path for _, path, _ in restored], clean),
        chosen=chosen,
        conditions=conditions(group, task),
    )


def _psnrs(contender: Contender, task: str) -> dict[str, float]:
    """PSNR of all images with scores, infinite ones too."""
    return {row.image: row.psnr for row in contender.cells[task].rows if row.status == "ok"}


def _spread(shown: list[Contender], task: str, image: str) -> float:
    scores = [score for c in shown if np.isfinite(score := _psnrs(c, task)[image])]
    return max(scores) - min(scores) if scores else 0.0


def _has_preview(contender: Contender, task: str, image: str) -> bool:
    return contender.cells[task].restored_preview(image) is not None


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=2)
    return f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""


def _read(path: Path) -> Levels:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise ReportError(
            f"{path}: not a readable preview ({error}); delete it and run again with previews=all"
        ) from error


def _read_alike(path: Path, clean: Levels) -> Levels:
    image = _read(path)
    if image.shape != clean.shape:
        raise ReportError(
            f"{path}: {image.shape[1]}x{image.shape[0]} pixels, the clean image has {clean.shape[1]}x{clean.shape[0]}; "
            "delete it and run again with previews=all"
        )
    return image


def _errors(image: Levels, clean: Levels) -> NDArray[np.float32]:
    errors: NDArray[np.float32] = np.abs(image.astype(np.float32) - clean).mean(axis=-1)
    return errors


def _cut(image: Levels, crop: Crop) -> Levels:
    top, left, height, width = crop
    return image[top : top + height, left : left + width]


def _show(axes: Axes, image: Levels, **options: Any) -> None:
    axes.imshow(image, **{"interpolation": "antialiased", **options})
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _frame(axes: Axes, crop: Crop) -> None:
    """The crop's place, in white within black so that it shows on any image."""
    top, left, height, width = crop
    for colour, thickness in (("black", 2.2), ("white", 1.0)):
        box = Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, linewidth=thickness)
        axes.add_patch(box)


def _scale_bar(figure: Figure, axes: Axes, scale: float) -> None:
    """The error maps' colours, in the place where the clean image's errors would be."""
    axes.axis("off")
    place = axes.inset_axes((0.1, 0.02, 0.14, 0.96))
    bar = figure.colorbar(ScalarMappable(Normalize(0, scale), ERROR_MAP), cax=place)
    bar.set_label("error (of 255)", size=7)
    bar.ax.tick_params(labelsize=7)


def _wrapped(label: str) -> str:
    """A label in lines that fit a column."""
    lines = [""]
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= 20 or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def strip_stem(group: Group, strip: Strip) -> str:
    """A strip's name for files: its task and its image, safe for any file system."""
    text = f"{task_label(group, strip.task_key)}-{Path(strip.image).stem if '/' not in strip.image else strip.image}"
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)
