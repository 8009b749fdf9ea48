"""Whether a network can be built and a weights file fits it, found out without its values: before a sweep starts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ..messages import one_line
from .card import ModelCard, WeightsInfo
from .checkpoints.fitting import Fit, fitted
from .checkpoints.reading import StoredCheckpoint, open_checkpoint, stored_checkpoint
from .errors import ModelError
from .factory import build_network, known_sizes
from .files import byte_limit
from .registry import check_arguments, get_registration
from .weights import check_key, located

_fitting: dict[tuple[object, ...], Fit | None] = {}
"""What has been found to fit, so that a sweep asks once: by class, variant, arguments, the file's hash and its key."""


def check_fit(
    card: ModelCard,
    variant: str,
    weights: WeightsInfo,
    overrides: Mapping[str, Any],
    weights_key: str | None = None,
) -> WeightsInfo:
    """Refuse what `create_model` would refuse: wrong constructor arguments, an unreadable file, one that does not fit.

    The network is built without values (on the meta device) where its constructor can do without; of safetensors only
    the header is read, other checkpoints are read once a process for it.

    Args:
        card: of a registered restorer.
        variant: of it.
        weights: as chosen by `weights.choose_weights`.
        overrides: constructor arguments that differ from the variant's.
        weights_key: which state dict of the file, see `create_model`.

    Returns:
        The weights, with where in the file they lie.

    Raises:
        ModelError: in one line, what is wrong.
    """
    registration = get_registration(card.key)
    check_arguments(card.name, registration.network, overrides)
    check_key(weights, weights_key)
    if card.built_from == "checkpoint":  # only its own reader could say more
        if weights_key is not None and weights.path is not None:
            _structure(weights.path, card).state_dict(weights_key)
        return located(weights, Fit({}, weights_key, "", ""))
    key = (registration.network, variant, repr(sorted(overrides.items())), weights.path, weights.sha256, weights_key)
    if key not in _fitting:
        network, found = _without_values(card, variant, overrides), None
        if weights.path is not None:
            stored, own = _structure(weights.path, card), network.state_dict()
            fit = fitted(stored, own, card, weights_key=weights_key, sizes=known_sizes(registration))
            if stored.archive is not None:
                stored.tensors(fit.state)  # what is damaged is found before a sweep
            found = Fit({}, fit.key, fit.said, fit.left_out)
        _fitting[key] = found  # only what fits is kept: a misfit is said again when it is asked again
    known = _fitting[key]
    return weights if known is None else located(weights, known)


def _without_values(card: ModelCard, variant: str, overrides: Mapping[str, Any]) -> torch.nn.Module:
    """The network on the meta device."""
    build = functools.partial(build_network, card.key, variant=variant, **overrides)
    try:
        return build(device="meta")
    except Exception:  # some constructors compute with values: then with them
        try:
            return build().to("meta")
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"{card.name} {variant} cannot be built: {one_line(error)}") from error


def _structure(path: Path, card: ModelCard) -> StoredCheckpoint:
    """The structure of a checkpoint; of safetensors without values.

    Raises:
        ModelError: see `open_checkpoint`.
    """
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
                shapes = {key: torch.empty(part.get_shape(), device="meta") for key, part in slices.items()}
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is no readable safetensors file ({one_line(error)})") from error
        return stored_checkpoint(shapes, path, path.stat().st_size)
    return open_checkpoint(path, limit=byte_limit(card))
