"""All figures of a store, as PDF for papers and PNG for looking; what is drawn already is not drawn again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from ...messages import nearest
from ..analysis.cells import Group, chosen, knows_row, stems
from ..analysis.costs import AXES
from ..errors import ReportError
from .costs import draw_costs
from .keys import group_key, keep, kept, strip_key
from .options import HOUSE, FigureOptions, StripOptions
from .scores import draw_bars, draw_paired
from .strip_images import Strip, knows, pick, strip_stem
from .strips import draw_strip
from .style import Style, save, styles

logger = logging.getLogger("restorebench")

STRIPS = "strips"


def write_figures(
    groups: Sequence[Group],
    folder: Path,
    *,
    published: bool = True,
    strips: StripOptions | None = None,
    rows: Sequence[str] | None = None,
    options: FigureOptions = HOUSE,
) -> list[Path]:
    """Write the figures of all groups: costs, bars, paired differences, and below ``strips/`` the images.

    What cannot be drawn is left out with a logged line: a cost that no run recorded, anything that needs two restorers
    where there is one. Files of the same name are replaced, each in one step, unless they were drawn from the same
    inputs (`keys`).

    Args:
        groups: of one store.
        folder: made if it is not there.
        published: whether cost figures show printed averages, where they are comparable.
        strips: which images; else those on which restorers differ most.
        rows: which restorers, by their names in the registry or their labels; None for all.
        options: the look.

    Returns:
        Every file of every figure, in order.

    Raises:
        ReportError: an image, task or restorer that no group has, before anything is written; a damaged preview.
        OSError: if a file cannot be written.
    """
    strips = strips or StripOptions()
    looks = styles(c.label for group in groups for c in group.restorers if not c.is_input)
    names = stems(groups)
    shown = _shown(groups, rows)
    named = _by_group(shown, strips.images)
    picked = [
        pick(group, strips.count, images, strips.crop if images or not strips.images else None)
        for group, images in zip(shown, named, strict=True)
    ]
    drawing = _Drawing(folder, looks, options)
    for group, stem, some in zip(shown, names, picked, strict=True):
        if rows is not None and not any(not restorer.is_input for restorer in group.restorers):
            continue
        drawing.scores(group, stem, published=published)
        drawing.strips(group, stem, some)
    drawing.report()
    return drawing.files


def _shown(groups: Sequence[Group], rows: Sequence[str] | None) -> list[Group]:
    """The groups with the restorers that are asked for; a name may be missing in some groups, not in all."""
    for name in rows or ():
        if groups and not any(knows_row(group, name) for group in groups):
            known = sorted({restorer.record.model for group in groups for restorer in group.restorers})
            raise ReportError(f"--rows {name}: not measured here{nearest(name, known) or f'; there are {known}'}")
    if rows is None:
        return list(groups)
    return [chosen(group, [name for name in rows if knows_row(group, name)]) for group in groups]


def _by_group(groups: Sequence[Group], images: Mapping[str, Sequence[str]]) -> list[dict[str, list[str]]]:
    """The named images that each group has, by task; what none has is left to the first, which says so."""
    found: list[dict[str, list[str]]] = [{} for _ in groups]
    for task, names in images.items():
        for image in names:
            places = _places(groups, task, image)
            if not places and not task:
                cells = [cell for group in groups for c in group.restorers for cell in c.cells.values()]
                every = sorted({row.image for cell in cells for row in cell.rows})
                hint = f"{nearest(image, every)}; give TASK=NAME, or a name alone"
                raise ReportError(f"--images {image}: no task has an image of that name{hint}")
            for index, key in places:
                found[index].setdefault(key, []).append(image)
    return found


def _places(groups: Sequence[Group], task: str, image: str) -> list[tuple[int, str]]:
    """Where an image is: number of the group and task; where none has it, who is to say so."""
    if not task:
        return [(index, key) for index, group in enumerate(groups) for key in group.tasks if knows(group, key, image)]
    holders = [index for index, group in enumerate(groups) if knows(group, task, image)]
    near = [i for i, group in enumerate(groups) if any(task in (k, k.partition("@")[0]) for k in group.tasks)]
    return [(index, task) for index in holders or near[:1] or range(min(1, len(groups)))]


class _Drawing:
    """Figures on their way into a folder: those that changed are drawn, the others stay."""

    def __init__(self, folder: Path, looks: Mapping[str, Style], options: FigureOptions) -> None:
        self.folder, self.looks, self.options = folder, looks, options
        self.files: list[Path] = []
        self.counts: Counter[str] = Counter()

    def figure(self, folder: Path, stem: str, key: str, draw: Callable[[], Figure | None]) -> bool:
        """One figure; false where there is nothing to draw."""
        files = kept(folder, stem, key)
        self.counts["kept" if files else "drawn"] += 1
        if files is None:
            figure = draw()
            if figure is None:
                self.counts["drawn"] -= 1
                return False
            files = save(figure, folder, stem, self.options)
            keep(folder, stem, key, files)
        self.files += files
        return True

    def scores(self, group: Group, stem: str, *, published: bool) -> None:
        """A group's figures of scores and costs."""
        look, options = self.looks, self.options
        draws: list[tuple[str, str, Callable[[], Figure | None], str]] = [
            (
                f"psnr-{axis.stem}",
                f"PSNR against {axis.stem}",
                partial(draw_costs, group, axis, look, published=published, options=options),
                "fewer than two points",
            )
            for axis in AXES
        ]
        draws += [
            ("bars", "bars", partial(draw_bars, group, look, options), "no restorer has scores"),
            ("paired", "paired", partial(draw_paired, group, look, options), "fewer than two restorers"),
        ]
        for name, what, draw, needed in draws:
            if not self.figure(self.folder, f"{stem}-{name}", group_key(group, look, options, name, published), draw):
                logger.warning("no figure of %s for %s: %s", what, group.title, needed)

    def strips(self, group: Group, stem: str, strips: Sequence[Strip]) -> None:
        """A group's strips."""
        for task in group.tasks:
            if not any(strip.task_key == task for strip in strips):
                text = "no strip of %s for %s: no image has all previews (previews=all keeps them)"
                logger.warning(text, task, group.title)
        for strip in strips:
            if len(strip.restored) < 2 and not strip.chosen:
                logger.warning("no strip of %s for %s: only one restorer", strip.task_key, group.title)
                continue
            name = f"{stem}-{strip_stem(group, strip)}"
            self.figure(
                self.folder / STRIPS, name, strip_key(strip, self.options), partial(draw_strip, strip, self.options)
            )

    def report(self) -> None:
        """Say how many figures stayed as they were."""
        if self.counts["kept"]:
            logger.info(
                "%d figures drawn, %d kept: they were drawn from the same inputs",
                self.counts["drawn"],
                self.counts["kept"],
            )
