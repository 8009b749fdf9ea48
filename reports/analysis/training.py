"""Restorers by what their training cost: data, images seen, steps and time, and what each of them bought.

The facts come from the weights' own metadata, by way of the records; weights that `bench train` did not make have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.store.records import Record
from .cells import Group, RestorerResult
from .leaderboard import AVERAGE


@dataclass(frozen=True)
class TrainingCost:
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


def training_costs(group: Group) -> list[TrainingCost]:
    """The restorers whose weights say how they were trained, the greatest gain first."""
    costs = [_cost(group, restorer) for restorer in group.restorers if restorer.record.weights.training]
    return sorted(costs, key=lambda cost: (cost.gain is None, -(cost.gain or 0), cost.label))


def _cost(group: Group, restorer: RestorerResult) -> TrainingCost:
    gain = group.scoreboard.mean_gain(restorer.label, AVERAGE) if restorer.complete else None
    return TrainingCost(label=restorer.label, gain=gain, **facts_of(restorer.record))


def facts_of(record: Record) -> dict[str, Any]:
    """What a record's weights say of their training, by the fields of `TrainingCost`; empty where they say nothing.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: they are not what the trainer writes.
    """
    facts: dict[str, Any] | None = record.weights.training
    if not facts:
        return {}
    if int(facts["images"]) < 1:
        raise ValueError("no image seen")
    return {
        "recipe": str(facts.get("recipe", "not recorded")),
        "data_sha256": str(facts.get("lists_sha256", "")),
        "images": int(facts["images"]),
        "steps": int(facts.get("steps") or 0),
        "seconds": float(facts.get("seconds") or 0.0),
        "machine": str(facts.get("machine", "not recorded")),
        "history": tuple(
            (int(point["images"]), float(point["seconds"]), float(point["gain"]))
            for point in facts.get("history") or ()
            if None not in (point["images"], point["seconds"], point["gain"])  # a gain that was not finite
        ),
    }


def equality(several: Sequence[TrainingCost]) -> str:
    """Whether the trainings cost the same, in a sentence."""
    images, data = {cost.images for cost in several}, {cost.data_sha256 for cost in several}
    same_images = f"each saw {images.copy().pop():,} images" if len(images) == 1 else "NOT the same number of images"
    same_data = "of the same sequence of samples" if len(data) == 1 else "NOT of the same training data"
    machines = {cost.machine for cost in several}
    where = "on one kind of machine" if len(machines) == 1 else "on different machines, so times cannot be compared"
    return f"Budgets: {same_images}, {same_data}; trained {where}."
