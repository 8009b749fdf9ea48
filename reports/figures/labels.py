"""Labels beside points that cover neither each other nor the points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from ..escape import figure as drawn

_DISTANCES = (7, 10, 13, 18, 24, 32, 42, 54, 70, 90)
"""Points (1/72 inch) between a marker and its label, tried in this order."""
_ANGLES = (0, 180, 90, 270, 30, 150, 330, 210, 60, 120, 300, 240)
_LEADER_FROM = 10


@dataclass(frozen=True)
class Label:
    """A text for a point at `x`, `y` of the data."""

    text: str
    x: float
    y: float
    colour: str
    size: float


def place_labels(axes: Axes, labels: Sequence[Label], *, marker: float, lines: Sequence[Bbox] = ()) -> None:
    """Write each label at the nearest free place around its point, with a thin line to it where that is far.

    Where no place is free, the one that covers least is taken. The axes must not move afterwards.

    Args:
        axes: laid out already.
        labels: in order of importance; every one is also a point not to be covered.
        marker: diameter of the points' markers, in points.
        lines: what else not to cover, in pixels.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    pixel = figure.dpi / 72
    centres = [tuple(axes.transData.transform((label.x, label.y))) for label in labels]
    reach = marker * pixel / 2
    taken = [Bbox.from_extents(x - reach, y - reach, x + reach, y + reach) for x, y in centres] + list(lines)
    frame = axes.get_window_extent()
    for label, (x, y) in zip(labels, centres, strict=True):
        text = axes.annotate(
            drawn(label.text),
            (label.x, label.y),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            size=label.size,
            color=label.colour,
            annotation_clip=False,
        )
        text.set_in_layout(False)
        extent = text.get_window_extent()
        distance, dx, dy, place = _best(x, y, extent.width + pixel, extent.height, pixel, taken, frame)
        text.set_position((dx / pixel, dy / pixel))
        taken.append(place)
        if distance >= _LEADER_FROM:
            nearest = (min(max(x, place.x0), place.x1), min(max(y, place.y0), place.y1))
            ends = axes.transData.inverted().transform([(x, y), nearest])
            axes.plot(ends[:, 0], ends[:, 1], color=label.colour, linewidth=0.4, zorder=1.5, scalex=False, scaley=False)


def _best(
    x: float, y: float, width: float, height: float, pixel: float, taken: Sequence[Bbox], frame: Bbox
) -> tuple[float, float, float, Bbox]:
    """Distance in points, offset of the centre in pixels, and place of the first free candidate, or the freest."""
    covering: list[tuple[float, float, float, float, Bbox]] = []
    for distance in _DISTANCES:
        for angle in _ANGLES:
            cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            dx = cos * distance * pixel + _side(cos) * width / 2
            dy = sin * distance * pixel + _side(sin) * height / 2
            place = Bbox.from_extents(x + dx - width / 2, y + dy - height / 2, x + dx + width / 2, y + dy + height / 2)
            covered = math.fsum(_overlap(place, other) for other in taken)
            covered += width * height - _overlap(place, frame)
            if covered < 1e-6:
                return distance, dx, dy, place
            covering.append((covered, distance, dx, dy, place))
    return min(covering, key=lambda one: one[:2])[1:]


def _side(direction: float) -> int:
    return 0 if abs(direction) < 1e-9 else int(math.copysign(1, direction))


def _overlap(one: Bbox, other: Bbox) -> float:
    shared = Bbox.intersection(one, other)
    return 0.0 if shared is None else float(shared.width * shared.height)
