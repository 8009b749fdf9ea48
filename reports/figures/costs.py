"""Average PSNR against a cost: measured filled, published hollow, the measured Pareto front as steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from ..analysis.captions import conditions, macs_size
from ..analysis.cells import Group
from ..analysis.costs import (
    MACS_SIZE,
    CostAxis,
    CostPoint,
    cost_points,
    cost_statement,
    incomplete,
    not_comparable,
    pareto,
)
from ..analysis.leaderboard import AVERAGE
from .labels import Label, place_labels
from .options import HOUSE, FigureOptions
from .style import PUBLISHED, Style, house_style, legend_above, new_figure, settle

WIDTH, HEIGHT = 6.3, 3.6
MARKER = 7.0
LOG_FROM = 10.0
"""Ratio of the largest to the smallest cost from which the axis is logarithmic."""


def draw_costs(
    group: Group, axis: CostAxis, looks: Mapping[str, Style], *, published: bool, options: FigureOptions = HOUSE
) -> Figure | None:
    """A group's figure for one cost; None where fewer than two points have it, or none that is measured.

    Args:
        group: the restorers; the input is a horizontal line where the limits hold it, and named with its level.
        axis: the cost.
        looks: of each label.
        published: whether to add printed averages, which needs comparable data (see `costs.not_comparable`).
        options: size, type, caption, limits, intervals.
    """
    points = cost_points(group, published)
    shown = [point for point in points if point.cost(axis.cost) is not None]
    measured = [point for point in shown if point.source == "measured"]
    if not measured or len(shown) < 2:
        return None
    printed = [point for point in shown if point.source == "published"]
    crowded = len(printed) > 12
    width = options.width or WIDTH + crowded
    height = max(2.4, min(1.0, width / WIDTH) * HEIGHT) * (1.6 if crowded else 1)
    with house_style(options):
        caption = _caption(group, axis, points, published=published, intervals=options.intervals)
        figure = new_figure(width, height, caption, options)
        axes = figure.subplots()
        _points(axes, axis, measured, printed, looks, intervals=options.intervals)
        _key(axes, with_published=bool(printed))
        _scale(axes, axis, [_x(point, axis) for point in shown])
        low, high = options.y_limits or _limits(shown, intervals=options.intervals)
        level = group.scoreboard.input_level(AVERAGE)
        if level is not None:
            where = "" if low <= level <= high else ", below" if level < low else ", above"
            text = f"degraded input ({level:.2f} dB{where})"
            axes.axhline(level, color="black", linestyle=":", linewidth=1, label=text, gid="input")
        axes.set_ylim(low, high)
        front = _front(axes, axis, measured)
        legend_above(axes, 4)
        settle(figure)
        sizes = (7.0, 6.0) if crowded else (7.5, 7.0)
        labels = [
            Label(_named(point, axis), _x(point, axis), point.psnr, colour, size * options.scale)
            for several, colour, size in ((measured, "black", sizes[0]), (printed, PUBLISHED, sizes[1]))
            for point in several
            if low <= point.psnr <= high
        ]
        level = level if level is not None and low <= level <= high else None
        whiskers = _whiskers(axes, axis, measured) if options.intervals else []
        spreads = [(*ends, point.psnr) for point in measured if (ends := _quartiles(point, axis)) is not None]
        place_labels(axes, labels, marker=MARKER, lines=[*_in_pixels(axes, front, level, spreads), *whiskers])
    return figure


def _limits(points: Sequence[CostPoint], *, intervals: bool) -> tuple[float, float]:
    """The restorers' own range with their intervals, so that they do not crowd above a far-away input."""
    values = [point.psnr for point in points]
    if intervals:
        bounds = [point.interval for point in points if point.interval is not None]
        values += [end for bound in bounds for end in (bound.low, bound.high) if end is not None]
    margin = max(0.1, 0.1 * (max(values) - min(values)))
    return min(values) - margin, max(values) + margin


