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

    A panel for each set of images that they were validated on. Against time only where all were validated on one, and
    trained on a machine that is known to have been theirs.
    """
    several = sorted((cost for cost in training_costs(group) if cost.history), key=lambda cost: cost.label)
    if len(several) < 2:
        return None
    machines = "; ".join(sorted({cost.machine for cost in several}))
    sets = sorted({cost.validated_on for cost in several})
    apart = "" if len(sets) == 1 else " Gains on different images cannot be compared."
    figure = new_figure(
        WIDTH,
        HEIGHT,
        [
            f"Mean PSNR over the input's on the validation images, as the weights' metadata tell it.{apart}",
            f"{equality(several)} {machines}.",
        ],
    )
    timed = len(sets) == 1 and all(cost.timed for cost in several)
    panels = figure.subplots(1, len(sets) + timed, sharey=True, squeeze=False)[0]
    for cost in several:
        look = looks[cost.label]
        gains = [gain for _, _, gain in cost.history]
        by_patches = [patches / 1000 for patches, _, _ in cost.history]
        by_time = [seconds / 60 for _, seconds, _ in cost.history]
        places = panels if timed else [panels[sets.index(cost.validated_on)]]
        for axes, spent in zip(places, (by_patches, by_time), strict=False):
            axes.plot(
                spent,
                gains,
                color=look.colour,
                marker=look.marker,
                markersize=4,
                linewidth=1.2,
                label=drawn(cost.label),
            )
    panels[0].set(ylabel="gain over the input (dB)")
    for axes, images in zip(panels, sets, strict=False):
        where = f"\nvalidated on {drawn(images)}" if len(sets) > 1 else ""
        axes.set(xlabel=f"training patches seen (thousands){where}")
    if timed:
        panels[1].set(xlabel="training time (minutes)")
    for axes in panels:
        axes.grid(visible=True)
        axes.axhline(0, color="black", linestyle=":", linewidth=1)
    for axes in panels[: len(sets)]:
        legend_above(axes, 2 if len(sets) == 1 else 1)
    return figure
