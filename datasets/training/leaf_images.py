"""A series of dead-leaves images in a file that every run and process shares."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ...atomic import write_text, written_whole
from ..errors import DataError
from .dead_leaves import VERSION, dead_leaves

logger = logging.getLogger("restorebench")


class LeafImages:
    """A series of dead-leaves images, made once and kept in a file that every run and process shares.

    Args:
        count: number of images.
        size: their side in pixels.
        seed: of the series.
        folder: where the file is kept (`count * size**2 * 3` bytes); it is mapped, so it need not fit in memory.

    Raises:
        DataError: no images, or a size too small.
    """

    def __init__(self, count: int, *, size: int, seed: int, folder: Path) -> None:
        if count < 1:
            raise DataError(f"the number of dead-leaves images must be 1 or more, not {count}")
        self.seed, self.size = seed, size
        self.names = tuple(f"leaves-{seed}-{index:05d}" for index in range(count))
        self.path = folder / f"leaves-v{VERSION}-{size}px-seed{seed}-{count}.npy"
        self._pixels: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def identity(self) -> str:
        """What determines the images, in one line."""
        return f"dead leaves v{VERSION}, seed {self.seed}, {len(self)} images of {self.size}x{self.size}"

    def prepare(self, made: Callable[[], object] | None = None) -> None:
        """Make the file if it is not there; one process does, the others wait for it.

        Args:
            made: called after every image that is made.
        """
        if self._pixels is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                if self.path.exists() and not self._is_whole():
                    logger.warning("%s is damaged: made anew", self.path)
                    self.path.unlink()
                if not self.path.exists():
                    self._write(made or (lambda: None))
                self._pixels = np.load(self.path, mmap_mode="r")

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return len(self), self.size, self.size, 3

    @property
    def _checksum(self) -> Path:
        """File with the sha256 of the images; those of earlier versions have none."""
        return self.path.with_suffix(".sha256")

    def _is_whole(self) -> bool:
        """Whether the file holds the images as they were written."""
        try:
            pixels = np.load(self.path, mmap_mode="r")
            if pixels.shape != self._shape or pixels.dtype != np.uint8:
                return False
            return not self._checksum.exists() or self._checksum.read_text(encoding="utf-8") == self._digest()
        except (ValueError, EOFError, SyntaxError, TokenError, OSError):
            return False

    def _digest(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _write(self, made: Callable[[], object]) -> None:
        shape = self._shape
        self._checksum.unlink(missing_ok=True)
        with written_whole(self.path) as part:
            array = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
            for index in range(len(self)):
                array[index] = dead_leaves(index, seed=self.seed, size=self.size)
                made()
            array.flush()
        write_text(self._checksum, self._digest())

    def clean(self, index: int) -> NDArray[np.uint8]:
        """Image `index`: (size, size, 3) uint8, read-only."""
        self.prepare()
        assert self._pixels is not None
        return np.asarray(self._pixels[index])
