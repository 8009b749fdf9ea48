"""Scores by task: gains over the input with their intervals, and image-by-image differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis.captions import conditions, task_label
from ..analysis.cells import Group
from ..analysis.leaderboard import AVERAGE
from ..analysis.scoreboard import Difference, Interval
from ..escape import figure as drawn
from .options import HOUSE, FigureOptions
from .style import Style, house_style, legend_above, new_figure, turn_ticks

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
        difference: of their means, with its interval.
    """

    best: str
    rival: str
    differences: dict[str, float]
    difference: Difference


def bars(group: Group) -> list[Bar]:
    """All bars of a group, task by task, then the average of those restorers that have every task whole."""
    columns = [*group.tasks, *([AVERAGE] if len(group.tasks) > 1 else [])]
    return [
        Bar(restorer.label, column, gain)
        for column in columns
        for restorer in group.restorers
        if not restorer.is_input and (gain := group.scoreboard.gain(restorer.label, column)) is not None
    ]


def paired(group: Group, task: str) -> list[PairedImages]:
    """The task's best restorer against each other one, the nearest rival first; unfinished ones can be no best."""
    ranking = group.scoreboard.ranking(task)
    if ranking is None:
        return []
    best = ranking.order[0]
    rivals = [restorer.label for restorer in group.restorers if not restorer.is_input and restorer.label != best]
    pairs = [
        PairedImages(best, rival, group.scoreboard.differences_by_image(best, rival, task), difference)
        for rival in rivals
        if (difference := group.scoreboard.difference(best, rival, task)) is not None
    ]
    return sorted(pairs, key=lambda pair: (pair.difference.mean, pair.rival))


def draw_bars(group: Group, looks: Mapping[str, Style], options: FigureOptions = HOUSE) -> Figure | None:
    """Bars of every restorer on every task and on average, the input's level as the zero line; None without scores."""
    gains = bars(group)
    if not gains:
        return None
    labels = list(dict.fromkeys(bar.label for bar in gains))
    tasks = [task for task in (*group.tasks, AVERAGE) if any(bar.task == task for bar in gains)]
    interval = " with its 95\u00a0% bootstrap interval, by scene, photograph or sequence" if options.intervals else ""
    caption = [
        f"{conditions(group)}.",
        f"Mean PSNR gain over the degraded input{interval}; zero: the input.",
    ]
    width = options.width or max(6.3, 1.2 + len(tasks) * (0.35 + 0.2 * len(labels)))
    columns = max(1, min(4, round(width / 1.7)))
    height = min(3.2, max(2.2, width * 0.6)) + 0.16 * -(-len(labels) // columns)
    with house_style(options):
        figure = new_figure(width, height, caption, options)
        axes = figure.subplots()
        axes.grid(True, axis="y")
        _bars(axes, gains, labels, tasks, looks, intervals=options.intervals)
        axes.axhline(0, color="black", linewidth=1.2, gid="input")
        axes.set_xticks(range(len(tasks)), [drawn(_tick(group, task)) for task in tasks])
        axes.tick_params(axis="x", length=0)
        if AVERAGE in tasks:
            axes.axvline(len(tasks) - 1.5, color="#999999", linewidth=0.8, linestyle="--")
        axes.set(ylabel="PSNR over the input's (dB)", xlim=(-0.55, len(tasks) - 0.45))
        legend_above(axes, columns)
        turn_ticks(axes)
    return figure


def _bars(
    axes: Axes,
    gains: Sequence[Bar],
    labels: Sequence[str],
    tasks: Sequence[str],
    looks: Mapping[str, Style],
    *,
    intervals: bool,
) -> None:
    step = 0.8 / len(labels)
    for index, label in enumerate(labels):
        own = [bar for bar in gains if bar.label == label]
        places = [tasks.index(bar.task) + (index - (len(labels) - 1) / 2) * step for bar in own]
        axes.bar(
            places,
            [bar.gain.mean for bar in own],
            step * 0.92,
            color=looks[label].colour,
            hatch=looks[label].hatch,
            edgecolor="black",
            linewidth=0.6,
            label=drawn(label),
        )
        for place, bar in zip(places, own, strict=True):
            if intervals:
                _whisker(axes, place, bar.gain)


def draw_paired(group: Group, looks: Mapping[str, Style], options: FigureOptions = HOUSE) -> Figure | None:
    """A panel for each task: the best restorer's PSNR less each other's, a dot an image; None without two restorers."""
    panels = [(task, pairs) for task in group.tasks if (pairs := paired(group, task))]
    if not panels:
        return None
    columns = 1 if len(panels) == 1 or (options.width or 7.2) < 5 * options.scale else 2
    lines = -(-len(panels) // columns)
    rivals = max(len(pairs) for _, pairs in panels)
    caption = [
        f"{conditions(group)}.",
        "A dot is an image: PSNR of the task's best restorer minus that of the other, right of zero where the best is "
        "better; black: mean with its 95\u00a0% bootstrap interval, by scene, photograph or sequence.",
    ]
    height = lines * (0.75 + 0.3 * rivals) * options.scale
    with house_style(options):
        figure = new_figure(options.width or 3.6 * columns, height, caption, options)
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (task, pairs) in zip(grid.flat, panels, strict=False):
            _panel(axes, pairs, looks)
            axes.set_title(
                drawn(f"{task_label(group, task)}: {pairs[0].best} minus"), size=options.font_size, loc="left"
            )
            axes.set_xlabel("difference (dB)", size=options.font_size * 15 / 16)
    return figure


def _panel(axes: Axes, pairs: Sequence[PairedImages], looks: Mapping[str, Style]) -> None:
    axes.axvline(0, color="black", linewidth=1, linestyle=":")
    axes.grid(True, axis="x")
    for row, pair in enumerate(pairs):
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
        low, high = pair.difference.low, pair.difference.high
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color="black", linewidth=1.6, gid="interval")
        axes.plot(pair.difference.mean, row, marker="|", markersize=11, markeredgewidth=1.8, color="black", gid="mean")
    axes.set_yticks(range(len(pairs)), [drawn(pair.rival) for pair in pairs])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(pairs) - 0.5, -0.5)


def _whisker(axes: Axes, place: float, gain: Interval) -> None:
    if gain.low is not None and gain.high is not None:
        ends = [[gain.mean - gain.low], [gain.high - gain.mean]]
        axes.errorbar([place], [gain.mean], yerr=ends, color="black", linewidth=1, capsize=2)


def _tick(group: Group, column: str) -> str:
    """A column's name over the input's own PSNR in it."""
    level = group.scoreboard.input_level(column)
    name = AVERAGE if column == AVERAGE else task_label(group, column)
    return name if level is None else f"{name}\ninput {level:.1f} dB"
