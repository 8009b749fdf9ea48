"""``bench run``: Hydra's command line in front of a job (see `hydra`).

torch is imported when a job is planned, not for the help or a mistake.
"""

from __future__ import annotations

import logging
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig

from ..evaluation.config import RUN_CONFIG, RunConfig
from ..inference.processors import speaks, worker_threads
from ..store.names import restorer_name
from .front.help import asks_for_help, help_text
from .front.hydra import HydraCommand
from .front.jobs import Jobs
from .front.names import check_run
from .front.share import under_torchrun

if TYPE_CHECKING:
    from ...reports.tables.terminal import FailedCell
    from ..evaluation.job import CellOutcome
    from ..evaluation.plan import RunPlan

logger = logging.getLogger("restorebench")

COMMAND = HydraCommand(RUN_CONFIG, RunConfig)
DEFECT = "it ended with a traceback"


@under_torchrun()
def main(arguments: Sequence[str]) -> int:
    """``bench run``: run the jobs that Hydra overrides ask for.

    Returns:
        0 if every image and every file that was asked for is there, 1 if not.

    Raises:
        UserError, ModelError, DataError: if an override is wrong, before anything runs.
    """
    if asks_for_help(arguments):
        sys.stdout.write(help_text(COMMAND, arguments))
        return 0
    jobs = Jobs(COMMAND, arguments, plan=planned, run=run_plan, failure=incomplete)
    from ..evaluation.progress import sweep_progress
    from ..protocols.lpips import lpips_notice

    for plan in jobs.plans:
        plan.store.prepare()
    notices = [notice for plan in jobs.plans for notice in plan.notices]
    for notice in filter(None, dict.fromkeys((*notices, lpips_notice(plan.lpips for plan in jobs.plans)))):
        logger.info(notice)
    total = sum(len(plan.suite.data) for plan in jobs.plans)
    with sweep_progress(total, shown=speaks() and any(plan.progress for plan in jobs.plans)):
        code = launched(jobs, arguments)
    failed = [job.plan for job in jobs.failed if job.plan is not None]
    for results in dict.fromkeys(plan.store.root for plan in jobs.plans):
        cells = [cell for plan in failed if plan.store.root == results for cell in without_record(plan)]
        show_results(results, [plan for plan in jobs.plans if plan.store.root == results], cells)
    if jobs.failed and speaks():
        sys.stdout.write(f"\n{jobs.failed_lines()}")
        sys.stdout.flush()
    return max(code, 1 if any(map(incomplete, jobs.outcomes)) else 0)


def planned(config: RunConfig) -> RunPlan:
    """The plan of a configuration."""
    check_run(config)
    from ..evaluation.plan import make_plan

    return make_plan(config)


def launched(jobs: Jobs[RunConfig, RunPlan, list[CellOutcome]], arguments: Sequence[str]) -> int:
    """Run the jobs, whose plan is kept in the store from now on, with what became of it; the exit code.

    Raises:
        ValueError, OSError: of a single job.
    """
    from ..evaluation.plan import KeptPlans

    kept = KeptPlans(jobs.plans, shlex.join(["bench", "run", *arguments]), whole=jobs.whole)
    try:
        code = jobs.launch_all()
    except (ValueError, OSError) as error:
        kept.finish([(plan, " ".join(str(error).split())) for plan in jobs.plans])
        raise
    except SystemExit as stop:
        kept.finish([(plan, DEFECT) for plan in jobs.plans] if stop.code else [])
        raise
    kept.finish([(job.plan, job.reason) for job in jobs.failed if job.plan is not None])
    return code


