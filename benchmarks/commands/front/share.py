"""What a process that a launcher, or ``torchrun``, starts may take of its host: so many threads, and one GPU.

Every worker of a pool would take all cores otherwise, and all would compute on the first GPU.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import UserError
from ...inference.processors import speaks, take_local_device

logger = logging.getLogger("restorebench")

CORES_OF_A_WORKER = 4
"""Of a host without GPUs, where nobody says how many workers it shall have."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables by which libraries learn of their threads when they are loaded."""

VISIBLE = "CUDA_VISIBLE_DEVICES"

_held: list[FileLock] = []
"""The slot of this process, until it ends."""


@dataclass(frozen=True)
class Share:
    """A worker's part of its host.

    Attributes:
        workers: that share the host.
        threads: of each.
        gpus: of the host, as ``CUDA_VISIBLE_DEVICES`` names them; each worker has one, in turn.
        slots: folder of the locks by which workers agree on who has which.
    """

    workers: int
    threads: int
    gpus: tuple[str, ...] = ()
    slots: str = ""

    def take(self) -> None:
        """Confine this process to its share, before it computes; a second time changes nothing."""
        import torch

        torch.set_num_threads(at_most_told(self.threads))
        if self.gpus and not _held:
            os.environ[VISIBLE] = self.gpus[self._slot() % len(self.gpus)]

    def _slot(self) -> int:
        """A number below `workers` that no other living process of them has: the system frees a dead one's lock."""
        for slot in range(self.workers):
            lock = FileLock(Path(self.slots) / f"{slot}.lock")
            with contextlib.suppress(Timeout):
                lock.acquire(blocking=False)
                _held.append(lock)
                return slot
        return os.getpid()  # more processes than workers: a pool replaces one that has not quite ended

    @contextlib.contextmanager
    def told(self) -> Iterator[Share]:
        """Processes that start in the block learn of their threads by their environment; slots live as long as it."""
        before = {name: os.environ.get(name) for name in THREADS}
        threads = str(at_most_told(self.threads))
        with tempfile.TemporaryDirectory(prefix="restorebench-slots-", ignore_cleanup_errors=True) as slots:
            os.environ.update(dict.fromkeys(THREADS, threads))
            try:
                yield Share(self.workers, self.threads, self.gpus, slots)
            finally:
                for name, value in before.items():
                    os.environ.pop(name, None)
                    if value is not None:
                        os.environ[name] = value


def at_most_told(threads: int) -> int:
    """Threads, at most those that the user allows by ``OMP_NUM_THREADS``."""
    told = os.environ.get(THREADS[0], "").partition(",")[0]
    return min(threads, int(told)) if told.isdecimal() and int(told) > 0 else threads


def share_of_host(workers: object, threads: object, jobs: int, gpus: Sequence[str]) -> Share:
    """The share of each worker of this host.

    Args:
        workers: a number or ``auto``: one a GPU, without a GPU one for `CORES_OF_A_WORKER` cores, two at least.
        threads: of each, a number or ``auto``: the cores shared out among the workers.
        jobs: that there are; of more workers, the others would have nothing to do.
        gpus: of the host, by name.

    Raises:
        UserError: a number is none.
    """
    number = whole("launcher.workers", workers) or len(gpus) or max(2, cores() // CORES_OF_A_WORKER)
    number = max(1, min(number, jobs))
    return Share(number, whole("launcher.threads", threads) or max(1, cores() // number), tuple(gpus))


def whole(key: str, value: object) -> int | None:
    """A whole number from 1; None for ``auto``.

    Raises:
        UserError: it is neither.
    """
    text = str(value).strip()
    if text.lower() == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"{key}={text}: write a whole number from 1, or auto")
    return int(text)


def cores() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not everywhere
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def gpus_here() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get(VISIBLE)
    count = torch.cuda.device_count()
    return [name.strip() for name in named.split(",")][:count] if named else [str(gpu) for gpu in range(count)]


@contextlib.contextmanager
def under_torchrun() -> Iterator[None]:
    """In the block this process is one of those that ``torchrun`` started, if it did: with its own GPU, and silent
    below warnings unless it is the first."""
    take_local_device()
    silent = None if speaks() else logging.Filter()
    if silent is not None:
        silent.filter = lambda record: record.levelno >= logging.WARNING  # type: ignore[method-assign]
        logger.addFilter(silent)
    try:
        yield
    finally:
        if silent is not None:
            logger.removeFilter(silent)
