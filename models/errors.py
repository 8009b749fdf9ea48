"""The error of this package."""

from __future__ import annotations


class ModelError(ValueError):
    """What a user asked of the models cannot be done; the message is one line that says what to do."""
