"""The cells of a store that reports can read: records come from anywhere, and one that is odd costs itself alone."""

from __future__ import annotations

import math
import types
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from ...benchmarks.store.records import Record
from .cells import StoredCell, read_cells
from .training import facts_of

DEEPEST = 40
"""Levels of nesting in a record's free parts (configuration, protocol)."""
LARGEST = 2**63
"""No count, time or score is as large."""


def stored_cells(results: Path) -> tuple[list[StoredCell], list[str]]:
    """All cells of a results folder that reports can show, and a line for each that is left out."""
    cells, problems = read_cells(results)
    odd = {id(cell): reason for cell in cells if (reason := oddity(cell.record))}
    lines = [f"{cell.folder / 'record.json'}: {odd[id(cell)]}" for cell in cells if id(cell) in odd]
    return [cell for cell in cells if id(cell) not in odd], problems + lines


def oddity(record: Record) -> str:
    """Which value of a record is not what its field says; empty for a sound one."""
    reason = _mismatch(Record, record, "")
    if reason:
        return reason
    if not record.suite_tasks:
        return "suite_tasks is empty"
    try:
        facts_of(record)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return f"weights.training is not what the trainer writes ({type(error).__name__}: {error})"
    return ""


@cache
def _hints(part: type[Any]) -> dict[str, Any]:
    return get_type_hints(part)


def _mismatch(wanted: Any, value: Any, where: str, depth: int = 0) -> str:
    """What is wrong with a value, named by its place; empty where nothing is."""
    if wanted is Any or get_origin(wanted) is dict:
        return _unusable(value, where, depth, mapping=wanted is not Any)
    if get_origin(wanted) in (Union, types.UnionType):
        reasons = [_mismatch(one, value, where) for one in get_args(wanted)]
        return "" if "" in reasons else reasons[0]
    if get_origin(wanted) is tuple:
        if not isinstance(value, tuple):
            return f"{where} is no list"
        kinds = get_args(wanted)
        each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else kinds
        pairs = enumerate(zip(each, value, strict=False))
        return next(filter(None, (_mismatch(kind, one, f"{where}[{i}]") for i, (kind, one) in pairs)), "")
    if is_dataclass(wanted):
        if not isinstance(value, wanted):  # type: ignore[arg-type]
            return f"{where} is no object"
        hints, prefix = _hints(wanted), f"{where}." if where else ""  # type: ignore[arg-type]
        found = (_mismatch(hints[f.name], getattr(value, f.name), prefix + f.name) for f in fields(wanted))
        return next(filter(None, found), "")
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return "" if math.isfinite(value) and abs(value) < LARGEST else f"{where} is no usable number"
    if wanted is int and isinstance(value, int) and not isinstance(value, bool):
        return "" if abs(value) < LARGEST else f"{where} is no usable number"
    if wanted in (str, bool, type(None)) and isinstance(value, wanted):
        return ""
    return f"{where} is {type(value).__name__}, not {getattr(wanted, '__name__', wanted)}"


def _unusable(value: Any, where: str, depth: int, *, mapping: bool = False) -> str:
    """The same for data of no fixed form."""
    if mapping and not isinstance(value, dict):
        return f"{where} is no object"
    if depth > DEEPEST:
        return f"{where.partition('.')[0]} is nested more than {DEEPEST} levels deep"
    if isinstance(value, int) and abs(value) >= LARGEST:
        return f"{where} is no usable number"
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next(filter(None, (_unusable(one, f"{where}.{name}", depth + 1) for name, one in parts)), "")
