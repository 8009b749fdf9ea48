"""Docstrings as the reference shows them."""

from __future__ import annotations

import re

_SEVERAL = re.compile(r"^(\s+)(\w+(?:, \w+)+): (.*)$")


def told_apart(text: str) -> str:
    """A docstring in which each parameter and attribute has its own entry."""
    lines = text.splitlines()
    result: list[str] = []
    index = 0
    while index < len(lines):
        found = _SEVERAL.match(lines[index])
        index += 1
        if found is None:
            result.append(lines[index - 1])
            continue
        indent, names, first = found.groups()
        rest = []
        while index < len(lines) and lines[index].startswith(f"{indent} "):
            rest.append(lines[index])
            index += 1
        for name in names.split(", "):
            result += [f"{indent}{name}: {first}", *rest]
    return "\n".join(result)
