"""Several weights of one network as one row: mean and standard deviation over them.

Weights belong together where the user says so (``group=NAME``), or where this suite's trainer made all of them by one
recipe from different seeds.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..published.metrics import Metric
from .leaderboard import AVERAGE

if TYPE_CHECKING:
    from .cells import Group, RestorerResult

ALIKE = ("recipe", "steps", "images", "ema", "interpolation")
"""Facts of the trainer in which weights of different seeds agree, apart from their data."""
_SEED = re.compile(r"\bseed \d+")
"""In the first line of what determines the samples (`datasets.training.mixtures`)."""


@dataclass(frozen=True)
class Spread:
    """A score over several weights.

    Attributes:
        mean: over the weights, of each one's mean over the images.
        deviation: sample standard deviation (n - 1) over the weights.
        count: how many weights have the score.
    """

    mean: float
    deviation: float
    count: int


@dataclass(frozen=True)
class SeedGroup:
    """Weights of one network that stand for it together.

    Attributes:
        label: what tables call them.
        members: the restorers, each of which has a row of its own.
        why: in words, what joins them.
    """

    label: str
    members: tuple[RestorerResult, ...]
    why: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the members."""
        return tuple(member.label for member in self.members)

    def spread(self, group: Group, column: str, metric: Metric = "psnr") -> Spread | None:
        """The score of a task by its key or of the average; None unless each of the weights has it."""
        scores = [group.scoreboard.score(member.label, column, metric) for member in self.members]
        means = [score.mean for score in scores if score is not None]
        if len(means) < len(scores) or not all(map(math.isfinite, means)):
            return None
        return Spread(statistics.fmean(means), statistics.stdev(means), len(means))


def seed_groups(group: Group) -> list[SeedGroup]:
    """The weights of a group that belong together, two or more each, in the order of their labels.

    Only weights of one network under the same numerics do. A network belongs to a group by name rather than by seeds.
    """
    several: dict[tuple[str, ...], list[RestorerResult]] = {}
    for restorer in group.restorers:
        key = _key(restorer)
        if key is not None:
            several.setdefault(key, []).append(restorer)
    joined = {key: members for key, members in several.items() if len(members) > 1 and _differ(key, members)}
    found = [_seed_group(key, members) for key, members in joined.items()]
    return sorted(found, key=lambda each: each.label)


def _key(restorer: RestorerResult) -> tuple[str, ...] | None:
    """What joins weights: kind of bond, its name, and network and numerics; None for weights that stand alone."""
    record = restorer.record
    network = json.dumps(
        [record.model, record.variant, record.overrides, str(record.identity.numerics)], sort_keys=True, default=str
    )
    name = restorer.records.group
    if name:
        return "group", name, network
    facts = record.weights.training
    if record.provenance != "retrained" or not facts or facts.get("seed") is None:
        return None
    stages = [each for each in facts.get("stages") or () if isinstance(each, Mapping)]
    return "seeds", json.dumps([_training(each) for each in (facts, *stages)], default=str), network


def _training(facts: Mapping[str, Any]) -> list[Any]:
    """What two trainings have in common that differ in their seeds alone."""
    return [*(facts.get(name) for name in ALIKE), _SEED.sub("seed", str(facts.get("data")), count=1)]


def _differ(key: tuple[str, ...], members: Sequence[RestorerResult]) -> bool:
    """Whether weights that the trainer's facts join have seeds that differ; those of a name the user vouches for."""
    if key[0] == "group":
        return True
    return len({str((member.record.weights.training or {}).get("seed")) for member in members}) == len(members)


def _seed_group(key: tuple[str, ...], members: Sequence[RestorerResult]) -> SeedGroup:
    kind, name, _ = key
    record = members[0].record
    facts = record.weights.training or {}
    bond = name if kind == "group" else f"{facts.get('recipe', 'one recipe')}"
    label = (
        f"{record.title} ({record.variant}), {bond}: mean of {len(members)} {'weights' if kind == 'group' else 'seeds'}"
    )
    why = f"joined by group={name}" if kind == "group" else f"trained by recipe {bond} from different seeds"
    return SeedGroup(label, tuple(members), why)


def printed(spread: Spread, digits: int) -> str:
    """``30.12 ± 0.05``."""
    return f"{spread.mean:.{digits}f} ± {spread.deviation:.{digits}f}"


def in_words(group: Group) -> list[tuple[str, str]]:
    """Label and average PSNR of each group of weights, for a summary."""
    lines = []
    for each in seed_groups(group):
        spread = each.spread(group, AVERAGE)
        text = "no average: not all of them are complete" if spread is None else f"{printed(spread, 2)} dB"
        lines.append((each.label, f"{text} ({', '.join(each.labels)})"))
    return lines
