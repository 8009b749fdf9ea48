"""``bench run``: Hydra's command line in front of a job (see `hydra`)."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ...reports.analysis.cells import groups, read_cells
from ...reports.tables.leaderboard import write_leaderboard
from ...reports.tables.terminal import terminal_table
from ..evaluation.config import RUN_CONFIG, RunConfig
from ..evaluation.job import CellOutcome, Job
from ..evaluation.plan import Plan, make_plan
from .hydra import HydraCommand

logger = logging.getLogger("restorebench")

COMMAND = HydraCommand(RUN_CONFIG, RunConfig)


class IncompleteError(Exception):
    """Raised by a job in another process, whose outcome this one cannot see otherwise."""


@dataclass
class Progress:
    """What this process planned beforehand, and what its jobs came to; a launcher's other processes begin with nothing.

    Attributes:
        main_process: its process id.
        plans: plans by the text of their configuration.
        outcomes: of the cells computed here.
    """

    main_process: int = 0
    plans: dict[str, Plan] = field(default_factory=dict)
    outcomes: list[CellOutcome] = field(default_factory=list)


_progress = Progress()


def main(arguments: Sequence[str]) -> int:
    """``bench run``: run the jobs that Hydra overrides ask for.

    Returns:
        0 if every cell is complete, 1 if not.

    Raises:
        UserError, ModelError, DataError: if an override is wrong, before anything runs.
    """
    global _progress
    asked = COMMAND.compose(arguments)
    _progress = Progress(main_process=os.getpid())
    if asked.only_shown:
        COMMAND.launch(arguments, job)
        return 0
    _progress.plans = {repr(config): make_plan(config) for config in asked.configs}
    for plan in _progress.plans.values():
        plan.store.prepare()
    for notice in dict.fromkeys(notice for plan in _progress.plans.values() for notice in plan.notices):
        logger.info(notice)
    COMMAND.launch(arguments, job)
    for results in dict.fromkeys(Path(config.results).expanduser() for config in asked.configs):
        show_results(results, {(plan.suite.suite.name, str(plan.protocol)) for plan in _progress.plans.values()})
    return 0 if all(outcome.state == "complete" for outcome in _progress.outcomes) else 1


def job(config: DictConfig) -> None:
    """One job, in this process or in a launcher's."""
    from .main import set_up_logging

    set_up_logging()
    overrides = HydraConfig.get().overrides.task
    asked = COMMAND.typed(config)
    plan = _progress.plans.get(repr(asked)) or make_plan(asked)
    outcomes = Job(plan, command=shlex.join(["bench", "run", *overrides])).run()
    for outcome in outcomes:
        speed = f", {outcome.computed / outcome.seconds:.2f} images/s" if outcome.seconds else ""
        logger.info(
            "%s %s, %s: %s, %d of %d images computed now%s",
            *(plan.card.name, plan.variant, outcome.task, outcome.state, outcome.computed, outcome.expected, speed),
        )
    if os.getpid() == _progress.main_process:
        _progress.outcomes += outcomes
    elif any(outcome.state != "complete" for outcome in outcomes):
        raise IncompleteError(f"{plan.card.name} on {plan.suite.suite.name} is incomplete")
    write_leaderboard(plan.store.root)


def show_results(results: Path, ran: set[tuple[str, str]]) -> None:
    """Print the suites and protocols that were run, and where everything lies."""
    written = write_leaderboard(results)
    shown = [group for group in groups(read_cells(results)[0]) if (group.suite, group.protocol) in ran]
    files = "\n".join(f"  {path}" for path in written)
    hint = f"  {shlex.join(['bench', 'report', '--results', str(results)])} writes tables, figures and a page from them"
    sys.stdout.write(f"\n{terminal_table(shown)}\n\nwritten:\n{files}\n{hint}\n")
    sys.stdout.flush()
