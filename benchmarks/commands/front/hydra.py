"""What the commands with Hydra overrides share: a typed schema, composing beforehand, jobs and what they come to.

Hydra composes, sweeps and launches; it reports a mistake with its own words and exit code 1, so every job is composed
once beforehand, where a mistake becomes one line that names the nearest right name.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import re
import shlex
import sys
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Generic, Literal, TypeVar

from hydra import compose, initialize_config_module, version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ....messages import nearest, one_line
from ...errors import UserError
from ...evaluation.config import CONFIG_MODULE
from .stderr import in_words, is_told, set_up_logging

logger = logging.getLogger("restorebench")

Schema = TypeVar("Schema")
Plan = TypeVar("Plan")
Outcome = TypeVar("Outcome")

FULL_ERROR = "HYDRA_FULL_ERROR"
LAUNCHERS = ("joblib", "submitit", "ray", "concurrent")
"""Packages whose errors are those of processes that a launcher started."""
MOST_COMPOSED = 500
"""Jobs of a sweep that are composed beforehand; those of a larger one meet their mistakes when they start."""


@dataclass(frozen=True)
class Composed(Generic[Schema]):
    """What a command line asks for.

    Attributes:
        configs: the configuration of every job.
        only_shown: Hydra is asked to show something (``--help``, ``--cfg``), not to run.
    """

    configs: list[Schema]
    only_shown: bool


@dataclass(frozen=True)
class HydraCommand(Generic[Schema]):
    """``bench NAME`` with its configuration ``conf/NAME.yaml``, whose defaults list begins with ``NAME_schema``.

    Attributes:
        name: of the command.
        schema: dataclass with the types of its keys.
        renamed: what keys were called before, and what they are called now.
    """

    name: str
    schema: type[Schema]
    renamed: Mapping[str, str] = field(default_factory=dict)

    def parser(self) -> argparse.ArgumentParser:
        """Hydra's command line under this command's name."""
        parser = get_args_parser()
        parser.prog = f"bench {self.name}"
        return parser

    def compose(self, arguments: Sequence[str]) -> Composed[Schema]:
        """The configuration of every job that these arguments ask for.

        Raises:
            UserError: if one cannot be composed.
        """
        ConfigStore.instance().store(name=f"{self.name}_schema", node=self.schema)
        options = self.parser().parse_args(list(arguments))
        if options.experimental_rerun is not None:
            raise UserError("--experimental-rerun is Hydra's and does not resume a run; give the same command again")
        only_shown = bool(options.help or options.hydra_help or options.cfg or options.info)
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            try:
                configs = [self.typed(config) for config in self._jobs(options.overrides, multirun=options.multirun)]
            except OverrideParseException as error:
                place = str(error).splitlines()[0]
                raise UserError(f"cannot read the override {error.override!r} ({place}); write key=value") from error
            except MissingConfigException as error:
                raise UserError(self._missing_config(error)) from error
            except (ConfigCompositionException, OmegaConfBaseException) as error:
                raise UserError(self._bad_override(error)) from error
            except HydraException as error:
                raise UserError(str(error)) from error
        return Composed(configs, only_shown)

    def typed(self, config: DictConfig) -> Schema:
        """The resolved configuration of one job as the schema's dataclass, without Hydra's own part."""
        plain = {field.name: OmegaConf.select(config, field.name) for field in fields(self._dataclass)}
        given = {key: value for key, value in plain.items() if value is not None}
        merged = OmegaConf.merge(OmegaConf.structured(self.schema), given)
        for key in plain.keys() - given.keys():
            OmegaConf.update(merged, key, None)
        result = OmegaConf.to_object(merged)
        assert isinstance(result, self.schema)
        return result

    def known_keys(self) -> list[str]:
        """All keys of the configuration, dotted."""

        def walk(node: DictConfig, prefix: str) -> Iterable[str]:
            for key in node:
                yield f"{prefix}{key!s}"
                child = node._get_node(key)
                if isinstance(child, DictConfig) and is_dataclass(OmegaConf.get_type(child)):
                    yield from walk(child, f"{prefix}{key!s}.")

        return list(walk(OmegaConf.structured(self.schema), ""))

    @property
    def _dataclass(self) -> Any:
        assert is_dataclass(self.schema)
        return self.schema

    def _jobs(self, overrides: Sequence[str], *, multirun: bool) -> Iterable[DictConfig]:
        parser = OverridesParser.create()
        parsed = parser.parse_overrides(list(overrides))
        fixed = [o.input_line for o in parsed if o.input_line and not o.is_sweep_override()]
        swept = [o for o in parsed if o.is_sweep_override()]
        first = compose(self.name, overrides=fixed, return_hydra_config=True)
        multirun = multirun or first.hydra.mode == RunMode.MULTIRUN
        if swept and not multirun:
            keys = ", ".join(str(o.get_key_element()) for o in swept)
            remedy = f"bench {self.name} -m {shlex.join(overrides)}"
            raise UserError(f"{keys} has several values; add -m to sweep over them: {remedy}")
        prepared = [f"{key}={value}" for key, value in (first.hydra.sweeper.params or {}).items()] if multirun else []
        choices = [
            [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
            if o.is_sweep_override()
            else [o.input_line]
            for o in parser.parse_overrides(prepared) + swept
        ]
        for combination in itertools.islice(itertools.product(*choices), MOST_COMPOSED):
            config = compose(self.name, overrides=[*(str(line) for line in combination), *fixed])
            self._check_keys(config)
            yield config

    def _check_keys(self, config: DictConfig) -> None:
        """Hydra's ``+key=value`` adds any key; one that nothing reads is a mistake."""
        known = {field.name for field in fields(self._dataclass)}
        for key in config:
            if key not in known:
                raise UserError(self._no_key(str(key), known))

    def _no_key(self, key: str, known: Iterable[str], what: str = "key") -> str:
        if key in self.renamed:
            return f"{key!r} is called {self.renamed[key]!r} now; bench {self.name} --help lists the keys"
        return f"there is no {what} {key!r}{nearest(key, known)}; bench {self.name} --help lists them"

    def _bad_override(self, error: Exception) -> str:
        """One line for a key that does not exist, or a value of the wrong type."""
        text, cause = str(error), error.__cause__
        missing = re.search(r"Could not override '([^']+)'", text)
        if missing:
            key = missing.group(1)
            if key.startswith("overrides."):
                return f"write +{key}=... to give the network a constructor argument"
            return self._no_key(key, self.known_keys())
        value = re.search(r"Error merging override (\S+)", text)
        if value and cause:
            return f"{value.group(1)}: {str(cause).splitlines()[0]}"
        return text.splitlines()[0]

    def _missing_config(self, error: MissingConfigException) -> str:
        """One line for a choice that a config group does not have."""
        missing = str(error.missing_cfg_file)
        group, _, choice = missing.rpartition("/")
        options = list(error.options or [])
        if not group:
            return f"there is no config {missing!r}"
        if not options:
            return self._no_key(group, self.known_keys(), "key or config group")
        return f"{group}={choice}: no such choice{nearest(choice, options)}; there are {', '.join(options)}"


