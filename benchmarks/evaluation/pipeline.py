"""Evaluation of one cell: a pipeline of decoding and degrading, restoring, and scoring, and a row for every image.

Threads load ahead, the network runs in the calling thread, and another thread scores and saves while the next image
goes through the network. Rows are appended in the order of the images, so a run always writes the same bytes.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Literal
from typing import Protocol as Interface

import torch
from torch import Tensor
from tqdm import tqdm

from ...datasets.samples import TaskData
from ...messages import one_line, text_of
from ..inference.foreign import contained
from ..inference.processors import loader_count
from ..inference.runner import Runner
from ..protocols.lpips import Lpips
from ..protocols.pairs import Packed, Pair
from ..protocols.protocol import Protocol, Scores, scores_read
from ..store.rows import ImageRow
from .pictures.image_files import SavedImages
from .pictures.previews import Previews

logger = logging.getLogger("restorebench")

PREFETCHED = 2
"""Images that wait for the network beside those that a loader thread has in hand."""
SCORED_BEHIND = 3
"""Images that may wait for their scores while the network goes on."""
CPU = torch.device("cpu")

Loaded = Pair | Packed | Exception
"""An image as it comes from the loader, or why there is none."""


class RowSink(Interface):
    """Where finished rows go: a cell's folder, or memory."""

    def append(self, row: ImageRow) -> None:
        """Take the row of a finished image."""
        ...


@dataclass
class Waits:
    """What the calling thread spent its seconds on.

    Attributes:
        images: on waiting, as the next one was not decoded yet.
        scores: on waiting, as too many restored images had none yet.
        network: on the network; on a GPU, on telling it what to do.
    """

    images: float = 0.0
    scores: float = 0.0
    network: float = 0.0

    @contextlib.contextmanager
    def timed(self, kind: Literal["images", "scores", "network"]) -> Iterator[None]:
        """Count the seconds of a block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, kind, getattr(self, kind) + time.perf_counter() - started)


@dataclass(frozen=True)
class Computed:
    """What `compute_rows` did.

    Attributes:
        images: computed.
        seconds: wall time.
        network: seconds of that in which the network ran, on its device.
        waits: what it waited for.
    """

    images: int
    seconds: float
    network: float = 0.0
    waits: Waits = field(default_factory=Waits)

    @property
    def statement(self) -> str:
        """How long the network's device had no image of its own to work at, and why, in per cent of the wall time; ""
        where nothing was computed.

        A GPU works off what it has been given while the host waits for the next image already: it waits no longer than
        it is without work.
        """
        if not self.seconds or not self.network:
            return ""
        idle = max(0.0, self.seconds - self.network)
        images, scores = (100 * min(idle, each) / self.seconds for each in (self.waits.images, self.waits.scores))
        idle = 100 * idle / self.seconds
        return f"the network waited {idle:.0f} % of the time ({images:.0f} % for images, {scores:.0f} % for scores)"


def summed(parts: Sequence[Computed]) -> Computed:
    """What several computations did, by one process after the other or by several at once: images and seconds of all.

    Per cent of such seconds are those of the processes' time, however long it took on the wall's clock.
    """
    return Computed(
        images=sum(part.images for part in parts),
        seconds=sum(part.seconds for part in parts),
        network=sum(part.network for part in parts),
        waits=Waits(*(sum(getattr(part.waits, each.name) for part in parts) for each in fields(Waits))),
    )


class Lookahead:
    """How many images are decoded ahead: for a network that runs elsewhere twice as many whenever it had to wait for
    one, up to the number of threads.

    On a CPU decoding takes the processors that the network needs, so that there are always the same few.
    """

    def __init__(self, device: torch.device, loaders: int) -> None:
        self.threads, self.images = loaders, loaders + PREFETCHED
        self._most = self.images if device.type == "cpu" else max(self.images, 2 * loaders)

    def waited(self) -> None:
        """The network had to wait for an image."""
        self.images = min(2 * self.images, self._most)


class Unsaved:
    """Restored images and previews that could not be written; the first one of each kind is said at once.

    Attributes:
        names: the images by the kind of file that they lack, ``restored image`` and ``preview``.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {"restored image": [], "preview": []}

    def note(self, name: str, kind: str, error: Exception) -> None:
        """An image whose file of that kind could not be written."""
        if not self.names[kind]:
            logger.error("%s: %s not saved, its scores are kept: %s", name, kind, one_line(error))
        self.names[kind].append(name)


