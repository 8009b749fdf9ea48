"""What is remembered of a store's cells, so that only those that changed since are read again.

A cell is known again by the stat of its record and its table (size, times, inode): the time of the last change of
status is set by the system alone, so that a file with other content has another one, and so has a copy of the store. An
index that was written by other code, is damaged, or comes from the future is thrown away; what was changed while it was
read, or just before, is not remembered. `bench check results` reads every byte and never asks an index.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...atomic import part_name, write_text
from .facts import CellFacts, read_facts
from .files import IMAGES, RECORD, cell_folders, is_there, read_regular
from .names import shown
from .records import Means, Record
from .rows import RecordError

logger = logging.getLogger("restorebench")

INDEX = ".cells-index"
LARGEST_INDEX = 2**30
SETTLED_NS = 2 * 10**9
"""How much older than the reading a file's last change must be to be told from a later one: some file systems keep
whole seconds, and a tick of the system's clock lasts milliseconds everywhere."""
FOREIGN_CLOCK_NS = 60 * 10**9
"""By how much the clock of a file system that cannot be asked may lag behind."""

Stat = tuple[int, ...]
_CHANGED = 2
"""Place of the time of change in a `Stat`."""


@dataclass(frozen=True)
class Entry:
    """A cell that added up.

    Attributes:
        stat: size, time of modification and of change (ns) and inode of the record, then of the table.
        facts: what is known about it.
        odd: why reports cannot show it; empty for all others.
    """

    stat: Stat
    facts: CellFacts
    odd: str


@dataclass(frozen=True)
class Found:
    """The finished cells of a store.

    Attributes:
        facts: of those that add up and can be shown, in the order of their folders.
        problems: a line for each that is left out.
        read: how many cells were read for it; the others are as the index has them.
        unchanged: whether the store holds the very cells that the index was written of, and nothing else.
    """

    facts: list[CellFacts]
    problems: list[str]
    read: int
    unchanged: bool


def _sound(record: Record) -> str:
    return ""


