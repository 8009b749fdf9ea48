"""The error of this package, and packages of others that are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..messages import one_line


class ModelError(ValueError):
    """What a user asked of the models cannot be done; the message is one line that says what to do."""


def imported(package: str, wanted_by: str, extra: str) -> Any:
    """An optional package, imported by its full name.

    Args:
        package: what is imported.
        wanted_by: what the user gave that needs it, as it was typed: ``model=onnx``.
        extra: of this project, which installs it.

    Raises:
        ModelError: it is not there.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ModelError(
            f"{wanted_by} needs the package {package} ({one_line(error)}): pip install 'restorebench[{extra}]'"
        ) from error