@dataclass(frozen=True)
class Scorer:
    """What happens to a restored image: it is scored under the protocol, and saved before its row is.

    Attributes:
        protocol: of the scores.
        lpips: computed beside them; None if it is not available or not wanted.
        images: where images are saved; None leaves saved images alone.
        previews: small pictures for reports; None keeps none.
        unsaved: notes what could not be written.
    """

    protocol: Protocol
    lpips: Lpips | None = None
    images: SavedImages | None = None
    previews: Previews | None = None
    unsaved: Unsaved = field(default_factory=Unsaved)

    def row(self, name: str, degraded: Tensor, clean: Tensor, restored: Tensor, how: str) -> ImageRow:
        """The row of an image: degraded and restored (3, H', W') on one device, clean (3, H, W) uint8 there too."""
        try:
            scores, floor = self._scores(degraded, clean, restored)
        except Exception as error:  # of one image, whatever it is
            return failed(name, error)
        self._write(name, degraded, clean, restored)
        row = ImageRow(
            image=name,
            status="ok",
            psnr=scores.psnr,
            ssim=scores.ssim,
            lpips=scores.lpips,
            input_psnr=floor.psnr,
            input_ssim=floor.ssim,
            how=how,
            lpips_by=self.lpips.label if self.lpips else "",
        )
        return failed(name, ValueError(row.problem)) if row.problem else row

    def _scores(self, degraded: Tensor, clean: Tensor, restored: Tensor) -> tuple[Scores, Scores]:
        """Scores of the restored image, and of the degraded one, the floor of the table; a GPU is asked once."""
        measured = [self.protocol.measure(restored, clean, None if self.lpips is None else self.lpips.value)]
        # The identity's scores need no second pass; on a GPU to ask whether it is one would cost more.
        if restored.device.type != "cpu" or not torch.equal(restored, degraded):
            measured.append(self.protocol.measure(degraded, clean))
        values = torch.stack(measured).tolist()
        return scores_read(values[0], restored), scores_read(values[-1], degraded)

    def _write(self, name: str, degraded: Tensor, clean: Tensor, restored: Tensor) -> None:
        """Save the image and its previews; what cannot be written is noted, and costs no scores."""
        if self.images is not None:
            try:
                self.images.save(name, restored, (clean.shape[-2], clean.shape[-1]))
            except Exception as error:
                self.unsaved.note(name, "restored image", error)
        if self.previews is not None:
            try:
                self.previews.save(name, degraded, clean, restored)
            except Exception as error:
                self.unsaved.note(name, "preview", error)


def failed(name: str, error: Exception) -> ImageRow:
    """The row of an image that has no scores, with the reason."""
    return ImageRow(image=name, status="failed", message=f"{type(error).__name__}: {text_of(error)}")