@dataclass
class Index:
    """What is remembered of the cells of a results folder.

    Attributes:
        results: the folder.
        code: what made the facts, in a word; an index of another is thrown away.
        vet: says why reports cannot show a record, in words; empty for a sound one.
        writes: whether the store is written to; if not, nothing is saved, and the clock is this machine's.
        derived: SHA-256 by name of the files that were derived of the cells, as the last `save` was told.
    """

    results: Path
    code: str = ""
    vet: Callable[[Record], str] = _sound
    writes: bool = True
    derived: dict[str, str] = field(default_factory=dict)
    _entries: dict[str, Entry] = field(default_factory=dict)
    _loaded: bool = False
    _settled: bool = False

    def find(self) -> Found:
        """The cells as they are now; each that is not known by its stat is read."""
        if not self._loaded:
            self._load()
        folders, problems = cell_folders(self.results)
        entries: dict[str, Entry] = {}
        odd: list[str] = []
        read, began, self._settled = 0, None, not problems
        root = len(str(self.results)) + 1 if str(self.results) != "." else 0
        for folder in folders:
            name = str(folder)[root:]
            stat = _stat(folder)
            entry = self._entries.get(name)
            if stat is None or entry is None or entry.stat != stat:
                if not is_there(folder / RECORD):
                    continue
                read, began = read + 1, self._clock() if began is None else began
                try:
                    entry = self._read(folder, stat, began)
                except FileNotFoundError:  # taken away just now: it is being computed again
                    continue
                except (RecordError, OSError) as error:
                    problems.append(str(error))
                    self._settled = False
                    continue
                self._settled &= bool(entry.stat)
            entries[name] = entry
            if entry.odd:
                odd.append(f"{folder / RECORD}: {entry.odd}")
        unchanged = self._settled and not read and not odd and entries.keys() == self._entries.keys()
        self._entries = entries
        facts = [entry.facts for entry in entries.values() if not entry.odd]
        return Found(facts, [*map(shown, problems), *odd], read, unchanged)

    def _read(self, folder: Path, stat: Stat | None, began: int) -> Entry:
        """Read a cell; without its stat where another content could have the same one, so that it is read again."""
        facts, record = read_facts(folder)
        settled = stat is not None and max(stat[_CHANGED], stat[_CHANGED + 4]) < began - SETTLED_NS
        return Entry(stat if settled and stat is not None and _stat(folder) == stat else (), facts, self.vet(record))

    def _clock(self) -> int:
        """The time in ns by the clock of the file system that holds the store, which need not be this machine's."""
        if not self.writes:
            return time.time_ns() - FOREIGN_CLOCK_NS
        probe = self.results / part_name()
        try:
            probe.touch()
            return probe.stat().st_ctime_ns
        except OSError:
            return time.time_ns() - FOREIGN_CLOCK_NS
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)

    def up_to_date(self, files: dict[str, Path]) -> bool:
        """Whether these files are, byte for byte, those that were derived when the index was written."""
        try:
            return bool(files) and all(_digest(path) == self.derived.get(name) for name, path in files.items())
        except OSError:
            return False

    def save(self, files: dict[str, Path] | None = None) -> None:
        """Write the index into the store, if it can be written to; what is not settled is left out.

        Args:
            files: what was derived of the cells that `find` found, by name.
        """
        if not self.writes or os.name != "posix":  # elsewhere a change of content need not show in any time
            return
        self.derived = {name: _digest(path) for name, path in files.items()} if self._settled and files else {}
        cells = [
            [name, entry.stat, entry.odd, _values(entry.facts)] for name, entry in self._entries.items() if entry.stat
        ]
        body = json.dumps([self.derived, cells], separators=(",", ":"))
        head = {"code": self._made_by(), "saved": time.time_ns(), "sha256": hashlib.sha256(body.encode()).hexdigest()}
        try:
            write_text(self.results / INDEX, f"{json.dumps(head)}\n{body}\n")
        except OSError as error:
            logger.debug("no index of %s: %s", self.results, error)

    def _load(self) -> None:
        self._loaded = True
        try:
            data = read_regular(self.results / INDEX, LARGEST_INDEX)
            line, _, body = data.partition(b"\n")
            head = json.loads(line)
            if head["code"] != self._made_by() or head["saved"] > time.time_ns():
                return
            if hashlib.sha256(body.rstrip(b"\n")).hexdigest() != head["sha256"]:
                return
            derived, cells = json.loads(body)
            entries = {name: Entry(tuple(stat), _facts(values), odd) for name, stat, odd, values in cells}
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            logger.debug("the index of %s is not used: %s", self.results, error)
            return
        self.derived, self._entries = derived, entries

    def _made_by(self) -> str:
        return f"{self.code} {sys.version_info[:2]} {_FIELDS}"


_FIELDS = tuple(each.name for each in fields(CellFacts))
_MEANS, _TUPLES = "means", ("suite_tasks", "first_failure")


def _values(facts: CellFacts) -> list[Any]:
    return list({**vars(facts), _MEANS: vars(facts.means)}.values())


def _facts(values: list[Any]) -> CellFacts:
    named = dict(zip(_FIELDS, values, strict=True))
    named[_MEANS] = Means(**named[_MEANS])
    for name in _TUPLES:
        named[name] = tuple(named[name])
    named["otherwise"] = tuple((way, count) for way, count in named["otherwise"])
    return CellFacts(**named)


def _stat(folder: Path) -> Stat | None:
    """The stat of a cell's two files; None where one is missing."""
    try:
        both = (os.lstat(f"{folder}/{RECORD}"), os.lstat(f"{folder}/{IMAGES}"))
    except OSError:
        return None
    return tuple(value for one in both for value in (one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino))


def _digest(path: Path) -> str:
    return hashlib.sha256(read_regular(path, LARGEST_INDEX)).hexdigest()
