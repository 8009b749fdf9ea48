"""The registry of restorers: names, cards, and where the networks are found.

A restorer is one file: a network class under ``@register(card)``. Built-in ones lie in `networks`; those of other
packages are found through the entry-point group ``restorebench.models``. This module does not import torch, so that
names and command lines stay quick: built-in cards are read without their networks (`cards`), each of which is imported
when it is first asked for. What builds them is in `factory`. A network that a user names by its file or module (`own`)
is in no list: each time it is named, it is loaded.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import pkgutil
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...messages import one_line, unknown
from ..card import ModelCard, SizeRule, Variant
from ..errors import ModelError
from .cards import FoundCard, found_cards
from .own import candidates, is_reference, loaded, multiple_of

if TYPE_CHECKING:
    from torch import nn

    Network = TypeVar("Network", bound=nn.Module)

ENTRY_POINT_GROUP = "restorebench.models"

logger = logging.getLogger("restorebench")

ALL = "all"
"""On command lines, every restorer that `networks` names; none may be called so."""
YOURS = "yours"
"""The variant of a network without a card."""
NOT_KNOWN = "not known (a network of the user's own)"
LONGEST_TITLE = 200
_VARIANT = re.compile(r"[\w@+()\[\]](?:[\w.@+()\[\] -]{0,198}[\w.@+()\[\]-])?")
"""What the store takes for a label (`benchmarks.store.names.is_label`)."""


@dataclass(frozen=True)
class Registration:
    """A network in the registry, and what is known about it."""

    card: ModelCard
    network: Callable[..., nn.Module]


_registrations: dict[str, Registration] = {}
_built_in: dict[str, FoundCard] = {}
"""Restorers of `networks`; each is entered into the registrations when its network is imported."""
_broken_plugins: dict[str, str] = {}
"""Reason by entry-point name."""
_discovered = False
_networks_read = False
"""The files of `networks` are read once; plug-ins can come and go (`temporary_registry`)."""
_discovery = threading.RLock()
"""Held during discovery only: a thread that imports a network may register it meanwhile."""


def is_usable_name(name: str) -> bool:
    """Whether a restorer may be called so: the name becomes a folder of the results and a value on command lines."""
    return name != ALL and re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,199}", name) is not None


def register(card: ModelCard) -> Callable[[type[Network]], type[Network]]:
    """Class decorator that enters a network under `card.name`; the class itself is left as it is.

    Raises:
        ModelError: the name is taken or unusable, or the card contradicts the constructor.
        TypeError: what is decorated is not a class of ``torch.nn.Module``.
    """

    def enter(network: type[Network]) -> type[Network]:
        _check(card, network)
        found = _built_in.get(card.name)
        if found is not None and found.where != _where(network):
            raise _taken(card.name, _where(network), found.where)
        registration = Registration(card, network)
        holder = _registrations.setdefault(card.name, registration)
        if holder is not registration:
            raise _taken(card.name, _where(network), _where(holder.network))
        return network

    return enter


def _taken(name: str, network: str, holder: str) -> ModelError:
    return ModelError(f"model name {name!r} of {network} is already taken by {holder}: choose another name")


def unregister(name: str) -> None:
    """Take a restorer out of the registry, to define it anew in a notebook or a test.

    Raises:
        ModelError: no such model.
    """
    get_card(name)
    _registrations.pop(name, None)
    _built_in.pop(name, None)


@contextlib.contextmanager
def temporary_registry() -> Iterator[None]:
    """Inside the block models may be registered and taken out; after it the registry is as it was before.

    For tests and notebooks of those who write restorers. Plug-ins that were installed since the registry was first
    read are found inside the block. The registry is the process's, so other threads see the same changes.
    """
    global _discovered
    _discover()
    registrations, built_in, broken = dict(_registrations), dict(_built_in), dict(_broken_plugins)
    _discovered = False
    try:
        yield
    finally:
        _registrations.clear()
        _registrations.update(registrations)
        _built_in.clear()
        _built_in.update(built_in)
        _broken_plugins.clear()
        _broken_plugins.update(broken)
        _discovered = True


def list_models() -> list[ModelCard]:
    """Cards of all restorers, built-in and plug-in, sorted by name."""
    _discover()
    return [each.card for _, each in sorted(_known().items(), key=lambda item: item[0])]


def network_names() -> list[str]:
    """Names of the restorers that have a network without being given a checkpoint, sorted: what `ALL` stands for."""
    return [card.name for card in list_models() if card.trainable and card.built_from != "checkpoint"]


def get_card(name: str) -> ModelCard:
    """Card of a restorer.

    Raises:
        ModelError: no such model.
    """
    if name not in _registrations and not is_reference(name):
        _discover()
        if name in _built_in:
            return _built_in[name].card  # without its network
    return get_registration(name).card


def get_registration(name: str) -> Registration:
    """Network class and card of a restorer.

    Raises:
        ModelError: no such model, its plug-in failed to import, or the user's own cannot be used (`own_network`).
    """
    if is_reference(name):
        return own_network(name)
    if name not in _registrations:
        _discover()
        if name in _built_in:
            _open(_built_in[name])
    if name in _registrations:
        return _registrations[name]
    if name in _broken_plugins:
        raise ModelError(f"model {name!r} cannot be used: its {_broken_plugins[name]}")
    if name.endswith(".py"):
        raise ModelError(f"which network of {name}? write {name}:NAME{candidates(Path(name).expanduser())}")
    raise ModelError(unknown("model", name, sorted(_known())))


def _known() -> dict[str, Registration | FoundCard]:
    return {**_built_in, **_registrations}


def _open(found: FoundCard) -> None:
    """Import the network of a built-in restorer and enter it."""
    module = _import(import_module, found.module)
    # What was imported before, inside a temporary registry say, does not register again.
    with _discovery:
        network = getattr(module, found.network)
        _registrations.setdefault(found.card.name, Registration(found.card, network))


def own_network(reference: str) -> Registration:
    """A class or function of the user's own, with the card that it brings or one that knows its name alone.

    A card comes from ``@register(card)`` above the class or from its attribute ``card``. Without one the name is the
    class's in lower case, and sides are padded to multiples of its ``size_multiple``, else not at all. Nothing is
    entered into the registry.

    Args:
        reference: ``path/to/file.py:NAME`` or ``package.module:NAME``, with ``@8`` for sides in multiples of 8.

    Raises:
        ModelError: one line that says what is wrong with it.
    """
    _discover()
    with _discovery:
        before = dict(_registrations)
        try:
            network, source = loaded(reference)
            entered = {name: each for name, each in _registrations.items() if before.get(name) is not each}
        finally:
            _registrations.clear()
            _registrations.update(before)
    where = f"{source.name} of {source.reference.rpartition(':')[0]}"
    _check_buildable(network, where)
    card = next((each.card for each in entered.values() if each.network is network), getattr(network, "card", None))
    if not isinstance(card, ModelCard):
        name = source.name.rpartition(".")[2].strip("_")
        card = ModelCard(
            name=name.lower(),
            title=name,
            variants={YOURS: Variant(note=NOT_KNOWN)},
            paper=NOT_KNOWN,
            url="",
            year=0,
            code_licence=NOT_KNOWN,
            weights_licence=NOT_KNOWN,
            dtypes=("float32", "bfloat16", "float16"),
            size=SizeRule(multiple=multiple_of(network) or 1),
        )
    if source.size_multiple is not None:
        card = replace(card, size=replace(card.size, multiple=source.size_multiple))
    if not card.name.isascii() or not card.name:
        raise ModelError(
            f"{where}: its name takes other letters than a-z; give it a card, or NAME = {source.name} there"
        )
    check_names(card)
    if card.name in _known():
        holder = _known()[card.name]
        place = holder.where if isinstance(holder, FoundCard) else _where(holder.network)
        raise ModelError(
            f"{where} is called like a registered model, {card.name!r} of {place}: rename it, or give it a card with"
            " another name"
        )
    if card.built_from == "checkpoint" and not hasattr(network, "from_checkpoint"):
        raise ModelError(f"card {card.name!r} is built from checkpoints, and {where} lacks from_checkpoint")
    return Registration(replace(card, source=source), network)


def _check_buildable(network: object, where: str) -> None:
    """ModelError unless it is a class of networks, or may be a function that returns one."""
    from torch import nn

    if isinstance(network, nn.Module):
        raise ModelError(f"{where} is a network already, not what builds one: name its class, or a function")
    if isinstance(network, type) and not issubclass(network, nn.Module):
        raise ModelError(f"{where} is no class of torch.nn.Module")
    if not callable(network):
        raise ModelError(f"{where} is a {type(network).__name__}: name a class of torch.nn.Module, or a function")


def check_variant(card: ModelCard, variant: str | None) -> str:
    """`variant` itself, or the default one for None; ModelError with the nearest names where the card lacks it."""
    if variant is None:
        return card.default_variant
    if variant not in card.variants:
        raise ModelError(unknown(f"variant of {card.name}", variant, card.variants))
    return variant


def check_arguments(name: str, network: Callable[..., nn.Module], arguments: Iterable[str]) -> None:
    """ModelError with the nearest names where `network`'s constructor lacks one of `arguments`."""
    try:
        parameters = inspect.signature(network).parameters.values()
    except (TypeError, ValueError):  # written in C: the call itself will say
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for argument in arguments:
        if argument not in known:
            raise ModelError(unknown(f"constructor argument of {name}", argument, known))