@contextlib.contextmanager
def threads(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads; where the block is left early, what has not begun is dropped."""
    pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def loaded(
    data: TaskData,
    indices: Sequence[int],
    protocol: Protocol,
    device: torch.device = CPU,
    waits: Waits | None = None,
    loaders: int = 2,
) -> Iterator[tuple[int, Loaded]]:
    """Samples as the protocol feeds them, in order, prepared by threads while the caller works on earlier ones.

    For a GPU they lie in pinned memory, for it to fetch. An image that cannot be read or prepared comes as the
    exception, so that the rest of the set goes on.

    Args:
        data: the samples.
        indices: which of them.
        protocol: prepares them.
        device: that they are for.
        waits: counts the seconds in which the next one is not ready.
        loaders: threads.
    """
    waits = waits or Waits()

    def prepare(index: int) -> Loaded:
        try:
            with contained("the loader"):
                packed = protocol.pack(data[index])
                return packed.pinned() if device.type == "cuda" else packed.placed(CPU)
        except Exception as error:  # decoders and degradations of other packages can raise anything
            return error

    ahead = Lookahead(device, loaders)

    def result(future: Future[Loaded]) -> Loaded:
        if future.done():
            return future.result()
        ahead.waited()
        with waits.timed("images"):
            return future.result()

    with threads(ahead.threads, "loader") as pool:
        waiting: deque[tuple[int, Future[Loaded]]] = deque()
        for index in indices:
            waiting.append((index, pool.submit(prepare, index)))
            if len(waiting) > ahead.images:
                first, future = waiting.popleft()
                yield first, result(future)
        while waiting:
            first, future = waiting.popleft()
            yield first, result(future)


def batched(
    pairs: Iterable[tuple[int, Loaded]], limit: Callable[[tuple[int, ...]], int]
) -> Iterator[list[tuple[int, Loaded]]]:
    """Neighbours whose degraded images are of one shape, at most `limit` of that shape; an exception comes alone."""
    group: list[tuple[int, Loaded]] = []
    shape: tuple[int, ...] | None = None
    for index, pair in pairs:
        its_shape = None if isinstance(pair, Exception) else tuple(pair.degraded.shape)
        if group and (its_shape is None or its_shape != shape):
            yield group
            group = []
        group, shape = [*group, (index, pair)], its_shape
        if shape is None or len(group) >= limit(shape):
            yield group
            group = []
    if group:
        yield group


def restored_group(
    group: Sequence[tuple[int, Loaded]], runner: Runner, device: torch.device
) -> list[tuple[int, Tensor, Tensor, tuple[Tensor, str] | Exception]]:
    """A group of `batched` restored: index, degraded and clean on the device, and what `restore_several` gave; an
    image that is none, or that the device has no memory for, comes with the exception."""
    nothing = torch.empty(0)
    placed: list[tuple[int, Tensor, Tensor]] = []
    errors: dict[int, Exception] = {}
    for index, pair in group:
        try:
            if isinstance(pair, Exception):
                raise pair
            there = pair.placed(device)
            placed.append((index, there.degraded, there.clean))
        except Exception as error:
            errors[index] = error
    results = runner.restore_several([degraded for _, degraded, _ in placed])
    done = {place[0]: (*place, result) for place, result in zip(placed, results, strict=True)}
    return [done[index] if index in done else (index, nothing, nothing, errors[index]) for index, _ in group]


def restored_rows(
    groups: Iterable[list[tuple[int, Loaded]]],
    names: Sequence[str],
    runner: Runner,
    scorer: Scorer,
    waits: Waits,
) -> Iterator[ImageRow]:
    """Rows in order; each comes as soon as its scores are there and the network has been given the next images."""
    device = torch.device(runner.numerics.device)
    with threads(1, "scorer") as pool:
        work_alone(pool)
        waiting: deque[ImageRow | Future[ImageRow]] = deque()
        for group in groups:
            with waits.timed("network"):
                restored = restored_group(group, runner, device)
            for index, given, clean, result in restored:
                if isinstance(result, Exception):
                    waiting.append(failed(names[index], result))
                else:
                    waiting.append(pool.submit(scorer.row, names[index], given, clean, *result))
            while waiting and (len(waiting) > SCORED_BEHIND or is_done(waiting[0])):
                with waits.timed("scores"):
                    row = result_of(waiting.popleft())
                yield row
        while waiting:
            with waits.timed("scores"):
                row = result_of(waiting.popleft())
            yield row


def work_alone(pool: ThreadPoolExecutor) -> None:
    """Let torch use one thread in the pool: on the CPU its others would wait for the threads that load and restore.

    The number that a thread sets is its own and that of threads yet to come, so this thread sets its own anew.
    """
    threads = torch.get_num_threads()
    pool.submit(torch.set_num_threads, 1).result()
    torch.set_num_threads(threads)


def is_done(row: ImageRow | Future[ImageRow]) -> bool:
    """Whether a row can be had without waiting."""
    return isinstance(row, ImageRow) or row.done()


def result_of(row: ImageRow | Future[ImageRow]) -> ImageRow:
    """The row, waited for if need be."""
    return row if isinstance(row, ImageRow) else row.result()


def compute_rows(
    folder: RowSink,
    data: TaskData,
    names: Sequence[str],
    runner: Runner,
    scorer: Scorer,
    *,
    progress: bool,
    workers: int = 1,
    listener: Callable[[ImageRow], None] | None = None,
) -> Computed:
    """Compute and append the rows of `names`; an image whose row is there is finished, saved image included.

    Args:
        folder: gets the rows.
        data, names: the images.
        runner, scorer: what happens to them.
        progress: whether to show a bar.
        workers: processes of this host that share its processors with this one.
        listener: is told every row.
    """
    positions = {name: index for index, name in enumerate(data.names)}
    indices = [positions[name] for name in names]
    started = time.perf_counter()
    total, done, waits = 0.0, 0, Waits()
    device, before, whole = torch.device(runner.numerics.device), len(runner.passes()), True
    with (
        # For the scoring thread's sake: the switches are global, and must not change while it computes LPIPS.
        runner.numerics.switched(),
        tqdm(total=len(names), desc=data.task.key, unit="image", leave=False, disable=not progress or None) as bar,
    ):
        images = loaded(data, indices, scorer.protocol, device, waits, loader_count(workers))
        groups = batched(images, runner.numerics.batch_limit)
        for row in restored_rows(groups, data.names, runner, scorer, waits):
            folder.append(row)
            whole = whole and row.how == "whole"
            if row.status == "failed":
                logger.error("%s, %s: %s", data.task.key, row.image, row.message)
            elif row.psnr != float("inf"):
                total, done = total + row.psnr, done + 1
                bar.set_postfix_str(f"PSNR {total / done:.2f} dB", refresh=False)
            bar.update()
            if listener is not None:
                listener(row)
    seconds = time.perf_counter() - started
    # A GPU's clock sees only passes over whole images; tiles are restored while the host stands by.
    own_clock = device.type == "cuda" and whole
    network = sum(one.seconds for one in runner.passes()[before:]) if own_clock else waits.network
    return Computed(images=len(names), seconds=seconds, network=network, waits=waits)
