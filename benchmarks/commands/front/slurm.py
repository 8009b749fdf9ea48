"""SLURM: the keys of ``launcher=slurm``, what it says of jobs, and why one ended. Its own commands, no accounts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import UserError
from .share import whole

COMMANDS = ("sbatch", "srun", "squeue", "scontrol")
ONGOING = frozenset(
    (
        *("PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
        *("RESIZING", "RESV_DEL_HOLD", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED"),
    )
)
"""States of jobs that have not ended."""
AGAIN = frozenset(("TIMEOUT", "PREEMPTED", "NODE_FAIL"))
"""States of jobs that ended through no fault of theirs, and may go on."""
MOST_TIMES = 100
"""How often a job is queued again with ``requeue=true``; one that never gets anywhere has to end some day."""

_UNITS = {"": 1.0, "K": 1 / 1024**2, "M": 1 / 1024, "G": 1.0, "T": 1024.0}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_TIME = re.compile(r"(?:(?P<days>\d+)-(?=\d+)|(?=\d+:))(?P<clock>\d+(?::\d+){0,2})")


@dataclass
class SlurmKeys:
    """Keys of ``launcher=slurm``; see ``conf/launcher/slurm.yaml``."""

    partition: Any = None
    time: Any = 240
    gpus: Any = "auto"
    cpus: Any = None
    memory: Any = None
    requeue: Any = True
    notice: Any = 120
    jobs: Any = 256
    account: Any = None
    qos: Any = None
    constraint: Any = None
    exclude: Any = None
    setup: Any = field(default_factory=list)
    options: Any = field(default_factory=dict)

    def checked(self) -> SlurmJobs:
        """What is asked for, in units of the program.

        Raises:
            UserError: a value cannot be read.
        """
        cpus = None if self.cpus is None else whole("launcher.cpus", self.cpus)
        jobs = whole("launcher.jobs", self.jobs) or SlurmJobs.jobs
        notice = whole("launcher.notice", self.notice) or SlurmJobs.notice
        if not isinstance(self.options, dict):
            raise UserError("launcher.options: write +launcher.options.NAME=VALUE for an option of sbatch")
        setup = [self.setup] if isinstance(self.setup, str) else list(self.setup or ())
        texts = {name: getattr(self, name) for name in ("partition", "account", "qos", "constraint", "exclude")}
        return SlurmJobs(
            minutes=minutes_of(self.time),
            gpus=self._gpus(),
            cpus=cpus,
            memory=memory_of(self.memory),
            requeue=self._requeue(),
            notice=notice,
            jobs=jobs,
            setup=tuple(map(str, setup)),
            options={name: str(value) for name, value in texts.items() if value is not None},
            more={str(name): value for name, value in self.options.items()},
        )

    def _gpus(self) -> int | None:
        if str(self.gpus) == "0" or self.gpus is None:
            return 0
        return whole("launcher.gpus", self.gpus)

    def _requeue(self) -> int:
        if isinstance(self.requeue, bool):
            return MOST_TIMES if self.requeue else 0
        if str(self.requeue).isdecimal():
            return int(self.requeue)
        raise UserError(f"launcher.requeue={self.requeue}: write true, false, or how often at most")


@dataclass(frozen=True, kw_only=True)
class SlurmJobs:
    """What jobs ask of SLURM.

    Attributes:
        minutes: time limit of a job.
        gpus: of a job; None: one where the partition has some.
        cpus: of a job; None: as the cluster gives.
        memory: of a job in GB; None: as the cluster gives.
        requeue: how often a job may be queued again.
        notice: seconds before its time limit at which a job is told of it.
        jobs: that run at once.
        setup: lines of shell before the job.
        options: of sbatch that submitit knows.
        more: other options of sbatch.
    """

    minutes: int
    gpus: int | None
    cpus: int | None
    memory: float | None
    requeue: int
    notice: int = 120
    jobs: int = 256
    setup: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def minutes_of(value: object) -> int:
    """A time limit in minutes, rounded up as SLURM does it.

    Raises:
        UserError: it is no time.
    """
    text = str(value).strip()
    if text.isdecimal() and int(text) > 0:
        return int(text)
    match, seconds = _TIME.fullmatch(text), 0
    if match:
        parts = [int(part) for part in match["clock"].split(":")]
        # As SLURM reads it: hours come first after days, and of three; minutes:seconds are two.
        hours = parts if match["days"] or len(parts) == 3 else [0, *parts]
        seconds = int(match["days"] or 0) * 86400 + sum(
            part * unit for part, unit in zip(hours, (3600, 60, 1), strict=False)
        )
    if not seconds:
        raise UserError(f"launcher.time={text}: write minutes, H:MM:SS or D-HH:MM:SS")
    return -(-seconds // 60)


def memory_of(value: object) -> float | None:
    """Memory in GB; None for none.

    Raises:
        UserError: it is no size.
    """
    if value is None:
        return None
    match = _MEMORY.fullmatch(str(value).strip())
    if match is None or float(match[1]) == 0:
        raise UserError(f"launcher.memory={value}: write GB, or a number with a unit (500M, 16G)")
    return float(match[1]) * _UNITS[match[2].upper()]


def check_commands() -> None:
    """SLURM's commands are here.

    Raises:
        UserError: they are not.
    """
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        raise UserError(f"launcher=slurm needs SLURM's {', '.join(missing)}, not found here: type it on a login node")


def partition_has_gpus(partition: str | None) -> bool:
    """Whether nodes of the partition (None: of the cluster's default one) have GPUs, by what ``sinfo`` says."""
    chosen = ["-p", partition] if partition else []
    done = _run(["sinfo", "-h", "-o", "%P %G", *chosen])
    lines = [line.split(None, 1) for line in done.stdout.splitlines() if line.strip()]
    return any("gpu" in "".join(rest).lower() for name, *rest in lines if partition or name.endswith("*"))


def states(job: str) -> dict[str, str] | None:
    """The state of a job, or of each of an array, by its id: ``{"12_0": "RUNNING"}``; those that SLURM has forgotten
    are not there. None where it does not answer now."""
    done = _run(["squeue", "-h", "-r", "-t", "all", "-o", "%i %T", "-j", job])
    if done.returncode != 0:
        return {} if "Invalid job id" in done.stderr else None
    return {words[0]: words[1] for line in done.stdout.splitlines() if len(words := line.split()) == 2}


def own_state() -> str:
    """What SLURM says of the job that this process is; "" where it says nothing."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    name = f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")
    return _said(name).get("JobState", "")


def requeue(job: str) -> bool:
    """Queue a job again; whether SLURM did."""
    return _run(["scontrol", "requeue", job]).returncode == 0


def reason(job: str, state: str, asked: SlurmJobs) -> str:
    """Why a job ended without a result, in words."""
    if state == "CANCELLED":
        return "it was cancelled"
    if state == "TIMEOUT":
        return f"it met its time limit of {asked.minutes} minutes (launcher.time, launcher.requeue)"
    if state == "OUT_OF_MEMORY":
        return "its memory did not suffice (launcher.memory)"
    if state == "PREEMPTED":
        return "another job took its place (launcher.requeue)"
    if state in ("NODE_FAIL", "BOOT_FAIL"):
        return "its node failed"
    if state:
        return ended_by(_said(job).get("ExitCode", ""))
    return "SLURM knows it no more, and it left no result"


def ended_by(code: str) -> str:
    """SLURM's ``status:signal`` in words; the shell's status of a signal, 128 and more, is one too."""
    status, _, number = (int(part) if part.isdecimal() else 0 for part in code.partition(":"))
    number = number or (status - 128 if 128 < status < 128 + 65 else 0)
    if number:
        known = [each.name for each in signal.Signals if each == number]
        return f"it was killed by {known[0] if known else f'signal {number}'}"
    return f"it ended with exit code {status}" if status else "it ended without a result"


def _said(job: str) -> dict[str, str]:
    done = _run(["scontrol", "show", "job", "-o", job]) if job else None
    pairs = [word.partition("=") for word in done.stdout.split()] if done else []
    return {key: value for key, _, value in pairs}


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
