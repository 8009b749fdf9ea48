"""Launchers of a sweep, chosen by ``launcher=NAME``: their keys, and what has to be installed (`launching` has the one
that Hydra calls)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ....messages import nearest
from ...errors import UserError
from .share import whole
from .slurm import SlurmKeys, check_commands

GROUP = "launcher"


@dataclass(frozen=True)
class Extra:
    """What a launcher needs besides the suite.

    Attributes:
        name: of the extra that installs it.
        distribution: its name where packages are registered.
        modules: that have to be there.
    """

    name: str
    distribution: str
    modules: tuple[str, ...]


_JOBLIB = Extra("joblib", "hydra-joblib-launcher", ("hydra_plugins.hydra_joblib_launcher", "joblib"))
_SUBMITIT = Extra("slurm", "hydra-submitit-launcher", ("hydra_plugins.hydra_submitit_launcher", "submitit"))
_RAY = Extra("ray", "hydra-ray-launcher", ("hydra_plugins.hydra_ray_launcher", "ray"))
EXTRAS = {
    "joblib": _JOBLIB,
    "slurm": _SUBMITIT,
    "local_cluster": _SUBMITIT,
    "ray": _RAY,
    # Hydra's own names of them, by hydra/launcher=
    "submitit_slurm": _SUBMITIT,
    "submitit_local": _SUBMITIT,
    "ray_aws": _RAY,
}


def check_installed(choice: str, typed: str) -> None:
    """The packages of a launcher are there.

    Raises:
        UserError: they are not; the line says what to install.
    """
    extra = EXTRAS.get(choice)
    if extra is not None and not all(map(_is_there, extra.modules)):
        raise UserError(
            f"{typed} needs {extra.distribution}, which is not installed: pip install 'restorebench[{extra.name}]'"
        )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


@dataclass
class HostKeys:
    """Keys of ``launcher=joblib`` and ``launcher=local_cluster``; see ``conf/launcher``."""

    workers: Any = "auto"
    threads: Any = "auto"


@dataclass
class RayKeys(HostKeys):
    """Keys of ``launcher=ray``."""

    address: str | None = None
    gpus: Any = "auto"


KEYS: dict[str, type] = {"joblib": HostKeys, "local_cluster": HostKeys, "ray": RayKeys, "slurm": SlurmKeys}
"""Of each launcher."""


def launcher_typed(overrides: Iterable[str]) -> str:
    """The launcher that a command line chooses; "" for none."""
    pairs = [word.lstrip("+").partition("=") for word in overrides]
    chosen = [value for key, _, value in pairs if key == GROUP and value.lower() != "null"]
    return chosen[-1] if chosen else ""


def no_launcher_key(key: str, choice: str) -> str:
    """One line for ``launcher.KEY``: no launcher is chosen, or the one that is has no such key."""
    if choice not in KEYS:
        return f"{key} is a key of a launcher, and none is chosen; there are {', '.join(f'{GROUP}={c}' for c in KEYS)}"
    if key.startswith(f"{GROUP}.options."):
        return f"write +{key}=... for an option of sbatch"
    there = [field.name for field in fields(KEYS[choice])]
    name = key.partition(".")[2]
    return f"{GROUP}={choice} has no key {key}{nearest(name, there)}; there are {', '.join(there)}"


def check_keys(choice: str, config: DictConfig) -> None:
    """What stands under ``launcher`` can be read, and what the launcher needs is there.

    Raises:
        UserError: in one line what is not.
    """
    check_installed(choice, f"{GROUP}={choice}")
    given = KEYS[choice](**known(plain_keys(config), choice))
    if isinstance(given, SlurmKeys):
        given.checked()
        check_commands()
        return
    whole(f"{GROUP}.workers", given.workers)
    whole(f"{GROUP}.threads", given.threads)
    if isinstance(given, RayKeys) and str(given.gpus) != "auto":
        try:
            float(str(given.gpus))
        except ValueError as error:
            raise UserError(f"{GROUP}.gpus={given.gpus}: write a number, or auto") from error


def plain_keys(config: DictConfig) -> dict[str, Any]:
    """What stands under ``launcher``."""
    plain = OmegaConf.to_container(config[GROUP], resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def known(keys: Mapping[str, Any], choice: str) -> dict[str, Any]:
    """Keys of a launcher, all of which it has.

    Raises:
        UserError: one that it has not.
    """
    there = [field.name for field in fields(KEYS[choice])]
    for key in keys:
        if key not in there:
            raise UserError(no_launcher_key(f"{GROUP}.{key}", choice))
    return dict(keys)


def without_launcher(overrides: Sequence[str]) -> tuple[str, ...]:
    """Overrides of a job without those that say where it runs."""
    return tuple(word for word in overrides if word.lstrip("+~").partition("=")[0].partition(".")[0] != GROUP)