def _points(
    axes: Axes,
    axis: CostAxis,
    measured: Sequence[CostPoint],
    printed: Sequence[CostPoint],
    looks: Mapping[str, Style],
    *,
    intervals: bool,
) -> None:
    for point in printed:
        look = _namesake(point, looks)
        axes.plot(
            _x(point, axis),
            point.psnr,
            linestyle="",
            marker=look.marker if look else "o",
            markersize=MARKER - 2 if look is None else MARKER,
            markerfacecolor="none",
            markeredgecolor=look.colour if look else PUBLISHED,
            gid="published",
        )
    for point in measured:
        look, bounds = looks[point.label], point.interval
        _spread(axes, point, axis, look.colour)
        if intervals and bounds is not None and bounds.low is not None and bounds.high is not None:
            ends = [[point.psnr - bounds.low], [bounds.high - point.psnr]]
            axes.errorbar(
                [_x(point, axis)], [point.psnr], yerr=ends, color="#888888", linewidth=0.8, capsize=2, zorder=1.7
            )
        axes.plot(
            _x(point, axis),
            point.psnr,
            linestyle="",
            marker=look.marker,
            markersize=MARKER,
            markerfacecolor=look.colour,
            markeredgecolor="black",
            markeredgewidth=0.6,
            gid="measured",
        )


def _whiskers(axes: Axes, axis: CostAxis, measured: Sequence[CostPoint]) -> list[Bbox]:
    """The intervals as thin boxes in pixels, which labels avoid."""
    boxes = []
    for point in measured:
        if point.interval is not None and point.interval.low is not None and point.interval.high is not None:
            ends = [(_x(point, axis), point.interval.low), (_x(point, axis), point.interval.high)]
            (x, y0), (_, y1) = axes.transData.transform(ends)
            boxes.append(Bbox.from_extents(x - 1, y0, x + 1, y1))
    return boxes


def _named(point: CostPoint, axis: CostAxis) -> str:
    """A measured point's label, which says where its cost is doubtful."""
    return f"{point.label}, doubtful" if point.doubtful(axis.cost) else point.label


def _quartiles(point: CostPoint, axis: CostAxis) -> tuple[float, float] | None:
    """Where the line of a latency's quartiles begins and ends; None where there is none."""
    timing = point.timing
    if axis.cost != "latency_ms" or timing is None or timing.q1_ms is None or timing.q3_ms is None:
        return None
    return timing.q1_ms / axis.unit, timing.q3_ms / axis.unit


def _spread(axes: Axes, point: CostPoint, axis: CostAxis, colour: str) -> None:
    """The quartiles of a latency as a line behind its point."""
    ends = _quartiles(point, axis)
    if ends is not None:
        axes.plot(ends, (point.psnr, point.psnr), color=colour, linewidth=1.2, zorder=1.9, gid="spread")


def _x(point: CostPoint, axis: CostAxis) -> float:
    value = point.cost(axis.cost)
    assert value is not None
    return value / axis.unit


def _namesake(point: CostPoint, looks: Mapping[str, Style]) -> Style | None:
    """The look of the measured restorer that a published one is, by the beginning of its label."""
    return next((look for label, look in looks.items() if label.partition(" (")[0] == point.label), None)


def _scale(axes: Axes, axis: CostAxis, values: Sequence[float]) -> None:
    """Limits with room for labels; logarithmic where the values span more than a decade."""
    axes.set(xlabel=axis.label, ylabel="average PSNR (dB)")
    axes.grid(True)
    positive = min(values) > 0
    if positive and max(values) / min(values) > LOG_FROM:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=30))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.12, y=0.1)
    else:
        axes.margins(x=0.18, y=0.1)


def _front(axes: Axes, axis: CostAxis, measured: Sequence[CostPoint]) -> list[tuple[float, float]]:
    """Draw the Pareto front up to the right edge; its corners, left to right, none where costs are too doubtful."""
    front = pareto(measured, axis.cost)
    if not front:
        return []
    right = axes.get_xlim()[1]
    corners = [(_x(point, axis), point.psnr) for point in front]
    corners.append((right, corners[-1][1]))
    axes.set_xlim(right=right)
    x, y = zip(*corners, strict=True)
    axes.plot(
        x,
        y,
        drawstyle="steps-post",
        color="black",
        linewidth=1,
        zorder=1.8,
        label="Pareto front of the measured",
        gid="front",
    )
    return corners


