"""All figures of a store, as PDF for papers and PNG for looking."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..analysis.cells import Group, stems
from ..analysis.costs import AXES
from .costs import draw_costs
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
    images: Mapping[str, str] | None = None,
    count: int = 1,
) -> list[Path]:
    """Write the figures of all groups: costs, bars, paired differences, and below ``strips/`` the images.

    What cannot be drawn is left out with a logged line: a cost that no run recorded, anything that needs two restorers
    where there is one. Files of the same name are replaced, each in one step.

    Args:
        groups: of one store.
        folder: made if it is not there.
        published: whether cost figures show printed averages, where they are comparable.
        images: for strips, image by task; else those on which restorers differ most are taken.
        count: strips for each task that is not named in `images`.

    Returns:
        Every file written, in order.

    Raises:
        ReportError: an image or task that no group has, before anything is written; a damaged preview.
        OSError: if a file cannot be written.
    """
    looks = styles(c.label for group in groups for c in group.restorers if not c.is_input)
    chosen = _by_group(groups, images or {})
    strips = [pick(group, count, named) for group, named in zip(groups, chosen, strict=True)]
    written: list[Path] = []
    for group, stem, picked in zip(groups, stems(groups), strips, strict=True):
        written += _scores(group, stem, folder, looks, published=published)
        written += _strips(group, stem, folder / STRIPS, picked)
    return written


def _by_group(groups: Sequence[Group], images: Mapping[str, str]) -> list[dict[str, str]]:
    """The named images that each group has; what none has is left to the first, which says so."""
    chosen: list[dict[str, str]] = [{} for _ in groups]
    for task, image in images.items():
        holders = [index for index, group in enumerate(groups) if knows(group, task, image)]
        near = [i for i, group in enumerate(groups) if any(task in (k, k.partition("@")[0]) for k in group.tasks)]
        for index in holders or near[:1] or range(min(1, len(groups))):
            chosen[index][task] = image
    return chosen


def _scores(group: Group, stem: str, folder: Path, looks: Mapping[str, Style], *, published: bool) -> list[Path]:
    written: list[Path] = []
    for axis in AXES:
        figure = draw_costs(group, axis, looks, published=published)
        if figure is None:
            logger.warning("no figure of PSNR against %s for %s: fewer than two points", axis.stem, group.title)
        else:
            written += save(figure, folder, f"{stem}-psnr-{axis.stem}")
    for name, figure, needed in (
        ("bars", draw_bars(group, looks), "no restorer has scores"),
        ("paired", draw_paired(group, looks), "fewer than two restorers"),
    ):
        if figure is None:
            logger.warning("no figure of %s for %s: %s", name, group.title, needed)
        else:
            written += save(figure, folder, f"{stem}-{name}")
    return written


def _strips(group: Group, stem: str, folder: Path, strips: Sequence[Strip]) -> list[Path]:
    written: list[Path] = []
    for task in group.tasks:
        if not any(strip.task_key == task for strip in strips):
            logger.warning(
                "no strip of %s for %s: no image has all previews (previews=all keeps them)", task, group.title
            )
    for strip in strips:
        if len(strip.restored) < 2 and not strip.chosen:
            logger.warning("no strip of %s for %s: only one restorer", strip.task_key, group.title)
            continue
        written += save(draw_strip(strip), folder, f"{stem}-{strip_stem(group, strip)}")
    return written