def run_plan(plan: RunPlan) -> list[CellOutcome]:
    """Compute the cells of one job and say what became of them."""
    from ...reports.tables.leaderboard import write_leaderboard
    from .front.workers import run_job

    overrides = HydraConfig.get().overrides.task
    outcomes = run_job(plan, shlex.join(["bench", "run", *overrides]))
    # Sums of float32 are split among the threads, so their number can change the eighth digit of a score.
    threads = f" with {worker_threads(plan.workers)} threads" if plan.numerics.device == "cpu" else ""
    for outcome in outcomes:
        waited = f"; {outcome.waited}" if outcome.waited else ""
        speed = f", {outcome.computed / outcome.seconds:.2f} images/s{threads}{waited}" if outcome.seconds else ""
        logger.info(
            "%s %s, %s: %s, %d of %d images computed now%s",
            *(plan.card.name, plan.variant, outcome.task, outcome.state, outcome.computed, outcome.expected, speed),
        )
        if outcome.unsaved:
            logger.error(
                "%s %s, %s: the files of %d images could not be written; the same command writes them",
                *(plan.card.name, plan.variant, outcome.task, outcome.unsaved),
            )
        if outcome.otherwise:
            logger.warning(
                "%s %s, %s: restored otherwise than asked for want of memory: %s",
                *(plan.card.name, plan.variant, outcome.task, outcome.otherwise),
            )
    for line in rounding_losses(plan):
        logger.info("%s %s, %s", plan.card.name, plan.variant, line)
    write_leaderboard(plan.store.root)
    return outcomes


def rounding_losses(plan: RunPlan) -> list[str]:
    """What a lower dtype than float32 costs in each cell, in words, where the store has the same cell in float32."""
    dtype = plan.numerics.dtype
    lines: list[str] = []
    if dtype == "float32":
        return lines
    for data in plan.suite.data:
        cell = plan.cell(data)
        exact = replace(cell, numerics=replace(plan.numerics, dtype="float32"))
        rows = [
            {} if found is None else {row.image: row.psnr for row in found.rows if row.status == "ok"}
            for each in (exact, cell)
            for found in (plan.store.cell(each.suite, each.model, each.id).checked(),)
        ]
        losses = [value - rows[1][name] for name, value in rows[0].items() if name in rows[1]]
        losses = [loss for loss in losses if math.isfinite(loss)]
        if losses:
            mean = math.fsum(losses) / len(losses)
            lines.append(
                f"{data.task.key}: {dtype} costs {mean:.4f} dB against float32, at most {max(losses):.4f} dB of an "
                f"image ({len(losses)} images)"
            )
    return lines


def incomplete(outcomes: Sequence[CellOutcome]) -> str:
    """The cells of a job that lack scores or files that were asked for, in words; empty where all have them."""
    lacking = [
        f"{outcome.task} is {outcome.state}" + (f" ({outcome.failure})" if outcome.failure else "")
        for outcome in outcomes
        if outcome.state not in ("complete", "partial")
    ]
    lacking += [f"{outcome.task} lacks {outcome.unsaved} files" for outcome in outcomes if outcome.unsaved]
    return ", ".join(lacking)


def without_record(plan: RunPlan) -> list[FailedCell]:
    """The cells of a failed job that have no record: those that have one stand in the tables by it."""
    from ...reports.tables.terminal import FailedCell

    cells = [plan.cell(data) for data in plan.suite.data]
    folders = [plan.store.cell(cell.suite, cell.model, cell.id) for cell in cells]
    own = f", {plan.weights.provenance}" if plan.card.source and plan.variant != plan.weights.provenance else ""
    name = restorer_name(plan.card.title, f"{plan.variant}{own}")
    return [
        FailedCell(cell.suite, str(plan.protocol), name, cell.task.label)
        for cell, folder in zip(cells, folders, strict=True)
        if folder.checked() is None
    ]


def show_results(results: Path, plans: Sequence[RunPlan], failed: Sequence[FailedCell] = ()) -> None:
    """Print the tables in which cells of these plans stand, the cells that failed, and where everything lies."""
    from ...reports.analysis.cells import groups, read_cells
    from ...reports.tables.leaderboard import write_leaderboard
    from ...reports.tables.terminal import terminal_table

    written = write_leaderboard(results)
    ran = {(plan.suite.suite.name, plan.cell(data).id) for plan in plans for data in plan.suite.data}
    run_groups = [
        group
        for group in groups(read_cells(results, {suite for suite, _ in ran})[0])
        if any((group.suite, c.record.cell) in ran for r in group.restorers for c in r.cells.values())
    ]
    files = "\n".join(f"  {path}" for path in written)
    hint = f"  {shlex.join(['bench', 'report', '--results', str(results)])} writes tables, figures and a page from them"
    table = terminal_table(run_groups, failed, partial=any(plan.partial for plan in plans))
    if not speaks():
        return
    sys.stdout.write(f"\n{table}\n\nwritten:\n{files}\n{hint}\n")
    sys.stdout.flush()
