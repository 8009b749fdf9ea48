"""How all figures look, and how they are written: the same bytes for the same store."""

from __future__ import annotations

import io
import logging
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from ...atomic import written_whole
from ..escape import figure as drawn

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999")
"""Okabe and Ito's palette for all kinds of colour vision, without the yellow that white paper swallows."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "--", "++", "oo")
PUBLISHED = "#555555"
DPI = 200
MARGIN = 0.08
"""Inches around a figure."""
_CAPTION_SIZE = 6.5
_CHARACTERS_PER_INCH = 19.5
"""Of the caption's type, with room to spare."""
_LINE_HEIGHT = _CAPTION_SIZE * 1.3 / 72
_RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "image.resample": True,
    "text.parse_math": False,  # a dollar in a name is a dollar
}


@contextmanager
def _quiet_fonts() -> Iterator[None]:
    """Without the hundred lines that fontTools logs of each PDF at the level of information."""
    logger = logging.getLogger("fontTools")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class Style:
    """A restorer's look: the colour says it on screen, marker and hatch in grey print."""

    colour: str
    marker: str
    hatch: str


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults with ours, whatever the user's configuration says; also a decorator."""
    with style.context(["default", _RC]):
        yield


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """A look for each restorer, by the order of their labels, so that all figures made together agree."""
    names = sorted(set(labels))
    looks = zip(cycle(COLOURS), cycle(MARKERS), cycle(HATCHES), strict=False)
    return {name: Style(*look) for name, look in zip(names, islice(looks, len(names)), strict=True)}


def captioned(width: float, height: float, caption: Iterable[str]) -> tuple[Figure, float]:
    """An empty figure with its caption, and the height that this takes, in inches from the lower edge.

    Args:
        width, height: inches, the caption not counted.
        caption: sentences, each beginning a line.
    """
    lines = [
        line
        for sentence in caption
        for line in textwrap.wrap(drawn(sentence), width=round(width * _CHARACTERS_PER_INCH))
    ]
    below = len(lines) * _LINE_HEIGHT + 2 * MARGIN
    figure = Figure(figsize=(width, height + below))
    FigureCanvasAgg(figure)
    text = figure.text(MARGIN / width, MARGIN / (height + below), "\n".join(lines))
    text.set(size=_CAPTION_SIZE, va="bottom", linespacing=1.3, color="#333333", in_layout=False)
    return figure, below


def new_figure(width: float, height: float, caption: Iterable[str]) -> Figure:
    """As `captioned`; the axes share out the space above the caption among themselves when `settle` is called."""
    figure, below = captioned(width, height, caption)
    total = figure.get_figheight()
    engine = ConstrainedLayoutEngine(
        rect=(0, below / total, 1, (total - below) / total), w_pad=MARGIN, h_pad=MARGIN, wspace=0.02, hspace=0.02
    )
    figure.set_layout_engine(engine)
    return figure


def settle(figure: Figure) -> None:
    """Lay out the axes and keep them where they are, for text that is placed by its extent, and for equal bytes.

    The layout's solver gives positions whose last digits differ from call to call, which rounding takes away.
    """
    if not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(Bbox.from_bounds(*(round(value, 4) for value in axes.get_position(original=True).bounds)))


def legend_above(axes: Axes, columns: int) -> None:
    """A legend between the axes and the upper edge, where it can cover no data."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.3, columnspacing=1.5)


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.pdf`` and ``stem.png`` without a date, each in one step, and give back their paths.

    Raises:
        OSError: if one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with house_style():
        settle(figure)
    paths = []
    for kind, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        content = io.BytesIO()
        with house_style(), _quiet_fonts():
            figure.savefig(content, format=kind, dpi=DPI, metadata=metadata)
        path = folder / f"{stem}.{kind}"
        with written_whole(path) as part:
            part.write_bytes(content.getvalue())
        paths.append(path)
    return paths
