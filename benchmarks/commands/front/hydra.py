"""What the commands with Hydra overrides share: a typed schema, and composing beforehand (`jobs` runs what it gives).

Hydra composes, sweeps and launches; it reports a mistake with its own words and exit code 1, so every job is composed
once beforehand, where a mistake becomes one line that names the nearest right name.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from typing import Any, Generic, TypeVar

from hydra import compose, initialize_config_module
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ....messages import nearest
from ...errors import UserError
from ...evaluation.config import CONFIG_MODULE
from .launchers import GROUP, check_installed, check_keys, launcher_typed, no_launcher_key, without_launcher
from .parsing import Parser
from .quoting import escaped_interpolation, quoted_form, quoted_words

logger = logging.getLogger("restorebench")

Schema = TypeVar("Schema")

MOST_COMPOSED = 500
"""Jobs of a sweep that are composed beforehand; those of a larger one meet their mistakes when they start."""


@dataclass(frozen=True)
class Composed(Generic[Schema]):
    """What a command line asks for.

    Attributes:
        configs: the configuration of every job.
        only_shown: Hydra is asked to show something (``--help``, ``--cfg``), not to run.
        options: the command line as Hydra has to see it, its overrides quoted.
        words: overrides of every job, without those that say where it runs.
        launcher: that is to run the jobs; "" for none: one after the other, here.
    """

    configs: list[Schema]
    only_shown: bool
    options: argparse.Namespace
    words: list[tuple[str, ...]] = field(default_factory=list)
    launcher: str = ""


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

    def parser(self) -> Parser:
        """Hydra's command line under this command's name."""
        parser = Parser(prog=f"bench {self.name}", parents=[get_args_parser()], add_help=False)
        parser.keys = self.known_keys()
        return parser

    def compose(self, arguments: Sequence[str]) -> Composed[Schema]:
        """The configuration of every job that these arguments ask for.

        Raises:
            UserError: if one cannot be composed.
        """
        # Where a job runs is no part of what it does: the key stands beside those of the schema.
        composed = make_dataclass(self._dataclass.__name__, [(GROUP, Any, None)], bases=(self._dataclass,))
        ConfigStore.instance().store(name=f"{self.name}_schema", node=composed)
        options = self.parser().parse_intermixed_args(list(arguments))
        only_shown = bool(options.help or options.hydra_help or options.cfg or options.info)
        if not only_shown and launcher_typed(options.overrides):
            options.multirun = True  # Hydra runs a single job here, whatever its launcher
        typed, options.overrides = (
            options.overrides,
            quoted_words(options.overrides, multirun=options.multirun),
        )
        if options.experimental_rerun is not None:
            raise UserError("--experimental-rerun is Hydra's and does not resume a run; give the same command again")
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            try:
                multirun = options.multirun
                jobs = list(self._jobs(options.overrides, typed, multirun=multirun, only_shown=only_shown))
                configs = [self.typed(config) for _, _, config in jobs]
            except OverrideParseException as error:
                place = str(error).splitlines()[0]
                form = f", quoted for a shell: {quoted_form(error.override)}" if "=" in error.override else ""
                raise UserError(
                    f"cannot read the override {error.override!r} ({place}); write key=value{form}"
                ) from error
            except MissingConfigException as error:
                raise UserError(self._missing_config(error)) from error
            except (ConfigCompositionException, OmegaConfBaseException) as error:
                raise UserError(self._bad_override(error, options.overrides)) from error
            except HydraException as error:
                raise UserError(str(error)) from error
        words = [words for words, _, _ in jobs]
        return Composed(configs, only_shown, options, words, next((launcher for _, launcher, _ in jobs), ""))

    def typed(self, config: DictConfig) -> Schema:
        """The resolved configuration of one job as the schema's dataclass, without Hydra's own part."""
        plain = {field.name: OmegaConf.select(config, field.name) for field in fields(self._dataclass)}
        given = {
            key: escaped_interpolation(value) if isinstance(value, str) else value
            for key, value in plain.items()
            if value is not None
        }
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

    def _jobs(
        self, overrides: Sequence[str], typed: Sequence[str], *, multirun: bool, only_shown: bool
    ) -> Iterable[tuple[tuple[str, ...], str, DictConfig]]:
        """Of every job its overrides, its launcher and its configuration."""
        parser = OverridesParser.create()
        parsed = parser.parse_overrides(list(overrides))
        fixed = [o.input_line for o in parsed if o.input_line and not o.is_sweep_override()]
        swept = [o for o in parsed if o.is_sweep_override()]
        for override in swept:
            if str(override.key_or_group).partition(".")[0] == GROUP:
                raise UserError(f"{override.input_line}: a sweep has one launcher, and its keys one value each")
        first = compose(self.name, overrides=fixed, return_hydra_config=True)
        launcher = str(first.hydra.runtime.choices.get(GROUP) or "")
        if launcher and not only_shown:
            check_keys(launcher, first)
        multirun = multirun or first.hydra.mode == RunMode.MULTIRUN
        if swept and not multirun:
            keys = ", ".join(str(o.get_key_element()) for o in swept)
            remedy = f"bench {self.name} -m {shlex.join(typed)}"
            one = [quoted_form(word) for word, parsed_one in zip(typed, parsed, strict=True) if parsed_one in swept]
            single = f"; for one value with a comma in it type {' '.join(one)}"
            raise UserError(f"{keys} has several values; add -m to sweep over them: {remedy}{single}")
        prepared = [f"{key}={value}" for key, value in (first.hydra.sweeper.params or {}).items()] if multirun else []
        choices = [
            [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
            if o.is_sweep_override()
            else [o.input_line]
            for o in parser.parse_overrides(prepared) + swept
        ]
        for combination in itertools.islice(itertools.product(*choices), MOST_COMPOSED):
            words = [*(str(line) for line in combination), *fixed]
            config = compose(self.name, overrides=words)
            self._check_keys(config)
            yield without_launcher(words), launcher, config

    def _check_keys(self, config: DictConfig) -> None:
        """Hydra's ``+key=value`` adds any key; one that nothing reads is a mistake."""
        known = {*(field.name for field in fields(self._dataclass)), GROUP}
        for key in config:
            if key not in known:
                raise UserError(self._no_key(str(key), known))

    def _no_key(self, key: str, known: Iterable[str], what: str = "key") -> str:
        if key in self.renamed:
            return f"{key!r} is called {self.renamed[key]!r} now; bench {self.name} --help lists the keys"
        return f"there is no {what} {key!r}{nearest(key, known)}; bench {self.name} --help lists them"

    def _bad_override(self, error: Exception, overrides: Sequence[str]) -> str:
        """One line for a key that does not exist, or a value of the wrong type."""
        text, cause = str(error), error.__cause__
        missing = re.search(r"Could not override '([^']+)'", text)
        if missing:
            key = missing.group(1)
            if key.startswith("overrides."):
                return f"write +{key}=... to give the network a constructor argument"
            if key.partition(".")[0] == GROUP:
                return no_launcher_key(key, launcher_typed(overrides))
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
        if group == "hydra/launcher":
            check_installed(choice, f"{group}={choice}")
        if not group:
            return f"there is no config {missing!r}"
        if not options:
            return self._no_key(group, self.known_keys(), "key or config group")
        return f"{group}={choice}: no such choice{nearest(choice, options)}; there are {', '.join(options)}"