def _key(axes: Axes, *, with_published: bool) -> None:
    """The legend: what filled and hollow, steps and dots mean."""
    axes.plot([], [], linestyle="", marker="o", color="black", markersize=5, label="measured")
    if with_published:
        axes.plot(
            [], [], linestyle="", marker="o", markerfacecolor="none", markeredgecolor=PUBLISHED, label="published"
        )


def _in_pixels(
    axes: Axes,
    corners: Sequence[tuple[float, float]],
    level: float | None,
    spreads: Sequence[tuple[float, float, float]],
) -> list[Bbox]:
    """The front's steps, the input's line and the quartiles (from, to, height) as thin boxes, which labels avoid."""
    lines = [((low, height), (high, height)) for low, high, height in spreads]
    for (x0, y0), (x1, y1) in pairwise(corners):
        lines += [((x0, y0), (x1, y0)), ((x1, y0), (x1, y1))]
    if level is not None:
        left, right = axes.get_xlim()
        lines.append(((left, level), (right, level)))
    boxes = []
    for ends in lines:
        (x0, y0), (x1, y1) = axes.transData.transform(ends)
        boxes.append(Bbox.from_extents(min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1))
    return boxes


def _caption(
    group: Group, axis: CostAxis, points: Sequence[CostPoint], *, published: bool, intervals: bool
) -> list[str]:
    """What was measured, how, and what is not shown."""
    lines = [f"{conditions(group)}."]
    if intervals:
        lines.append("Lines: 95\u00a0% bootstrap intervals of the average, by scene, photograph or sequence.")
    if axis.cost == "macs":
        lines.append(f"Multiply-adds counted at {macs_size(group)}, without Fourier transforms.")
    if axis.cost in ("latency_ms", "peak_mib"):
        statement = cost_statement(group, axis.cost)
        lines.append(f"{statement[:1].upper()}{statement[1:]}.")
    if axis.cost == "latency_ms" and any(p.timing is not None and p.timing.q1_ms is not None for p in points):
        lines.append("Lines are quartiles of the passes.")
    measured = [p for p in points if p.source == "measured"]
    if not pareto(measured, axis.cost) and any(p.doubtful(axis.cost) for p in measured):
        lines.append("No Pareto front: too few of these times can be trusted.")
    absent = [p.label for p in points if p.source == "measured" and p.cost(axis.cost) is None]
    if absent:
        lines.append(f"Not shown, without a value: {', '.join(absent)}.")
    if unfinished := incomplete(group):
        lines.append(f"Not shown, without a complete suite: {', '.join(unfinished)}.")
    if not published:
        return lines
    if reason := not_comparable(group):
        return [*lines, f"Published points left out: {reason}."]
    printed = [point for point in points if point.source == "published"]
    drawn = [point for point in printed if point.cost(axis.cost) is not None]
    if not drawn:
        return [*lines, "No published point: papers print no comparable value of this cost."]
    if axis.cost == "macs":
        sources = dict.fromkeys(point.macs_source for point in drawn)
        lines.append(f"Multiply-adds of published restorers: {'; '.join(sources)}, {MACS_SIZE}.")
    if axis.cost == "params":
        lines.append("Parameters of published restorers as in print, with frozen parts where these are named.")
    return [*lines, *_sources(drawn, len(printed) - len(drawn))]


def _sources(drawn: Sequence[CostPoint], without: int) -> list[str]:
    """Which published points are printed where, and what to know about them."""
    by_citation: dict[str, list[str]] = {}
    by_note: dict[str, list[str]] = {}
    for point in drawn:
        by_citation.setdefault(point.citation, []).append(point.label)
        for note in point.notes:
            by_note.setdefault(note, []).append(point.label)
    lines = ["Published: " + "; ".join(f"{', '.join(names)} ({paper})" for paper, names in by_citation.items()) + "."]
    lines += [f"{note[:1].upper()}{note[1:]}: {', '.join(names)}." for note, names in by_note.items()]
    if without:
        lines.append(f"{without} published restorers without this cost in print are not shown.")
    return lines
