"""The cell: the unit of work, of resume and of storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...datasets.tasks import Task
from ...models import WeightsInfo
from ..inference.numerics import Numerics
from ..store.parts import Identity, NumericsRecord, cell_id


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One restorer with one set of weights on one task under one protocol with given numerics.

    Attributes:
        suite, suite_tasks: the suite that it is computed for (not part of its identity: suites share cells).
        model, variant, overrides, revision: the network; `revision` is the card's.
        weights: the weights; random ones are told apart by `seed`.
        task, fingerprint: the task and the hash of its images.
        protocol: the protocol's full description.
        numerics: dtype, device kind and the options that can change a digit.
        source: what tells a network of the user's own apart; None for registered ones.
    """

    suite: str
    suite_tasks: tuple[str, ...]
    model: str
    variant: str
    overrides: dict[str, Any]
    revision: int
    weights: WeightsInfo
    seed: int
    task: Task
    fingerprint: str
    protocol: dict[str, Any]
    numerics: Numerics
    source: dict[str, Any] | None = None

    def identity(self) -> Identity:
        """Everything that can change the scores."""
        return Identity(
            model=self.model,
            variant=self.variant,
            overrides=self.overrides,
            revision=self.revision,
            weights=self.weights.sha256,
            weights_key=self.weights.key,
            seed=self.seed if self.weights.kind == "none" else None,
            task=self.task.key,
            data=self.fingerprint,
            protocol=self.protocol,
            numerics=NumericsRecord(**self.numerics.identity()),
            source=self.source,
        )

    @property
    def id(self) -> str:
        """Hexadecimal digest of the identity."""
        return cell_id(self.identity())
