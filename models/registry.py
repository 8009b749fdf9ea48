"""The registry of restorers: names, cards, and the way from a name to a restorer with its weights.

A restorer is one file: a network class under ``@register(card)``. Built-in ones lie in this package; those of other
packages are found through the entry-point group ``restorebench.models``. This module does not import torch, so that
names and command lines stay quick; the networks are imported when they are first asked for.
"""

from __future__ import annotations

import copy
import difflib
import inspect
import logging
import os
import pkgutil
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from .card import ModelCard

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .restorer import Restorer

    Network = TypeVar("Network", bound=nn.Module)

ENTRY_POINT_GROUP = "restorebench.models"

logger = logging.getLogger("restorebench")


class ModelError(ValueError):
    """What a user asked of the models cannot be done; the message is one line that says what to do."""


class BuiltFromCheckpoint(Protocol):
    """What a class offers whose card says ``built_from="checkpoint"``, besides being a ``torch.nn.Module``."""

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor], card: ModelCard, source: Path) -> tuple[nn.Module, ModelCard]:
        """The network that a state dict describes, with its weights, and the card as it holds for this network.

        Args:
            state: as the file has it, already read without running code.
            card: the registered card; size rule, dtypes and tiling may be replaced.
            source: the file, for messages.

        Raises:
            ModelError: the file is of no network that fits, in one line.
        """
        ...


@dataclass(frozen=True)
class _Registered:
    card: ModelCard
    network: type[nn.Module]


_registered: dict[str, _Registered] = {}
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
        mine = _Registered(card, network)
        taken = _registered.setdefault(card.name, mine)
        if taken is not mine:
            raise ModelError(
                f"model name {card.name!r} of {_where(network)} is already taken by {_where(taken.network)}: "
                "choose another name"
            )
        return network

    return enter


def unregister(name: str) -> None:
    """Take a restorer out of the registry, to define it anew in a notebook or a test.

    Raises:
        ModelError: no such model.
    """
    _lookup(name)
    del _registered[name]


def list_models() -> list[ModelCard]:
    """Cards of all restorers, built-in and plug-in, sorted by name."""
    _discover()
    return [_registered[name].card for name in sorted(_registered)]


def get_card(name: str) -> ModelCard:
    """Card of a restorer.

    Raises:
        ModelError: no such model.
    """
    return _lookup(name).card


def build_network(
    name: str, *, variant: str | None = None, seed: int = 0, device: str = "cpu", **overrides: Any
) -> nn.Module:
    """Bare network with random weights, in training mode.

    Args:
        name: model name.
        variant: size; None is the default one.
        seed: of the random weights; the global generators are left alone.
        device: where it is built; ``meta`` gives shapes without memory, for counting.
        overrides: constructor arguments that differ from the variant's.

    Raises:
        ModelError: no such model, variant or constructor argument, or only a checkpoint could say how to build it.
    """
    found = _lookup(name)
    if found.card.built_from == "checkpoint":
        raise ModelError(f"{name} takes its network from a checkpoint: create_model(..., weights=PATH) builds it")
    return _build(found, check_variant(found.card, variant), overrides, seed, device)


