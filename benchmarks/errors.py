"""Errors that the user can do something about, and failures of a restorer on one image."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake in what was asked for: one line that says what to do, shown without a traceback."""


class RestorationError(RuntimeError):
    """A restorer's output that cannot be scored (NaN, wrong shape): that image's failure, recorded; the run goes on."""
