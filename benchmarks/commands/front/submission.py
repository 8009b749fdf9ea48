"""Jobs of a sweep as jobs of SLURM, or as processes of this host with a log file each: both by submitit.

The driver submits, waits and reports; it is not needed meanwhile: jobs compute the cells that are missing, and a
driver that is started again with the same line finds what they did. A job that meets its time limit or is preempted is
queued again by itself, or by the driver where it was killed before it could; it goes on with the images that are left.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from omegaconf import DictConfig, open_dict

from ....messages import one_line
from ...errors import UserError
from . import slurm
from .launchers import HostKeys, known, without_launcher
from .share import Share, at_most_told, share_of_host
from .slurm import SlurmJobs, SlurmKeys

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job
    from submitit.helpers import DelayedSubmission

    from .jobs import Jobs
    from .launching import BenchLauncher

logger = logging.getLogger("restorebench")

FOR_EVER = 60 * 24 * 365
"""Minutes that a process of this host may take."""
FIRST_LOOK, LONGEST_LOOK = 1.0, 15.0
"""Seconds between two questions to SLURM: few at first, then more, so that a cluster is not kept busy by them. For
results, which are files, it looks every `FIRST_LOOK` seconds."""
LATE = 6.0
"""Seconds that a result may take to be seen on this host, on a file system that several share, after its job ended."""


@dataclass
class QueuedJob:
    """One job of the sweep, as it is pickled for where it runs.

    Attributes:
        launcher: that submits it.
        singletons: of Hydra.
        requeue: whether it may be queued again.
    """

    launcher: BenchLauncher
    singletons: dict[type, Any]
    requeue: bool = False

    def __call__(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Run the job where this process is, and say what became of it."""
        import submitit

        environment = submitit.JobEnvironment()
        Singleton.set_state(self.singletons)
        setup_globals()
        jobs = self.launcher.jobs
        jobs.log = str(environment.paths.stdout)
        if jobs.share is None:
            jobs.share = Share(1, slurm_cpus())
        self._heed_signals(jobs)
        return run_job(
            hydra_context=self.launcher.context,
            task_function=jobs,
            config=opened(self.launcher.sweep_config(overrides), number, environment.job_id),
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def checkpoint(self, *arguments: Any) -> DelayedSubmission:
        """What submitit queues when it queues this job again: the same, since what is stored is not computed again."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *arguments)

    def _heed_signals(self, jobs: Jobs[Any, Any, Any]) -> None:
        """End at SIGTERM, and at submitit's signal before the time limit; every image that is done is in the store."""
        notice = signal.Signals(int(getattr(signal, f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}")))
        queue_again = signal.getsignal(notice)
        told: list[int] = []

        def end(number: int, frame: FrameType | None) -> None:
            if told:  # SLURM says it more than once
                return
            told.append(number)
            limited = number == notice or slurm.own_state() in slurm.AGAIN
            if limited and self.requeue and callable(queue_again):
                sys.stderr.write("bench: the time of this job is over; it is queued again and goes on\n")
                try:
                    queue_again(number, frame)
                except Exception as error:  # scontrol's, or submitit's count is at its end
                    sys.stderr.write(f"bench: it could not be queued again ({one_line(error)})\n")
            else:
                sys.stderr.write("bench: told to end; what is complete is kept, and the same command goes on\n")
            sys.exit(128 + signal.SIGTERM)

        for number in {signal.SIGTERM, notice}:
            signal.signal(number, end)


def slurm_cpus() -> int:
    """CPUs that SLURM gave this job."""
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return 1


def hand_out_to_slurm(launcher: BenchLauncher, overrides: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
    """Submit all jobs as one array of SLURM, and wait for them."""
    asked = SlurmKeys(**known(launcher.keys, "slurm")).checked()
    if asked.gpus is None:
        there = launcher.jobs.use_gpus and slurm.partition_has_gpus(asked.options.get("partition"))
        asked = replace(asked, gpus=1 if there else 0)
    executor = slurm_executor(launcher, asked)
    queued = QueuedJob(launcher, Singleton.get_state(), requeue=asked.requeue > 0)
    with refusals_told():
        submitted = executor.map_array(
            queued, [list(words) for words in overrides], range(first, first + len(overrides))
        )
    waiting = dict(zip((job.job_id for job in submitted), zip(submitted, overrides, strict=True), strict=True))
    array = submitted[0].job_id.partition("_")[0]
    logs = submitted[0].paths.folder.parent
    logger.info("SLURM has %d jobs of this sweep as %s; their logs: %s", len(submitted), array, logs)
    try:
        return list(Waiting(launcher, array, waiting, asked).results())
    except KeyboardInterrupt:
        logger.info("the jobs stay in the queue; `scancel %s` takes them out", array)
        raise


def slurm_executor(launcher: BenchLauncher, asked: SlurmJobs) -> AutoExecutor:
    """Submits jobs to SLURM that ask for this."""
    import submitit

    executor = submitit.AutoExecutor(folder=folder(launcher), cluster="slurm", slurm_max_num_timeout=asked.requeue)
    # Libraries learn of their threads when they are loaded, by what the job got; a user's own word stands.
    threads = 'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}}"'
    more = {"requeue" if asked.requeue else "no-requeue": True, **asked.more}
    parameters: dict[str, Any] = {
        "timeout_min": asked.minutes,
        "cpus_per_task": asked.cpus,
        "gpus_per_node": asked.gpus or None,
        "mem_gb": asked.memory,
        "stderr_to_stdout": True,
        "name": str(launcher.config.hydra.job.name),
        "slurm_signal_delay_s": asked.notice,
        "slurm_array_parallelism": asked.jobs,
        "slurm_setup": [*asked.setup, threads],
        "slurm_additional_parameters": {**{n: v for n, v in asked.options.items() if n != "partition"}, **more},
        "slurm_partition": asked.options.get("partition"),
    }
    executor.update_parameters(**{name: value for name, value in parameters.items() if value is not None})
    return executor


@contextlib.contextmanager
def refusals_told() -> Iterator[None]:
    """What sbatch refuses in the block is the user's to mend, in its own words."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "submitit":
            raise
        said = [line.partition("sbatch: error:")[2].strip() for line in str(error).splitlines()]
        raise UserError(f"SLURM refused the jobs: {'; '.join(filter(None, said)) or one_line(error)}") from error


class Waiting:
    """Waits for jobs of SLURM, whatever becomes of them."""

    def __init__(
        self,
        launcher: BenchLauncher,
        array: str,
        waiting: dict[str, tuple[Job[JobReturn], Sequence[str]]],
        asked: SlurmJobs,
    ) -> None:
        self.launcher, self.array, self.waiting, self.asked = launcher, array, waiting, asked
        self._again: dict[str, int] = {}
        self._ended: dict[str, float] = {}

    def results(self) -> Iterator[JobReturn]:
        """What jobs returned, as they end; those that left nothing are said to the `Jobs`."""
        pause, asked = FIRST_LOOK, 0.0
        while self.waiting:
            states: dict[str, str] | None = None
            if time.monotonic() - asked >= pause:
                asked, pause = time.monotonic(), min(LONGEST_LOOK, pause * 1.1)
                states = slurm.states(self.array)
            for name, (job, overrides) in list(self.waiting.items()):
                if visible(job):
                    del self.waiting[name]
                    yield from result(self.launcher, job, overrides)
                elif states is not None and self._over(name, states.get(name, "")):
                    del self.waiting[name]
                    lost(self.launcher, job, overrides, slurm.reason(name, states.get(name, ""), self.asked))
            time.sleep(FIRST_LOOK)

    def _over(self, name: str, state: str) -> bool:
        """Whether a job that left no result will leave none."""
        if state in slurm.ONGOING:
            self._ended.pop(name, None)
            return False
        # Notice that comes before a job's Python has started ends it.
        again = state in slurm.AGAIN or (state == "FAILED" and "SIGUSR2" in slurm.reason(name, state, self.asked))
        if again and self._again.get(name, 0) < self.asked.requeue and slurm.requeue(name):
            self._again[name] = self._again.get(name, 0) + 1
            logger.info("job %s of SLURM is queued again (%s)", name, state)
            return False
        return time.monotonic() - self._ended.setdefault(name, time.monotonic()) > LATE


def hand_out_here(launcher: BenchLauncher, overrides: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
    """Run jobs as processes of this host with a log file each, as many at once as there are workers."""
    import submitit

    keys = HostKeys(**known(launcher.keys, launcher.name))
    share = share_of_host(keys.workers, keys.threads, len(overrides), launcher.gpus())
    executor = submitit.AutoExecutor(folder=folder(launcher), cluster="local", local_max_num_timeout=0)
    executor.update_parameters(timeout_min=FOR_EVER, stderr_to_stdout=True)
    logger.info(
        "%d jobs, %d at once with %d threads each; their logs: %s",
        *(len(overrides), share.workers, at_most_told(share.threads), folder(launcher).parent),
    )
    left = list(enumerate(overrides, first))
    running: list[tuple[Job[JobReturn], Sequence[str]]] = []
    returned: list[JobReturn] = []
    with share.told() as launcher.jobs.share:
        queued = QueuedJob(launcher, Singleton.get_state())
        try:
            while left or running:
                while left and len(running) < share.workers:
                    number, words = left.pop(0)
                    running.append((executor.submit(queued, list(words), number), words))
                for job, words in [each for each in running if each[0].done()]:
                    running.remove((job, words))
                    if visible(job):
                        returned += result(launcher, job, words)
                    else:
                        lost(launcher, job, words, "its process was killed, or ended early")
                time.sleep(0.1)
        except BaseException:
            for job, _ in running:
                job.cancel(check=False)
            raise
    return returned


def folder(launcher: BenchLauncher) -> Path:
    """Where jobs and their logs lie; ``%j`` is the job's id."""
    return Path(str(launcher.config.hydra.sweep.dir)).absolute() / "jobs" / "%j"


def visible(job: Job[JobReturn]) -> bool:
    """Whether a job's result can be seen from here."""
    return bool(job.paths.result_pickle.exists())


def result(launcher: BenchLauncher, job: Job[JobReturn], overrides: Sequence[str]) -> list[JobReturn]:
    """What a job returned; an error in its place is said to the `Jobs`."""
    try:
        returned: JobReturn = job.result()  # unpickled, its report hands itself in
    except Exception as error:
        said = [line for line in str(error).splitlines() if line.strip() and set(line.strip()) != {"-"}]
        errors = [line for line in said if line[:1].isalpha() and ": " in line and not line.startswith("Job ")]
        lost(launcher, job, overrides, errors[-1] if errors else one_line(error))
        return []
    logger.info("job %s has ended: %s", job.job_id, words_of(overrides))
    return [returned]


def lost(launcher: BenchLauncher, job: Job[JobReturn], overrides: Sequence[str], reason: str) -> None:
    """Say to the `Jobs` that a job came back with nothing."""
    config: DictConfig = launcher.sweep_config(overrides)
    launcher.jobs.lost(config, without_launcher(overrides), reason, str(job.paths.stdout))


def words_of(overrides: Sequence[str]) -> str:
    """Overrides of a job as one reads them."""
    return shlex.join(without_launcher(overrides))


def opened(config: DictConfig, number: int, name: str) -> DictConfig:
    """The configuration of a job that knows its number in the sweep, and its name where it runs."""
    with open_dict(config.hydra.job):
        config.hydra.job.id, config.hydra.job.num = name, number
    return config
