"""Quality while training: mean validation gain against images seen and against seconds."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from ..analysis.cells import Group
from ..analysis.training import budgets, equality
from .style import Style, house_style, legend_above, new_figure

WIDTH, HEIGHT = 6.6, 2.9


@house_style()
def draw_budgets(group: Group, looks: Mapping[str, Style]) -> Figure | None:
    """Two axes with a curve for each restorer; None where fewer than two weights tell of their validations."""
    several = [budget for budget in budgets(group) if budget.history]
    if len(several) < 2:
        return None
    machines = "; ".join(sorted({budget.machine for budget in several}))
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
    for budget in sorted(several, key=lambda budget: budget.label):
        look = looks[budget.label]
        gains = [gain for _, _, gain in budget.history]
        for axes, costs in (
            (by_images, [images / 1000 for images, _, _ in budget.history]),
            (by_time, [seconds / 60 for _, seconds, _ in budget.history]),
        ):
            axes.plot(
                costs, gains, color=look.colour, marker=look.marker, markersize=4, linewidth=1.2, label=budget.label
            )
    by_images.set(xlabel="training images seen (thousands)", ylabel="gain over the input (dB)")
    by_time.set(xlabel="training time (minutes)")
    for axes in (by_images, by_time):
        axes.grid(visible=True)
        axes.axhline(0, color="black", linestyle=":", linewidth=1)
    legend_above(by_images, 2)
    return figure
