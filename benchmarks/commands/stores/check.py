"""``bench check results DIR``: whether every cell of a results folder adds up, as for a folder that was contributed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...errors import UserError
from ...protocols.catalogue import get_protocol, list_protocols
from ...store.cells import CheckedCell, read_cell
from ...store.files import RECORD, cell_folders, is_there
from ...store.folders import DAMAGED, CellFolder
from ...store.names import shown
from ...store.rows import RecordError
from ..front.parsing import Parser


@dataclass
class Findings:
    """What a results folder holds.

    Attributes:
        results: the folder.
        cells: finished cells that add up.
        complete: those of them in which every image has its scores.
        interrupted: cells without a record, whose rows add up: the next run goes on with them.
        damaged: a line for each cell, or other thing, that does not add up.
        remarks: a line for each thing that could not be checked or is worth knowing, and is no damage.
    """

    results: str
    cells: int = 0
    complete: int = 0
    interrupted: int = 0
    damaged: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    """``bench check results DIR [--json]``.

    Returns:
        0 if everything adds up, 1 otherwise.

    Raises:
        UserError: there is no such folder.
    """
    options = parser().parse_args(arguments)
    folder = Path(options.folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no results folder {folder}")
    found = check(folder)
    sys.stdout.write((json.dumps(asdict(found), indent=2) if options.json else as_text(found)) + "\n")
    return 1 if found.damaged else 0


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    result = Parser(
        prog="bench check results",
        description="Verify a results folder: checksums, ids, names, counts, means computed anew from the rows, and"
        " protocols. The exit code is 0 if everything adds up, else 1. Nothing is written.",
    )
    result.add_argument("folder", metavar="DIR", help="the results folder")
    result.add_argument("--json", action="store_true", help="as JSON")
    return result


def check(results: Path) -> Findings:
    """Read everything in a results folder that a report would read."""
    found = Findings(str(results))
    folders, problems = cell_folders(results)
    found.damaged += problems
    for folder in folders:
        if DAMAGED in folder.name:
            found.remarks.append(f"{folder}: set aside by a run")
            continue
        _check_cell(folder, found)
    if not found.cells and not found.damaged:
        found.remarks.append(f"{results}: no finished cells")
    return found


def _check_cell(folder: Path, found: Findings) -> None:
    try:
        cell = read_cell(folder)
    except FileNotFoundError:
        damage = "" if is_there(folder / RECORD) else CellFolder(folder).damage()
        if damage:
            found.damaged.append(damage)
        elif CellFolder(folder).begun:
            found.interrupted += 1
            found.remarks.append(f"{folder}: interrupted, it has no record")
        return
    except RecordError as error:
        found.damaged.append(str(error))
        return
    if cell.record.protocol not in list_protocols():
        found.damaged.append(f"{folder / RECORD}: no protocol {cell.record.protocol} is known")
        return
    found.cells += 1
    found.complete += cell.record.complete
    found.remarks += [f"{folder}: {remark}" for remark in _remarks(cell)]


def _remarks(cell: CheckedCell) -> list[str]:
    record = cell.record
    remarks = [cell.unchecked] if cell.unchecked else []
    if record.identity.protocol != json.loads(json.dumps(get_protocol(record.protocol).describe())):
        remarks.append(f"{record.protocol} describes itself otherwise than in this version")
    if not record.complete:
        what = "partial" if record.not_asked else "incomplete"
        remarks.append(f"{what}: {record.scored} of {record.expected} images have scores")
    return remarks


def as_text(found: Findings) -> str:
    """One line for each thing found, damage first, and the counts below."""
    lines = [f"damaged: {line}" for line in found.damaged] + found.remarks
    counts = (
        f"{found.cells} cells add up, {found.complete} of them complete; {found.interrupted} interrupted,"
        f" {len(found.damaged)} damaged"
    )
    return "\n".join([*map(shown, lines), counts])
