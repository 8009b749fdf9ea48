"""Scores by task: gains over the input with their intervals, and image-by-image differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis.captions import conditions, task_label
from ..analysis.cells import Contender, Group
from ..analysis.intervals import Interval, average_interval, mean_interval, paired_difference
from .style import Style, house_style, legend_above, new_figure

GOLDEN = 0.6180339887498949
"""Multiples of it, less their whole part, spread points evenly: a jitter without chance."""


@dataclass(frozen=True)
class Bar:
    """A restorer's gain over the input on a task (dB).

    Attributes:
        label: of the restorer. task: key of the task, ``average`` for the suite.
        gain: its mean with the 95 % interval.
    """

    label: str
    task: str
    gain: Interval


@dataclass(frozen=True)
class PairedImages:
    """The best restorer of a task against another, image by image.

    Attributes:
        best, rival: their labels.
        differences: PSNR of the best less the rival's by image, dB.
        mean, low, high: of the differences, with the 95 % interval (None for fewer than two images).
    """

    best: str
    rival: str
    differences: dict[str, float]
    mean: float
    low: float | None
    high: float | None


def gains(contender: Contender, task: str) -> dict[str, float]:
    """PSNR over the input's by image, dB, where both are finite."""
    cell = contender.cells.get(task)
    if cell is None:
        return {}
    floor = cell.values("input_psnr")
    return {name: value - floor[name] for name, value in cell.values("psnr").items() if name in floor}


def bars(group: Group) -> list[Bar]:
    """All bars of a group, task by task, then the average of those restorers that have every task whole."""
    restorers = [contender for contender in group.contenders if not contender.is_input]
    found = [
        Bar(c.label, task, mean_interval(list(values.values()), seed=f"{group.title}/{task}/{c.label}/gain"))
        for task in group.tasks
        for c in restorers
        if (values := gains(c, task))
    ]
    if len(group.tasks) > 1:
        for c in restorers:
            by_task = [list(gains(c, task).values()) for task in group.tasks]
            if c.entry.complete and all(by_task):
                interval = average_interval(by_task, seed=f"{group.title}/{c.label}/gain")
                found.append(Bar(c.label, "average", interval))
    return found


def paired(group: Group, task: str) -> list[PairedImages]:
    """The restorer of a task's highest mean PSNR against each other one, the nearest rival first.

    Only images that all of them restored with a finite score are counted.
    """
    scores = {c.label: c.cells[task].values("psnr") for c in group.contenders if not c.is_input and task in c.cells}
    shared = [name for name in next(iter(scores.values()), {}) if all(name in values for values in scores.values())]
    if len(scores) < 2 or not shared:
        return []
    kept = {label: {name: values[name] for name in shared} for label, values in scores.items()}
    order = sorted(kept, key=lambda label: (-float(np.mean(list(kept[label].values()))), label))
    best, rivals = order[0], order[1:]
    found = []
    for rival in rivals:
        difference = paired_difference(kept[best], kept[rival], seed=f"{group.title}/{task}/{best}/{rival}")
        by_image = {name: kept[best][name] - kept[rival][name] for name in shared}
        found.append(PairedImages(best, rival, by_image, difference.mean, difference.low, difference.high))
    return found


