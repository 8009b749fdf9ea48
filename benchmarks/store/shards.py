"""A cell that several workers compute: its missing images, divided into shards that are claimed one by one.

``<cell>/shards/`` is there while the cell is computed: ``division.json`` says what is computed and how it is divided,
and each shard has a lock, a claim (see `claims`) and a file of rows. A cell of one shard has its rows in ``images.csv``
from the beginning. Nobody is in charge: whoever has the cell's lock for an instant opens the division, takes a shard,
or, when it has brought the last one, joins the rows and finishes the cell.

A worker that is believed dead and is not (its machine slept) does no harm: its successor writes a new file of rows, and
what it still writes goes into the old one, which nobody reads.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout

from ...atomic import naming, write_text
from .claims import (
    HEARTBEAT_SECONDS,
    SHARDS,
    SILENCE_SECONDS,
    Claim,
    cell_claims,
    claim_path,
    is_alive,
    lock_path,
    now,
    read_claim,
    write_claim,
)
from .files import IMAGES, LARGEST_RECORD, LARGEST_TABLE, TABLE_SUFFIX, is_there, listed, read_regular, write_unsynced
from .folders import OWNER, CellFolder
from .rows import ImageRow, RecordError, in_order, read_table, table

logger = logging.getLogger("restorebench")

DIVISION = "division.json"
IMAGES_A_SHARD = 16
"""Of ``shards=auto``: enough that what a shard costs (its pipeline starts anew) disappears in what it computes."""
MOST_SHARDS = 64
FEWEST_IMAGES = 4
"""Of a shard, where a cell is divided for the sake of workers that would have nothing to do."""
BEAT_SECONDS = 1.0
"""A worker says after an image how far it is, but not more often."""


class ShardLostError(Exception):
    """Another worker has taken the shard over, for this one had been silent; what it computes is not needed."""


def shard_count(asked: int | None, missing: int, workers: int = 1) -> int:
    """Into how many shards missing images are divided.

    Args:
        asked: a number; None (``auto``): one for every `IMAGES_A_SHARD` images, so that a small cell stays whole.
        missing: images that have no row yet.
        workers: that are known to wait for work on this host.
    """
    if asked is None:
        asked = min(MOST_SHARDS, max(missing // IMAGES_A_SHARD, min(workers, missing // FEWEST_IMAGES)))
    return max(1, min(asked, missing))


@dataclass(frozen=True)
class Division:
    """What is computed of a cell, and how it is divided.

    Attributes:
        wanted: what was asked for, as a digest: who asks for something else waits.
        started: when it was divided: ISO 8601 with microseconds and the time zone.
        shards: names of the images of each shard, in the data set's order.
    """

    wanted: str
    started: str
    shards: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> list[str]:
        """All images that are computed."""
        return [name for shard in self.shards for name in shard]


def divided(names: Sequence[str], count: int) -> tuple[tuple[str, ...], ...]:
    """Names in `count` runs of neighbours, whose lengths differ by one at most."""
    ends = [len(names) * each // count for each in range(count + 1)]
    return tuple(tuple(names[start:end]) for start, end in itertools.pairwise(ends))


def rows_path(cell: Path, shard: int, shards: int) -> Path:
    """The file of rows of a shard."""
    return cell / IMAGES if shards == 1 else cell / SHARDS / f"{shard}{TABLE_SUFFIX}"


class HeldShard:
    """A shard that this process computes, from its claim to `finish` or `release`."""

    def __init__(self, cell: Path, division: Division, claim: Claim, names: Sequence[str], lock: FileLock) -> None:
        """Go on where the file of rows ends.

        Args:
            cell: folder of the cell.
            division: of the cell.
            claim: that was written.
            names: images that have no row yet.
            lock: of the shard, which is held.
        """
        self.cell, self.division, self.names = cell, division, tuple(names)
        self.path = rows_path(cell, claim.shard, claim.shards)
        file: TextIO = self.path.open("a", encoding="utf-8", newline="")
        self._claim, self._place, self._lock, self._file = claim, claim_path(cell, claim.shard), lock, file
        self._writing, self._stopped, self._lost = threading.Lock(), threading.Event(), False
        self._written = time.monotonic()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()

    @property
    def lost(self) -> bool:
        """Whether another worker has taken the shard over."""
        return self._lost

    def begin(self) -> None:
        """Count the time from now on: the network is loaded."""
        with self._writing:
            self._say(replace(self._claim, started=now(), heartbeat=now()))

    def append(self, row: ImageRow) -> None:
        """Add a finished image; the line is with the operating system when this returns.

        Raises:
            ShardLostError: the shard is another worker's by now.
        """
        if self._lost:
            raise ShardLostError(f"{self._place}: taken over by another worker")
        with naming(self.path):
            self._file.write(row.line(self.cell.name))
            self._file.flush()
        with self._writing:
            self._claim = replace(self._claim, done=self._claim.done + 1)
            if time.monotonic() - self._written > BEAT_SECONDS:
                self._say(self._claim.beating())

    def finish(self) -> None:
        """Say that every image has its row; to be called by who has the cell's lock."""
        self._stop()
        with self._writing:
            self._say(self._claim.beating(finished=True))

    def release(self) -> None:
        """Give the shard back, finished or not."""
        self._stop()
        try:
            self._file.close()
        except OSError as error:  # of a row that could not be written, which was said when it was added
            logger.debug("%s: %s", self.path, error)
        finally:
            self._lock.release()

    def _stop(self) -> None:
        self._stopped.set()
        self._heart.join()

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_SECONDS):
            with self._writing:
                self._say(self._claim.beating())

    def _say(self, claim: Claim) -> None:
        """Write the claim, unless it is no longer ours."""
        there = read_claim(self._place)
        self._lost = self._lost or there is None or there.token != claim.token
        if self._lost:
            return
        try:
            write_claim(claim, self._place)
        except OSError as error:  # a full disk costs a heartbeat; that it costs rows is said by the row that is lost
            logger.debug("%s: no heartbeat: %s", self._place, error)
            return
        self._claim, self._written = claim, time.monotonic()


