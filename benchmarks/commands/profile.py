"""``bench profile``: parameters, multiply-adds, latency, throughput and peak memory, beside the paper's figures."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...models.registry import check_variant, get_card
from ...models.registry.own import with_multiple
from ...models.weights import choose_weights
from ..profiling.config import ProfileConfig
from ..store.folders import Store
from ..store.profiles import add_row, read_rows
from .front.help import asks_for_help, help_text
from .front.hydra import HydraCommand
from .front.jobs import Jobs
from .front.names import check_restorer

if TYPE_CHECKING:
    from ..profiling.job import Measurement, ProfileJob

logger = logging.getLogger("restorebench")

COMMAND = HydraCommand("profile", ProfileConfig)

_taking_turns: set[int] = set()
"""The process whose command goes round its jobs, while it does; empty in processes that a launcher starts."""


def main(arguments: Sequence[str]) -> int:
    """``bench profile``: measure what Hydra overrides ask for, print the table and write ``profile.csv``.

    Returns:
        0 if everything was measured, 1 if something was not (out of memory, no count).

    Raises:
        UserError, ModelError: if an override is wrong, before anything runs.
    """
    if asks_for_help(arguments):
        sys.stdout.write(help_text(COMMAND, arguments))
        return 0
    jobs = Jobs(COMMAND, arguments, plan=planned, run=measure)
    for job in jobs.plans:
        Store(job.file.parent).prepare()
        read_rows(job.file)
    _taking_turns.add(os.getpid())
    try:
        code = jobs.launch_all()
        take_turns(jobs.outcomes)
    finally:
        _taking_turns.discard(os.getpid())
    if not jobs.plans:
        return 0
    from ..profiling.job import row_key
    from ..profiling.table import as_text

    rows = [row for job in jobs.plans for row in read_rows(job.file) if row.key == row_key(job)]
    files = "\n".join(f"  {path}" for path in dict.fromkeys(job.file for job in jobs.plans))
    failed = jobs.failed_lines()
    sys.stdout.write(f"\n{as_text(rows)}\n\nwritten:\n{files}\n" + (f"\n{failed}" if failed else ""))
    return max(code, 1 if any(row.note for row in rows) else 0)


def planned(config: ProfileConfig) -> ProfileJob:
    """The workload of a configuration, whose network can be built and whose weights fit it."""
    check_restorer(config, config)
    from ...models.fit import check_fit
    from ..profiling.job import make_job

    card = get_card(with_multiple(config.model, config.size_multiple))
    check_variant(card, config.variant)
    choice = choose_weights(card, config.variant, config.weights, 0)
    check_fit(card, choice.variant, choice.info, {**choice.overrides, **config.overrides}, config.weights_key)
    return make_job(config)


def measure(job: ProfileJob) -> Measurement:
    """Measure one workload and keep its row.

    In the process of the command only the first round of its passes is timed: the others follow when all jobs have had
    theirs (`take_turns`). A launcher's process knows of no other job, and goes on by itself.
    """
    from ..profiling.job import Measurement

    height, width = job.workload.size
    logger.info("%s %s, %dx3x%dx%d", job.card.name, job.workload.variant, job.workload.batch, height, width)
    measurement = Measurement(job)
    measurement.round()
    add_row(job.file, measurement.row())
    if os.getpid() not in _taking_turns:
        take_turns([measurement])
    return measurement


def take_turns(measurements: Sequence[Measurement]) -> None:
    """The rounds that are left, each over all that have one, so that what the machine does besides meets all alike."""
    while waiting := [measurement for measurement in measurements if not measurement.done]:
        for measurement in waiting:
            measurement.round()
            add_row(measurement.job.file, measurement.row())
