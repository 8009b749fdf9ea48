"""restorebench, the comparative benchmark of all-in-one image restorers: what a script needs, found on first use.

Importing it imports no torch. The sub-packages `models`, `datasets`, `benchmarks`, `reports` and `conf` are the
folders of the repository; `atomic` and `messages`, which every one of them may import, lie beside this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import ModelCard, Variant, create_model, list_models, register

    __version__: str

__all__ = ["ModelCard", "Variant", "__version__", "create_model", "list_models", "register"]

_HOMES = {
    "ModelCard": ".models",
    "Variant": ".models",
    "create_model": ".models",
    "list_models": ".models",
    "register": ".models",
}
"""Module of each name."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("restorebench")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
