"""The error of data sets that a user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DataError(ValueError):
    """Something about the data that the user can mend; the message is one line and says how."""


def unknown(kind: str, name: object, known: Iterable[str]) -> DataError:
    """The error for a `name` that is not one of `known`, naming the nearest ones.

    Args:
        kind: what the name stands for, in the words of the message ("suite", "source").
    """
    choices = list(known)
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(by_lower[match] for match in near)}? " if near else ""
    return DataError(f"unknown {kind} {str(name)!r}: {hint}known are {', '.join(choices)}")
