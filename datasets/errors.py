"""The error of data sets that a user can mend."""

from __future__ import annotations

from collections.abc import Iterable

from .. import messages


class DataError(ValueError):
    """Something about the data that the user can mend; the message is one line and says how."""


def unknown(kind: str, name: object, known: Iterable[str]) -> DataError:
    """The error for a `name` that is not one of `known`, naming the nearest ones.

    Args:
        kind: what the name stands for, in the words of the message ("suite", "source").
    """
    return DataError(messages.unknown(kind, name, known))
