"""Who computes what now: the claim that a worker keeps beside each shard of a cell, ``<cell>/shards/<number>.claim``.

A worker holds the operating system's lock of its shard (``<number>.lock``) as long as it lives, and writes into the
claim who it is and, every few seconds, that it still is (the heartbeat). On the worker's own host the lock decides
whether it lives: it is gone with the process, however that ends. Network file systems lose locks, and those of dead
hosts can stay: what another host says is believed until its heartbeat has been silent for `SILENCE_SECONDS`. That is
measured by when the claim's file was written, and by the clock of the file system that has it: the clocks of hosts that
share a store need not agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from .files import cell_folders, is_there, read_regular, write_unsynced
from .rows import RecordError

SHARDS = "shards"
"""Folder of a cell that is being computed; it is gone when the cell is finished."""
CLAIM_SUFFIX = ".claim"
LOCK_SUFFIX = ".lock"
HEARTBEAT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
"""After so long without a heartbeat a worker on another host counts as gone."""
LARGEST_CLAIM = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a worker says about the shard that it holds.

    Attributes:
        suite, model, task: of the cell, for readers.
        cell: its id.
        shard, shards: number of the shard, from 0, and how many the cell has.
        total: images of the shard.
        done: images of it that have a row.
        kept: those of `done` that had one when the worker came.
        host, pid: of the worker.
        device: that it computes on.
        started, heartbeat: when it claimed the shard, and when it wrote last: ISO 8601 with the time zone.
        finished: every image of the shard has its row; nobody holds it any longer.
        token: tells this claim from all others of the shard.
        path: the file that it was read from; it is not written.
        changed: when that file was written, in seconds by its file system's clock; it is not written either.
    """

    suite: str = ""
    model: str = ""
    task: str = ""
    cell: str
    shard: int
    shards: int
    total: int
    done: int = 0
    kept: int = 0
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    device: str = ""
    started: str = field(default_factory=lambda: now())
    heartbeat: str = field(default_factory=lambda: now())
    finished: bool = False
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    path: Path | None = None
    changed: float | None = field(default=None, compare=False)

    @property
    def seconds(self) -> float:
        """From the claim to the last heartbeat."""
        between = datetime.fromisoformat(self.heartbeat) - datetime.fromisoformat(self.started)
        return max(0.0, between.total_seconds())

    @property
    def images_per_second(self) -> float | None:
        """Speed of the worker on this shard; None before its first image."""
        computed = self.done - self.kept
        return computed / self.seconds if computed > 0 and self.seconds > 0 else None

    @property
    def silent_seconds(self) -> float:
        """Since the last heartbeat, if this machine's clock is that of the file system."""
        return self.silence(time.time())

    def silence(self, now: float) -> float:
        """Seconds since the last heartbeat.

        Args:
            now: the time by the clock of the claim's file system.
        """
        return now - (datetime.fromisoformat(self.heartbeat).timestamp() if self.changed is None else self.changed)

    @property
    def is_of_this_host(self) -> bool:
        """Whether the operating system here knows the worker's lock."""
        return self.host == socket.gethostname()

    def beating(self, done: int | None = None, *, finished: bool = False) -> Claim:
        """The claim with a heartbeat of now."""
        return replace(self, heartbeat=now(), done=self.done if done is None else done, finished=finished)


def now() -> str:
    """The time as claims have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def claim_path(cell: Path, shard: int) -> Path:
    """Where the claim of a shard of a cell's folder lies."""
    return cell / SHARDS / f"{shard}{CLAIM_SUFFIX}"


def lock_path(cell: Path, shard: int) -> Path:
    """The file whose lock the worker of a shard holds."""
    return cell / SHARDS / f"{shard}{LOCK_SUFFIX}"


def write_claim(claim: Claim, path: Path) -> None:
    """Write a claim whole; not synced, for a claim means nothing when the machine has lost its power."""
    values = {name: value for name, value in asdict(claim).items() if name not in _UNWRITTEN}
    write_unsynced(path, json.dumps(values) + "\n")


def read_claim(path: Path) -> Claim | None:
    """The claim in a file; None where there is none, or none that a worker of this version wrote."""
    try:
        changed = path.lstat().st_mtime
        values = json.loads(read_regular(path, LARGEST_CLAIM).decode("utf-8"))
        kinds = {each.name: type(_SAMPLE[each.name]) for each in fields(Claim) if each.name not in _UNWRITTEN}
        if not isinstance(values, dict) or values.keys() != kinds.keys():
            return None
        if any(type(values[name]) is not kind for name, kind in kinds.items()):
            return None
        for name in ("started", "heartbeat"):
            if datetime.fromisoformat(values[name]).tzinfo is None:
                return None
        return Claim(**values, path=path, changed=changed)
    except (OSError, RecordError, ValueError, RecursionError):
        return None


_UNWRITTEN = ("path", "changed")
_SAMPLE = asdict(Claim(cell="", shard=0, shards=1, total=0))


def cell_claims(cell: Path) -> list[Claim]:
    """The claims in a cell's folder, by the number of the shard."""
    found: list[Claim] = []
    with contextlib.suppress(OSError):  # gone meanwhile, as when its cell is finished, or not ours to read
        with os.scandir(cell / SHARDS) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(CLAIM_SUFFIX)]
        found = [claim for name in names if (claim := read_claim(cell / SHARDS / name))]
    return sorted(found, key=lambda claim: claim.shard)


def read_claims(results: Path) -> list[Claim]:
    """All claims in a results folder, of live workers, of dead ones and of finished shards, in a stable order."""
    return [claim for folder in cell_folders(results)[0] for claim in cell_claims(folder)]


def is_alive(claim: Claim, now: float | None = None) -> bool:
    """Whether a worker still computes what it claimed.

    On its own host the operating system's lock decides; of another host, whether the heartbeat is younger than
    `SILENCE_SECONDS`.

    Args:
        claim: of the worker.
        now: the time by the clock of the claim's file system; None where it is this machine's.
    """
    if claim.finished:
        return False
    if not claim.is_of_this_host:
        return (claim.silent_seconds if now is None else claim.silence(now)) < SILENCE_SECONDS
    return claim.path is not None and _is_locked(claim.path.with_suffix(LOCK_SUFFIX))


def described_workers(claims: Sequence[Claim]) -> str:
    """Who computes a cell, in words."""
    workers = dict.fromkeys(f"process {claim.pid} on {claim.host} since {claim.started}" for claim in claims)
    return " and ".join(" ".join(worker.split()) for worker in workers) or "another process"


def _is_locked(path: Path) -> bool:
    if not is_there(path) or not path.is_file():
        return False
    with _probed(path) as free:
        return not free


@contextlib.contextmanager
def _probed(path: Path) -> Iterator[bool]:
    """Whether a lock could be had; a worker that asks in this instant asks again soon."""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError:  # gone, or not ours to open: its cell was finished meanwhile, or is another user's
        yield is_there(path)
        return
    try:
        yield True
    finally:
        lock.release()
