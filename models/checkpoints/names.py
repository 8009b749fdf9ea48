"""The tensors of a checkpoint by name: containers within containers, and the dots of keys, read as one dotted path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..errors import ModelError
from .bounds import LONGEST_KEY
from .pickles import Placeholder
from .tensors import Leaf, StoredTensor

MOST_CONTAINERS = 32
"""Containers within containers that are looked into; Lightning, with a callback's averaged weights, has four."""
MOST_VISITED = 200_000
"""Entries that are looked at; a container that stands in many places is looked at in each."""
AVERAGED = frozenset(("ema", "average", "averaged", "averages", "avg", "swa", "polyak", "shadow"))
"""Words of the names under which averaged weights are kept. `exp_avg` is an optimiser's."""


@dataclass(frozen=True)
class Named:
    """A tensor, and how many characters of its name are those of the containers that it lies in."""

    leaf: Leaf
    container: int


Names = Mapping[str, Named]


def is_averaged(location: str) -> int:
    """How many words of a dotted path say that averaged weights lie there."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", location)
    return sum(word.lower() in AVERAGED for word in words) if "exp_avg" not in location else 0


def table_of(value: object) -> Mapping[Any, Any] | None:
    """The entries of a container, of a sequence by number, of a pickled module by the keys of its state dict."""
    if isinstance(value, Placeholder):
        return value.items or _module_table(value.state)
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    return None


def _module_table(state: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
    parts = [state.get(name) for name in ("_parameters", "_buffers", "_modules")]
    if not any(isinstance(part, Mapping) for part in parts):
        return None
    merged = {key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()}
    left_out = state.get("_non_persistent_buffers_set")
    for name in left_out if isinstance(left_out, list) else ():
        if isinstance(name, str):
            merged.pop(name, None)
    return merged


def named_tensors(stored: object, source: str) -> dict[str, Named]:
    """Every tensor of a checkpoint under its containers' keys and its own, joined by dots, in the order of the file.

    Raises:
        ModelError: a name is too long, or there are too many entries.
    """
    names: dict[str, Named] = {}
    visited = 0
    start = table_of(stored)
    # What is gone through: its entries, its name, and the containers that it lies in (one may contain itself).
    stack: list[tuple[Iterator[tuple[Any, Any]], str, int]] = [(iter(start.items()), "", id(stored))] if start else []
    while stack:
        entries, prefix, _ = stack[-1]
        for key, value in entries:
            visited += 1
            if visited > MOST_VISITED:
                raise ModelError(f"{source} is refused: more than {MOST_VISITED} entries")
            if isinstance(key, Placeholder):
                continue
            name = f"{prefix}{key}"
            if isinstance(key, str) and len(name) > LONGEST_KEY:
                raise ModelError(f"{source} is refused: a key of {len(name)} characters, which begins {name[:40]!r}")
            if isinstance(value, StoredTensor | Tensor):
                if isinstance(key, str):  # those of lists have no names
                    names.setdefault(name, Named(value, len(prefix)))
                continue
            table = table_of(value)
            if table and len(stack) < MOST_CONTAINERS and all(id(value) != each[2] for each in stack):
                stack.append((iter(table.items()), f"{name}.", id(value)))
                break
        else:
            stack.pop()
    return names


def kind_of(value: object) -> str:
    """What a value is, for messages."""
    if isinstance(value, Placeholder):
        return f"a {value.kind[:80]}"
    if isinstance(value, Mapping) and not value:
        return "an empty dictionary"
    return f"a {'Tensor' if isinstance(value, StoredTensor) else type(value).__name__}"


def nothing_there(stored: object, source: str) -> str:
    """The message for a checkpoint in which no tensor has a name."""
    inner: object = stored
    for _ in range(MOST_CONTAINERS):
        only = next(iter(inner.values())) if isinstance(inner, Mapping) and len(inner) == 1 else None
        if not isinstance(only, Mapping):
            break
        inner = only
    if isinstance(inner, Mapping) and inner:
        key, value = next(iter(inner.items()))
        name = repr(key)[:80] if isinstance(key, str | int) else "that has no name"
        return f"{source} holds no state dict: its entry {name} is {kind_of(value)}, not a tensor under a name"
    return f"{source} holds no state dict but {kind_of(inner)}"


def passed_over(stored: object) -> list[str]:
    """Kinds of objects that were not made, in the order of the file, each once."""
    kinds: dict[str, None] = {}
    seen: set[int] = set()
    waiting: list[object] = [stored]
    while waiting and len(seen) < MOST_VISITED:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Placeholder) and table_of(value) is None:
            kinds[value.kind[:80]] = None
            continue
        table = table_of(value)
        if table:
            waiting.extend(reversed(list(table.values())))
    return list(kinds)
