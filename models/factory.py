"""The way from a name to a network, and to a restorer with its weights.

Importing this module imports no torch: the networks are imported when the registry is first asked for one.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..messages import one_line
from .errors import ModelError
from .registry import Registration, check_arguments, check_variant, get_registration, list_models

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .card import ModelCard
    from .checkpoints.fitting import Size
    from .hooks import BuiltFromCheckpoint, BuiltFromFile
    from .restorer import Restorer


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
    registration = get_registration(name)
    if registration.card.built_from == "checkpoint":
        raise ModelError(f"{name} takes its network from a checkpoint: create_model(..., weights=PATH) builds it")
    return _build(registration, check_variant(registration.card, variant), overrides, seed, device)


def create_model(
    name: str,
    *,
    variant: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    weights_key: str | None = None,
    seed: int = 0,
    **overrides: Any,
) -> Restorer:
    """A restorer with its weights, on the CPU, in evaluation mode.

    Args:
        name: model name; or a network of your own as ``path/to/file.py:NAME`` or ``package.module:NAME``, a class or a
            function that returns a module, with ``@8`` at its end if its sides have to be multiples of 8. That file,
            and nothing else, is executed.
        variant: size; None leaves it to the weights (see below).
        weights: a checkpoint's path (variant None: the one that the file is known for, else the default);
            ``bundled``: the tiny weights of the package; ``none``: random; None: a published checkpoint of the variant
            in the weights folder (``RESTOREBENCH_WEIGHTS``, else ``~/.cache/restorebench/weights``), else, where no
            other variant was asked for, ``tiny`` with its bundled weights or untrained, which is logged.
        weights_key: of a file with several state dicts that fit, the dotted path of the one to take
            (``state_dict.net``, ``params``); None: averaged weights (EMA) before others.
        seed: of random weights.
        overrides: constructor arguments that differ from the variant's.

    Raises:
        ModelError: unknown name, variant or argument; weights that are missing, unreadable or do not fit.
    """
    from .checkpoints.fitting import load_into
    from .checkpoints.reading import open_checkpoint
    from .files import byte_limit
    from .restorer import Restorer
    from .weights import check_key, choose_weights, located

    registration = get_registration(name)
    card = registration.card
    if variant is not None:
        check_variant(card, variant)
    if card.built_from == "checkpoint" and overrides:
        raise ModelError(
            f"{name} takes no constructor arguments, its checkpoint decides: leave out {', '.join(overrides)}"
        )
    check_arguments(card.name, registration.network, overrides)
    choice = choose_weights(card, variant, weights, seed)
    info, path = choice.info, choice.info.path
    check_key(info, weights_key)
    if card.built_from == "checkpoint" and path is not None and hasattr(registration.network, "from_file"):
        file_adapter = cast("type[BuiltFromFile]", registration.network)
        network, own_card = file_adapter.from_file(_bytes(path, info.sha256, card), card, path)
        return Restorer(network, own_card, choice.variant, info).eval()
    if card.built_from == "checkpoint" and path is not None:
        adapter = cast("type[BuiltFromCheckpoint]", registration.network)
        stored = open_checkpoint(path, sha256=info.sha256, limit=byte_limit(card))
        network, own_card = adapter.from_checkpoint(stored.state_dict(weights_key)[1], card, path)
        return Restorer(network, own_card, choice.variant, replace(info, key=weights_key)).eval()
    overrides = {**choice.overrides, **overrides}
    network = _build(registration, choice.variant, overrides, seed, "cpu")
    if path is not None:
        stored = open_checkpoint(path, sha256=info.sha256, limit=byte_limit(card))
        fit = load_into(network, stored, card, weights_key=weights_key, sizes=known_sizes(registration))
        info = located(info, fit, logged=True)
    return Restorer(network, card, choice.variant, info, overrides).eval()


def _bytes(path: Path, sha256: str | None, card: ModelCard) -> bytes:
    """A file whole, if it is still the one of that hash."""
    from .files import byte_limit, opened

    with opened(path, byte_limit(card)) as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"{path} has changed while it was read: start the command again")
    return data


def construct(
    network: Callable[..., nn.Module], arguments: Mapping[str, Any], *, seed: int = 0, device: str = "cpu"
) -> nn.Module:
    """Call a network's constructor with a seed of its own, leaving the global generators as they were."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.device(device):
        # torch.manual_seed would seed the accelerators' generators too, which fork_rng(devices=[]) does not put back.
        torch.default_generator.manual_seed(seed)
        # Constructors may keep or change a list; the card's own must stay as it is.
        return network(**copy.deepcopy(dict(arguments)))


def known_sizes(registration: Registration) -> Iterator[Size]:
    """What a checkpoint may be of: first the sizes of a restorer (`published_sizes`), then those of all others."""
    yield from published_sizes(registration)
    for card in list_models():
        if card.name != registration.card.name and card.trainable and card.built_from == "arguments":
            yield from published_sizes(get_registration(card.name), hint=f"model={card.name} ")


def published_sizes(registration: Registration, *, hint: str = "") -> Iterator[Size]:
    """Every variant of a restorer, and every published checkpoint with arguments of its own: what to pass for it, and
    its state dict without values (on the meta device).

    Args:
        registration: the restorer.
        hint: what to pass besides.
    """
    from .checkpoints.fitting import Size

    card = registration.card
    sizes: list[tuple[str, Mapping[str, Any]]] = [(variant, {}) for variant in card.variants]
    sizes += [(checkpoint.variant, checkpoint.overrides) for checkpoint in card.checkpoints if checkpoint.overrides]
    for variant, overrides in sizes:
        state: Mapping[str, Tensor] | None = None
        # Constructors that compute with values cannot be built without memory; then this size is left out. Those of
        # the user's own can raise anything.
        with contextlib.suppress(Exception):
            arguments = {**card.variants[variant].arguments, **overrides}
            state = construct(registration.network, arguments, device="meta").state_dict()
        if state is not None:
            changes = "".join(f" {key}={value!r}" for key, value in overrides.items())
            whose = f"{card.name}, " if hint else ""
            yield Size(f"{whose}variant {variant}: pass {hint}variant={variant}{changes}", card, state)


def _build(registration: Registration, variant: str, overrides: Mapping[str, Any], seed: int, device: str) -> nn.Module:
    card = registration.card
    check_arguments(card.name, registration.network, overrides)
    arguments = {**card.variants[variant].arguments, **overrides}
    if card.source is not None:
        return _build_own(registration, arguments, overrides, seed, device)
    try:
        return construct(registration.network, arguments, seed=seed, device=device)
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if not overrides:  # then it is not the user's doing
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in overrides.items())
        raise ModelError(f"{card.name} {variant} cannot be built with {given}: {one_line(error)}") from error


def _build_own(
    registration: Registration, arguments: Mapping[str, Any], overrides: Mapping[str, Any], seed: int, device: str
) -> nn.Module:
    """As `_build`, for a network of the user's own, whose code can raise anything and return anything."""
    from torch import nn

    where = f"{registration.card.title} ({registration.card.key})"
    try:
        network: object = construct(registration.network, arguments, seed=seed, device=device)
    except (Exception, SystemExit) as error:
        given = "".join(f" {key}={value!r}" for key, value in overrides.items())
        remedy = "; +overrides.KEY=VALUE gives its constructor an argument" if isinstance(error, TypeError) else ""
        given = f" with{given}" if given else ""
        raise ModelError(f"{where} cannot be built{given}: {one_line(error)}{remedy}") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{where} returns something else than a torch.nn.Module: {type(network).__name__}")
    return network
