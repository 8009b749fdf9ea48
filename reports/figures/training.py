"""Quality while training: mean validation gain against images seen and against seconds."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from ..analysis.cells import Group
from ..analysis.training import equality, training_costs
from ..escape import figure as drawn
from .style import Style, house_style, legend_above, new_figure

WIDTH, HEIGHT = 6.6, 2.9


@house_style()
def draw_training(group: Group, looks: Mapping[str, Style]) -> Figure | None:
    """Two axes with a curve for each restorer; None where fewer than two weights tell of their validations."""
    several = [cost for cost in training_costs(group) if cost.history]
    if len(several) < 2:
        return None
    machines = "; ".join(sorted({cost.machine for cost in several}))
    figure = new_figure(
        WIDTH,
        HEIGHT,
        [
            "Mean PSNR over the input's on the validation images of training (embedded 5d unless the recipe says"
            " otherwise), as the weights' metadata tell it.",
            f"{equality(several)} {machines}.",
        ],
    )
    by_images, by_time = figure.subplots(1, 2, sharey=True)
    for cost in sorted(several, key=lambda cost: cost.label):
        look = looks[cost.label]
        gains = [gain for _, _, gain in cost.history]
        for axes, spent in (
            (by_images, [images / 1000 for images, _, _ in cost.history]),
            (by_time, [seconds / 60 for _, seconds, _ in cost.history]),
        ):
            axes.plot(
                spent,
                gains,
                color=look.colour,
                marker=look.marker,
                markersize=4,
                linewidth=1.2,
                label=drawn(cost.label),
            )
    by_images.set(xlabel="training images seen (thousands)", ylabel="gain over the input (dB)")
    by_time.set(xlabel="training time (minutes)")
    for axes in (by_images, by_time):
        axes.grid(visible=True)
        axes.axhline(0, color="black", linestyle=":", linewidth=1)
    legend_above(by_images, 2)
    return figure
