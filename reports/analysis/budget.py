"""Restorers by what their training cost: data, images seen, steps and time, and what each of them bought.

The facts come from the weights' own metadata, by way of the records; weights that `bench train` did not make have none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from ..tables.numbers import MISSING, number
from .cells import Contender, Group
from .leaderboard import average_row, cell_row

CURVE_COLUMNS = ("restorer", "images", "seconds", "validation_gain_db")


@dataclass(frozen=True)
class Budget:
    """One restorer of a group and the training of its weights.

    Attributes:
        label: the restorer.
        recipe, data_sha256: what it was trained on; `data_sha256` is the hash of the lists of images.
        images, steps, seconds: seen, done and taken.
        machine: that it was trained on.
        gain: mean over the suite's tasks of the PSNR over the input's (dB); None unless all tasks are complete.
        history: (images seen, seconds, mean validation gain in dB) at every validation.
    """

    label: str
    recipe: str
    data_sha256: str
    images: int
    steps: int
    seconds: float
    machine: str
    gain: float | None
    history: tuple[tuple[int, float, float], ...]


def budgets(group: Group) -> list[Budget]:
    """The restorers whose weights say how they were trained, the greatest gain first."""
    found = [_budget(group, contender) for contender in group.contenders if contender.record.weights.training]
    return sorted(found, key=lambda budget: (budget.gain is None, -(budget.gain or 0), budget.label))


def _budget(group: Group, contender: Contender) -> Budget:
    facts: dict[str, Any] = contender.record.weights.training or {}
    rows = [cell_row(contender.cells[key].record) for key in group.tasks if key in contender.cells]
    average = average_row(contender.entry, rows)
    known = average.psnr is not None and average.input_psnr is not None
    return Budget(
        label=contender.label,
        recipe=str(facts.get("recipe", "not recorded")),
        data_sha256=str(facts.get("lists_sha256", "")),
        images=int(facts["images"]),
        steps=int(facts.get("steps", 0)),
        seconds=float(facts.get("seconds", 0.0)),
        machine=str(facts.get("machine", "not recorded")),
        gain=average.psnr - average.input_psnr if known else None,  # type: ignore[operator]
        history=tuple((int(p["images"]), float(p["seconds"]), float(p["gain"])) for p in facts.get("history") or ()),
    )


def equality(several: Sequence[Budget]) -> str:
    """Whether the budgets are equal, in a sentence."""
    images, data = {budget.images for budget in several}, {budget.data_sha256 for budget in several}
    same_images = f"each saw {images.copy().pop():,} images" if len(images) == 1 else "NOT the same number of images"
    same_data = "of the same sequence of samples" if len(data) == 1 else "NOT of the same training data"
    machines = {budget.machine for budget in several}
    where = "on one kind of machine" if len(machines) == 1 else "on different machines, so times cannot be compared"
    return f"Budgets: {same_images}, {same_data}; trained {where}."


def budget_markdown(group: Group) -> str:
    """A Markdown table with what was spent and bought; empty where fewer than two weights say how they were trained."""
    several = budgets(group)
    if len(several) < 2:
        return ""
    body = tabulate(
        [
            [
                budget.label,
                f"{budget.recipe}, {budget.data_sha256[:12]}",
                f"{budget.images:,}",
                f"{budget.steps:,}",
                f"{budget.seconds / 60:.1f}",
                f"{budget.images / budget.seconds:.1f}" if budget.seconds else MISSING,
                number(budget.gain, 2),
                MISSING if budget.gain is None else f"{budget.gain / budget.images * 1000:.3f}",
                MISSING if budget.gain is None or not budget.seconds else f"{budget.gain / budget.seconds * 60:.3f}",
                budget.machine,
            ]
            for budget in several
        ],
        headers=[
            *("restorer", "recipe and data", "images seen", "steps", "minutes", "images/s", "average gain (dB)"),
            *("dB per 1000 images", "dB per minute", "trained on"),
        ],
        tablefmt="github",
        disable_numparse=True,
        colalign=("left", "left", *("right",) * 7, "left"),
    )
    return f"### Training budgets, {group.title}\n\n{body}\n\n{equality(several)}\n"


def curves_csv(group: Group) -> str:
    """The validations of all trainings as CSV: mean gain over the input against images seen and seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CURVE_COLUMNS)
    for budget in budgets(group):
        writer.writerows((budget.label, images, seconds, gain) for images, seconds, gain in budget.history)
    return text.getvalue()
