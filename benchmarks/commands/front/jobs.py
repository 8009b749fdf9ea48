"""The jobs of one command line: planned here, run by Hydra wherever its launcher wants them, and what they come to."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from hydra import version
from hydra._internal.utils import _run_hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ....messages import one_line
from ...errors import UserError
from ...evaluation.config import CONFIG_MODULE
from .hydra import MOST_COMPOSED, HydraCommand, Schema
from .launchers import without_launcher
from .launching import offer_to_hydra
from .share import Share
from .stderr import in_words, is_told, set_up_logging

logger = logging.getLogger("restorebench")

Plan = TypeVar("Plan")
Outcome = TypeVar("Outcome")

FULL_ERROR = "HYDRA_FULL_ERROR"
LAUNCHERS = ("joblib", "submitit", "ray", "concurrent")
"""Packages whose errors are those of processes that a launcher started."""

Kind = Literal["done", "incomplete", "fault", "mistake", "defect"]
EXIT_CODES = {"incomplete": 1, "fault": 1, "defect": 1, "mistake": 2}


@dataclass(frozen=True)
class FailedJob(Generic[Plan]):
    """A job of a sweep that did not come to an end.

    Attributes:
        words: its overrides, as a command line has them.
        reason: in one line.
        kind: see `Report`.
        plan: what it was to do; None where it was not planned here.
        log: file of its messages; "" where they came to this terminal.
    """

    words: tuple[str, ...]
    reason: str
    kind: Kind
    plan: Plan | None
    log: str = ""


@dataclass(frozen=True)
class Report:
    """What became of a job in a process of a launcher, whose outcome stays there.

    Attributes:
        jobs: the `Jobs` that wait for it, by their key.
        kind: ``done``; ``incomplete``: its outcome lacks something; ``fault``: a file or folder could not be read or
            written; ``mistake``: of the user; ``defect``: of the suite, or of a network's code.
        text: one line about it.
        key: of this report.
        job: its configuration, as a text.
        words: its overrides.
        log: file of its messages; "" where there is none.
    """

    jobs: str
    kind: Kind
    text: str
    key: str
    job: str = ""
    words: tuple[str, ...] = ()
    log: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # Hydra drops what its jobs return. Unpickled, as every launcher does with it, it is handed in.
        return _handed_in, (self.jobs, self.kind, self.text, self.key, self.job, self.words, self.log)


_reports: dict[str, dict[str, Report]] = {}
"""By the `Jobs` that wait for them: reports that have come back from other processes."""


def _handed_in(jobs: str, kind: Kind, text: str, key: str, job: str, words: tuple[str, ...], log: str) -> Report:
    report = Report(jobs, kind, text, key, job, words, log)
    if jobs in _reports:
        _reports[jobs][key] = report
    return report


class FaultElsewhereError(OSError):
    """A fault that another process met; its text is the whole line."""


@contextlib.contextmanager
def _errors_as_they_are() -> Iterator[None]:
    """Hydra hands errors on in the block, rather than print them with a traceback and end the process."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = before


def _line(error: Exception) -> str:
    text = in_words(error) if isinstance(error, OSError) else str(error)
    return " ".join(text.split())


def no_failure(outcome: object) -> str:
    """Every outcome is as it should be."""
    return ""


