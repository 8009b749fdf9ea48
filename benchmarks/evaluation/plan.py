"""From a configuration to the cells it asks for; every mistake of the user surfaces here, before anything runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

from ...datasets.folder import folder_suite
from ...datasets.samples import TaskData
from ...datasets.suites import ResolvedSuite, Source, resolve
from ...models import ModelCard, WeightsInfo, get_card
from ...models.fit import check_fit
from ...models.registry.own import with_multiple
from ...models.restorer import Restorer
from ...models.weights import WeightsChoice, choose_weights
from ..errors import UserError
from ..inference.config import numerics_of
from ..inference.numerics import Numerics, check_tile
from ..inference.processors import worker_count
from ..protocols.catalogue import get_protocol
from ..protocols.lpips import LpipsChoice, choose_lpips
from ..protocols.protocol import Protocol
from ..store.folders import Store
from ..store.names import restorer_name
from ..store.plans import PlannedCell, PlannedJob, SweepPlan
from ..store.records import previews_key
from .cells import Cell
from .config import Overwrite, RunConfig, check_overwrite
from .pictures.image_files import ImageFormat, image_format
from .pictures.previews import preview_count
from .progress import check_tensorboard

logger = logging.getLogger("restorebench")

DEFAULT_SUITE = "5d"
"""What is run where ``tasks`` is not given; images of the user's own are then one task, ``OWN_TASK``."""
OWN_TASK = "restore"
MOST_LABEL = 60


@dataclass(frozen=True)
class RunPlan:
    """One job: a restorer on the tasks of a suite.

    Attributes:
        config: what was asked for, as plain data for the record.
        card, variant, overrides, weights, seed: the restorer; weights are chosen, not yet loaded.
        suite: the tasks and their images.
        protocol: how they are fed and scored.
        numerics: how the network runs.
        store: where the cells lie.
        lpips: the LPIPS that is computed beside PSNR and SSIM; None if it is left out.
        save_images: format of the restored images that are kept; None keeps none. It is no part of a cell's id: an
            image that was computed without being saved counts as missing.
        previews: of how many images of each set small pictures are kept for reports (see `previews.previews_of`).
        overwrite: what happens to cells that are there already.
        tensorboard: whether scalars are written for TensorBoard.
        group: name that several weights of one network share; empty for none.
        limit: only so many images of each task, the first ones; None for all.
        partial: whether the table at the end averages what was scored.
        progress: whether to show a bar.
        shards: into how many a cell's images are divided; None: by their number.
        workers: processes of this host that compute the job.
        since: when the sweep began that this process is a worker of: what others of its workers have computed since is
            never computed again, whatever `overwrite` says. None: it is no worker of one.
        restorer: the restorer itself where a script gave it; None: it is made from the name when it is needed.
    """

    config: dict[str, Any]
    card: ModelCard
    variant: str
    overrides: dict[str, Any]
    weights: WeightsInfo
    seed: int
    suite: ResolvedSuite
    protocol: Protocol
    numerics: Numerics
    store: Store
    lpips: LpipsChoice | None
    save_images: ImageFormat | None
    previews: int | str
    overwrite: Overwrite
    progress: bool
    shards: int | None = None
    workers: int = 1
    since: datetime | None = None
    tensorboard: bool = False
    group: str = ""
    limit: int | None = None
    partial: bool = False
    restorer: Restorer | None = None

    @property
    def notices(self) -> tuple[str, ...]:
        """Lines on the images to show before it runs; for LPIPS see `lpips_notice`, one line for all jobs."""
        return (self.suite.notice,) if self.suite.notice else ()

    def names(self, data: TaskData) -> tuple[str, ...]:
        """The images of a task that are asked for, in its order."""
        return data.names[: self.limit]

    def cell(self, data: TaskData) -> Cell:
        """The cell of one task of the suite."""
        return Cell(
            suite=self.suite.suite.name,
            suite_tasks=tuple(task.key for task in self.suite.suite.tasks),
            model=self.card.name,
            variant=self.variant,
            overrides=self.overrides,
            revision=self.card.revision,
            weights=self.weights,
            seed=self.seed,
            task=data.task,
            fingerprint=data.fingerprint(),
            protocol=self.protocol.describe(),
            numerics=self.numerics,
            source=None if self.card.source is None else self.card.source.identity(),
        )


