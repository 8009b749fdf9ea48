"""The plan of a sweep as its store keeps it (`store.plans`), made of the plans of its jobs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..store.plans import PlannedCell, PlannedJob, SweepPlan
from ..store.records import previews_key
from .plan import RunPlan


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
        """Note that the command has come to its end, and which jobs have not, and why."""
        reasons: Mapping[int, str] = {id(plan): reason for plan, reason in failures}
        for root, jobs in self._jobs.items():
            by_place = {place: reasons[id(plan)] for place, plan in enumerate(jobs) if id(plan) in reasons}
            self._kept[root].finished(by_place).write(root)


def planned_job(plan: RunPlan) -> PlannedJob:
    """What a job is to do."""
    cells = [(data, plan.cell(data)) for data in plan.suite.data]
    own = f", {plan.weights.provenance}" if plan.card.source and plan.variant != plan.weights.provenance else ""
    return PlannedJob(
        restorer=f"{plan.card.title} ({plan.variant}{own})",
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
    return dataclasses.replace(plan, suite=dataclasses.replace(plan.suite, data=data))
