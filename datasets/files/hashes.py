"""SHA-256 of files, remembered per user so that a set of thousands of images is hashed once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...atomic import write_text
from ..errors import DataError
from .limits import read_bytes

THREADS = 2
"""Threads that read files; more do not help on the discs that test sets lie on."""

SETTLED = 2.0
"""Seconds; a file whose times are younger could be changed again without new ones, so its hash is not remembered."""

Stamp = tuple[int, int, int, int]
"""Size in bytes, modification and change time in ns, and inode. A copy that keeps the modification time (``cp -p``) has
another inode or change time."""

_lock = threading.Lock()


def cache_file() -> Path:
    """Where the hashes are remembered."""
    return Path.home() / ".cache" / "restorebench" / "hashes.json"


def sha256(data: bytes) -> str:
    """SHA-256 (hex) of bytes."""
    return hashlib.sha256(data).hexdigest()


def file_hashes(paths: Iterable[Path], *, verify: bool = False, max_pixels: float | None = None) -> dict[Path, str]:
    """SHA-256 (hex) of the content of each file; for one that cannot be read, the reason.

    A file that has the `Stamp` that it had when it was last hashed is not read again.

    Args:
        paths: of the files.
        verify: read every file anew, whatever is remembered.
        max_pixels: a file longer than any such image is not read; see `limits.read_bytes`.
    """
    wanted = list(dict.fromkeys(paths))
    known = {} if verify else _load()
    digests: dict[Path, str] = {}
    stamps = {path: _stamp(path) for path in wanted}
    for path, stamp in stamps.items():
        remembered = known.get(str(path.absolute()))
        if stamp is not None and remembered is not None and remembered[:-1] == list(stamp):
            digests[path] = str(remembered[-1])
    missing = [path for path in wanted if path not in digests]
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="hash") as pool:
        read = pool.map(lambda path: _hash(path, max_pixels), missing)
        digests.update(zip(missing, read, strict=True))
    remember({path: digests[path] for path in missing}, stamps)
    return digests


def stamps_of(paths: Iterable[Path]) -> dict[Path, Stamp | None]:
    """The stamp of each file; None where there is no regular file."""
    return {path: _stamp(path) for path in paths}


def remember(hashes: dict[Path, str], stamps: dict[Path, Stamp | None]) -> None:
    """Store hashes of files with the `stamps` that they had before they were read.

    Files changed within the last seconds, and changed since, are left out. Where the cache cannot be written, nothing
    is remembered.
    """
    oldest = time.time_ns() - int(SETTLED * 1e9)
    fresh = {
        str(path.absolute()): [*stamp, digest]
        for path, digest in hashes.items()
        if (stamp := stamps[path]) is not None
        and max(stamp[1:3]) < oldest
        and len(digest) == 64
        and _stamp(path) == stamp
    }
    if not fresh:
        return
    path = cache_file()
    with _lock, contextlib.suppress(OSError):  # the cache saves time and nothing else: a full or read-only disc is fine
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({**_load(), **fresh}))


def forget(path: Path) -> None:
    """Remember nothing of a file any more: it was found to have another hash than the one remembered."""
    with _lock, contextlib.suppress(OSError):
        known = _load()
        if known.pop(str(path.absolute()), None) is not None:
            write_text(cache_file(), json.dumps(known))


def set_hash(members: Iterable[tuple[str, str]]) -> str:
    """SHA-256 (hex) of a set, from (role and name, SHA-256) of each file, in any order."""
    return sha256("".join(f"{name}\t{digest}\n" for name, digest in sorted(members)).encode("utf-8", "surrogateescape"))


def _hash(path: Path, max_pixels: float | None) -> str:
    try:
        return sha256(read_bytes(path, max_pixels))
    except DataError as error:
        return f"unreadable: {error}"


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _load() -> dict[str, list[object]]:
    """What is remembered; a cache that is not there or damaged counts as empty."""
    try:
        content = json.loads(cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, list) and len(value) == 5}
