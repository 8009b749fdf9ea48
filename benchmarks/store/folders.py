"""The store on disk: ``results/<suite>/<model>/<cell id>/{record.json,images.csv,images/}``.

Nothing half done ever looks done: rows are appended one image at a time and flushed, the record is written last and
atomically. Who changes a cell holds a lock that the operating system drops when its holder dies, however it dies;
several processes that compute one cell divide its images (see `shards`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ...atomic import part_name, remove_parts, write_text
from ..errors import UserError
from .cells import CheckedCell, read_cell
from .claims import SHARDS
from .files import IMAGES, LARGEST_TABLE, RECORD, TABLE_SUFFIX, is_there, listed, read_regular, write_unsynced
from .records import Record
from .rows import ImageRow, RecordError, in_order, read_table, table

logger = logging.getLogger("restorebench")

SAVED_IMAGES = "images"
PREVIEWS = "previews"
LOCK = "lock"
OWNER = "owner.json"
DAMAGED = ".damaged-"
"""Before the time in the name of a file that was set aside."""
LARGEST_OWNER = 4096


class CellBusyError(Exception):
    """Another live process is computing the cell; the text says which."""


class Store:
    """A results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Create the folder, and remove what killed processes left half written in it.

        Raises:
            UserError: if it cannot be created or written to.
        """
        probe = self.root / part_name()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"results folder {self.root}: {reason}; give a writable one with results=DIR") from error
        pairs = [self.root / PREVIEWS]
        _refuse_links(pairs)
        for _ in range(2):  # previews/<data>/<degraded or clean>
            pairs = [path for folder in pairs for path in listed(folder)]
            _refuse_links(pairs)
        for folder in (self.root, *_folders(self.root), *pairs):
            remove_parts(folder)

    def cell(self, suite: str, model: str, cell_id: str) -> CellFolder:
        """The folder of a cell, which need not exist yet.

        Raises:
            UserError: it would lie behind a link, where no report looks for it.
        """
        _refuse_links([self.root / suite, self.root / suite / model])
        return CellFolder(self.root / suite / model / cell_id)

    def twin(
        self, suite: str, model: str, cell_id: str, accept: Callable[[CellFolder], bool] | None = None
    ) -> CellFolder | None:
        """A folder of the same cell computed for another suite that is accepted, by default if it is complete."""
        for other in _folders(self.root):
            path = other / model / cell_id
            if other.name == suite or not path.is_dir() or path.is_symlink() or path.parent.is_symlink():
                continue
            candidate = CellFolder(path)
            if accept(candidate) if accept else candidate.complete:
                return candidate
        return None


def _folders(folder: Path) -> list[Path]:
    return [path for path in listed(folder) if path.is_dir() and not path.is_symlink()]


def _refuse_links(folders: Sequence[Path]) -> None:
    for folder in folders:
        if folder.is_symlink():
            raise UserError(f"{folder} is a link: a results folder holds folders; put one in its place")


class CellFolder:
    """The files of one cell."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def images(self) -> Path:
        """Where restored images are saved; need not exist."""
        return self.path / SAVED_IMAGES

    @property
    def begun(self) -> bool:
        """Whether a row or a record is stored."""
        return is_there(self.path / RECORD) or bool(self.rows())

    @property
    def complete(self) -> bool:
        """Whether the record says that every image has its scores, and everything adds up."""
        record = self.record()
        return record is not None and record.complete

    def checked(self) -> CheckedCell | None:
        """The finished cell; None if it has no record, or one that does not add up."""
        try:
            return read_cell(self.path)
        except (FileNotFoundError, RecordError):
            return None

    def record(self) -> Record | None:
        """The stored record; None if there is none, or none that adds up, which is said."""
        try:
            return read_cell(self.path).record
        except FileNotFoundError:
            return None
        except RecordError as error:
            logger.warning("%s; the cell is computed again", error)
            return None

    def rows(self) -> list[ImageRow]:
        """Stored rows, each of which holds for itself; that others do not is said.

        Where shards are being computed, theirs too; an image that has two rows has the later one.
        """
        rows, problem = self._rows()
        problems = [problem] if problem else []
        for path in listed(self.path / SHARDS):
            if not path.name.endswith(TABLE_SUFFIX):
                continue
            try:
                read = read_table(read_regular(path, LARGEST_TABLE), self.path.name)
            except FileNotFoundError:  # joined just now
                continue
            except RecordError as error:
                problems.append(f"{path}: {error}")
                continue
            rows += read.rows
            problems += [f"{path}: {each}" for each in read.problems[:1]]
        for each in problems:
            logger.warning("%s; its images are computed again", each)
        return list({row.image: row for row in rows}.values())

    def _rows(self) -> tuple[list[ImageRow], str]:
        """Rows that hold, and the first thing in the table that does not."""
        path = self.path / IMAGES
        try:
            read = read_table(read_regular(path, LARGEST_TABLE), self.path.name)
        except FileNotFoundError:
            return [], ""
        except RecordError as error:
            return [], f"{path}: {error}"
        if not read.checked and self.checked() is None:
            return [], f"{path}: rows without checksums, by an earlier version, and no record that vouches for them"
        return list(read.rows), f"{path}: {read.problems[0]}" if read.problems else ""

    def damage(self) -> str:
        """What does not add up in the cell's files, in words that name one; empty where all does."""
        try:
            read_cell(self.path)
        except FileNotFoundError:
            return self._rows()[1]
        except RecordError as error:
            return str(error)
        return ""

    def set_aside_damage(self) -> None:
        """Rename record and table if something in them does not add up, say so, and keep the rows that do.

        To be called by who has claimed the cell.
        """
        damage = self.damage()
        if not damage:
            return
        rows, _ = self._rows()
        names = [_set_aside(self.path / name) for name in (RECORD, IMAGES) if is_there(self.path / name)]
        if rows:
            write_text(self.path / IMAGES, table(rows, self.path.name))
        logger.warning("%s; set aside as %s, and computed again", damage, " and ".join(names))

    @contextlib.contextmanager
    def claimed(self, wait_seconds: float = 0) -> Iterator[None]:
        """Hold the cell's lock: for an instant, where the cell's images are computed in shards (see `shards`).

        Args:
            wait_seconds: how long to wait for a live holder; -1 for ever.

        Raises:
            CellBusyError: if another live process still holds it then.
        """
        self._clear_the_way()
        owner = self.path / OWNER
        lock = FileLock(self.path / LOCK, timeout=wait_seconds)
        try:
            lock.acquire(poll_interval=0.2)
        except Timeout as error:
            raise CellBusyError(f"{self.path} is being computed by {describe_owner(owner)}") from error
        try:
            if is_there(owner):
                logger.info("%s: taken over from %s, which is gone", self.path, describe_owner(owner))
            me = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
            write_unsynced(owner, json.dumps(me) + "\n")
            shards = self.path / SHARDS
            if is_there(shards) and not (shards.is_dir() and all(map(_is_plain, listed(shards)))):
                logger.warning("%s: no folder of files; set aside as %s", shards, _set_aside(shards))
            shared = is_there(shards)  # then others may be writing there, on any machine
            for folder in (self.path, self.images, self.path / PREVIEWS):
                remove_parts(folder, owned=not shared)
            try:
                yield
            except CellBusyError:  # nothing was begun: nobody takes anything over from us
                owner.unlink(missing_ok=True)
                raise
            owner.unlink(missing_ok=True)
        finally:
            lock.release()

    def _clear_the_way(self) -> None:
        """Make the folder; what stands in its place, and links in it, are set aside: nothing is written elsewhere."""
        if is_there(self.path) and (self.path.is_symlink() or not self.path.is_dir()):
            logger.warning("%s: no folder; set aside as %s", self.path, _set_aside(self.path))
        self.path.mkdir(parents=True, exist_ok=True)
        for path in listed(self.path):
            if path.is_symlink() and DAMAGED not in path.name:
                logger.warning("%s: a link; set aside as %s", path, _set_aside(path))
        lock = self.path / LOCK
        if is_there(lock) and not lock.is_file():
            logger.warning("%s: no file; set aside as %s", lock, _set_aside(lock))

    def begin(self, keep: Sequence[ImageRow]) -> None:
        """Start a computation that keeps these rows: drop the record, then rewrite the table with only them."""
        (self.path / RECORD).unlink(missing_ok=True)
        write_text(self.path / IMAGES, table(keep, self.path.name))

    def append(self, row: ImageRow) -> None:
        """Add a finished image; the line is with the operating system when this returns."""
        with (self.path / IMAGES).open("a", encoding="utf-8", newline="") as file:
            file.write(row.line(self.path.name))

    def finish(self, record: Record, names: Sequence[str]) -> None:
        """Put the rows in the data set's order, then write the record, with the hash of the table."""
        text = table(in_order(self.rows(), names), self.path.name)
        write_text(self.path / IMAGES, text)
        sealed = dataclasses.replace(record, rows_sha256=hashlib.sha256(text.encode()).hexdigest())
        write_text(self.path / RECORD, sealed.to_json())

    def relabel(self, record: Record) -> None:
        """Write the record anew, which says of the same cell and rows what the user calls them now."""
        write_text(self.path / RECORD, record.to_json())

    def adopt(self, record: Record, twin: CellFolder) -> None:
        """Take rows and record over from the same cell of another suite."""
        data = read_regular(twin.path / IMAGES, LARGEST_TABLE)
        write_text(self.path / IMAGES, data.decode("utf-8"))
        write_text(self.path / RECORD, record.to_json())


def _is_plain(path: Path) -> bool:
    """Whether a path is an ordinary file, or gone."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True


def _set_aside(path: Path) -> str:
    """Rename what does not add up; its new name, which says so."""
    aside = path.with_name(f"{path.name}{DAMAGED}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    with contextlib.suppress(FileNotFoundError):  # another process, which waits for the cell too, was first
        path.rename(aside)
    return aside.name


def describe_owner(path: Path) -> str:
    """Who wrote an owner file, in words."""
    try:
        owner = json.loads(read_regular(path, LARGEST_OWNER).decode("utf-8"))
        return " ".join(f"process {owner['pid']} on {owner['host']} since {owner['since']}".split())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
