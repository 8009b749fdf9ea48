"""Which restorers of a group a reader asked to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...messages import nearest
from ..errors import ReportError
from .cells import Group


def chosen(group: Group, rows: Sequence[str] | None) -> Group:
    """The group with the restorers that are asked for, in that order, the input first.

    Args:
        group: all that was measured.
        rows: names in the registry, each for all its rows, or labels of single rows or of their weights; None for all.

    Raises:
        ReportError: a name that the group does not have.
    """
    if rows is None:
        return group
    known = sorted({name for restorer in group.restorers for name in restorer.names})
    for name in rows:
        if name not in known:
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise ReportError(f"--rows {name}: not measured on {group.title}{hint}")
    ordered = dict.fromkeys(place for name in rows for place, c in enumerate(group.restorers) if name in c.names)
    picked = [group.restorers[place] for place in ordered]
    return replace(group, restorers=tuple(sorted(picked, key=lambda restorer: not restorer.is_input)))


def knows_row(group: Group, name: str) -> bool:
    """Whether a group has a restorer of that name or label."""
    return any(name in restorer.names for restorer in group.restorers)