class KeptPlans:
    """The plans of one command line in the stores that its jobs write to."""

    def __init__(self, plans: Sequence[RunPlan], command: str, *, whole: bool = True) -> None:
        """Write them.

        Args:
            plans: of all jobs.
            command: as it was typed.
            whole: whether it asks for no others.

        Raises:
            UserError: a store has something else in the place of the folder of plans.
        """
        self._jobs: dict[Path, list[RunPlan]] = {}
        for plan in plans:
            self._jobs.setdefault(plan.store.root, []).append(plan)
        self._kept = {
            root: SweepPlan(command=command, jobs=tuple(map(planned_job, jobs)), whole=whole)
            for root, jobs in self._jobs.items()
        }
        for root, kept in self._kept.items():
            kept.write(root)

    def finish(self, failures: Sequence[tuple[RunPlan, str]]) -> None:
        """Note that the command has come to its end, and which jobs have not, and why.

        A store that cannot be written to any more (a full disk) keeps the plan of its beginning, which is said.
        """
        reasons: Mapping[int, str] = {id(plan): reason for plan, reason in failures}
        for root, jobs in self._jobs.items():
            by_place = {place: reasons[id(plan)] for place, plan in enumerate(jobs) if id(plan) in reasons}
            try:
                self._kept[root].finished(by_place).write(root)
            except OSError as error:
                logger.warning("%s: the sweep's end is not noted in its plan: %s", root, error.strerror or error)


def planned_job(plan: RunPlan) -> PlannedJob:
    """What a job is to do."""
    cells = [(data, plan.cell(data)) for data in plan.suite.data]
    own = f", {plan.weights.provenance}" if plan.card.source and plan.variant != plan.weights.provenance else ""
    return PlannedJob(
        restorer=restorer_name(plan.card.title, f"{plan.variant}{own}"),
        protocol=str(plan.protocol),
        config=plan.config,
        cells=tuple(
            PlannedCell(
                suite=cell.suite,
                model=cell.model,
                cell=cell.id,
                task=data.task.key,
                previews=previews_key(cell.identity()),
                asked=len(plan.names(data)),
                images=len(data),
            )
            for data, cell in cells
        ),
    )


def restricted(plan: RunPlan, cells: set[str]) -> RunPlan:
    """The plan with only those of its tasks whose cells have these ids."""
    data = tuple(each for each in plan.suite.data if plan.cell(each).id in cells)
    return replace(plan, suite=replace(plan.suite, data=data))


def crop_size(value: object) -> int | Literal["full"]:
    """The embedded images' crop: a side in pixels, or ``full``.

    Raises:
        UserError: if it is neither.
    """
    if value == "full":
        return "full"
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise UserError(f"data.size={value}: give a side in pixels, or full")


def chosen_images(config: RunConfig) -> ResolvedSuite:
    """The images: the user's folders with ``dataset=folder``, otherwise those of the suite's sets.

    Raises:
        UserError, DataError: an unknown data set, keys that do not go together, or images that are not there.
    """
    own = {key: getattr(config, key) for key in ("degraded", "clean", "sigma") if getattr(config, key) is not None}
    if config.dataset is None:
        if own:
            raise UserError(f"{next(iter(own))}= is for images of your own: add dataset=folder")
        root = config.data.root or os.environ.get("RESTOREBENCH_DATA")
        return resolve(
            DEFAULT_SUITE if config.tasks is None else config.tasks,
            source=cast("Source", config.data.source),
            size=crop_size(config.data.size),
            root=Path(root).expanduser() if root else None,
            partial=config.data.partial,
            max_pixels=config.data.max_pixels,
            verify=config.data.verify,
        )
    if config.dataset != "folder":
        raise UserError(
            f"unknown dataset={config.dataset}: there is dataset=folder, with degraded=DIR clean=DIR; a standard set"
            " is chosen by its task, as in tasks=derain@Rain100H"
        )
    if "degraded" not in own and "clean" not in own and config.data.root:
        own["degraded"] = config.data.root  # the root of a set with both sides
    folders = {key: Path(own[key]).expanduser() if key in own else None for key in ("degraded", "clean")}
    task = OWN_TASK if config.tasks is None else config.tasks
    own_folders = (folders["degraded"], folders["clean"])
    return folder_suite(*own_folders, task, config.sigma, max_pixels=config.data.max_pixels, verify=config.data.verify)