def _where(network: Callable[..., nn.Module]) -> str:
    return f"{network.__module__}.{getattr(network, '__qualname__', type(network).__name__)}"


def check_names(card: ModelCard) -> None:
    """ModelError where a card has names that no stored record may have: it would be computed, and never read again."""
    if not is_usable_name(card.name):
        raise ModelError(
            f"model name {card.name[:80]!r} is unusable: take up to 200 lower-case letters and digits, and '_', '-', "
            f"'.' between them, but not {ALL!r}"
        )
    if not card.title.isprintable() or len(card.title) > LONGEST_TITLE:
        raise ModelError(
            f"card {card.name!r}: the title {card.title[:40]!r}... of {len(card.title)} characters is unusable: give "
            f"one line of at most {LONGEST_TITLE} that print"
        )
    for variant in card.variants:
        if not (isinstance(variant, str) and _VARIANT.fullmatch(variant)):
            raise ModelError(
                f"card {card.name!r}: no variant can be called {str(variant)[:80]!r}: take up to 200 letters and "
                "digits, and '_.@+()[]-' or spaces between them"
            )


def _check(card: ModelCard, network: type[nn.Module]) -> None:
    from torch import nn

    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise TypeError(f"@register({card.name!r}) takes a class of torch.nn.Module, not {network!r}")
    check_names(card)
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
    """Read the cards of `networks`, then import the plug-ins; once per process."""
    global _discovered, _networks_read
    with _discovery:
        if _discovered:
            return
        package = import_module("..networks", __package__)
        for folder in package.__path__ if not _networks_read else ():
            for module in pkgutil.iter_modules([folder]):
                _find(f"{package.__name__}.{module.name}", Path(folder))
        _networks_read = True
        _discovered = True  # before the plug-ins: one that lists the models while it is imported must not start again
        for entry_point in metadata.entry_points(group=ENTRY_POINT_GROUP):
            if entry_point.name not in _broken_plugins:  # why it is left out has been said
                _load_plugin(entry_point)


def _find(module: str, folder: Path) -> None:
    """Enter what a file of `networks` registers: by its cards alone where they can be read."""
    cards = found_cards(module, folder / f"{module.rpartition('.')[2]}.py")
    if cards is None:
        _import(import_module, module)
        return
    for found in cards:
        holder = _registrations.get(found.card.name)
        if holder is not None and _where(holder.network) != found.where:
            raise _taken(found.card.name, found.where, _where(holder.network))
        _built_in[found.card.name] = found


def _load_plugin(entry_point: metadata.EntryPoint) -> None:
    try:
        _import(entry_point.load)
    except (Exception, SystemExit) as error:
        package = f" of {entry_point.dist.name}" if entry_point.dist else ""
        reason = f"plug-in{package} ({entry_point.value}) failed to import: {one_line(error)}"
        _broken_plugins[entry_point.name] = reason
        logger.warning("model %r is left out: its %s", entry_point.name, reason)


def _import(load: Callable[..., Any], *arguments: str) -> Any:
    """What `load` gives; if it fails, what it had registered is taken back, so that no half of a module stays."""
    before = set(_registrations)
    try:
        return load(*arguments)
    except BaseException:
        for name in set(_registrations) - before:
            del _registrations[name]
        raise
