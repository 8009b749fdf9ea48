"""Pictures that show a photograph beside what restorers made of it, scaled down to a width that screens have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ...atomic import written_whole
from ...datasets.errors import DataError
from .photograph import Photograph
from .writing import as_image

WIDTH = 3840
"""Pixels that a picture is wide at the most; photographs are scaled down to that and never up."""
GAP = 8
PAPER, INK = (255, 255, 255), (0, 0, 0)
TEXT_SHARE, SMALLEST_TEXT = 1 / 22, 11
"""Height of the labels as a part of the panels' height or width, whichever is less, and at the least, in pixels."""


@dataclass(frozen=True)
class Panel:
    """A labelled photograph at the size of the picture, 8 bits, without alpha."""

    label: str
    image: Image.Image


def panel(label: str, photograph: Photograph, panels: int) -> Panel:
    """A photograph as one of so many that stand side by side; what is transparent shows white."""
    image = as_image(photograph.in_8_bits())
    width, height = image.size
    most = (WIDTH - GAP * (panels - 1)) // panels
    if width > most:
        image = image.resize((most, max(1, round(height * most / width))), Image.Resampling.LANCZOS)
    if photograph.alpha is not None:
        opacity = image.getchannel("A")
        flat = image.convert("L" if photograph.is_grey else "RGB")
        image = Image.composite(flat, Image.new(flat.mode, flat.size, "white"), opacity)
    return Panel(label, image)


def side_by_side(panels: Sequence[Panel]) -> Image.Image:
    """Panels of one size in a row, their labels above them; grey where all are."""
    width, height = panels[0].image.size
    size = max(SMALLEST_TEXT, round(min(width, height) * TEXT_SHARE))
    font = ImageFont.load_default(size)
    while size > 6 and max(font.getlength(each.label) for each in panels) > width:
        size -= 1
        font = ImageFont.load_default(size)
    above = 2 * size
    mode = "L" if all(each.image.mode == "L" for each in panels) else "RGB"
    paper, ink = (PAPER[0], INK[0]) if mode == "L" else (PAPER, INK)
    picture = Image.new(mode, (len(panels) * (width + GAP) - GAP, above + height), paper)
    draw = ImageDraw.Draw(picture)
    for index, each in enumerate(panels):
        left = index * (width + GAP)
        draw.text((left + width / 2, above / 2), each.label, fill=ink, font=font, anchor="mm")
        picture.paste(each.image, (left, above))
    return picture


def write_picture(path: Path, panels: Sequence[Panel], icc: bytes = b"") -> None:
    """Write panels side by side as PNG, with the colour profile of the photograph.

    Raises:
        DataError: it cannot be written; nothing is left of it.
    """
    try:
        with written_whole(path) as part:
            side_by_side(panels).save(part, format="PNG", icc_profile=icc or None)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
