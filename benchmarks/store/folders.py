"""The store on disk: ``results/<suite>/<model>/<cell id>/{record.json,images.csv,images/}``.

Nothing half done ever looks done: rows are appended one image at a time and flushed, the record is written last and
atomically, and a cell is computed by one process at a time, under a lock that the operating system drops when its
holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from ...atomic import write_text
from ..errors import UserError
from .records import Record, read_record
from .rows import IMAGE_HEADER, ImageRow, RecordError, in_order, parse_rows

logger = logging.getLogger("restorebench")

RECORD = "record.json"
IMAGES = "images.csv"
SAVED_IMAGES = "images"
LOCK = "lock"
OWNER = "owner.json"


class CellBusyError(Exception):
    """Another live process is computing the cell; the text says which."""


write_atomically = write_text
"""Former name, for packages that still import it from here."""


class Store:
    """A results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Create the folder.

        Raises:
            UserError: if it cannot be created or written to.
        """
        probe = self.root / f".probe-{uuid.uuid4().hex}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"results folder {self.root}: {reason}; give a writable one with results=DIR") from error

    def cell(self, suite: str, model: str, cell_id: str) -> CellFolder:
        """The folder of a cell, which need not exist yet."""
        return CellFolder(self.root / suite / model / cell_id)

    def twin(
        self, suite: str, model: str, cell_id: str, accept: Callable[[CellFolder], bool] | None = None
    ) -> CellFolder | None:
        """A folder of the same cell computed for another suite that is accepted, by default if it is complete."""
        for folder in sorted(self.root.glob(f"*/{model}/{cell_id}")):
            candidate = CellFolder(folder)
            if folder.parent.parent.name != suite and (accept(candidate) if accept else candidate.complete):
                return candidate
        return None


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
        return (self.path / RECORD).exists() or bool(self.rows())

    @property
    def complete(self) -> bool:
        """Whether the record says that every image has its scores."""
        record = self.record()
        return record is not None and record.complete

    def record(self) -> Record | None:
        """The stored record; None if there is none, or none that this version can read (then it is computed again)."""
        path = self.path / RECORD
        try:
            return read_record(path)
        except FileNotFoundError:
            return None
        except RecordError as error:
            logger.warning("%s; the cell is computed again", error)
            return None

    def rows(self) -> list[ImageRow]:
        """Stored rows; a damaged table counts as empty, and is said so."""
        path = self.path / IMAGES
        try:
            return parse_rows(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except (RecordError, UnicodeDecodeError) as error:
            logger.warning("%s: %s; its images are computed again", path, error)
            return []

    @contextlib.contextmanager
    def claimed(self, wait_seconds: float = 0) -> Iterator[None]:
        """Hold the cell's lock.

        Args:
            wait_seconds: how long to wait for a live holder; -1 for ever.

        Raises:
            CellBusyError: if another live process still holds it then.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        owner = self.path / OWNER
        lock = FileLock(self.path / LOCK, timeout=wait_seconds)
        try:
            lock.acquire(poll_interval=0.2)
        except Timeout as error:
            raise CellBusyError(f"{self.path} is being computed by {describe_owner(owner)}") from error
        try:
            if owner.exists():
                logger.info("%s: taken over from %s, which is gone", self.path, describe_owner(owner))
            me = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
            write_text(owner, json.dumps(me) + "\n")
            yield
            owner.unlink(missing_ok=True)
        finally:
            lock.release()

    def begin(self, keep: Sequence[ImageRow]) -> None:
        """Start a computation that keeps these rows: drop the record, then rewrite the table with only them."""
        (self.path / RECORD).unlink(missing_ok=True)
        write_text(self.path / IMAGES, IMAGE_HEADER + "".join(row.line() for row in keep))

    def append(self, row: ImageRow) -> None:
        """Add a finished image; the line is with the operating system when this returns."""
        with (self.path / IMAGES).open("a", encoding="utf-8", newline="") as file:
            file.write(row.line())

    def finish(self, record: Record, names: Sequence[str]) -> None:
        """Put the rows in the data set's order, then write the record."""
        rows = in_order(self.rows(), names)
        write_text(self.path / IMAGES, IMAGE_HEADER + "".join(row.line() for row in rows))
        write_text(self.path / RECORD, record.to_json())

    def adopt(self, record: Record, twin: CellFolder) -> None:
        """Take rows and record over from the same cell of another suite."""
        write_text(self.path / IMAGES, (twin.path / IMAGES).read_text(encoding="utf-8"))
        write_text(self.path / RECORD, record.to_json())


def describe_owner(path: Path) -> str:
    """Who wrote an owner file, in words."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"
