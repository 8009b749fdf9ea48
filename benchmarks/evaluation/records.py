"""What is recorded of a finished cell: the restorer, its weights and cost, the machine, counts and means."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from torch import nn

from ...datasets.samples import TaskData
from ...messages import one_line
from ...models import ModelCard, WeightsInfo, build_network
from ..environment import describe_environment
from ..inference.cost import cost_of
from ..inference.foreign import contained
from ..inference.runner import Runner
from ..profiling.macs import count_macs
from ..protocols.lpips import LpipsChoice
from ..store.parts import (
    ComplexityRecord,
    CostRecord,
    DataRecord,
    EnvironmentRecord,
    LpipsRecord,
    WeightsRecord,
)
from ..store.records import SCHEMA_VERSION, Record
from ..store.rows import ImageRow, mean_rows
from .cells import Cell
from .pipeline import Computed
from .plan import RunPlan

logger = logging.getLogger("restorebench")

COMPLEXITY_SIZE = (256, 256)


class Recorder:
    """Makes the records of a job's cells."""

    def __init__(self, plan: RunPlan, command: str, runner: Callable[[], Runner]) -> None:
        """Nothing is computed yet.

        Args:
            plan: of the job.
            command: that repeats it.
            runner: gives the restorer on its device.
        """
        self.plan, self.command, self.runner = plan, command, runner
        self._peaks: dict[tuple[int, int], tuple[float, str] | None] = {}

    @property
    def card(self) -> ModelCard:
        """The card; where the checkpoint decides the network, as it holds for this checkpoint."""
        return self.plan.card if self.plan.card.built_from == "arguments" else self.runner().restorer.card

    @functools.cached_property
    def complexity(self) -> ComplexityRecord:
        """Parameters and multiply-adds at 256x256; what defies counting still gets its scores."""
        plan = self.plan
        network: nn.Module | Callable[[], nn.Module]
        if plan.restorer is not None:
            network = plan.restorer
        elif plan.card.built_from == "checkpoint":
            network = self.runner().restorer.network
        else:
            network = functools.partial(build_network, plan.card.key, variant=plan.variant, **plan.overrides)
        try:
            with contained():
                cost = count_macs(network, COMPLEXITY_SIZE)
        except Exception as error:  # the network's own, of any kind
            logger.warning("%s: multiply-adds not counted: %s", plan.card.name, one_line(error))
            built = network if isinstance(network, nn.Module) else network()
            parameters = sum(p.numel() for p in built.parameters() if p.requires_grad)
            # A network that torch does not run has parameters that torch does not see.
            return ComplexityRecord(
                parameters=parameters or None, macs=None, statement=f"not counted: {one_line(error)}"
            )
        return ComplexityRecord(**dataclasses.asdict(cost))

    def record(
        self, cell: Cell, data: TaskData, rows: Sequence[ImageRow], computed: Computed, started: str, *, timed: bool
    ) -> Record:
        """The record of a cell whose rows are complete.

        Args:
            cell, data: which.
            rows: in any order.
            computed: what all workers did.
            started: when.
            timed: whether the runner's passes are this cell's, and tell what they took.
        """
        plan = self.plan
        scored = [row for row in rows if row.status == "ok"]
        return Record(
            schema_version=SCHEMA_VERSION,
            cell=cell.id,
            suite=cell.suite,
            suite_tasks=cell.suite_tasks,
            task=cell.task.name,
            dataset=cell.task.dataset,
            sigma=cell.task.sigma,
            model=cell.model,
            title=self.card.title,
            variant=cell.variant,
            overrides=cell.overrides,
            provenance=plan.weights.provenance,
            weights=weights_record(plan.weights, self.card, plan.group),
            protocol=str(plan.protocol),
            lpips=lpips_of(scored, plan.protocol.lpips_backbone, self.plan.lpips),
            identity=cell.identity(),
            data=DataRecord(description=data.description, licence=data.licence),
            expected=len(data),
            scored=len(scored),
            failures=tuple((row.image, row.message) for row in rows if row.status == "failed"),
            means=mean_rows(scored),
            complexity=self.complexity,
            config=plan.config,
            environment=EnvironmentRecord(
                **describe_environment(plan.numerics.device), runtime=self._runtime() if timed else ""
            ),
            command=self.command,
            started=started,
            finished=datetime.now(UTC).isoformat(timespec="microseconds"),
            seconds=computed.seconds,
            computed=computed.images,
            cost=self._cost() if timed else None,
        )

    def _runtime(self) -> str:
        """What ran the network, where that is not torch."""
        return str(getattr(self.runner().restorer.network, "runtime", ""))

    def _cost(self) -> CostRecord | None:
        """What the cell's passes took; memory is measured by one pass more, once for each size of image."""
        passes = self.runner().passes()
        business = self.runner().business()
        cost = cost_of(passes, None, business)
        if cost is not None and self.plan.numerics.tile is None:
            if cost.size not in self._peaks:
                self._peaks[cost.size] = self.runner().peak_memory(cost.size)
            cost = cost_of(passes, self._peaks[cost.size], business)
        return None if cost is None else CostRecord(**dataclasses.asdict(cost))


def lpips_of(scored: Sequence[ImageRow], backbone: str, choice: LpipsChoice | None) -> LpipsRecord:
    """What the record says of LPIPS: its backbone, and the weights by which every row has it."""
    known = choice is not None and bool(choice.label) and bool(scored)
    same = known and choice is not None and all(row.lpips_by == choice.label for row in scored)
    return LpipsRecord(backbone=backbone, weights=choice.sha256 if same and choice is not None else None)


def weights_record(weights: WeightsInfo, card: ModelCard, group: str = "") -> WeightsRecord:
    """What the record says of weights, and of the network that they are for."""
    return WeightsRecord(
        kind=weights.kind,
        path=None if weights.path is None else str(weights.path),
        sha256=weights.sha256,
        provenance=weights.provenance,
        description=weights.description,
        training=None if weights.training is None else dict(weights.training),
        label=weights.label,
        group=group,
        key=weights.key,
        reconstructed=card.network_provenance == "reconstructed",
    )
