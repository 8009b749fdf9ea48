"""Strips of one image: degraded, restored by each, clean, with a magnified crop, an error map and the PSNR."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..escape import figure as drawn
from .error_maps import ERROR_MAP, Crop, error_map, error_scale
from .options import HOUSE, FigureOptions
from .previews import Levels, read_alike, read_image
from .strip_images import Strip
from .style import MARGIN, captioned, house_style

FRAME = "#D55E00"
_COLUMN = 1.5
_GAP = 0.05
_TITLE_LINE = 0.135


def draw_strip(strip: Strip, options: FigureOptions = HOUSE) -> Figure:
    """The figure: whole images with the crop's frame, the crop magnified, errors on one scale, PSNR below.

    Raises:
        ReportError: a preview that cannot be read, or whose size is not the clean image's.
    """
    columns = [("degraded", strip.degraded, strip.input_psnr), *strip.restored, ("clean", strip.clean, None)]
    clean, scale = read_image(strip.clean), error_scale(strip.restored_images, strip.clean)
    size = options.font_size
    with house_style(options):
        names = [_wrapped(drawn(label), _characters(len(columns), options)) for label, _, _ in columns]
        lines = max(name.count("\n") for name in names) + 1
        figure, grid = _grid(strip, clean, scale, lines=lines, options=options)
        for index, (_, path, psnr) in enumerate(columns):
            image = read_alike(path, clean)
            whole, magnified, errors = (row[index] for row in grid)
            _show(whole, image)
            whole.set_title(names[index], size=size, pad=4)
            _frame(whole, strip.crop)
            _show(magnified, _cut(image, strip.crop), interpolation="nearest")
            for spine in magnified.spines.values():
                spine.set(visible=True, color=FRAME, linewidth=1.2)
            if psnr is None:
                _scale_bar(figure, errors, scale, size * 7 / 8)
            else:
                _show(errors, error_map(path, strip.clean, scale))
                errors.set_xlabel("equal to clean" if np.isinf(psnr) else f"{psnr:.2f} dB", size=size, labelpad=3)
    return figure


def _column(columns: int, options: FigureOptions) -> float:
    """Width of a column, inches."""
    return _COLUMN if options.width is None else (options.width - 2 * MARGIN + _GAP) / columns - _GAP


def _characters(columns: int, options: FigureOptions) -> int:
    """Of a column's title that fit a line."""
    return max(6, round(20 * _column(columns, options) / _COLUMN / options.scale))


def _grid(
    strip: Strip, clean: Levels, scale: float, lines: int, options: FigureOptions
) -> tuple[Figure, list[list[Axes]]]:
    """A captioned figure with rows for whole images, crops and errors; a column for each image of the strip.

    Args:
        strip, clean, scale: what is drawn.
        lines: of the longest column title.
        options: width, type and caption.
    """
    why = "named" if strip.chosen else f"largest spread between restorers ({strip.spread:.2f} dB)"
    caption = (
        f"{strip.task_key}, {strip.image}: {why}. PSNR as recorded, in dB.",
        f"Third row: |restored - clean|, mean over channels, of 255 levels, on one scale up to {scale:g}.",
        f"{strip.conditions or strip.title}.",
    )
    columns = len(strip.restored) + 2
    side = _column(columns, options)
    whole = side * clean.shape[0] / clean.shape[1]
    heights = (whole, side * strip.crop[2] / strip.crop[3], whole)
    head, foot = 0.08 + lines * _TITLE_LINE * options.scale, 0.2 * options.scale
    width = 2 * MARGIN + columns * (side + _GAP) - _GAP
    figure, below = captioned(width, MARGIN + head + sum(heights) + 2 * _GAP + foot, caption, options)
    total, top = figure.get_figheight(), below + foot + sum(heights) + 2 * _GAP
    grid = []
    for height in heights:
        top -= height
        lefts = (MARGIN + column * (side + _GAP) for column in range(columns))
        grid.append([figure.add_axes((x / width, top / total, side / width, height / total)) for x in lefts])
        top -= _GAP
    return figure, grid


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


def _scale_bar(figure: Figure, axes: Axes, scale: float, size: float) -> None:
    """The error maps' colours, in the place where the clean image's errors would be."""
    axes.axis("off")
    place = axes.inset_axes((0.1, 0.02, 0.14, 0.96))
    bar = figure.colorbar(ScalarMappable(Normalize(0, scale), ERROR_MAP), cax=place)
    # The label runs along the bar, which is short where columns are narrow.
    room = 72 * figure.get_figheight() * axes.get_position().height
    bar.set_label("error (of 255)", size=min(size, room / (0.62 * len("error (of 255)"))))
    bar.ax.tick_params(labelsize=size)


def _wrapped(label: str, characters: int) -> str:
    """A label in lines that fit a column."""
    lines = [""]
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= characters or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
