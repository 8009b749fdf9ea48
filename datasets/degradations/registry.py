"""The synthetic degradations by task: every file of this folder that ends with a `DEGRADATION`.

Noise is not here: evaluation protocols draw it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from ..tasks import TASK_NAMES
from .degradation import Degradation


def _discovered() -> Mapping[str, Degradation]:
    """The degradations of this folder's files, in the order of `TASK_NAMES`.

    Raises:
        ValueError: one for a task that has no name in `datasets/tasks.py`, or two for one task.
    """
    by_task: dict[str, Degradation] = {}
    for file in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if f"{__package__}.{file.name}" == __name__:
            continue
        degradation = getattr(import_module(f".{file.name}", __package__), "DEGRADATION", None)
        if degradation is None:
            continue
        if degradation.task not in TASK_NAMES or degradation.task in by_task:
            raise ValueError(f"degradations/{file.name}.py: {degradation.task!r} is no task, or has a degradation")
        by_task[degradation.task] = degradation
    return MappingProxyType({task: by_task[task] for task in TASK_NAMES if task in by_task})


DEGRADATIONS: Mapping[str, Degradation] = _discovered()
"""The degradation of each task that has one, with the parameters of the embedded sets."""
