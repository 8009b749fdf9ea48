"""Suites, their data and the degradations; everything here is numpy arrays, and torch is never imported.

Importing this package reads the names of tasks and suites, no more: numpy and Pillow come with the first use of a name
that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import DataError
from .tasks import SUITE_NAMES, SUITES, TASK_NAMES, Suite, Task

if TYPE_CHECKING:
    from .folder import folder_suite
    from .samples import Sample, TaskData
    from .streams import stream
    from .suites import ResolvedSuite, list_suites, resolve

__all__ = [
    "SUITES",
    "SUITE_NAMES",
    "TASK_NAMES",
    "DataError",
    "ResolvedSuite",
    "Sample",
    "Suite",
    "Task",
    "TaskData",
    "folder_suite",
    "list_suites",
    "resolve",
    "stream",
]

_LAZY = {
    "ResolvedSuite": ".suites",
    "Sample": ".samples",
    "TaskData": ".samples",
    "folder_suite": ".folder",
    "list_suites": ".suites",
    "resolve": ".suites",
    "stream": ".streams",
}
"""Names whose modules import numpy, found on first use."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
