"""A job: the cells of one restorer on one suite, computed where they are missing."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ...atomic import naming
from ...datasets.samples import TaskData
from ...messages import one_line
from ...models import create_model
from ..errors import UserError
from ..inference.numerics import check_dtype
from ..inference.out_of_memory import is_out_of_memory
from ..inference.processors import speaks
from ..inference.runner import Runner
from ..protocols.lpips import Lpips
from ..store.claims import described_workers
from ..store.folders import CellBusyError, CellFolder
from ..store.how import described, deviations
from ..store.names import shown
from ..store.records import Record
from ..store.rows import ImageRow, in_order
from ..store.shards import Division, HeldShard, ShardLostError, SharedCell, shard_count
from .cells import Cell
from .pictures.image_files import SavedImages
from .pictures.previews import PREVIEWS, Previews, previews_of
from .pipeline import Computed, Scorer, Waits, compute_rows, summed
from .plan import RunPlan
from .progress import Progress, TensorBoardLog, sweep_progress
from .records import Recorder

logger = logging.getLogger("restorebench")

LOCK_SECONDS = 1.0
"""How long a cell's lock is waited for before the worker looks at other cells."""
TENSORBOARD_LOGS = ".tensorboard"
POLL_SECONDS = 0.3
"""Between two looks at cells that others compute."""
State = Literal["complete", "partial", "incomplete", "left alone"]


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
        spent: what the processes that computed it spent their time on, all together.
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
    spent: Computed = field(default_factory=lambda: Computed(0, 0.0))

    @property
    def waited(self) -> str:
        """How long the network had nothing to do, in words; "" where nothing was computed."""
        return self.spent.statement


@dataclass
class Work:
    """What this process has done about a cell.

    Attributes:
        images: computed.
        seconds: wall time spent on them.
        network, waits: as in `Computed`.
        unsaved: images whose files could not be written.
    """

    images: int = 0
    seconds: float = 0.0
    network: float = 0.0
    waits: Waits = field(default_factory=Waits)
    unsaved: set[str] = field(default_factory=set)

    def add(self, computed: Computed) -> None:
        """Count what was computed of another shard."""
        whole = summed([self.computed, computed])
        self.images, self.seconds, self.network, self.waits = whole.images, whole.seconds, whole.network, whole.waits

    @property
    def computed(self) -> Computed:
        """The same as of one computation."""
        return Computed(self.images, self.seconds, self.network, self.waits)


