"""A run's figure: losses, learning rate and validation scores over the samples seen."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ...atomic import written_whole
from .run_folder import PLOT, RunFolder

if TYPE_CHECKING:
    from pathlib import Path


def plot(folder: RunFolder) -> Path | None:
    """Draw ``training.png`` from the run's tables; None while they are empty."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    losses, scores = folder.losses.rows(), folder.validation.rows()
    if not losses:
        return None
    figure = Figure(figsize=(11, 4.2))
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.13, top=0.92, wspace=0.38)
    images = [int(row["images"]) for row in losses]
    for column in losses[0]:
        if column == "loss" or column.startswith("l1_"):
            points = [(x, float(row[column])) for x, row in zip(images, losses, strict=True) if row[column]]
            style = {"linewidth": 2.0, "color": "black"} if column == "loss" else {"linewidth": 0.8}
            if points:
                left.plot(*zip(*points, strict=True), label=column.removeprefix("l1_"), **style)
    left.set(xlabel="training images", ylabel="loss and L1 by task", yscale="log", title=folder.path.name)
    left.legend(fontsize=7)
    rates = left.twinx()
    rates.plot(images, [float(row["lr"]) for row in losses], color="grey", linestyle=":", linewidth=1)
    rates.set_ylabel("learning rate (dotted)")
    tasks: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in scores:
        tasks[row["task"]].append((int(row["images"]), float(row["psnr"]) - float(row["input_psnr"])))
    for task, points in tasks.items():
        if task != "clean":
            right.plot(*zip(*points, strict=True), marker="o", markersize=3, label=task)
    right.axhline(0, color="grey", linewidth=0.8)
    right.set(xlabel="training images", ylabel="PSNR over the input's (dB)", title="validation")
    if tasks:
        right.legend(fontsize=7)
    path = folder.path / PLOT
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=110)
    return path
