"""How far a sweep is: a bar over its cells and one over a cell's images, or a line now and then; and TensorBoard."""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import UserError
from ..store.rows import ImageRow, mean_rows

logger = logging.getLogger("restorebench")

LOG_SECONDS = 30.0
"""Between two lines, where there is no terminal for a bar."""
COUNT_SECONDS = 1.0
"""Between two looks at what other workers have done."""
TENSORBOARD = "torch.utils.tensorboard"


@dataclass
class CellProgress:
    """Images of a cell.

    Attributes:
        title: what it is called.
        total: images that are asked for.
        count: tells how many have a row, whoever computed them.
        first: how many had one when this process came.
        started: when that was, by the monotonic clock.
    """

    title: str
    total: int
    count: Callable[[], int]
    first: int
    started: float

    def line(self) -> str:
        """How far it is, in words: images, images per second and time left."""
        done, seconds = self.count(), time.monotonic() - self.started
        rate = (done - self.first) / seconds if seconds > 0 else 0.0
        speed = f"{rate:.2f} images/s, {tqdm.format_interval(int((self.total - done) / rate))} left" if rate > 0 else ""
        return f"{self.title}: {done} of {self.total} images" + (f", {speed}" if speed else "")


class Progress:
    """What a command shows of its cells while they are computed. A context: at its end nothing is left on the screen.

    Attributes:
        cells: of the whole sweep.
        done: those that are finished.
    """

    def __init__(self, cells: int, *, shown: bool = True, terminal: bool | None = None) -> None:
        """Nothing is shown before the context is entered.

        Args:
            cells: of the whole sweep.
            shown: False keeps silent.
            terminal: whether bars can be drawn on standard error; None: as it is.
        """
        self.cells, self.done = cells, 0
        terminal = sys.stderr.isatty() if terminal is None else terminal
        self._bars, self._lines = shown and terminal, shown and not terminal
        self._cell: CellProgress | None = None
        self._psnr, self._scored, self._counted = 0.0, 0, 0.0
        self._sweep = tqdm(disable=True)
        self._bar = tqdm(disable=True)
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._write, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._lines:
            self._writer.start()
        several = self._bars and self.cells > 1
        self._sweep = tqdm(total=self.cells, desc="cells", unit="cell", leave=False, position=0, disable=not several)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._lines:
            self._writer.join()
        self._bar.close()
        self._sweep.close()

    def cell(self, title: str, total: int, count: Callable[[], int]) -> None:
        """A cell is begun, or gone on with.

        Args:
            title: what it is called.
            total: images that are asked for.
            count: tells how many have a row.
        """
        if self._cell is not None and self._cell.title == title:
            return
        done = count()
        self._cell = CellProgress(title, total, count, done, time.monotonic())
        self._psnr, self._scored, self._counted = 0.0, 0, time.monotonic()
        self._bar.close()
        place = 0 if self._sweep.disable else 1
        self._bar = tqdm(
            total=total, initial=done, desc=title, unit="image", leave=False, position=place, disable=not self._bars
        )

    def row(self, row: ImageRow) -> None:
        """An image of the cell is finished by this process."""
        if row.status == "ok" and math.isfinite(row.psnr):
            self._psnr, self._scored = self._psnr + row.psnr, self._scored + 1
            self._bar.set_postfix_str(f"PSNR {self._psnr / self._scored:.2f} dB", refresh=False)
        self._bar.update()
        self.look()

    def look(self) -> None:
        """See what others have done meanwhile."""
        if self._bars and self._cell is not None and time.monotonic() - self._counted > COUNT_SECONDS:
            self._counted = time.monotonic()
            self._bar.update(max(0, self._cell.count() - self._bar.n))

    def finished(self) -> None:
        """A cell is finished, or was already."""
        self.done += 1
        self._sweep.update()
        self._cell = None

    def _write(self) -> None:
        while not self._ended.wait(LOG_SECONDS):
            cell = self._cell
            if cell is not None:
                logger.info("%s; %d of %d cells done", cell.line(), self.done, self.cells)


_sweeps: list[Progress] = []


@contextlib.contextmanager
def sweep_progress(cells: int, *, shown: bool) -> Iterator[Progress]:
    """In the block all jobs of this process are one sweep; within another block they belong to that one's.

    Args:
        cells: of all jobs.
        shown: whether anything is shown.
    """
    if _sweeps:
        yield _sweeps[-1]
        return
    with Progress(cells, shown=shown) as progress:
        _sweeps.append(progress)
        try:
            yield progress
        finally:
            _sweeps.pop()


class TensorBoardLog:
    """Scores as scalars of TensorBoard: of every image as it comes, and the means of finished cells."""

    def __init__(self, folder: Path) -> None:
        """Write into a folder, which need not exist; nothing is written before the first score."""
        self.folder = folder
        self._writer: Any = None

    def image(self, cell: str, number: int, row: ImageRow) -> None:
        """An image of a cell.

        Args:
            cell: what it is called.
            number: of the image in its data set, from 0.
            row: its scores.
        """
        for name in ("psnr", "ssim", "lpips"):
            self._add(f"{cell}/{name}", getattr(row, name), number)

    def cell(self, cell: str, rows: list[ImageRow]) -> None:
        """A finished cell with all its rows."""
        means = mean_rows(rows)
        for name in ("psnr", "ssim", "lpips"):
            self._add(f"{cell}/mean {name}", getattr(means, name), len(rows))
        if self._writer is not None:
            self._writer.flush()

    def _add(self, tag: str, value: float | None, step: int) -> None:
        if value is None or not math.isfinite(value):
            return
        if self._writer is None:
            self._writer = importlib.import_module(TENSORBOARD).SummaryWriter(str(self.folder))
        self._writer.add_scalar(tag, value, step)


def check_tensorboard(wanted: bool) -> bool:
    """``log.tensorboard=``.

    Raises:
        UserError: it is wanted, and its package is not here.
    """
    if wanted:
        try:
            importlib.import_module(TENSORBOARD)
        except ImportError as error:
            raise UserError(
                "log.tensorboard=true needs the package tensorboard: pip install tensorboard, or leave it out"
            ) from error
    return wanted