@house_style()
def draw_bars(group: Group, looks: Mapping[str, Style]) -> Figure | None:
    """Bars of every restorer on every task and on average, the input's level as the zero line; None without scores."""
    found = bars(group)
    if not found:
        return None
    labels = list(dict.fromkeys(bar.label for bar in found))
    tasks = [task for task in (*group.tasks, "average") if any(bar.task == task for bar in found)]
    caption = [
        f"{conditions(group)}.",
        "Mean PSNR gain over the degraded input with its 95\u00a0% bootstrap interval over images; zero: the input.",
    ]
    width = max(6.3, 1.2 + len(tasks) * (0.35 + 0.2 * len(labels)))
    columns = max(1, min(4, round(width / 1.7)))
    figure = new_figure(width, 3.2 + 0.16 * -(-len(labels) // columns), caption)
    axes = figure.subplots()
    axes.grid(True, axis="y")
    step = 0.8 / len(labels)
    for index, label in enumerate(labels):
        own = [bar for bar in found if bar.label == label]
        places = [tasks.index(bar.task) + (index - (len(labels) - 1) / 2) * step for bar in own]
        axes.bar(
            places,
            [bar.gain.mean for bar in own],
            step * 0.92,
            color=looks[label].colour,
            hatch=looks[label].hatch,
            edgecolor="black",
            linewidth=0.6,
            label=label,
        )
        for place, bar in zip(places, own, strict=True):
            _whisker(axes, place, bar.gain)
    axes.axhline(0, color="black", linewidth=1.2, gid="input")
    axes.set_xticks(range(len(tasks)), [_tick(group, task) for task in tasks])
    axes.tick_params(axis="x", length=0)
    if "average" in tasks:
        axes.axvline(len(tasks) - 1.5, color="#999999", linewidth=0.8, linestyle="--")
    axes.set(ylabel="PSNR over the input's (dB)", xlim=(-0.55, len(tasks) - 0.45))
    legend_above(axes, columns)
    return figure


@house_style()
def draw_paired(group: Group, looks: Mapping[str, Style]) -> Figure | None:
    """A panel for each task: the best restorer's PSNR less each other's, a dot an image; None without two restorers."""
    panels = [(task, found) for task in group.tasks if (found := paired(group, task))]
    if not panels:
        return None
    columns = 1 if len(panels) == 1 else 2
    lines = -(-len(panels) // columns)
    rivals = max(len(found) for _, found in panels)
    caption = [
        f"{conditions(group)}.",
        "A dot is an image: PSNR of the task's best restorer minus that of the other, right of zero where the best is "
        "better; black: mean with its 95\u00a0% bootstrap interval over images.",
    ]
    figure = new_figure(3.6 * columns, lines * (0.75 + 0.3 * rivals), caption)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (task, found) in zip(grid.flat, panels, strict=False):
        _panel(axes, found, looks)
        axes.set_title(f"{task_label(group, task)}: {found[0].best} minus", size=8, loc="left")
    return figure


def _panel(axes: Axes, found: Sequence[PairedImages], looks: Mapping[str, Style]) -> None:
    axes.axvline(0, color="black", linewidth=1, linestyle=":")
    axes.grid(True, axis="x")
    for row, pair in enumerate(found):
        values = list(pair.differences.values())
        jitter = [((index + 1) * GOLDEN % 1 - 0.5) * 0.5 for index in range(len(values))]
        look = looks[pair.rival]
        axes.plot(
            values,
            [row + shift for shift in jitter],
            linestyle="",
            marker=look.marker,
            markersize=3.5 if len(values) <= 100 else 2,
            markerfacecolor=look.colour,
            markeredgewidth=0,
            alpha=0.8 if len(values) <= 100 else 0.4,
            gid="images",
        )
        if pair.low is not None and pair.high is not None:
            axes.plot([pair.low, pair.high], [row, row], color="black", linewidth=1.6, gid="interval")
        axes.plot(pair.mean, row, marker="|", markersize=11, markeredgewidth=1.8, color="black", gid="mean")
    axes.set_yticks(range(len(found)), [pair.rival for pair in found])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlabel("difference (dB)", size=7.5)


def _whisker(axes: Axes, place: float, gain: Interval) -> None:
    if gain.low is not None and gain.high is not None:
        ends = [[gain.mean - gain.low], [gain.high - gain.mean]]
        axes.errorbar([place], [gain.mean], yerr=ends, color="black", linewidth=1, capsize=2)


def _tick(group: Group, task: str) -> str:
    """A task's name over the input's own PSNR on it."""
    keys = list(group.tasks) if task == "average" else [task]
    levels = []
    for key in keys:
        inputs = (c.cells[key].record.means.input_psnr for c in group.contenders if key in c.cells)
        levels.append(next((level for level in inputs if level is not None), None))
    name = "average" if task == "average" else task_label(group, task)
    known = [level for level in levels if level is not None]
    return f"{name}\ninput {sum(known) / len(known):.1f} dB" if known and len(known) == len(levels) else name
