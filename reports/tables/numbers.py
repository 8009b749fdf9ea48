"""How tables print numbers and tasks."""

from __future__ import annotations

MISSING = "-"


def number(value: float | None, digits: int) -> str:
    """A value with fixed decimals, or a dash."""
    return MISSING if value is None else f"{value:.{digits}f}"


def scaled(value: int | None, unit: float, digits: int) -> str:
    """A count in millions or thousands of millions, or a dash."""
    return MISSING if value is None else f"{value / unit:.{digits}f}"


def task_label(task: str, sigma: int | None) -> str:
    """A task as tables print it."""
    return task if sigma is None else f"{task} {sigma}"
