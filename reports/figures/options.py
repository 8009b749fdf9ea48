"""How figures are to look, and of what: widths, type, captions, limits; which images, crops and rows strips show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from matplotlib import font_manager

from ...messages import nearest
from ..errors import ReportError

Captions = Literal["inside", "beside", "none"]
CAPTIONS: tuple[Captions, ...] = ("inside", "beside", "none")
HOUSE_SIZE = 8.0
"""Points of the type for which sizes of figures are chosen."""
_UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(in|cm|mm|pt)?")
_GENERIC = ("sans-serif", "serif", "monospace")


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """The look of figures.

    Attributes:
        width: of every figure, inches; None for a width by what it shows.
        font_size: points.
        font_family: a family that matplotlib finds, or ``serif``, ``sans-serif``, ``monospace``.
        caption: ``inside`` the picture, ``beside`` it as a text file of the same name, or ``none``.
        y_limits: of quality against cost, dB; None for the restorers with their intervals.
        intervals: whether quality against cost and bars show 95 % intervals.
    """

    width: float | None = None
    font_size: float = HOUSE_SIZE
    font_family: str = "DejaVu Sans"
    caption: Captions = "inside"
    y_limits: tuple[float, float] | None = None
    intervals: bool = True

    @property
    def scale(self) -> float:
        """Of the type, against the house's."""
        return self.font_size / HOUSE_SIZE


HOUSE = FigureOptions()
STYLES = {
    "house": HOUSE,
    "column": replace(HOUSE, width=3.4, font_size=7.0, font_family="serif", caption="beside"),
    "page": replace(HOUSE, width=7.0, font_family="serif", caption="beside"),
}
"""Looks by name: on screens, in one column of a paper of two, over both columns."""


@dataclass(frozen=True, kw_only=True)
class StripOptions:
    """Which strips are drawn.

    Attributes:
        images: names of images by task; under an empty name those of whatever tasks have them.
        count: strips of each task without a name, by falling spread.
        crop: what is magnified, (x, y, width, height) in pixels; None for where restorers differ most.
    """

    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    count: int = 1
    crop: tuple[int, int, int, int] | None = None


def length(text: str) -> float:
    """``3.4in``, ``86mm``, ``245pt`` (TeX's) or ``8.6cm`` in inches; a bare number is inches.

    Raises:
        ReportError: no such length, or one on which nothing can be drawn.
    """
    match = _LENGTH.fullmatch(text.strip())
    inches = float(match[1]) * _UNITS[match[2] or "in"] if match else 0.0
    if not 2 <= inches <= 40:
        raise ReportError(f"--width {text}: give a length between 2in and 40in, such as 3.4in, 86mm or 245pt")
    return inches


def family(name: str) -> str:
    """A family of type that is there.

    Raises:
        ReportError: it is not, with the nearest that is.
    """
    known = sorted({*_GENERIC, *font_manager.get_font_names()})
    for one in known:
        if one.casefold() == name.casefold():
            return one
    hint = nearest(name, known) or "; serif, sans-serif and monospace are always there"
    raise ReportError(f"--font-family {name}: matplotlib finds no such type{hint}")


def crop_of(text: str) -> tuple[int, int, int, int]:
    """``40,30,64,64`` as (x, y, width, height).

    Raises:
        ReportError: not four whole numbers, or an empty crop.
    """
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) == 4 and all(part.isdecimal() for part in numbers):
        x, y, width, height = map(int, numbers)
        if width and height:
            return x, y, width, height
    raise ReportError(f"--crop {text}: give x,y,width,height in pixels from the upper left corner, such as 40,30,64,64")


def limits(text: str) -> tuple[float, float]:
    """``24,32`` as (low, high).

    Raises:
        ReportError: not two numbers of which the second is larger.
    """
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = 0.0
    if not -1000 < low < high < 1000:
        raise ReportError(f"--y-limits {text}: give the lowest and the highest PSNR in dB, such as 24,32")
    return low, high
