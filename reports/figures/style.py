"""How all figures look, and how they are written: the same bytes for the same store."""

from __future__ import annotations

import io
import logging
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from ...atomic import write_text, written_whole
from ..escape import figure as drawn
from .options import HOUSE, FigureOptions

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
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
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
def house_style(options: FigureOptions = HOUSE) -> Iterator[None]:
    """Matplotlib's defaults with ours, whatever the user's configuration says; also a decorator."""
    size = options.font_size
    type_ = {"font.family": options.font_family, "font.size": size, "legend.fontsize": size * 15 / 16}
    with style.context(["default", {**_RC, **type_}]):
        yield


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """A look for each restorer, by the order of their labels, so that all figures made together agree."""
    names = sorted(set(labels))
    looks = zip(cycle(COLOURS), cycle(MARKERS), cycle(HATCHES), strict=False)
    return {name: Style(*look) for name, look in zip(names, islice(looks, len(names)), strict=True)}


def captioned(
    width: float, height: float, caption: Iterable[str], options: FigureOptions = HOUSE
) -> tuple[Figure, float]:
    """An empty figure with its caption, and the height that this takes, in inches from the lower edge.

    A caption that is not to be inside takes no height; it is the figure's label, which `save` writes beside it.

    Args:
        width, height: inches, the caption not counted.
        caption: sentences, each beginning a line.
        options: where the caption goes and how large its type is.
    """
    sentences = [drawn(sentence) for sentence in caption]
    size = _CAPTION_SIZE * options.scale
    characters = max(20, round(width * _CHARACTERS_PER_INCH / options.scale))
    inside = options.caption == "inside"
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, width=characters)] if inside else []
    below = len(lines) * _LINE_HEIGHT * options.scale + 2 * MARGIN if inside else 0.0
    figure = Figure(figsize=(width, height + below), label="\n".join(sentences))
    FigureCanvasAgg(figure)
    if inside:
        text = figure.text(MARGIN / width, MARGIN / (height + below), "\n".join(lines))
        text.set(size=size, va="bottom", linespacing=1.3, color="#333333", in_layout=False)
    return figure, below


def new_figure(width: float, height: float, caption: Iterable[str], options: FigureOptions = HOUSE) -> Figure:
    """As `captioned`; the axes share out the space above the caption among themselves when `settle` is called."""
    figure, below = captioned(width, height, caption, options)
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
    """A legend above the axes, where it can cover no data; in fewer columns where they are wide."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    room = (figure.get_figwidth() - 2 * MARGIN) * figure.dpi
    for count in range(columns, 0, -1):
        legend = axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=count, borderaxespad=0.3, columnspacing=1.5
        )
        if legend.get_window_extent().width <= room * 0.86:  # of which the axes' own labels take the rest
            return


def turn_ticks(axes: Axes) -> None:
    """Turn the labels of the lower axis where they would run into each other. The axes are laid out anew with it."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    if any(left.x1 + 2 > right.x0 for left, right in pairwise(boxes)):
        for label in labels:
            label.set(rotation=90, linespacing=1.0)


def save(figure: Figure, folder: Path, stem: str, options: FigureOptions = HOUSE) -> list[Path]:
    """Write ``stem.pdf`` and ``stem.png`` without a date, each in one step, and give back their paths.

    With a caption beside the picture ``stem.txt`` holds it.

    Raises:
        OSError: if one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with house_style(options):
        settle(figure)
    paths = []
    for kind, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        content = io.BytesIO()
        with house_style(options), _quiet_fonts():
            figure.savefig(content, format=kind, dpi=DPI, metadata=metadata)
        path = folder / f"{stem}.{kind}"
        with written_whole(path) as part:
            part.write_bytes(content.getvalue())
        paths.append(path)
    if options.caption == "beside":
        paths.append(write_text(folder / f"{stem}.txt", f"{figure.get_label()}\n"))
    return paths
