"""Quality while training: mean validation gain against patches seen, and against time where that means something."""

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
    """A curve for each restorer; None where fewer than two weights tell of their validations.

    Against time only where all were trained on a machine that is known to have been theirs.
    """
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
    timed = all(cost.timed for cost in several)
    panels = figure.subplots(1, 1 + timed, sharey=True, squeeze=False)[0]
    for cost in sorted(several, key=lambda cost: cost.label):
        look = looks[cost.label]
        gains = [gain for _, _, gain in cost.history]
        by_patches = [patches / 1000 for patches, _, _ in cost.history]
        by_time = [seconds / 60 for _, seconds, _ in cost.history]
        for axes, spent in zip(panels, (by_patches, by_time), strict=False):
            axes.plot(
                spent,
                gains,
                color=look.colour,
                marker=look.marker,
                markersize=4,
                linewidth=1.2,
                label=drawn(cost.label),
            )
    panels[0].set(xlabel="training patches seen (thousands)", ylabel="gain over the input (dB)")
    if timed:
        panels[1].set(xlabel="training time (minutes)")
    for axes in panels:
        axes.grid(visible=True)
        axes.axhline(0, color="black", linestyle=":", linewidth=1)
    legend_above(panels[0], 2)
    return figure
