"""The registry of restorers: names, cards, and where the networks are found.

A restorer is one file: a network class under ``@register(card)``. Built-in ones lie in `networks`; those of other
packages are found through the entry-point group ``restorebench.models``. This module does not import torch, so that
names and command lines stay quick; the networks are imported when they are first asked for. What builds them is in
`factory`.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import pkgutil
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, TypeVar

from ..messages import one_line, unknown
from .card import ModelCard
from .errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    Network = TypeVar("Network", bound=nn.Module)

ENTRY_POINT_GROUP = "restorebench.models"

logger = logging.getLogger("restorebench")


@dataclass(frozen=True)
class Registration:
    """A network in the registry, and what is known about it."""

    card: ModelCard
    network: type[nn.Module]


_registrations: dict[str, Registration] = {}
_broken_plugins: dict[str, str] = {}
"""Reason by entry-point name."""
_discovered = False
_discovery = threading.RLock()
"""Held during discovery only: a thread that imports a network may register it meanwhile."""


def register(card: ModelCard) -> Callable[[type[Network]], type[Network]]:
    """Class decorator that enters a network under `card.name`; the class itself is left as it is.

    Raises:
        ModelError: the name is taken or unusable, or the card contradicts the constructor.
        TypeError: what is decorated is not a class of ``torch.nn.Module``.
    """

    def enter(network: type[Network]) -> type[Network]:
        _check(card, network)
        registration = Registration(card, network)
        holder = _registrations.setdefault(card.name, registration)
        if holder is not registration:
            raise ModelError(
                f"model name {card.name!r} of {_where(network)} is already taken by {_where(holder.network)}: "
                "choose another name"
            )
        return network

    return enter


def unregister(name: str) -> None:
    """Take a restorer out of the registry, to define it anew in a notebook or a test.

    Raises:
        ModelError: no such model.
    """
    get_registration(name)
    del _registrations[name]


@contextlib.contextmanager
def temporary_registry() -> Iterator[None]:
    """Inside the block models may be registered and taken out; after it the registry is as it was before.

    For tests and notebooks of those who write restorers. Plug-ins that were installed since the registry was first
    read are found inside the block. The registry is the process's, so other threads see the same changes.
    """
    global _discovered
    _discover()
    registrations, broken = dict(_registrations), dict(_broken_plugins)
    _discovered = False
    try:
        yield
    finally:
        _registrations.clear()
        _registrations.update(registrations)
        _broken_plugins.clear()
        _broken_plugins.update(broken)
        _discovered = True


def list_models() -> list[ModelCard]:
    """Cards of all restorers, built-in and plug-in, sorted by name."""
    _discover()
    return [_registrations[name].card for name in sorted(_registrations)]


def get_card(name: str) -> ModelCard:
    """Card of a restorer.

    Raises:
        ModelError: no such model.
    """
    return get_registration(name).card


def get_registration(name: str) -> Registration:
    """Network class and card of a restorer.

    Raises:
        ModelError: no such model, or its plug-in failed to import.
    """
    if name not in _registrations:
        _discover()
    if name in _registrations:
        return _registrations[name]
    if name in _broken_plugins:
        raise ModelError(f"model {name!r} cannot be used: its {_broken_plugins[name]}")
    raise ModelError(unknown("model", name, sorted(_registrations)))


def check_variant(card: ModelCard, variant: str | None) -> str:
    """`variant` itself, or the default one for None; ModelError with the nearest names where the card lacks it."""
    if variant is None:
        return card.default_variant
    if variant not in card.variants:
        raise ModelError(unknown(f"variant of {card.name}", variant, card.variants))
    return variant


def check_arguments(name: str, network: type[nn.Module], arguments: Iterable[str]) -> None:
    """ModelError with the nearest names where `network`'s constructor lacks one of `arguments`."""
    parameters = inspect.signature(network).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for argument in arguments:
        if argument not in known:
            raise ModelError(unknown(f"constructor argument of {name}", argument, known))


def _where(network: type[nn.Module]) -> str:
    return f"{network.__module__}.{network.__qualname__}"


def _check(card: ModelCard, network: type[nn.Module]) -> None:
    from torch import nn

    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise TypeError(f"@register({card.name!r}) takes a class of torch.nn.Module, not {network!r}")
    # The name becomes a folder of the results and a value on command lines.
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", card.name):
        raise ModelError(
            f"model name {card.name!r} is unusable: take lower-case letters and digits, and '_', '-', '.' between them"
        )
    if card.built_from == "checkpoint":
        if not hasattr(network, "from_checkpoint"):
            raise ModelError(
                f"card {card.name!r} is built from checkpoints, and {_where(network)} lacks from_checkpoint"
            )
        return
    for variant, details in card.variants.items():
        try:
            inspect.signature(network).bind(**details.arguments)
        except TypeError as error:
            raise ModelError(
                f"card {card.name!r}, variant {variant!r} and {_where(network)} disagree: {error}"
            ) from error
    for checkpoint in card.checkpoints:
        check_variant(card, checkpoint.variant)
        check_arguments(card.name, network, checkpoint.overrides)


def _discover() -> None:
    """Import every module of `networks`, then the plug-ins; once per process."""
    global _discovered
    with _discovery:
        if _discovered:
            return
        package = import_module(".networks", __package__)
        for module in pkgutil.iter_modules(package.__path__):
            _import(import_module, f"{package.__name__}.{module.name}")
        _discovered = True  # before the plug-ins: one that lists the models while it is imported must not start again
        for entry_point in metadata.entry_points(group=ENTRY_POINT_GROUP):
            if entry_point.name not in _broken_plugins:  # why it is left out has been said
                _load_plugin(entry_point)


def _load_plugin(entry_point: metadata.EntryPoint) -> None:
    try:
        _import(entry_point.load)
    except (Exception, SystemExit) as error:
        package = f" of {entry_point.dist.name}" if entry_point.dist else ""
        reason = f"plug-in{package} ({entry_point.value}) failed to import: {one_line(error)}"
        _broken_plugins[entry_point.name] = reason
        logger.warning("model %r is left out: its %s", entry_point.name, reason)


def _import(load: Callable[..., Any], *arguments: str) -> None:
    """Call `load`; if it fails, take back what it had registered, so that no half of a module stays."""
    before = set(_registrations)
    try:
        load(*arguments)
    except BaseException:
        for name in set(_registrations) - before:
            del _registrations[name]
        raise