Kind = Literal["done", "incomplete", "fault", "mistake"]


@dataclass(frozen=True)
class Report:
    """What became of a job in a process of a launcher, whose outcome stays there.

    Attributes:
        jobs: the `Jobs` that wait for it, by their key.
        kind: ``done``; ``incomplete``: its outcome lacks something; ``fault``: a file or folder could not be read or
            written; ``mistake``: of the user.
        text: one line about it.
        key: of this report.
    """

    jobs: str
    kind: Kind
    text: str
    key: str

    def __reduce__(self) -> tuple[Any, ...]:
        # Hydra drops what its jobs return. Unpickled, as every launcher does with it, it is handed in.
        return _handed_in, (self.jobs, self.kind, self.text, self.key)


_reports: dict[str, dict[str, Report]] = {}
"""By the `Jobs` that wait for them: reports that have come back from other processes."""


def _handed_in(jobs: str, kind: Kind, text: str, key: str) -> Report:
    report = Report(jobs, kind, text, key)
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


def _line(error: ValueError | OSError) -> str:
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
        self._planned = {repr(config): plan(config) for config in configs}
        self.outcomes: list[Outcome] = []
        self.failures: list[str] = []
        self.faults: list[OSError] = []
        self.mistakes: list[ValueError] = []

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
        parser = self.command.parser()
        version.setbase("1.3")
        _reports[self._key] = {}
        try:
            # Not `hydra.main`, which reads `sys.argv`: that stays as it was typed, for those who start processes by it.
            with _errors_as_they_are():
                _run_hydra(
                    args=parser.parse_args(self.arguments),
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
            if type(error).__module__.partition(".")[0] not in LAUNCHERS:
                traceback.print_exc()  # a defect of ours, or of the network's constructor
                sys.exit(1)
            self.failures.append(f"a process of the launcher ended early ({one_line(error)}); the same command goes on")
            logger.error("%s", self.failures[-1])
        finally:
            self._take(_reports.pop(self._key).values())
        errors: list[ValueError | OSError] = [*self.mistakes, *self.faults]
        for text in dict.fromkeys(_line(error) for error in errors[1:]):
            if text != _line(errors[0]):
                logger.error("%s", text)
        if errors:
            raise errors[0]
        return self.outcomes

    def _take(self, reports: Iterable[Report]) -> None:
        """Count reports of other processes with what this one has met itself."""
        for report in reports:
            if report.kind == "mistake":
                self.mistakes.append(UserError(report.text))
            elif report.kind == "fault":
                self.faults.append(FaultElsewhereError(report.text))
            elif report.kind == "incomplete":
                self.failures.append(report.text)
                logger.error("%s", report.text)

    def __call__(self, config: DictConfig) -> Report | None:
        """Run one job, in this process or in a launcher's; there it says what became of it."""
        set_up_logging()
        asked = self.command.typed(config)
        here = os.getpid() == self._process
        kind: Kind = "done"
        text = ""
        try:
            planned = self._planned.get(repr(asked))
            outcome = self._run(self._plan(asked) if planned is None else planned)
            text = self._failure(outcome)
            kind = "incomplete" if text else "done"
            if here:
                self.outcomes.append(outcome)
        except (ValueError, OSError) as error:
            if not is_told(error):
                raise
            kind, text = ("fault", _line(error)) if isinstance(error, OSError) else ("mistake", _line(error))
            if here and isinstance(error, OSError):
                self.faults.append(error)
            elif here and isinstance(error, ValueError):
                self.mistakes.append(error)
        return None if here else Report(self._key, kind, text, uuid.uuid4().hex)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_planned": {}, "outcomes": [], "failures": [], "faults": [], "mistakes": []}
