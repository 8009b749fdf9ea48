"""``bench gc``: what a results folder no longer needs: shown, and with ``--yes`` removed."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ....atomic import abandoned_parts, part_name
from ...errors import UserError
from ...store.claims import cell_claims, is_alive
from ...store.facts import CellFacts
from ...store.files import cell_folders, listed
from ...store.folders import DAMAGED, PREVIEWS, CellBusyError, CellFolder
from ...store.index import Index
from ...store.names import shown
from ...store.plans import PLANS, SweepPlan, read_plans
from ..front.parsing import Parser, results_folder

MIB = 2**20


@dataclass(frozen=True)
class Garbage:
    """What is not needed.

    Attributes:
        cells: folders of cells that no plan names, with what is in them, in words.
        parts: what killed processes left half written.
        previews: folders of pictures that no cell shows.
        plans: files of plans that are not to be kept.
        remarks: what is kept all the same, and why.
    """

    cells: dict[Path, str] = field(default_factory=dict)
    parts: list[Path] = field(default_factory=list)
    previews: list[Path] = field(default_factory=list)
    plans: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    """``bench gc [--results DIR] [--keep N] [--yes]``.

    Returns:
        0; 1 where something could not be removed.

    Raises:
        UserError: there is no such folder, or one of its plans cannot be read.
    """
    options = parser().parse_args(arguments)
    results = results_folder(options.results)
    if options.keep is not None and options.keep < 1:
        raise UserError(f"--keep {options.keep}: give a number of plans, 1 or more")
    garbage = find(results, keep=options.keep)
    sys.stdout.write(as_text(garbage))
    if not options.yes:
        sys.stdout.write("nothing was removed; --yes removes it\n")
        return 0
    failed = remove(results, garbage)
    sys.stdout.write("".join(f"not removed: {shown(line)}\n" for line in failed) or "removed\n")
    return 1 if failed else 0


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    result = Parser(
        prog="bench gc",
        description="Show the cells of a results folder that no plan of a sweep names, temporary files of killed "
        "processes and orphaned previews. Without --yes nothing is removed. Rows of other tools (bench score --store) "
        "stay, and so does what is being computed.",
    )
    result.add_argument("--results", default="results", metavar="DIR", help="the store (default: results)")
    result.add_argument("--keep", type=int, metavar="N", help="only the N plans that were started last count")
    result.add_argument("--yes", action="store_true", help="remove what is shown")
    return result


def find(results: Path, keep: int | None = None) -> Garbage:
    """What a results folder does not need.

    Args:
        results: the folder.
        keep: how many plans count, the last ones; None for all.

    Raises:
        UserError: a plan cannot be read, so that nobody knows what it names.
    """
    plans, problems = read_plans(results)
    if problems:
        raise UserError(f"{problems[0]}; what it names is not known: move it away if nothing of it is needed")
    kept = plans if keep is None else plans[-keep:]
    known_to_the_end = bool(kept) and all(plan.whole for plan in kept)
    index = Index(results, writes=False)
    facts = {(each.suite, each.model, each.cell): each for each in index.find().facts}
    garbage = Garbage(parts=_parts(results), plans=[_file(results, plan) for plan in plans if plan not in kept])
    needed = {cell.previews for plan in kept for _, cell in plan.cells}
    named = {cell.place for plan in kept for _, cell in plan.cells}
    foreign, unknown = 0, False
    for folder in cell_folders(results)[0]:
        place = (folder.parent.parent.name, folder.parent.name, folder.name)
        known = facts.get(place)
        if place[0] in (PREVIEWS, PLANS) or place in named:
            continue
        if not CellFolder(folder).begun and DAMAGED not in folder.name and not cell_claims(folder):
            continue  # none of a cell's files: what it is nobody here knows
        if known is not None and known.provenance == "images":
            foreign += 1
        elif any(map(is_alive, cell_claims(folder))):
            garbage.remarks.append(f"{folder}: no plan names it, and it is being computed")
            unknown |= known is None
        elif known_to_the_end:
            garbage.cells[folder] = _described(known, folder)
            continue
        if known is not None:
            needed.add(known.previews)
    if not plans:
        garbage.remarks.append("no plan of a sweep is stored here (bench run writes them), so that every cell stays")
    elif not known_to_the_end:
        garbage.remarks.append("a sweep has more jobs than are planned beforehand, so that every cell stays")
    if foreign:
        garbage.remarks.append(f"{foreign} rows of other tools, which no sweep computes, stay")
    # Which previews a cell without record and plan has is known to who computes it alone.
    garbage.previews.extend(_orphans(results, needed) if known_to_the_end and not unknown else [])
    return garbage


def _file(results: Path, plan: SweepPlan) -> Path:
    return results / PLANS / f"{plan.id}.json"


def _parts(results: Path) -> list[Path]:
    found: list[Path] = []
    for folder, below, _ in os.walk(results):
        left = abandoned_parts(Path(folder))
        found += left
        gone = {path.name for path in left}
        below[:] = sorted(name for name in below if name not in gone)
    return found


def _orphans(results: Path, needed: Iterable[str]) -> list[Path]:
    folder = results / PREVIEWS
    if folder.is_symlink():
        return []
    known = set(needed)
    return [path for path in listed(folder) if path.name not in known and _is_pairs(path)]


def _is_pairs(path: Path) -> bool:
    """Whether a folder is one of degraded and clean pictures, and nothing else."""
    if path.is_symlink() or not path.is_dir():
        return False
    return all(each.name in ("degraded", "clean") and each.is_dir() for each in listed(path))


def _described(known: CellFacts | None, folder: Path) -> str:
    if known is None:
        return f"unfinished or damaged, {_size([folder])}"
    when = known.finished.partition(".")[0]
    return f"{known.task_key}, {known.scored} of {known.expected} images, finished {when}, {_size([folder])}"


def _size(paths: Iterable[Path]) -> str:
    total = 0
    for path in paths:
        inside = [path] if not path.is_dir() else [Path(f) / name for f, _, names in os.walk(path) for name in names]
        for each in inside:
            try:
                total += each.lstat().st_size
            except FileNotFoundError:
                continue
    return f"{total / MIB:.1f} MiB"


def as_text(garbage: Garbage) -> str:
    """One line for each thing, under headings with counts and sizes."""
    lists = {
        "cells that no plan names": [f"{folder}: {what}" for folder, what in garbage.cells.items()],
        "temporary files of killed processes": list(map(str, garbage.parts)),
        "orphaned previews": list(map(str, garbage.previews)),
        "plans that are not kept": list(map(str, garbage.plans)),
    }
    paths = ([*garbage.cells], garbage.parts, garbage.previews, garbage.plans)
    lines: list[str] = []
    for (title, items), of in zip(lists.items(), paths, strict=True):
        lines += [f"{title}: {len(items)}" + (f", {_size(of)}" if items else ""), *(f"  {item}" for item in items)]
    return "".join(f"{shown(line)}\n" for line in [*lines, *garbage.remarks])


def remove(results: Path, garbage: Garbage) -> list[str]:
    """Remove it; a line for each thing that could not be."""
    failed: list[str] = []
    for folder in garbage.cells:
        try:
            _remove_cell(folder)
        except (CellBusyError, OSError) as error:
            failed.append(f"{folder}: {error}")
    for path in (*garbage.parts, *garbage.previews, *garbage.plans):
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        except OSError as error:
            failed.append(f"{path}: {error.strerror or error}")
    return failed


def _remove_cell(folder: Path) -> None:
    """Take a cell away in one step, so that no half of it is ever found, then its files and the empty folders above."""
    gone = folder.parent / part_name()
    if DAMAGED in folder.name:
        folder.rename(gone)
    else:
        with CellFolder(folder).claimed(0):
            if any(map(is_alive, cell_claims(folder))):
                raise CellBusyError("it is being computed")
            folder.rename(gone)
    shutil.rmtree(gone)
    for above in (folder.parent, folder.parent.parent):
        with contextlib.suppress(OSError):  # not empty, or gone
            above.rmdir()
