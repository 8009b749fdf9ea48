"""``workers=N``: a job computed by several processes of this host, each with its device and its part of the threads.

They are no group: each runs the job as a second terminal with the same line would, and the shards of its cells are
claimed by whoever is free. This process computes nothing; it starts a new worker where one was killed, shows how far
the job is, and says at the end what became of its cells.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from ....messages import one_line
from ...errors import UserError
from ...evaluation.config import run_config
from ...evaluation.job import CellOutcome, Job
from ...evaluation.pipeline import summed
from ...evaluation.plan import RunPlan, make_plan
from ...evaluation.progress import sweep_progress
from ...inference.processors import LOCAL_RANK, VISIBLE, worker_devices, worker_threads
from .jobs import FaultElsewhereError
from .stderr import in_words, is_told, set_up_logging

logger = logging.getLogger("restorebench")

LOOK_SECONDS = 0.5
MOST_DEATHS = 3
"""Workers that may be killed one after another without an image finished between, as by a want of memory."""
PRELOADED = "restorebench.benchmarks.commands.front.workers"

Answer = tuple[str, Any]
"""What a worker says at its end: ``outcomes`` and those, or ``mistake``, ``fault`` or ``defect`` and a text."""


def run_job(plan: RunPlan, command: str) -> list[CellOutcome]:
    """Run a job, by several processes where the plan says so and something is left to compute.

    Args:
        plan: of the job.
        command: that repeats it.

    Raises:
        UserError, OSError, RuntimeError: as a worker met it.
    """
    job = Job(plan, command)
    alone = plan.workers == 1 or plan.since is not None or LOCAL_RANK in os.environ or plan.restorer is not None
    if alone or job.is_finished():
        return job.run()
    plan.store.prepare()
    since = datetime.now(UTC)
    with sweep_progress(len(plan.suite.data), shown=plan.progress) as progress:
        workers = Workers(plan, command, since)
        try:
            title = f"{plan.card.name} {plan.variant} on {plan.suite.suite.name}"
            progress.cell(title, sum(len(plan.names(data)) for data in plan.suite.data), workers.images)
            while workers.go_on():
                progress.look()
        finally:
            workers.end()
        own = Job(replace(plan, since=since), command).run()
    return [together(outcome, workers.outcomes) for outcome in own]


def together(outcome: CellOutcome, parts: Sequence[Sequence[CellOutcome]]) -> CellOutcome:
    """What became of a cell, with the work of all; the seconds are those of the worker that needed most."""
    same = [outcome, *(each for part in parts for each in part if each.task == outcome.task)]
    return replace(
        outcome,
        computed=sum(each.computed for each in same),
        seconds=max(each.seconds for each in same),
        spent=summed([each.spent for each in same]),
        unsaved=sum(each.unsaved for each in same),
    )


class Workers:
    """The processes of a job.

    Attributes:
        outcomes: of the workers that have ended.
    """

    def __init__(self, plan: RunPlan, command: str, since: datetime) -> None:
        """Start them."""
        self.plan, self.command, self.since = plan, command, since
        self.outcomes: list[list[CellOutcome]] = []
        self._job = Job(plan, command)
        self._running: dict[Connection, tuple[int, BaseProcess]] = {}
        self._deaths, self._images = 0, self.images()
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:  # forks of a process that has imported torch, and used no GPU
            self._context.set_forkserver_preload([PRELOADED])
        for worker in range(plan.workers):
            self._start(worker)

    def images(self) -> int:
        """Images of the job that have a row."""
        return self._job.images()

    def _start(self, worker: int) -> None:
        here, there = self._context.Pipe(duplex=False)
        plan = self.plan
        threads = worker_threads(plan.workers)
        device = worker_devices(worker) if plan.numerics.device == "cuda" else None
        given = (plan.config, self.command, self.since, plan.workers, threads, device, there)
        process = self._context.Process(target=_work, args=given, name=f"worker {worker}")
        process.start()
        there.close()
        self._running[here] = (worker, process)

    def go_on(self) -> bool:
        """Wait a moment, and see to those that have ended; whether any is left.

        Raises:
            UserError, OSError, RuntimeError: what a worker met.
        """
        for end in wait(list(self._running), timeout=LOOK_SECONDS):
            assert isinstance(end, Connection)
            worker, process = self._running.pop(end)
            try:
                kind, what = end.recv()
            except (EOFError, OSError):  # it was killed
                process.join()
                self._replace(worker, process)
                continue
            finally:
                end.close()
            process.join()
            self._take(kind, what)
        return bool(self._running)

    def _take(self, kind: str, what: Any) -> None:
        if kind == "outcomes":
            self.outcomes.append(what)
        elif kind == "mistake":
            raise UserError(what)
        elif kind == "fault":
            raise FaultElsewhereError(what)
        else:
            raise RuntimeError(what)

    def _replace(self, worker: int, process: BaseProcess) -> None:
        images = self.images()
        self._deaths = 1 if images > self._images else self._deaths + 1
        self._images = images
        if self._deaths > max(MOST_DEATHS, self.plan.workers):
            raise FaultElsewhereError(
                f"{self._deaths} workers ended one after another with no image finished between (the last by"
                f" {_reason(process.exitcode)}); give fewer with workers=, or tile="
            )
        logger.warning(
            "worker %d (process %s) ended by %s; another one goes on", worker, process.pid, _reason(process.exitcode)
        )
        self._start(worker)

    def end(self) -> None:
        """End those that still run; what they have finished is kept."""
        for _, process in self._running.values():
            process.terminate()
        for end, (_, process) in self._running.items():
            process.join()
            end.close()
        self._running.clear()


def _reason(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return f"signal {-exitcode}"


def _work(
    config: dict[str, Any],
    command: str,
    since: datetime,
    workers: int,
    threads: int,
    device: str | None,
    answer: Connection,
) -> None:
    """Run a job as one of several workers, and say what became of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent ends its workers
    threading.Thread(target=_follow, name="parent", daemon=True).start()
    if device is not None:
        os.environ[VISIBLE] = device
    torch.set_num_threads(threads)
    set_up_logging()
    logger.setLevel(logging.WARNING)  # what is planned and done is said by the parent
    try:
        plan = replace(make_plan(run_config(config)), since=since, progress=False, workers=workers)
        answer.send(("outcomes", Job(plan, command).run()))
    except Exception as error:
        if not is_told(error):
            traceback.print_exc()
            answer.send(("defect", f"a worker failed: {one_line(error)}"))
        elif isinstance(error, OSError):
            answer.send(("fault", in_words(error)))
        else:
            answer.send(("mistake", str(error)))


def _follow() -> None:
    """End this process when its parent is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