class Jobs(Generic[Schema, Plan, Outcome]):
    """The jobs of one command line: planned here, run wherever Hydra's launcher wants them.

    Hydra calls this object once for every configuration. A launcher with processes of its own (joblib, submitit)
    pickles it: what was planned and collected stays behind, the copy plans its job anew, and returns a `Report`.
    What it is made of are therefore functions of modules, which pickle finds by their names.

    Attributes:
        plans: of all jobs, in order; none where Hydra is only asked to show something.
        outcomes: of the jobs that this process ran, in order.
        failures: what is wrong with outcomes of jobs that other processes ran, one line each.
        faults: files and folders that jobs could not read or write; the other jobs still run.
        mistakes: errors of the user that only a running job could meet; the other jobs still run.
        whole: whether `plans` are those of all jobs; the largest sweeps are not composed to their end beforehand.
        failed: of a sweep, every job that did not come to an end, or whose outcome lacks something.
        share: what a job in another process may take of its host; set by the launcher.
        log: file of a job's messages; set where it runs.
        use_gpus: whether some job may use a GPU.
    """

    def __init__(
        self,
        command: HydraCommand[Schema],
        arguments: Sequence[str],
        *,
        plan: Callable[[Schema], Plan],
        run: Callable[[Plan], Outcome],
        failure: Callable[[Outcome], str] = no_failure,
    ) -> None:
        """Compose and plan every job that `arguments` ask for.

        Args:
            command: the command.
            arguments: what was typed after it.
            plan: makes a plan of a configuration, or says what is wrong with it.
            run: runs a plan.
            failure: what is wrong with an outcome, in words; "" for nothing.

        Raises:
            UserError, ModelError, DataError: a mistake, before anything runs.
        """
        self.command, self.arguments = command, list(arguments)
        self._plan, self._run, self._failure = plan, run, failure
        self._process, self._key = os.getpid(), uuid.uuid4().hex
        composed = command.compose(arguments)
        configs = [] if composed.only_shown else composed.configs
        self._options = composed.options
        self._planned = {repr(config): plan(config) for config in configs}
        self._words = {repr(config): words for config, words in zip(composed.configs, composed.words, strict=True)}
        self._sweep = len(self._planned) > 1 or bool(composed.launcher)
        self.whole = len(configs) < MOST_COMPOSED
        self.use_gpus = any(getattr(config, "device", "auto") != "cpu" for config in configs)
        self.share: Share | None = None
        self.log = ""
        self.outcomes: list[Outcome] = []
        self.failures: list[str] = []
        self.faults: list[OSError] = []
        self.mistakes: list[ValueError] = []
        self.failed: list[FailedJob[Plan]] = []

    @property
    def plans(self) -> list[Plan]:
        """Of all jobs, in order, alike ones once."""
        return list(self._planned.values())

    def launch(self) -> list[Outcome]:
        """Let Hydra run all jobs; outcomes of those that ran in this process.

        Where Hydra is only asked to show something, it does so and ends the process; so does a job that fails by a
        defect, with its traceback, when the others are done.

        Raises:
            ValueError: the first of `mistakes`, when the others have been said.
            OSError: the first of `faults`, the same.
        """
        self._hand_over()
        errors: list[ValueError | OSError] = [*self.mistakes, *self.faults]
        for text in dict.fromkeys(_line(error) for error in errors[1:]):
            if text != _line(errors[0]):
                logger.error("%s", text)
        if errors:
            raise errors[0]
        return self.outcomes

    def launch_all(self) -> int:
        """As `launch`, but a failed job of a sweep raises nothing: it is one of `failed`.

        Returns:
            The exit code that the failed jobs make: 0 without one, 2 where one is a mistake of the user, else 1.
        """
        if not self._sweep:
            self.launch()
            return 1 if self.failures else 0
        self._hand_over()
        return max([0, *(EXIT_CODES[job.kind] for job in self.failed), 1 if self.failures else 0])

    def failed_lines(self) -> str:
        """A line for each failed job of a sweep, with its reason, under a heading; empty where there is none."""
        if not self.failed:
            return ""
        logs = [f" (log: {job.log})" if job.log else "" for job in self.failed]
        lines = [f"  {shlex.join(job.words)}: {job.reason}{log}" for job, log in zip(self.failed, logs, strict=True)]
        return "\n".join([f"{len(self.failed)} of {len(self._planned)} jobs failed:", *lines, ""])

    def _hand_over(self) -> None:
        """Let Hydra run all jobs and collect what became of them."""
        parser = self.command.parser()
        version.setbase("1.3")
        offer_to_hydra()
        _reports[self._key] = {}
        try:
            # Not `hydra.main`, which reads `sys.argv`: that stays as it was typed, for those who start processes by it.
            with _errors_as_they_are():
                _run_hydra(
                    args=self._options,
                    args_parser=parser,
                    task_function=self,
                    config_path=f"pkg://{CONFIG_MODULE}",
                    config_name=self.command.name,
                )
        except BrokenPipeError:
            raise
        except OSError as error:
            self.faults.append(error)
        except Exception as error:
            if is_told(error):  # the launcher's
                raise
            if type(error).__module__.partition(".")[0] not in LAUNCHERS:
                traceback.print_exc()  # a defect of ours, or of the network's constructor
                sys.exit(1)
            reason = f"a process of the launcher ended early ({one_line(error)}); the same command goes on"
            logger.error("%s", reason)
            self._ended_early(reason)
        finally:
            self._take(_reports.pop(self._key).values())

    def _ended_early(self, reason: str) -> None:
        """Count the jobs of which a launcher brought nothing back as failed."""
        self.failures.append(reason)
        known = {report.job for report in _reports[self._key].values()}
        for job in self._planned.keys() - known if self._sweep else ():
            _handed_in(self._key, "fault", reason, uuid.uuid4().hex, job, self._words[job], "")

    def lost(self, config: DictConfig, words: tuple[str, ...], reason: str, log: str) -> None:
        """Hear from a launcher that a job ended without a word of its own.

        Args:
            config: of the job.
            words: its overrides.
            reason: in one line.
            log: file of its messages.
        """
        job = repr(self.command.typed(config))
        _handed_in(self._key, "fault", f"{reason}; the same command goes on", uuid.uuid4().hex, job, words, log)

    def heard_of(self, config: DictConfig) -> bool:
        """Whether a job, by its configuration, has come back from another process."""
        job = repr(self.command.typed(config))
        return any(report.job == job for report in _reports[self._key].values())

    def _take(self, reports: Iterable[Report]) -> None:
        """Count reports of other processes with what this one has met itself."""
        for report in reports:
            self._keep(report)
            if report.kind == "mistake":
                self.mistakes.append(UserError(report.text))
            elif report.kind == "fault":
                self.faults.append(FaultElsewhereError(report.text))
            elif report.kind == "incomplete":
                self.failures.append(report.text)
                logger.error("%s", report.text)
            elif report.kind == "defect":
                self.failures.append(report.text)

    def _keep(self, report: Report) -> None:
        if self._sweep and report.kind != "done":
            plan = self._planned.get(report.job)
            self.failed.append(FailedJob(report.words, " ".join(report.text.split()), report.kind, plan, report.log))

    def __call__(self, config: DictConfig) -> Report | None:
        """Run one job, in this process or in a launcher's; there it says what became of it."""
        set_up_logging()
        asked = self.command.typed(config)
        here = os.getpid() == self._process
        if self.share is not None and not here:
            self.share.take()
        kind: Kind = "done"
        text = ""
        try:
            planned = self._planned.get(repr(asked))
            outcome = self._run(self._plan(asked) if planned is None else planned)
            text = self._failure(outcome)
            kind = "incomplete" if text else "done"
            if here:
                self.outcomes.append(outcome)
        except Exception as error:
            if not is_told(error):
                if not self._sweep:
                    raise
                traceback.print_exc()  # a defect of ours, or of the network's code; the other jobs still run
                kind, text = "defect", one_line(error)
            else:
                kind, text = "fault" if isinstance(error, OSError) else "mistake", _line(error)
            if here and isinstance(error, OSError):
                self.faults.append(error)
            elif here and isinstance(error, ValueError):
                self.mistakes.append(error)
        typed = tuple(map(str, HydraConfig.get().overrides.task)) if HydraConfig.initialized() else ()
        report = Report(self._key, kind, text, uuid.uuid4().hex, repr(asked), without_launcher(typed), self.log)
        if here:
            self._keep(report)
            return None
        return report

    def __getstate__(self) -> dict[str, Any]:
        return {
            **vars(self),
            "_process": 0,  # a process on another host may have this one's number
            "_planned": {},
            "_words": {},
            "outcomes": [],
            "failures": [],
            "faults": [],
            "mistakes": [],
            "failed": [],
        }