def check_tasks(suite: ResolvedSuite, protocol: Protocol) -> None:
    """Refuse a protocol that is not defined for a task of the suite, rather than fail image by image.

    Raises:
        UserError: naming the tasks.
    """
    # Tasks with a sigma are those whose noise the protocol draws.
    denoising = [task.label for task in suite.suite.tasks if task.sigma is not None]
    others = [task.label for task in suite.suite.tasks if task.sigma is None]
    wrong = (denoising if protocol.noise is None else []) + (others if not protocol.pairs else [])
    if wrong:
        only = "denoising" if not protocol.pairs else "given degraded images"
        tasks = f"{', '.join(wrong)} of tasks={suite.suite.name}"
        raise UserError(f"protocol={protocol} is for {only} only, not for {tasks}")


def labelled(weights: WeightsInfo, label: str | None) -> WeightsInfo:
    """The weights under the name that the user gives them.

    Raises:
        UserError: they are no file, or the name is none that a table can print.
    """
    if label is None:
        return weights
    if weights.kind != "file":
        raise UserError(f"label={label} names a weights file: give one with weights=PATH, or leave label= out")
    if not label.strip() or not label.isprintable() or len(label) > MOST_LABEL:
        raise UserError(f"label= takes 1 to {MOST_LABEL} printable characters")
    return replace(weights, label=label.strip())


def checked_group(group: str | None, weights: WeightsInfo) -> str:
    """The name that several weights of one network share; empty for none.

    Raises:
        UserError: the network has no weights, or the name is none that a table can print.
    """
    if group is None:
        return ""
    if weights.kind == "not needed":
        raise UserError(f"group={group} joins several weights of one network, and this one has none: leave it out")
    if not group.strip() or not group.isprintable() or len(group) > MOST_LABEL:
        raise UserError(f"group= takes 1 to {MOST_LABEL} printable characters")
    return group.strip()


def checked_limit(limit: int | None) -> int | None:
    """Images of each task.

    Raises:
        UserError: fewer than one.
    """
    if limit is not None and limit < 1:
        raise UserError(f"limit={limit}: give a number of images, 1 or more")
    return limit


def checked_shards(value: object) -> int | None:
    """``shards=``: a number of parts, or None for ``auto``.

    Raises:
        UserError: it is neither.
    """
    if value == "auto":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise UserError(f"shards={value}: give a number of parts, 1 or more, or auto")


def make_plan(config: RunConfig, restorer: Restorer | None = None) -> RunPlan:
    """Resolve every name of a configuration.

    Args:
        config: what is asked for.
        restorer: one that is there already; then ``model``, ``variant``, ``weights`` and ``overrides`` are its own, and
            ``device`` is resolved.

    Raises:
        ValueError: one line that says what is wrong and what to do (`UserError`, `ModelError` or `DataError`).
    """
    if restorer is None:
        card = get_card(with_multiple(config.model, config.size_multiple))
        choice = choose_weights(card, config.variant, config.weights, config.seed)
        arguments = {**choice.overrides, **config.overrides}
        info = check_fit(card, choice.variant, choice.info, arguments, config.weights_key)
        choice = replace(choice, info=info)
    else:
        card, choice = restorer.card, WeightsChoice(restorer.variant, restorer.weights, restorer.overrides)
    check_overwrite(config.overwrite)
    shards = checked_shards(config.shards)
    suite, protocol = chosen_images(config), get_protocol(config.protocol)
    check_tasks(suite, protocol)
    numerics = numerics_of(
        config, card, tile=check_tile(config.tile), batch=config.batch, cuda_graphs=config.cuda_graphs
    )
    return RunPlan(
        config=asdict(config),
        card=card,
        variant=choice.variant,
        overrides={**choice.overrides, **config.overrides},
        weights=labelled(choice.info, config.label),
        seed=config.seed,
        suite=suite,
        protocol=protocol,
        numerics=numerics,
        store=Store(Path(config.results).expanduser()),
        lpips=choose_lpips(config.metrics, config.lpips.weights, protocol.lpips_backbone),
        save_images=image_format(config.save_images),
        previews=preview_count(config.previews),
        overwrite=cast("Overwrite", config.overwrite),
        progress=config.progress,
        shards=shards,
        workers=worker_count(config.workers, numerics.device),
        tensorboard=check_tensorboard(config.log.tensorboard),
        group=checked_group(config.group, choice.info),
        limit=checked_limit(config.limit),
        partial=config.partial or config.limit is not None,
        restorer=restorer,
    )
