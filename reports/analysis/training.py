"""Restorers by what their training cost and which data each stage of it saw, and what that bought.

The facts come from the weights' own metadata, by way of the records; weights that `bench train` did not make have none.
What is counted are patches: crops of images, each seen once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.store.records import Record
from .cells import Group, RestorerResult
from .leaderboard import AVERAGE

LOOKED_AT = {
    "restraint": "chosen by looking at the test images of the embedded suites, Rain100L and SOTS-outdoor",
}
"""Recipes whose making looked at test images, and which: models/bundled/README.md tells how."""
COMPONENT = re.compile(r"^\S+ x [0-9.e+-]+: (?P<images>.*);")
MOST_STAGES = 100
MOST_QUEUE = 0.75
"""By how much the load average may exceed the number of processors before a time says nothing."""


@dataclass(frozen=True)
class Stage:
    """One run of the trainer, which began with the weights of the one before.

    Attributes:
        recipe: its name. seed: of its samples; None where it is not recorded.
        data_sha256: hash of the lists of images. images: what these are, each source once.
        patches, steps: seen and done.
        validated_on: the images of its validations; empty where they are not recorded.
        chosen: how the recipe was chosen, where test images were looked at for it; else empty.
    """

    recipe: str
    seed: int | None
    data_sha256: str
    images: tuple[str, ...]
    patches: int
    steps: int
    validated_on: str
    chosen: str

    def told(self) -> str:
        """``embedded: 32,000 patches in 4,400 steps, seed 0, of dead leaves v1, 600 images``."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        images = f", of {' and '.join(self.images)}" if self.images else ""
        validated = f", validated on {self.validated_on}" if self.validated_on else ""
        chosen = f", {self.chosen}" if self.chosen else ""
        return f"{self.recipe}: {self.patches:,} patches in {self.steps:,} steps{seed}{images}{validated}{chosen}"


@dataclass(frozen=True)
class TrainingCost:
    """One restorer of a group and the training of its weights.

    Attributes:
        label: the restorer.
        stages: of its training, in order.
        patches, steps, seconds: seen, done and taken, in all stages together; seconds are wall time.
        load, processors: load average of one minute, the highest of those recorded at the stages' ends, and the
            processors of the machine; None where they were not recorded.
        machine: that it was trained on.
        interpolation: share of the start that the result keeps; beyond the end where it is negative.
        gain: mean over the suite's tasks of the PSNR over the input's (dB); None unless all tasks are complete.
        history: (patches seen, seconds, mean validation gain in dB) at every validation.
    """

    label: str
    stages: tuple[Stage, ...]
    patches: int
    steps: int
    seconds: float
    load: float | None
    processors: int | None
    machine: str
    interpolation: float
    gain: float | None
    history: tuple[tuple[int, float, float], ...]

    @property
    def validated_on(self) -> str:
        """The images of its validations: gains on different ones cannot be compared."""
        images = dict.fromkeys(stage.validated_on or "images not recorded" for stage in self.stages)
        return " and ".join(images)

    @property
    def timed(self) -> bool:
        """Whether the seconds are those of a machine that is known to have had no more to do than it could."""
        return self.load is not None and self.processors is not None and self.load <= self.processors + MOST_QUEUE

    @property
    def business(self) -> str:
        """How busy the machine was, in words."""
        if self.load is None or self.processors is None:
            return "machine shared or not, not recorded"
        return f"load {self.load:.1f} on {self.processors} processors"


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
    if len(facts.get("stages") or ()) > MOST_STAGES:
        raise ValueError(f"more than {MOST_STAGES} stages")
    load, processors = facts.get("load_average"), facts.get("processors")
    return {
        "stages": tuple(_stage(one) for one in facts.get("stages") or (facts,)),
        "patches": int(facts["images"]),
        "steps": int(facts.get("steps") or 0),
        "seconds": float(facts.get("seconds") or 0.0),
        "load": None if load is None else float(load),
        "processors": None if processors is None else int(processors),
        "machine": str(facts.get("machine", "not recorded")),
        "interpolation": float(facts.get("interpolation") or facts.get("start_share") or 0.0),
        "history": tuple(
            (int(point["images"]), float(point["seconds"]), float(point["gain"]))
            for point in facts.get("history") or ()
            if None not in (point["images"], point["seconds"], point["gain"])  # a gain that was not finite
        ),
    }


