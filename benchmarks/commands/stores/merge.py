"""``bench merge DIR... --into DIR``: the results folders of several machines become one, each cell once it adds up."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ....atomic import write_text, written_whole
from ...errors import UserError
from ...store.cells import CheckedCell, read_cell
from ...store.files import IMAGES, LARGEST_RECORD, LARGEST_TABLE, RECORD, cell_folders, is_there, read_regular
from ...store.folders import DAMAGED, PREVIEWS, SAVED_IMAGES, CellBusyError, CellFolder, Store
from ...store.names import shown
from ...store.plans import read_plan, read_plans
from ...store.profiles import FILE_NAME, add_row, read_rows
from ...store.records import previews_key
from ...store.rows import RecordError
from ..front.parsing import Parser


@dataclass
class Merged:
    """What became of the cells.

    Attributes:
        taken: cells that were not there before.
        same: cells that were there byte for byte.
        lines: for each cell that was there otherwise: which stays, and why.
        left_out: for each that does not add up, or is being computed: why.
        interrupted: cells without a record, which stay where they are.
    """

    taken: int = 0
    same: int = 0
    lines: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    interrupted: int = 0


def main(arguments: Sequence[str]) -> int:
    """``bench merge DIR... --into DIR``.

    Returns:
        0 if every finished cell is in the one folder now, 1 where some were left out.

    Raises:
        UserError: there is no such folder, or one is inside another.
    """
    options = parser().parse_args(arguments)
    target = Path(options.into).expanduser()
    sources = [Path(name).expanduser() for name in options.folders]
    for source in sources:
        if not source.is_dir():
            raise UserError(f"there is no results folder {source}")
        if _overlap(source, target):
            raise UserError(f"{source} and --into {target} lie in one another: give two folders apart")
    Store(target).prepare()
    merged = Merged()
    for source in sources:
        merge(source, target, merged)
    from ....reports.tables.leaderboard import write_leaderboard

    written = write_leaderboard(target)
    sys.stdout.write("".join(f"{shown(line)}\n" for line in _lines(merged, target)))
    sys.stdout.write("".join(f"written: {path}\n" for path in written))
    return 1 if merged.left_out else 0


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    result = Parser(
        prog="bench merge",
        description="Join results folders: every cell is verified as by `bench check results` and copied with its "
        "images and previews; damaged ones are named and left out. Of a cell that is there twice the one with more "
        "scores stays, of equally many the one finished last, which is said. The sources are only read.",
    )
    result.add_argument("folders", nargs="+", metavar="DIR", help="a results folder")
    result.add_argument("--into", required=True, metavar="DIR", help="the folder that gets them; made if not there")
    return result


def _overlap(one: Path, other: Path) -> bool:
    a, b = one.resolve(), other.resolve()
    return a.is_relative_to(b) or b.is_relative_to(a)


def _lines(merged: Merged, target: Path) -> list[str]:
    counts = (
        f"{target}: {merged.taken} cells taken over, {merged.same} were there already, {len(merged.lines)} were there "
        f"otherwise, {len(merged.left_out)} left out, {merged.interrupted} interrupted ones stay where they are"
    )
    return [*merged.lines, *(f"left out: {line}" for line in merged.left_out), counts]


def merge(source: Path, target: Path, merged: Merged) -> None:
    """Bring the finished cells, plans and profiles of one results folder into another; `merged` counts."""
    folders, problems = cell_folders(source)
    merged.left_out += problems
    for folder in folders:
        if folder.parent.parent.name == PREVIEWS or DAMAGED in folder.name:
            continue
        try:
            cell = read_cell(folder)
        except FileNotFoundError:
            merged.interrupted += not is_there(folder / RECORD) and is_there(folder / IMAGES)
            continue
        except RecordError as error:
            merged.left_out.append(str(error))
            continue
        try:
            _take(cell, source, target, merged)
        except (CellBusyError, RecordError) as error:
            merged.left_out.append(str(error))
    _take_plans(source, target, merged)
    for row in read_rows(source / FILE_NAME):
        if row.key not in {known.key for known in read_rows(target / FILE_NAME)}:
            add_row(target / FILE_NAME, row)


def _take(cell: CheckedCell, source: Path, target: Path, merged: Merged) -> None:
    record = cell.record
    place = f"{record.suite}/{record.model}/{record.cell}"
    folder = Store(target).cell(record.suite, record.model, record.cell)
    damage = folder.damage() if is_there(folder.path) else ""
    there = folder.checked()
    if there is not None and _same(cell.folder, there.folder):
        merged.same += 1
        _copy_pictures(cell, source, target, folder)
        return
    if there is not None:
        wins, why = verdict(cell, there)
        merged.lines.append(f"{place}: {source if wins else target} stays, {why}")
        if not wins:
            return
    data = {name: read_regular(cell.folder / name, limit) for name, limit in _FILES.items()}
    with folder.claimed(0):
        if damage:
            folder.set_aside_damage()
            merged.lines.append(f"{place}: {source} stays, {damage}")
        (folder.path / RECORD).unlink(missing_ok=True)
        if there is not None:  # pictures of other scores
            for name in (SAVED_IMAGES, PREVIEWS):
                shutil.rmtree(folder.path / name, ignore_errors=True)
        _copy_pictures(cell, source, target, folder)
        for name in (IMAGES, RECORD):
            write_text(folder.path / name, data[name].decode("utf-8"))
    read_cell(folder.path)
    merged.taken += there is None and not damage


_FILES = {IMAGES: LARGEST_TABLE, RECORD: LARGEST_RECORD}


def _same(one: Path, other: Path) -> bool:
    return all(read_regular(one / name, limit) == read_regular(other / name, limit) for name, limit in _FILES.items())


def verdict(new: CheckedCell, old: CheckedCell) -> tuple[bool, str]:
    """Whether of two cells with one id the new one wins, and why, in words."""
    # As lines, in which a score that is not there is like another one that is not.
    if [row.line("") for row in new.rows] == [row.line("") for row in old.rows]:
        return False, "whose scores are the same in both"
    if new.record.scored != old.record.scored:
        more, less = sorted((new.record.scored, old.record.scored), reverse=True)
        return new.record.scored > old.record.scored, f"with {more} scores instead of {less}"
    scores = {row.image: row.psnr for row in old.rows}
    apart = [abs(row.psnr - scores[row.image]) for row in new.rows if row.image in scores]
    differ = max((value for value in apart if value == value), default=0.0)
    first, last = sorted((new.record.finished, old.record.finished))
    return (
        new.record.finished > old.record.finished,
        f"finished {last}, after {first}; their scores differ by up to {differ:.3g} dB of an image",
    )


def _copy_pictures(cell: CheckedCell, source: Path, target: Path, folder: CellFolder) -> None:
    """Saved images and previews, and those that the task's cells share, where they are not there yet."""
    key = previews_key(cell.record.identity)
    pairs = [(cell.folder / name, folder.path / name) for name in (SAVED_IMAGES, PREVIEWS)]
    pairs += [(source / PREVIEWS / key / kind, target / PREVIEWS / key / kind) for kind in ("degraded", "clean")]
    for origin, place in pairs:
        if origin.is_symlink() or not origin.is_dir():
            continue
        place.mkdir(parents=True, exist_ok=True)
        for path in sorted(origin.glob("[!.]*")):
            if path.is_symlink() or not path.is_file() or is_there(place / path.name):
                continue
            with written_whole(place / path.name) as part:
                shutil.copyfile(path, part)


def _take_plans(source: Path, target: Path, merged: Merged) -> None:
    """Plans too: of one that both have, the start that was last."""
    plans, problems = read_plans(source)
    merged.left_out += problems
    known = {plan.id: plan for plan in read_plans(target)[0]}
    for plan in plans:
        if plan.id not in known or known[plan.id].started < plan.started:
            read_plan(plan.write(target))
