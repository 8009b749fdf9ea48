"""A process that ``torchrun`` started, as one of several: its own GPU, and one voice for all."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from ...inference.processors import speaks, take_local_device

logger = logging.getLogger("restorebench")


@contextlib.contextmanager
def under_torchrun() -> Iterator[None]:
    """In the block this process is one of those that ``torchrun`` started, if it did: with its own GPU, and silent
    below warnings unless it is the first."""
    take_local_device()
    silent = None if speaks() else logging.Filter()
    if silent is not None:
        silent.filter = lambda record: record.levelno >= logging.WARNING  # type: ignore[method-assign]
        logger.addFilter(silent)
    try:
        yield
    finally:
        if silent is not None:
            logger.removeFilter(silent)
