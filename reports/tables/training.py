"""What the weights of a group cost in training and bought, as Markdown, and their validations as CSV."""

from __future__ import annotations

import csv
import io

from tabulate import tabulate

from ..analysis.cells import Group
from ..analysis.training import equality, training_costs
from ..escape import csv_cell, markdown
from .numbers import MISSING, number

CURVE_COLUMNS = ("restorer", "images", "seconds", "validation_gain_db")


def training_markdown(group: Group) -> str:
    """A Markdown table with what was spent and bought; empty where fewer than two weights say how they were trained."""
    several = training_costs(group)
    if len(several) < 2:
        return ""
    body = tabulate(
        [
            [
                markdown(cost.label),
                markdown(f"{cost.recipe}, {cost.data_sha256[:12]}"),
                f"{cost.images:,}",
                f"{cost.steps:,}",
                f"{cost.seconds / 60:.1f}",
                f"{cost.images / cost.seconds:.1f}" if cost.seconds else MISSING,
                number(cost.gain, 2),
                MISSING if cost.gain is None else f"{cost.gain / cost.images * 1000:.3f}",
                MISSING if cost.gain is None or not cost.seconds else f"{cost.gain / cost.seconds * 60:.3f}",
                markdown(cost.machine),
            ]
            for cost in several
        ],
        headers=[
            *("restorer", "recipe and data", "images seen", "steps", "minutes", "images/s", "average gain (dB)"),
            *("dB per 1000 images", "dB per minute", "trained on"),
        ],
        tablefmt="github",
        disable_numparse=True,
        colalign=("left", "left", *("right",) * 7, "left"),
    )
    return f"### Training budgets, {markdown(group.title)}\n\n{body}\n\n{equality(several)}\n"


def curves_csv(group: Group) -> str:
    """The validations of all trainings as CSV: mean gain over the input against images seen and seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CURVE_COLUMNS)
    for cost in training_costs(group):
        writer.writerows((csv_cell(cost.label), images, seconds, gain) for images, seconds, gain in cost.history)
    return text.getvalue()
