"""Evaluation of one cell: decode and degrade in a thread, restore, score, append, and the record at the end."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from ..datasets.samples import TaskData
from .errors import RestorationError
from .protocols import Pair, Protocol
from .records import ImageRow
from .restoration import Runner

if TYPE_CHECKING:
    from .store import CellFolder

logger = logging.getLogger("restorebench")

PREFETCHED = 3


@dataclass(frozen=True)
class Computed:
    """What `compute_rows` did: images computed, and wall seconds."""

    images: int
    seconds: float


def loaded(data: TaskData, indices: Sequence[int], protocol: Protocol) -> Iterator[tuple[int, Pair | Exception]]:
    """Samples as the protocol feeds them, in order, prepared by a thread while the caller works on earlier ones.

    An image that cannot be read or prepared comes as the exception, so that the rest of the set goes on.
    """

    def prepare(index: int) -> Pair | Exception:
        try:
            return protocol.prepare(data[index])
        except (ValueError, OSError) as error:
            return error

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as pool:
        waiting: deque[tuple[int, Future[Pair | Exception]]] = deque()
        upcoming = iter(indices)
        for index in upcoming:
            waiting.append((index, pool.submit(prepare, index)))
            if len(waiting) > PREFETCHED:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def score_image(name: str, pair: Pair, runner: Runner, protocol: Protocol) -> ImageRow:
    """Restore and score one image; a failure of the network on it becomes a failed row with the reason."""
    device = torch.device(runner.numerics.device)
    degraded, clean = pair.degraded.to(device), pair.clean.to(device)
    try:
        restored, how = runner.restore(degraded[None])
        if restored.shape != degraded[None].shape:
            raise RestorationError(f"restored shape {tuple(restored.shape)}, expected {tuple(degraded[None].shape)}")
        scores = protocol.score(restored[0], clean)
        # The floor of the table: the identity's scores need no second pass.
        unchanged = torch.equal(restored[0], degraded)
        floor = scores if unchanged else protocol.score(degraded, clean)
    except (RestorationError, RuntimeError, MemoryError, ValueError) as error:
        return ImageRow(image=name, status="failed", message=f"{type(error).__name__}: {error}")
    return ImageRow(
        image=name,
        status="ok",
        psnr=scores.psnr,
        ssim=scores.ssim,
        input_psnr=floor.psnr,
        input_ssim=floor.ssim,
        how=how,
    )


def compute_rows(
    folder: CellFolder, data: TaskData, names: Sequence[str], runner: Runner, protocol: Protocol, *, progress: bool
) -> Computed:
    """Compute and append the rows of `names`; each one is stored before the next is begun."""
    positions = {name: index for index, name in enumerate(data.names)}
    indices = [positions[name] for name in names]
    started = time.perf_counter()
    total, done = 0.0, 0
    with tqdm(total=len(names), desc=data.task.key, unit="image", leave=False, disable=not progress or None) as bar:
        for index, pair in loaded(data, indices, protocol):
            name = data.names[index]
            if isinstance(pair, Exception):
                row = ImageRow(image=name, status="failed", message=f"{type(pair).__name__}: {pair}")
            else:
                row = score_image(name, pair, runner, protocol)
            folder.append(row)
            if row.status == "failed":
                logger.error("%s, %s: %s", data.task.key, name, row.message)
            elif row.psnr != float("inf"):
                total, done = total + row.psnr, done + 1
                bar.set_postfix_str(f"PSNR {total / done:.2f} dB", refresh=False)
            bar.update()
    return Computed(images=len(names), seconds=time.perf_counter() - started)
