"""Docstrings for the reference: a line about several parameters (``variant, weights: ..``) is each one's own there."""

from __future__ import annotations

from typing import Any

import griffe

from docs.generation.docstrings import told_apart


class ToldApart(griffe.Extension):
    """Rewrites the docstrings of functions and classes before they are parsed."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Called for each function."""
        self._rewrite(func)

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called for each class."""
        self._rewrite(cls)

    @staticmethod
    def _rewrite(described: griffe.Object) -> None:
        if described.docstring is not None:
            described.docstring.value = told_apart(described.docstring.value)
