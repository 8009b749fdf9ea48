"""What the weights of a group cost in training and bought, as Markdown, and their validations as CSV."""

from __future__ import annotations

import csv
import io

from tabulate import tabulate

from ..analysis.cells import Group
from ..analysis.training import equality, training_costs, training_told
from ..escape import csv_cell, markdown
from .numbers import MISSING, number

CURVE_COLUMNS = ("restorer", "patches", "seconds", "validation_gain_db", "validated_on")


def training_markdown(group: Group) -> str:
    """A Markdown table with what was spent and bought; empty where fewer than two weights say how they were trained."""
    several = training_costs(group)
    if len(several) < 2:
        return ""
    body = tabulate(
        [
            [
                markdown(cost.label),
                markdown(", ".join(f"{stage.recipe} {stage.data_sha256[:12]}" for stage in cost.stages)),
                f"{cost.patches:,}",
                f"{cost.steps:,}",
                f"{cost.seconds / 60:.0f}",
                number(cost.gain, 2),
                MISSING if cost.gain is None else f"{cost.gain / cost.patches * 1000:.3f}",
                markdown(f"{cost.machine}; {cost.business}"),
            ]
            for cost in several
        ],
        headers=[
            *("restorer", "stages: recipe and data", "patches seen", "steps", "wall time (minutes)"),
            *("average gain (dB)", "dB per 1000 patches", "trained on"),
        ],
        tablefmt="github",
        disable_numparse=True,
        colalign=("left", "left", *("right",) * 5, "left"),
    )
    return f"### Training budgets, {markdown(group.title)}\n\n{body}\n\n{equality(several)}\n\n{_told(group)}\n"


def _told(group: Group) -> str:
    """The whole of each training, those alike once."""
    labels: dict[str, list[str]] = {}
    for restorer in group.restorers:
        if told := training_told(restorer.record):
            labels.setdefault(told, []).append(restorer.label)
    return "\n".join("- " + markdown(", ".join(names) + ": " + told) + "." for told, names in labels.items())


def curves_csv(group: Group) -> str:
    """The validations of all trainings as CSV: mean gain over the input against patches and seconds of wall time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CURVE_COLUMNS)
    for cost in training_costs(group):
        label, images = csv_cell(cost.label), csv_cell(cost.validated_on)
        writer.writerows((label, *point, images) for point in cost.history)
    return text.getvalue()
