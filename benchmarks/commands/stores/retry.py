"""``bench retry``: what failed in the last sweep of a store is run again, image by image, and nothing else."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ....messages import one_line
from ...errors import UserError
from ...store.facts import CellFacts
from ...store.folders import CellFolder
from ...store.index import Index
from ...store.names import shown
from ...store.plans import PlannedCell, PlannedJob, SweepPlan, read_plans
from ..front.parsing import Parser, results_folder
from ..front.stderr import in_words, is_told

if TYPE_CHECKING:
    from ...evaluation.config import RunConfig
    from ...evaluation.plan import RunPlan

logger = logging.getLogger("restorebench")


@dataclass(frozen=True)
class FailedCells:
    """What failed of a job.

    Attributes:
        job: as it was planned.
        cells: those that failed, each with the reason in words.
        command: the line that repeats it, as far as it is known: that of a record, or the whole sweep's.
    """

    job: PlannedJob
    cells: tuple[tuple[PlannedCell, str], ...]
    command: str

    @property
    def ids(self) -> set[str]:
        """Of the cells."""
        return {cell.cell for cell, _ in self.cells}


def main(arguments: Sequence[str]) -> int:
    """``bench retry [--results DIR] [--show]``.

    Returns:
        0 if nothing is left that failed, 1 otherwise.

    Raises:
        UserError: there is no such folder, or no plan of a sweep in it.
    """
    options = parser().parse_args(arguments)
    results = results_folder(options.results)
    plan = last_plan(results)
    failed = failures(plan, results)
    for each in failed:
        for cell, reason in each.cells:
            sys.stdout.write(f"{shown(f'{cell.suite}, {each.job.restorer}, {cell.task}: {reason}')}\n")
    if not failed:
        sys.stdout.write(f"nothing failed in {shown(plan.command)}\n")
        return 0
    sys.stdout.flush()
    return 1 if options.show else retry(failed, results)


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    result = Parser(
        prog="bench retry",
        description="Run again what failed in the sweep that was started last: cells with images that failed, and jobs "
        "that did not come to an end. What is merely missing is left; the sweep's own line goes on with that. It runs "
        "here, one job after the other, whatever launcher the sweep had.",
    )
    result.add_argument("--results", default="results", metavar="DIR", help="the store (default: results)")
    result.add_argument("--show", action="store_true", help="only show what failed")
    return result


def last_plan(results: Path) -> SweepPlan:
    """The plan of the sweep that was started last.

    Raises:
        UserError: there is none, or one cannot be read, so that nobody knows which was the last.
    """
    plans, problems = read_plans(results)
    if problems:
        raise UserError(f"{problems[0]}; whether it was started last is not known: move it away if it was not")
    if not plans:
        raise UserError(f"{results} holds no plan of a sweep: bench run writes one when it starts")
    return plans[-1]


def failures(plan: SweepPlan, results: Path) -> list[FailedCells]:
    """What failed of a plan: cells whose record has failed images, and cells without a record of jobs that failed."""
    known = {(each.suite, each.model, each.cell): each for each in Index(results, writes=False).find().facts}
    several = []
    for job in plan.jobs:
        cells = [(cell, reason) for cell in job.cells if (reason := why_failed(job, known.get(cell.place)))]
        if cells:
            several.append(FailedCells(job, tuple(cells), _command(cells, results) or plan.command))
    return several


def _command(cells: Sequence[tuple[PlannedCell, str]], results: Path) -> str:
    records = [CellFolder(results.joinpath(*cell.place)).checked() for cell, _ in cells]
    return next((each.record.command for each in records if each is not None), "")


def why_failed(job: PlannedJob, facts: CellFacts | None) -> str:
    """Why a planned cell failed, in words; empty where it did not."""
    if facts is None:
        return job.failure
    if not facts.failed:
        return ""
    return f"{facts.failed} of {facts.expected - facts.not_asked} images failed, first {': '.join(facts.first_failure)}"


def configuration(job: PlannedJob, results: Path) -> RunConfig:
    """What was asked for, of which only what is missing is to be computed.

    Raises:
        UserError: it is no configuration of this version.
    """
    from ...evaluation.config import run_config

    try:
        config = run_config(job.config)
    except (TypeError, AttributeError) as error:  # a key that is not there, or a value in the place of several
        raise UserError(f"{job.restorer}: planned by another version ({one_line(error)}); run it anew") from error
    config.results, config.overwrite = str(results), "missing"
    return config


def retry(failed: Sequence[FailedCells], results: Path) -> int:
    """Run the failed cells again and show the tables in which they stand; the exit code."""
    from ...evaluation.job import Job
    from ...evaluation.plan import make_plan, restricted
    from ..run import incomplete, show_results, without_record

    plans: list[tuple[RunPlan, str]] = []
    code = 0
    for each in failed:
        try:
            plan = restricted(make_plan(configuration(each.job, results)), each.ids)
            if len(plan.suite.data) < len(each.cells):
                raise UserError("network, weights or images are others now than when it was planned: run it anew")
        except ValueError as error:
            if not is_told(error):
                raise
            logger.error("%s: %s", each.job.restorer, shown(" ".join(str(error).split())))
            code = 2
            continue
        plans.append((plan, each.command))
    lacking: list[RunPlan] = []
    for plan, command in plans:
        try:
            text = incomplete(Job(plan, command=command).run())
        except (ValueError, OSError) as error:
            if not is_told(error):
                raise
            text = in_words(error) if isinstance(error, OSError) else str(error)
        if text:
            logger.error("%s %s: %s", plan.card.name, plan.variant, shown(" ".join(text.split())))
            lacking.append(plan)
    if plans:
        show_results(results, [plan for plan, _ in plans], [cell for plan in lacking for cell in without_record(plan)])
    return max(code, 1 if lacking else 0)