class Job:
    """Runs a plan; the network is built only when some image is missing."""

    def __init__(self, plan: RunPlan, command: str) -> None:
        self.plan = plan
        self._recorder = Recorder(plan, command, lambda: self.runner)
        self._begun: set[str] = set()
        self._work: defaultdict[str, Work] = defaultdict(Work)
        self._passes_of = ""
        self._progress = Progress(0, shown=False)
        self._board = TensorBoardLog(plan.store.root / TENSORBOARD_LOGS) if plan.tensorboard else None

    def run(self) -> list[CellOutcome]:
        """Compute all cells: what is free of each, then what others were computing and have not brought to its end."""
        cells = self.plan.suite.data
        self.plan.store.prepare()
        with sweep_progress(len(cells), shown=self.plan.progress and speaks()) as self._progress:
            return self._run(cells)

    def _run(self, cells: Sequence[TaskData]) -> list[CellOutcome]:
        outcomes: dict[str, CellOutcome] = {}
        said: set[str] = set()
        while len(outcomes) < len(cells):
            for data in cells:
                key = data.task.key
                try:
                    if key not in outcomes:
                        outcomes[key] = self._cell(data)
                        self._progress.finished()
                except CellBusyError as error:
                    if key not in said:
                        logger.info("%s: %s", error, "later" if len(cells) > 1 else "waiting")
                    said.add(key)
            if len(outcomes) < len(cells):
                self._progress.look()
                time.sleep(POLL_SECONDS)
        return [outcomes[data.task.key] for data in cells]

    def is_finished(self) -> bool:
        """Whether nothing is left to compute."""
        return self.plan.overwrite != "always" and all(self._finished(self._folder(d), d) for d in self.plan.suite.data)

    def images(self) -> int:
        """Images of all cells that have a row, whoever computed them."""
        return sum(self._shared(self._folder(data), data).images() for data in self.plan.suite.data)

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

    def _cell(self, data: TaskData) -> CellOutcome:
        """Compute what is free of a cell, together with whoever else is at it.

        Raises:
            CellBusyError: the rest is being computed by others.
        """
        folder = self._folder(data)
        if self.plan.overwrite != "always" and self._finished(folder, data):
            self._rename(folder)
            return self._already(folder, data)
        held: HeldShard | None = None
        self._passes_of = ""
        try:
            while True:
                with folder.claimed(-1 if held else LOCK_SECONDS):
                    before, held = held, None
                    try:
                        step = self._step(folder, data, before)
                    finally:
                        if before is not None:
                            before.release()
                if isinstance(step, CellOutcome):
                    return step
                held = step
                self._compute(folder, data, held)
        finally:
            if held is not None:
                held.release()

    def _step(self, folder: CellFolder, data: TaskData, held: HeldShard | None) -> HeldShard | CellOutcome:
        """What to do next about a cell, whose lock is held: a shard to compute, or what became of the cell.

        Args:
            folder, data: of the cell.
            held: the shard that was computed just now.

        Raises:
            CellBusyError: nothing is free, and others still compute.
        """
        shared = self._shared(folder, data)
        division, workers = shared.division(), shared.workers()
        ours = division is not None and shared.fits(division) and bool(workers or self._is_ours(division.started))
        if (division is None and workers) or (division is not None and workers and not ours):
            raise CellBusyError(f"{folder.path} is being computed by {described_workers(workers)}")
        if division is not None and ours:
            self._begun.add(division.started)
            if held is not None and not held.lost:
                held.finish()
            shard = shared.claim(division)
            if shard is not None:
                return shard
            if not shared.is_computed(division):
                raise CellBusyError(f"{folder.path} is being computed by {described_workers(shared.workers())}")
            lacking = shared.lacks(division)
            if not lacking:
                return self._joined(shared, division, folder, data)
            logger.warning("%s: %d rows were damaged meanwhile; they are computed again", folder.path, len(lacking))
        if division is not None:
            shared.fold()
        return self._divided(shared, folder, data)

    def _divided(self, shared: SharedCell, folder: CellFolder, data: TaskData) -> HeldShard | CellOutcome:
        """Begin with a cell that nobody computes, unless nothing of it is missing."""
        plan, cell = self.plan, self.plan.cell(data)
        if self._is_of_this_sweep(folder):  # others finished it meanwhile; what failed there would fail again
            return self._already(folder, data)
        if plan.overwrite == "never" and folder.begun and not self._finished(folder, data):
            return CellOutcome(data.task.key, "left alone", 0, len(data), 0.0)
        if plan.overwrite != "always":
            if self._finished(folder, data):
                return self._already(folder, data)
            twin = plan.store.twin(
                cell.suite, cell.model, cell.id, lambda other: other.complete and self._finished(other, data)
            )
            if twin is not None:
                folder.set_aside_damage()
                return self._adopt(cell, folder, twin, data)
        folder.set_aside_damage()
        keep = self._kept(folder, data)
        kept = {row.image for row in keep}
        missing = [name for name in plan.names(data) if name not in kept]
        division = shared.open(keep, missing, shard_count(plan.shards, len(missing), plan.workers))
        self._begun.add(division.started)
        return (shared.claim(division) if missing else None) or self._joined(shared, division, folder, data)

    def _compute(self, folder: CellFolder, data: TaskData, shard: HeldShard) -> None:
        """Compute the images of a shard."""
        previews = self._previews(folder, data)
        scorer = Scorer(self.plan.protocol, self.lpips, self._images(folder, data), previews)
        work = self._work[data.task.key]
        if self._passes_of != data.task.key:
            self.runner.forget_passes()
            self._passes_of = data.task.key
        shard.begin()
        title, shared = self._title(data), self._shared(folder, data)
        self._progress.cell(title, len(shared.names), lambda: shared.done(shard.division))
        numbers = {name: number for number, name in enumerate(data.names)}

        def heard(row: ImageRow) -> None:
            self._progress.row(row)
            if self._board is not None:
                self._board.image(title, numbers[row.image], row)

        try:
            with naming(shard.path):
                computed = compute_rows(
                    *(shard, data, shard.names, self.runner, scorer),
                    progress=False,
                    workers=self.plan.workers,
                    listener=heard,
                )
        except ShardLostError as error:
            logger.warning("%s", error)
            return
        work.add(computed)
        lacking = scorer.unsaved.names
        work.unsaved |= {*lacking["restored image"], *(lacking["preview"] if previews.insisted else ())}

    def _joined(self, shared: SharedCell, division: Division, folder: CellFolder, data: TaskData) -> CellOutcome:
        """The finished cell, whose last shard has come in."""
        rows = folder.rows()
        computed, timed = Computed(*shared.work()), self._passes_of == data.task.key
        record = self._recorder.record(self.plan.cell(data), data, rows, computed, division.started, timed=timed)
        folder.finish(record, data.names)
        shared.close()
        if self._board is not None:
            self._board.cell(self._title(data), rows)
        return self._already(folder, data)

    def _title(self, data: TaskData) -> str:
        return f"{self.plan.card.name} {self.plan.variant} {data.task.key}"

    def _folder(self, data: TaskData) -> CellFolder:
        cell = self.plan.cell(data)
        return self.plan.store.cell(cell.suite, cell.model, cell.id)

    def _shared(self, folder: CellFolder, data: TaskData) -> SharedCell:
        plan, names, lpips = self.plan, self.plan.names(data), self.plan.lpips
        previews = self._previews(folder, data)
        wanted = [
            *(names, plan.save_images, sorted(previews.names), previews.insisted, plan.overwrite == "always"),
            None if lpips is None else (lpips.label, lpips.insisted),
        ]
        digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
        model, suite = plan.card.name, plan.suite.suite.name
        worker = {"suite": suite, "model": model, "task": data.task.key, "device": plan.numerics.device}
        return SharedCell(folder, digest, names, worker)

    def _is_ours(self, started: str) -> bool:
        """Whether what was begun at that time belongs to the sweep that this worker is one of."""
        since = self.plan.since
        return started in self._begun or (since is not None and datetime.fromisoformat(started) >= since)

    def _is_of_this_sweep(self, folder: CellFolder) -> bool:
        cell = folder.checked()
        return cell is not None and self._is_ours(cell.record.started)

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
        """The outcome of a cell whose images need nothing more."""
        rows, work = folder.rows(), self._work[data.task.key]
        failed = [(row.image, row.message) for row in rows if row.status == "failed"]
        return CellOutcome(
            task=data.task.key,
            state=self._state(rows, data),
            computed=work.images,
            expected=len(data),
            seconds=work.seconds,
            unsaved=len(work.unsaved),
            otherwise=described(deviations(rows, self.plan.numerics.tile)),
            failure=f"{len(failed)} images failed, first {': '.join(map(shown, failed[0]))}" if failed else "",
            spent=work.computed,
        )

    def _rename(self, folder: CellFolder) -> None:
        """Bring label and group of a finished cell up to date, for which nothing is computed."""
        cell = folder.checked()
        if cell is None or self._renamed(cell.record) is None:
            return
        with folder.claimed(-1):
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