def create_model(
    name: str,
    *,
    variant: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    seed: int = 0,
    **overrides: Any,
) -> Restorer:
    """A restorer with its weights, on the CPU, in evaluation mode.

    Args:
        name: model name.
        variant: size; None leaves it to the weights (see below).
        weights: a checkpoint's path (variant None: the one that the file is known for, else the default);
            ``bundled``: the tiny weights of the package; ``none``: random; None: a published checkpoint of the variant
            in the weights folder (``RESTOREBENCH_WEIGHTS``, else ``~/.cache/restorebench/weights``), else, where no
            other variant was asked for, ``tiny`` with its bundled weights or untrained, which is logged.
        seed: of random weights.
        overrides: constructor arguments that differ from the variant's.

    Raises:
        ModelError: unknown name, variant or argument; weights that are missing, unreadable or do not fit.
    """
    from .checkpoint import canonical_state_dict, load_state, read_checkpoint
    from .restorer import Restorer
    from .weights import choose_weights

    found = _lookup(name)
    if variant is not None:
        check_variant(found.card, variant)
    if found.card.built_from == "checkpoint" and overrides:
        raise ModelError(
            f"{name} takes no constructor arguments, its checkpoint decides: leave out {', '.join(overrides)}"
        )
    check_arguments(found.card.name, found.network, overrides)
    choice = choose_weights(found.card, variant, weights, seed)
    if found.card.built_from == "checkpoint" and choice.info.path is not None:
        adapter = cast("type[BuiltFromCheckpoint]", found.network)
        foreign, card = adapter.from_checkpoint(read_checkpoint(choice.info.path), found.card, choice.info.path)
        return Restorer(foreign, card, choice.variant, choice.info).eval()
    overrides = {**choice.overrides, **overrides}
    network = _build(found, choice.variant, overrides, seed, "cpu")
    if choice.info.path is not None:
        raw = read_checkpoint(choice.info.path)
        state = canonical_state_dict(raw, found.card, expected=network.state_dict().keys())
        load_state(network, state, found.card, choice.info.path)
    return Restorer(network, found.card, choice.variant, choice.info, overrides).eval()


def construct(
    network: type[nn.Module], arguments: Mapping[str, Any], *, seed: int = 0, device: str = "cpu"
) -> nn.Module:
    """Call a network's constructor with a seed of its own, leaving the global generators as they were."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.device(device):
        # torch.manual_seed would seed the accelerators' generators too, which fork_rng(devices=[]) does not put back.
        torch.default_generator.manual_seed(seed)
        # Constructors may keep or change a list; the card's own must stay as it is.
        return network(**copy.deepcopy(dict(arguments)))


def check_variant(card: ModelCard, variant: str | None) -> str:
    """`variant` itself, or the default one for None; ModelError with the nearest names when the card lacks it."""
    if variant is None:
        return card.default_variant
    if variant not in card.variants:
        raise ModelError(f"{card.name} has no variant {variant!r}{nearest(variant, card.variants)}")
    return variant


def check_arguments(name: str, network: type[nn.Module], arguments: Iterable[str]) -> None:
    """ModelError with the nearest names where `network`'s constructor lacks one of `arguments`."""
    parameters = inspect.signature(network).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for argument in arguments:
        if argument not in known:
            raise ModelError(f"{name} has no constructor argument {argument!r}{nearest(argument, known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """End of an error message: the known names that `name` may have meant, and all of them."""
    by_lower = {choice.lower(): choice for choice in known}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.6)
    guess = f"; did you mean {' or '.join(by_lower[match] for match in close)}?" if close else ";"
    return f"{guess} known: {', '.join(by_lower.values()) or 'none'}"


def one_line(error: BaseException) -> str:
    """Kind and first line of an error."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


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


def _build(found: _Registered, variant: str, overrides: Mapping[str, Any], seed: int, device: str) -> nn.Module:
    card = found.card
    check_arguments(card.name, found.network, overrides)
    arguments = {**card.variants[variant].arguments, **overrides}
    try:
        return construct(found.network, arguments, seed=seed, device=device)
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if not overrides:  # then it is not the user's doing
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in overrides.items())
        raise ModelError(f"{card.name} {variant} cannot be built with {given}: {one_line(error)}") from error


def _lookup(name: str) -> _Registered:
    if name not in _registered:
        _discover()
    if name in _registered:
        return _registered[name]
    if name in _broken_plugins:
        raise ModelError(f"model {name!r} cannot be used: its {_broken_plugins[name]}")
    raise ModelError(f"unknown model {name!r}{nearest(name, sorted(_registered))}")


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
    before = set(_registered)
    try:
        load(*arguments)
    except BaseException:
        for name in set(_registered) - before:
            del _registered[name]
        raise
