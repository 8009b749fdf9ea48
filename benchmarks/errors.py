"""Errors that the user can do something about, and failures of a restorer on one image."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what was asked for: one line that says what to do, shown without a traceback."""


class RestorationError(RuntimeError):
    """A restorer's output that cannot be scored (NaN, wrong shape): that image's failure, recorded; the run goes on."""


def nearest(name: str, names: Iterable[str]) -> str:
    """`` (did you mean 'x' or 'y'?)`` with the names most like `name`, best first; empty where nothing is near.

    It starts with a space so that it can follow the name inside a sentence.
    """
    by_lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)
    if not close:
        return ""
    return f" (did you mean {' or '.join(repr(by_lower[match]) for match in close)}?)"
