"""A job: the cells of one restorer on one suite, computed where they are missing."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from torch import nn

from ...atomic import naming
from ...datasets.samples import TaskData
from ...messages import one_line
from ...models import ModelCard, WeightsInfo, build_network, create_model
from ..environment import describe_environment
from ..errors import UserError
from ..inference.cost import cost_of
from ..inference.foreign import contained
from ..inference.numerics import check_dtype
from ..inference.out_of_memory import is_out_of_memory
from ..inference.runner import Runner
from ..profiling.macs import count_macs
from ..protocols.lpips import Lpips, LpipsChoice
from ..store.files import IMAGES
from ..store.folders import CellBusyError, CellFolder
from ..store.how import described, deviations
from ..store.names import shown
from ..store.parts import (
    ComplexityRecord,
    CostRecord,
    DataRecord,
    EnvironmentRecord,
    LpipsRecord,
    WeightsRecord,
)
from ..store.records import SCHEMA_VERSION, Record
from ..store.rows import ImageRow, in_order, mean_rows
from .cells import Cell
from .pictures.image_files import SavedImages
from .pictures.previews import PREVIEWS, Previews, previews_of
from .pipeline import Computed, Scorer, compute_rows
from .plan import RunPlan

logger = logging.getLogger("restorebench")

State = Literal["complete", "partial", "incomplete", "left alone"]
COMPLEXITY_SIZE = (256, 256)


@dataclass(frozen=True)
class CellOutcome:
    """What a job did about one cell.

    Attributes:
        task: key of the task.
        state: whether all its images have scores now; ``partial``: all that were asked for (``limit``) have, and others
            of the set were never asked for; ``left alone`` with ``overwrite=never``.
        computed: images computed by this job.
        expected: images of the data set.
        seconds: wall time spent on them.
        unsaved: images that have scores, but whose file that was asked for could not be written.
        failure: of the first image that failed, in words; "" where none did.
        otherwise: how images were restored, where that is not what was asked for, in words; "" where it is.
    """

    task: str
    state: State
    computed: int
    expected: int
    seconds: float
    unsaved: int = 0
    otherwise: str = ""
    failure: str = ""


class Job:
    """Runs a plan; the network is built only when some image is missing."""

    def __init__(self, plan: RunPlan, command: str) -> None:
        self.plan = plan
        self.command = command
        self._peaks: dict[tuple[int, int], tuple[float, str] | None] = {}

    def run(self) -> list[CellOutcome]:
        """Compute all cells: first those that are free, then those that another process was computing."""
        self.plan.store.prepare()
        outcomes: dict[str, CellOutcome] = {}
        busy: list[TaskData] = []
        for data in self.plan.suite.data:
            try:
                outcomes[data.task.key] = self._cell(data, wait_seconds=0)
            except CellBusyError as error:
                logger.info("%s: later", error)
                busy.append(data)
        for data in busy:
            logger.info("waiting for %s, which another process is computing", data.task.key)
            outcomes[data.task.key] = self._cell(data, wait_seconds=-1)
        return [outcomes[data.task.key] for data in self.plan.suite.data]

    @functools.cached_property
    def runner(self) -> Runner:
        """The restorer on its device."""
        plan = self.plan
        if plan.restorer is not None:
            return Runner(plan.restorer, plan.numerics)
        weights = plan.weights.path or ("none" if plan.weights.kind == "none" else None)
        chosen = {**plan.overrides, "weights": weights, "weights_key": plan.weights.key}
        restorer = create_model(plan.card.key, variant=plan.variant, seed=plan.seed, **chosen)
        if restorer.weights.sha256 != plan.weights.sha256:
            raise UserError(f"{plan.weights.path} has changed since the run was planned: start it again")
        if restorer.card.source != plan.card.source:
            raise UserError(f"{plan.config['model']} has changed since the run was planned: start it again")
        check_dtype(plan.numerics.dtype, restorer.card.dtypes, restorer.card.title)
        try:
            return Runner(restorer, plan.numerics)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            where = f"{plan.card.name} {plan.variant} does not fit the memory of {plan.numerics.device}"
            raise UserError(f"{where} ({one_line(error)}); use device=cpu, or a smaller variant") from error

    @property
    def card(self) -> ModelCard:
        """The card; where the checkpoint decides the network, as it holds for this checkpoint."""
        return self.plan.card if self.plan.card.built_from == "arguments" else self.runner.restorer.card

    @functools.cached_property
    def complexity(self) -> ComplexityRecord:
        """Parameters and multiply-adds at 256x256; what defies counting still gets its scores."""
        plan = self.plan
        network: nn.Module | Callable[[], nn.Module]
        if plan.restorer is not None:
            network = plan.restorer
        elif plan.card.built_from == "checkpoint":
            network = self.runner.restorer.network
        else:
            network = functools.partial(build_network, plan.card.key, variant=plan.variant, **plan.overrides)
        try:
            with contained():
                cost = count_macs(network, COMPLEXITY_SIZE)
        except Exception as error:  # the network's own, of any kind
            logger.warning("%s: multiply-adds not counted: %s", plan.card.name, one_line(error))
            built = network if isinstance(network, nn.Module) else network()
            parameters = sum(p.numel() for p in built.parameters() if p.requires_grad)
            return ComplexityRecord(parameters=parameters, macs=None, statement=f"not counted: {one_line(error)}")
        return ComplexityRecord(**dataclasses.asdict(cost))

    @functools.cached_property
    def lpips(self) -> Lpips | None:
        """LPIPS on the run's device; None where it is not wanted or not available."""
        choice = self.plan.lpips
        return None if choice is None or choice.path is None else Lpips(choice, self.plan.numerics.device)

    def _images(self, folder: CellFolder, data: TaskData) -> SavedImages:
        return SavedImages(folder.images, data.names, self.plan.save_images)

    def _previews(self, folder: CellFolder, data: TaskData) -> Previews:
        plan = self.plan
        return previews_of(plan.previews, data, folder.path, plan.store.root, plan.cell(data).identity())

    def _finished(self, folder: CellFolder, data: TaskData) -> bool:
        """Whether a cell has all that is asked for: scores, LPIPS if it is insisted on, images if they are kept."""
        cell = folder.checked()
        if cell is None or in_order(cell.rows, data.names) != list(cell.rows):
            return False
        record, wanted = cell.record, self.plan.names(data)
        scored = {row.image: row for row in cell.rows if row.status == "ok"}
        if not (record.complete if len(wanted) == len(data) else all(name in scored for name in wanted)):
            return False
        lpips, images, previews = self.plan.lpips, self._images(folder, data), self._previews(folder, data)
        if lpips is not None and lpips.insisted and any(scored[name].lpips_by != lpips.label for name in wanted):
            return False
        return all(images.holds(name) and previews.holds(name) for name in wanted)

    def _kept(self, folder: CellFolder, data: TaskData) -> list[ImageRow]:
        """Rows that need not be computed again, in order."""
        asked, rows = set(self.plan.names(data)), in_order(folder.rows(), data.names)
        lpips, images, previews = self.plan.lpips, self._images(folder, data), self._previews(folder, data)
        wanted = lpips.label if lpips is not None and lpips.insisted else None

        def is_whole(row: ImageRow) -> bool:
            files = images.holds(row.image) and previews.holds(row.image)
            return self.plan.overwrite != "always" and row.status == "ok" and files and wanted in (None, row.lpips_by)

        return [row for row in rows if row.image not in asked or is_whole(row)]

    def _cell(self, data: TaskData, wait_seconds: float) -> CellOutcome:
        plan, cell = self.plan, self.plan.cell(data)
        folder = plan.store.cell(cell.suite, cell.model, cell.id)
        if plan.overwrite != "always" and self._finished(folder, data):
            self._rename(folder, wait_seconds)
            return self._already(folder, data)
        if plan.overwrite == "never" and folder.begun:
            return CellOutcome(data.task.key, "left alone", 0, len(data), 0.0)
        with folder.claimed(wait_seconds):
            return self._claimed_cell(cell, folder, data)

    def _claimed_cell(self, cell: Cell, folder: CellFolder, data: TaskData) -> CellOutcome:
        if self.plan.overwrite != "always":
            if self._finished(folder, data):  # another process may have finished it before the lock was ours
                return self._already(folder, data)
            twin = self.plan.store.twin(
                cell.suite, cell.model, cell.id, lambda other: other.complete and self._finished(other, data)
            )
            if twin is not None:
                folder.set_aside_damage()
                return self._adopt(cell, folder, twin, data)
        folder.set_aside_damage()
        keep = self._kept(folder, data)
        kept = {row.image for row in keep}
        missing = [name for name in self.plan.names(data) if name not in kept]
        started = datetime.now(UTC)
        folder.begin(keep)
        computed, unsaved = Computed(0, 0.0), 0
        if missing:
            previews = self._previews(folder, data)
            scorer = Scorer(self.plan.protocol, self.lpips, self._images(folder, data), previews)
            self.runner.forget_passes()
            with naming(folder.path / IMAGES):
                computed = compute_rows(folder, data, missing, self.runner, scorer, progress=self.plan.progress)
            lacking = scorer.unsaved.names
            unsaved = len({*lacking["restored image"], *(lacking["preview"] if previews.insisted else ())})
        rows = folder.rows()
        record = self._record(cell, data, rows, computed, started)
        folder.finish(record, data.names)
        otherwise = described(deviations(rows, self.plan.numerics.tile))
        state, seconds, failure = self._state(rows, data), computed.seconds, ""
        if record.failures:
            failure = f"{len(record.failures)} images failed, first {': '.join(map(shown, record.failures[0]))}"
        return CellOutcome(data.task.key, state, computed.images, len(data), seconds, unsaved, otherwise, failure)

    def _state(self, rows: Sequence[ImageRow], data: TaskData) -> State:
        scored = {row.image for row in rows if row.status == "ok"}
        if not scored.issuperset(self.plan.names(data)):
            return "incomplete"
        return "complete" if len(scored) == len(data) else "partial"

    def _adopt(self, cell: Cell, folder: CellFolder, twin: CellFolder, data: TaskData) -> CellOutcome:
        checked = twin.checked()
        assert checked is not None
        record = checked.record
        logger.info("%s: taken from suite %s, the same cell", data.task.key, record.suite)
        self._images(folder, data).take(twin.images)
        self._previews(folder, data).take(twin.path / PREVIEWS)
        moved = dataclasses.replace(record, suite=cell.suite, suite_tasks=cell.suite_tasks)
        folder.adopt(self._renamed(moved) or moved, twin)
        return self._already(folder, data)

    def _already(self, folder: CellFolder, data: TaskData) -> CellOutcome:
        """The outcome of a cell whose images need nothing; what the user calls its weights is brought up to date."""
        rows = folder.rows()
        otherwise = described(deviations(rows, self.plan.numerics.tile))
        return CellOutcome(data.task.key, self._state(rows, data), 0, len(data), 0.0, otherwise=otherwise)

    def _rename(self, folder: CellFolder, wait_seconds: float) -> None:
        """Bring label and group of a finished cell up to date, for which nothing is computed."""
        cell = folder.checked()
        if cell is None or self._renamed(cell.record) is None:
            return
        with folder.claimed(wait_seconds):
            cell = folder.checked()
            renamed = None if cell is None else self._renamed(cell.record)
            if renamed is not None:
                folder.relabel(renamed)

    def _renamed(self, record: Record) -> Record | None:
        """The record with the label and group that the user gives now; None where it has them already."""
        plan, weights = self.plan, record.weights
        named = dataclasses.replace(
            weights,
            label=weights.label if plan.config["label"] is None else plan.weights.label,
            group=plan.group or weights.group,
        )
        return None if named == weights else dataclasses.replace(record, weights=named)

    def _record(
        self, cell: Cell, data: TaskData, rows: Sequence[ImageRow], computed: Computed, started: datetime
    ) -> Record:
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
            environment=EnvironmentRecord(**describe_environment(plan.numerics.device)),
            command=self.command,
            started=started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="microseconds"),
            seconds=computed.seconds,
            computed=computed.images,
            cost=self._cost() if computed.images else None,
        )

    def _cost(self) -> CostRecord | None:
        """What the cell's passes took; memory is measured by one pass more, once for each size of image."""
        passes = self.runner.passes()
        business = self.runner.business()
        cost = cost_of(passes, None, business)
        if cost is not None and self.plan.numerics.tile is None:
            if cost.size not in self._peaks:
                self._peaks[cost.size] = self.runner.peak_memory(cost.size)
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
