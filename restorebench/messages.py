"""Words of error messages that every part of the suite uses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

CUTOFF = 0.6
"""Least similarity of a name that is proposed (`difflib.SequenceMatcher.ratio`, letter case aside)."""
MOST_LISTED = 40
"""Names that a message lists at the most."""
LONGEST_TEXT = 1000
"""Characters of an error that messages and rows repeat."""


def nearest(name: object, known: Iterable[str]) -> str:
    """`` (did you mean 'x' or 'y'?)`` with the names most like `name`, best first; empty where nothing is near.

    It starts with a space so that it can follow the name inside a sentence.
    """
    close = nearest_names(name, known)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def nearest_names(name: object, known: Iterable[str]) -> list[str]:
    """The names most like `name`, best first, two at the most."""
    by_lower = {choice.lower(): choice for choice in known}
    return [by_lower[match] for match in difflib.get_close_matches(str(name).lower(), by_lower, n=2, cutoff=CUTOFF)]


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """``unknown kind 'name' (did you mean 'x'?); known: x, y``, the names listed where they are few.

    Args:
        kind: what the name stands for ("model", "suite").
        name: what was given.
        known: what there is.
    """
    choices = list(known)
    if not choices:
        return f"unknown {kind} {str(name)!r}; there is none"
    listed = f"; known: {', '.join(choices)}" if len(choices) <= MOST_LISTED else f"; there are {len(choices)}"
    return f"unknown {kind} {str(name)!r}{nearest(name, choices)}{listed}"


def text_of(error: BaseException) -> str:
    """What an error says, at most `LONGEST_TEXT` characters of it; nothing where saying it fails as well.

    Lone surrogates, which no log can write, are escaped.
    """
    try:
        text = str(error)
    except Exception:  # of a class of its own, whose `__str__` can raise anything
        return ""
    text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ..."
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(error: BaseException) -> str:
    """Kind and first line of an error."""
    lines = text_of(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


def no_results_folder(folder: Path) -> str:
    """One line for a results folder that is not there, where ``--results`` names it."""
    return f"there is no results folder {folder}; bench run makes one, --results DIR names another"
