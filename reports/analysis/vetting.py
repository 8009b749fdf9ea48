"""The cells of a store that reports can show: the store checks types and sizes, this what reports compute with."""

from __future__ import annotations

from pathlib import Path

from ...benchmarks.store.files import RECORD
from ...benchmarks.store.records import Record
from .cells import StoredCell, read_cells
from .training import facts_of


def stored_cells(results: Path) -> tuple[list[StoredCell], list[str]]:
    """All cells of a results folder that reports can show, and a line for each that is left out."""
    cells, problems = read_cells(results)
    odd = {id(cell): reason for cell in cells if (reason := oddity(cell.record))}
    lines = [f"{cell.folder / RECORD}: {odd[id(cell)]}" for cell in cells if id(cell) in odd]
    return [cell for cell in cells if id(cell) not in odd], problems + lines


def oddity(record: Record) -> str:
    """Which part of a record reports cannot compute with; empty for a sound one."""
    if not record.suite_tasks:
        return "suite_tasks is empty"
    try:
        facts_of(record)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return f"weights.training is not what the trainer writes ({type(error).__name__}: {error})"
    return ""
