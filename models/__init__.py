"""Restorers: the registry, one file per network, and their weights.

Importing this package imports neither torch nor a network: those come with the first call that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .card import Checkpoint, ModelCard, Provenance, PublishedFigure, SizeRule, Tiling, Variant
from .registry import ModelError, build_network, create_model, get_card, list_models, register, unregister

if TYPE_CHECKING:
    from .checkpoint import WeightsInfo, save_weights
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
    "unregister",
]

_LAZY = {"Restorer": ".restorer", "WeightsInfo": ".checkpoint", "save_weights": ".checkpoint"}
"""Names whose modules import torch, found on first use."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