def _stage(facts: Mapping[str, Any]) -> Stage:
    recipe, seed = str(facts.get("recipe", "not recorded")), facts.get("seed")
    return Stage(
        recipe=recipe,
        seed=None if seed is None else int(seed),
        data_sha256=str(facts.get("lists_sha256", "")),
        images=_images_in(str(facts.get("data") or "")),
        patches=int(facts["images"]),
        steps=int(facts.get("steps") or 0),
        validated_on=str(facts.get("validated_on") or ""),
        chosen=LOOKED_AT.get(recipe, ""),
    )


@functools.lru_cache(maxsize=256)
def _images_in(data: str) -> tuple[str, ...]:
    """What the images of a description of training data are; kept, since all cells of a restorer have the same."""
    parts = [match["images"] for line in data.splitlines() if (match := COMPONENT.match(line))]
    return tuple(dict.fromkeys(part.partition(";")[0] for part in parts))


def training_told(record: Record) -> str:
    """The whole training of a record's weights in a sentence without its stop; empty where they say nothing of it."""
    facts = facts_of(record)
    if not facts:
        return ""
    stages: tuple[Stage, ...] = facts["stages"]
    count = f"{len(stages)} stages, each from the weights of the one before" if len(stages) > 1 else "one stage"
    beyond = facts["interpolation"]
    line = f"; the weights lie at {1 - beyond:g} of the way of the last stage" if beyond else ""
    whole = f"{facts['patches']:,} patches (crops, not images) in {facts['steps']:,} steps, {count}"
    return f"trained on {whole}: {'; '.join(stage.told() for stage in stages)}{line}"


def training_note(record: Record) -> str:
    """The same as short as a footnote may be."""
    facts = facts_of(record)
    if not facts:
        return ""
    stages: tuple[Stage, ...] = facts["stages"]
    names = ", ".join(f"{stage.recipe} {stage.patches:,}" for stage in stages)
    chosen = "; ".join(dict.fromkeys(f"{stage.recipe} {stage.chosen}" for stage in stages if stage.chosen))
    text = f"trained on {facts['patches']:,} patches in {facts['steps']:,} steps ({names})"
    return f"{text}; {chosen}" if chosen else text


def equality(several: Sequence[TrainingCost]) -> str:
    """Whether the trainings cost the same, in a sentence."""
    patches = {cost.patches for cost in several}
    same_patches = (
        f"each saw {patches.copy().pop():,} patches" if len(patches) == 1 else "NOT the same number of patches"
    )
    chains = {tuple(stage.data_sha256 for stage in cost.stages) for cost in several}
    same_data = (
        "of the same sequence of samples" if len(chains) == 1 else f"NOT of the same training data{_where(several)}"
    )
    machines = {cost.machine for cost in several}
    where = "on one kind of machine" if len(machines) == 1 else "on different machines, so times cannot be compared"
    busy = "" if all(cost.timed for cost in several) else "; a shared machine makes times that order nothing"
    return f"Budgets: {same_patches}, {same_data}; trained {where}{busy}."


def _where(several: Sequence[TrainingCost]) -> str:
    """The stages in which data differ, where all have as many."""
    if len({len(cost.stages) for cost in several}) != 1:
        return ""
    places = list(zip(*(cost.stages for cost in several), strict=True))
    differing = [
        f"{place} ({stages[0].recipe})"
        for place, stages in enumerate(places, 1)
        if len({stage.data_sha256 for stage in stages}) > 1
    ]
    return f" in stage {', '.join(differing)}"