@dataclass(frozen=True)
class SharedCell:
    """A cell that workers share. All methods are for who has the cell's lock at that time (`CellFolder.claimed`).

    Attributes:
        folder: of the cell.
        wanted: digest of what is asked for.
        names: images of the data set that are asked for.
        worker: what this worker's claims say of it: suite, model, task and device.
    """

    folder: CellFolder
    wanted: str
    names: tuple[str, ...]
    worker: dict[str, str] = field(default_factory=dict)

    @property
    def room(self) -> Path:
        """Folder of the shards."""
        return self.folder.path / SHARDS

    def division(self) -> Division | None:
        """How the cell is divided now; None where it is not being computed."""
        try:
            values = json.loads(read_regular(self.room / DIVISION, LARGEST_RECORD).decode("utf-8"))
            shards = tuple(tuple(map(str, shard)) for shard in values["shards"])
            division = Division(str(values["wanted"]), str(values["started"]), shards)
            aware = datetime.fromisoformat(division.started).tzinfo is not None
        except FileNotFoundError:
            return None
        except (RecordError, ValueError, KeyError, TypeError, RecursionError) as error:
            logger.warning("%s: %s; its images are divided anew", self.room / DIVISION, str(error)[:200])
            return None
        known = set(division.names)
        return division if aware and shards and len(known) == len(division.names) else None

    def fits(self, division: Division) -> bool:
        """Whether a division computes what is asked for here."""
        return division.wanted == self.wanted and set(division.names) <= set(self.names)

    def workers(self) -> list[Claim]:
        """The claims of those that compute it now."""
        moment = self._time()
        return [claim for claim in cell_claims(self.folder.path) if is_alive(claim, moment)]

    def _time(self) -> float:
        """The time by the file system's clock, in seconds: who took the cell's lock just now wrote who it is."""
        try:
            return (self.folder.path / OWNER).lstat().st_mtime
        except FileNotFoundError:
            return time.time()

    def open(self, keep: Sequence[ImageRow], missing: Sequence[str], count: int) -> Division:
        """Begin to compute `missing` in `count` shards; rows to keep are the cell's, others are dropped."""
        self.close()
        self.folder.begin(keep)
        started = datetime.now(UTC).isoformat(timespec="microseconds")
        division = Division(self.wanted, started, divided(missing, count))
        self.room.mkdir(parents=True)
        values = {"wanted": division.wanted, "started": started, "shards": division.shards}
        write_unsynced(self.room / DIVISION, json.dumps(values) + "\n")
        return division

    def claim(self, division: Division) -> HeldShard | None:
        """Take the first shard that is free: nobody's, or that of a worker that is gone; None where there is none."""
        moment = self._time()
        for shard in range(len(division.shards)):
            before = read_claim(claim_path(self.folder.path, shard))
            if before is not None and before.finished:
                continue
            elsewhere = before is not None and not before.is_of_this_host
            if elsewhere and before is not None and before.silence(moment) < SILENCE_SECONDS:
                continue
            lock = self._locked(shard, broken=elsewhere)
            if lock is not None:
                return self._held(division, shard, before, lock)
        return None

    def _locked(self, shard: int, *, broken: bool) -> FileLock | None:
        """The lock of a shard; None if another process has it. With `broken` its holder has been silent too long on
        another host, whose lock may stay for ever: then a new file takes its place."""
        path = lock_path(self.folder.path, shard)
        for attempt in range(2):
            lock = FileLock(path, timeout=0)
            try:
                lock.acquire()
                return lock
            except Timeout:
                if not broken or attempt:
                    return None
                path.unlink(missing_ok=True)
        return None

    def _held(self, division: Division, shard: int, before: Claim | None, lock: FileLock) -> HeldShard:
        try:
            cell, names, shards = self.folder.path, division.shards[shard], len(division.shards)
            path = rows_path(cell, shard, shards)
            rows = self._shard_rows(path) if before is not None else []
            have = {row.image for row in rows} & set(names)
            if before is not None:
                logger.info(
                    "%s: shard %d of %d taken over from process %d on %s, which is gone",
                    *(cell, shard + 1, shards, before.pid, before.host),
                )
                write_text(path, table(rows, cell.name))
            elif shards > 1:
                write_unsynced(path, table([], cell.name))
            own = Claim(
                **self.worker,  # type: ignore[arg-type]
                cell=cell.name,
                shard=shard,
                shards=shards,
                total=len(names),
                done=len(have),
                kept=len(have),
            )
            write_claim(own, claim_path(cell, shard))
            return HeldShard(cell, division, own, [name for name in names if name not in have], lock)
        except BaseException:
            lock.release()
            raise

    def _shard_rows(self, path: Path) -> list[ImageRow]:
        try:
            return list(read_table(read_regular(path, LARGEST_TABLE), self.folder.path.name).rows)
        except (FileNotFoundError, RecordError):
            return []

    def is_computed(self, division: Division) -> bool:
        """Whether every shard is finished."""
        finished = {claim.shard for claim in cell_claims(self.folder.path) if claim.finished}
        return finished >= set(range(len(division.shards)))

    def done(self, division: Division) -> int:
        """Of the images that are asked for, those that have a row; the lock is not needed for it."""
        return len(self.names) - len(division.names) + sum(claim.done for claim in cell_claims(self.folder.path))

    def images(self) -> int:
        """Images of the cell that have a line, computed now or long ago; the lock is not needed for it."""
        division = self.division()
        if division is not None:
            return self.done(division)
        try:
            lines = read_regular(self.folder.path / IMAGES, LARGEST_TABLE).count(b"\n")
        except (FileNotFoundError, RecordError):
            return 0
        return max(0, min(len(self.names), lines - 1))

    def lacks(self, division: Division) -> list[str]:
        """Images of finished shards whose rows do not hold, as where a file was damaged."""
        there = {row.image for row in self.folder.rows()}
        return [name for name in division.names if name not in there]

    def work(self) -> tuple[int, float]:
        """Images that the finished shards' workers computed, and their seconds together."""
        finished = [claim for claim in cell_claims(self.folder.path) if claim.finished]
        return sum(claim.done - claim.kept for claim in finished), sum(claim.seconds for claim in finished)

    def fold(self) -> None:
        """Put the rows of a division that nobody computes any longer into the table, and end it."""
        self.folder.set_aside_damage()
        if any(path.name.endswith(TABLE_SUFFIX) for path in listed(self.room)):
            rows = self.folder.rows()
            names = dict.fromkeys([*self.names, *(row.image for row in rows)])
            text = table(in_order(rows, list(names)), self.folder.path.name)
            write_text(self.folder.path / IMAGES, text)
        self.close()

    def close(self) -> None:
        """Remove the folder of the shards."""
        if is_there(self.room):
            shutil.rmtree(self.room, ignore_errors=True)
            with contextlib.suppress(OSError):  # a latecomer's file was in the way, and its owner removes it
                self.room.rmdir()
