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
from .checkpoint import canonical_state_dict, load_state, read_checkpoint
from .errors import ModelError
from .factory import build_network, published_sizes
from .registry import check_arguments, get_registration

_fitting: set[tuple[object, ...]] = set()
"""What has been found to fit, so that a sweep asks once: class, variant, arguments and the file's hash."""


def check_fit(card: ModelCard, variant: str, weights: WeightsInfo, overrides: Mapping[str, Any]) -> None:
    """Refuse what `create_model` would refuse: wrong constructor arguments, an unreadable file, one that does not fit.

    The network is built without values (on the meta device) where its constructor can do without; of safetensors only
    the header is read, other checkpoints are read once a process for it.

    Args:
        card: of a registered restorer.
        variant: of it.
        weights: as chosen by `weights.choose_weights`.
        overrides: constructor arguments that differ from the variant's.

    Raises:
        ModelError: in one line, what is wrong.
    """
    registration = get_registration(card.key)
    check_arguments(card.name, registration.network, overrides)
    if card.built_from == "checkpoint":
        return  # only its own reader could say
    key = (registration.network, variant, repr(sorted(overrides.items())), weights.path, weights.sha256)
    if key in _fitting:
        return
    network = _without_values(card, variant, overrides)
    if weights.path is not None:
        state = canonical_state_dict(_shapes(weights.path), card, expected=network.state_dict().keys())
        load_state(network, state, card, weights.path, alternatives=published_sizes(registration))
    _fitting.add(key)


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


def _shapes(path: Path) -> dict[str, torch.Tensor]:
    """The state dict of a checkpoint on the meta device.

    Raises:
        ModelError: see `read_checkpoint`.
    """
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
                return {key: torch.empty(part.get_shape(), device="meta") for key, part in slices.items()}
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is no readable safetensors file ({one_line(error)})") from error
    return {key: value.to("meta") for key, value in read_checkpoint(path).items()}
