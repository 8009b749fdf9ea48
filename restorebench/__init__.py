"""restorebench, the comparative benchmark of all-in-one image restorers: what a script needs, found on first use.

Importing it imports no torch. The sub-packages `models`, `datasets`, `benchmarks`, `reports` and `conf` are the
folders of the repository; `atomic` and `messages`, which every one of them may import, lie beside this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmarks.errors import RestorationError, UserError
    from .benchmarks.evaluation.evaluate import evaluate
    from .benchmarks.evaluation.results import Evaluation
    from .benchmarks.evaluation.score import score
    from .benchmarks.listings import list_protocols, list_tasks
    from .benchmarks.photographs.restore import restore
    from .datasets.errors import DataError
    from .models import ModelCard, ModelError, Variant, create_model, list_models, register
    from .reports.analysis.frames import read_results
    from .reports.errors import ReportError

    __version__: str

__all__ = [
    "DataError",
    "Evaluation",
    "ModelCard",
    "ModelError",
    "ReportError",
    "RestorationError",
    "UserError",
    "Variant",
    "__version__",
    "create_model",
    "evaluate",
    "list_models",
    "list_protocols",
    "list_tasks",
    "read_results",
    "register",
    "restore",
    "score",
]

_HOMES = {
    **dict.fromkeys(("ModelCard", "ModelError", "Variant", "create_model", "list_models", "register"), ".models"),
    **dict.fromkeys(("RestorationError", "UserError"), ".benchmarks.errors"),
    **dict.fromkeys(("list_protocols", "list_tasks"), ".benchmarks.listings"),
    "DataError": ".datasets.errors",
    "Evaluation": ".benchmarks.evaluation.results",
    "ReportError": ".reports.errors",
    "evaluate": ".benchmarks.evaluation.evaluate",
    "read_results": ".reports.analysis.frames",
    "restore": ".benchmarks.photographs.restore",
    "score": ".benchmarks.evaluation.score",
}
"""Module of each name."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("restorebench")
    except PackageNotFoundError:  # the sources alone, on a path
        return "0+unknown"
