"""Restorers: the registry, one file per network, and their weights.

`card` facts, `errors`, `registry` names and discovery, `checkpoints` reading and writing files, `weights` which file is
meant, `restorer` the network behind the interface of the benchmark, `factory` from a name to a restorer, `hooks` what a
network may offer besides; `networks` and `layers` are rooms of their own, `bundled` holds the tiny variants' weights.
May import: nothing of the other packages. Inside, each imports only what stands before it:
``errors, card, hooks <- registry, checkpoints <- weights, restorer <- factory``, and no network by name.

Importing this package imports neither torch nor a network: those come with the first call that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .card import Checkpoint, ModelCard, Provenance, PublishedFigure, SizeRule, Tiling, Variant, WeightsInfo
from .errors import ModelError
from .factory import build_network, create_model
from .registry import get_card, list_models, register, temporary_registry, unregister

if TYPE_CHECKING:
    from .checkpoints.writing import save_weights
    from .restorer import Restorer

__all__ = [
    "Checkpoint",
    "ModelCard",
    "ModelError",
    "Provenance",
    "PublishedFigure",
    "Restorer",
    "SizeRule",
    "Tiling",
    "Variant",
    "WeightsInfo",
    "build_network",
    "create_model",
    "get_card",
    "list_models",
    "register",
    "save_weights",
    "temporary_registry",
    "unregister",
]

_LAZY = {"Restorer": ".restorer", "save_weights": ".checkpoints.writing"}
"""Names whose modules import torch, found on first use."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
