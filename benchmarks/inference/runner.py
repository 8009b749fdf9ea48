"""One image through the network: whole, in overlapping tiles, or on the CPU when a device's memory does not suffice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ...messages import one_line
from ...models.layers.layout import to_channels_last
from ...models.restorer import Restorer
from ..errors import RestorationError
from .cost import Pass, peak_memory
from .foreign import contained, lent, taken
from .graphs import GraphCache
from .machine import Business, Watch
from .numerics import Numerics
from .out_of_memory import is_out_of_memory, may_be_out_of_memory
from .tiles import fallback_tiles, restore_in_tiles

logger = logging.getLogger("restorebench")

SMALL = 64
"""Side in pixels of the part that tells want of memory from want of a kernel."""


class Runner:
    """A restorer placed on a device under given numerics."""

    def __init__(self, restorer: Restorer, numerics: Numerics) -> None:
        self.restorer = restorer.to(numerics.device).eval()
        self.numerics = numerics
        if numerics.channels_last:
            to_channels_last(self.restorer)
        network: Callable[[Tensor], Tensor] = torch.compile(self.restorer) if numerics.compile else self.restorer
        self.graphs = GraphCache(network) if numerics.cuda_graphs else None
        self.forward: Callable[[Tensor], Tensor] = network if self.graphs is None else self.graphs
        self._taken: list[Callable[[], Pass]] = []
        self._watch = self._watching()

    def passes(self) -> list[Pass]:
        """Passes over whole images since `forget_passes`, and what they took."""
        return [taken() for taken in self._taken]

    def forget_passes(self) -> None:
        """Begin a new list of passes."""
        self._taken.clear()
        self._watch = self._watching()

    def business(self) -> Business:
        """What else the machine has been doing since then."""
        return self._watch.business()

    def _watching(self) -> Watch:
        return Watch(torch.get_num_threads() if torch.device(self.numerics.device).type == "cpu" else 1)

    def peak_memory(self, size: tuple[int, int]) -> tuple[float, str] | None:
        """Memory of one pass over an image of that size (see `cost.peak_memory`); None where that pass fails."""
        image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)).to(self.numerics.device)
        if self.numerics.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        try:
            with self.numerics.applied(), contained():
                return peak_memory(self.restorer, image)
        except Exception as error:  # a network that restored the images may fail here: its scores stand
            logger.warning("%s: memory of a pass not measured: %s", self.restorer.card.name, one_line(error))
            self._free()
            return None

    def _forward(self, batch: Tensor) -> Tensor:
        """The restored batch as float32; the pass is timed, on a GPU without waiting for it."""
        height, width = batch.shape[-2:]
        done = partial(Pass, (height, width), batch.shape[0])
        mine = lent(batch)
        if batch.device.type == "cuda":
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            first.record()
            with contained():
                restored: Tensor = taken(self.forward(mine))
            last.record()

            def seconds() -> Pass:
                last.synchronize()
                return done(first.elapsed_time(last) / 1000)

            self._taken.append(seconds)
            return restored
        started = time.perf_counter()
        with contained():
            restored = taken(self.forward(mine))
        self._taken.append(partial(done, time.perf_counter() - started))
        return restored

    def restore_several(self, degraded: Sequence[Tensor]) -> list[tuple[Tensor, str] | Exception]:
        """Restore images (3, H, W) of one shape, at once if they are several.

        What fails together is tried one by one, so that a failure is that of one image, and memory for one suffices.

        Returns:
            For each image what `restore` returns for it alone, less the batch, or the error.
        """
        if len(degraded) > 1:
            try:
                with self.numerics.applied():
                    batch = torch.stack(list(degraded))
                    if self.numerics.channels_last:
                        batch = batch.contiguous(memory_format=torch.channels_last)
                    restored = self._forward(batch)
                if restored.shape == batch.shape:
                    return [(image, "whole") for image in restored]
            except Exception as error:  # code of the network's author can raise anything
                logger.warning("a batch of %d failed (%s): its images go one by one", len(degraded), one_line(error))
                self._free()
        results: list[tuple[Tensor, str] | Exception] = []
        for image in degraded:
            try:
                restored, how = self.restore(image[None])
                if restored.shape != (1, *image.shape):
                    raise RestorationError(f"restored shape {tuple(restored.shape)}, expected {(1, *image.shape)}")
                results.append((restored[0], how))
            except Exception as error:  # as above: that image's failure
                results.append(error)
        return results

    def restore(self, degraded: Tensor) -> tuple[Tensor, str]:
        """Restore (B, 3, H, W) float32 in [0, 1] on the run's device.

        Returns:
            The restored image as float32, not clipped, and how it was computed: ``whole``, ``tiles of N`` or ``cpu``.
        """
        numerics, tiling = self.numerics, self.restorer.card.tiling
        if numerics.channels_last:
            degraded = degraded.contiguous(memory_format=torch.channels_last)
        with numerics.applied():
            if numerics.tile is not None:
                return self._tiled(degraded, numerics.tile, tiling.overlap_of(numerics.tile))
            try:
                return self._forward(degraded), "whole"
            except Exception as error:
                if not may_be_out_of_memory(error):
                    raise
                failure = error.with_traceback(None)  # its frames hold what takes the memory
            self._free()
            if not is_out_of_memory(failure) and not self._small_one_passes(degraded):
                raise failure
            reason = one_line(failure)
            for tile in fallback_tiles(tiling, degraded.shape[-2:]):
                logger.warning("out of memory (%s): the image is restored in tiles of %d", reason, tile)
                try:
                    return self._tiled(degraded, tile, tiling.overlap_of(tile))
                except Exception as error:
                    if not may_be_out_of_memory(error):
                        raise
                self._free()
            return self._on_cpu(degraded, reason)

    def _small_one_passes(self, degraded: Tensor) -> bool:
        """Whether a small part of an image goes through the network: then its size is what the whole one failed by."""
        small = degraded[..., :SMALL, :SMALL]
        if small.shape == degraded.shape:
            return False
        try:
            with contained():
                self.restorer(lent(small))
        except Exception:  # of whatever kind: then it is not the size
            return False
        return True

    def _tiled(self, degraded: Tensor, tile: int, overlap: int) -> tuple[Tensor, str]:
        with contained():
            return restore_in_tiles(self.restorer, degraded, tile, overlap), f"tiles of {tile}"

    def _on_cpu(self, degraded: Tensor, reason: str) -> tuple[Tensor, str]:
        device = degraded.device
        if device.type == "cpu":
            tiling = self.restorer.card.tiling
            warning = "" if tiling.allowed else f", which changes the scores of {self.restorer.card.title}"
            raise MemoryError(f"out of memory on the CPU ({reason}); tile=256 restores it in tiles{warning}")
        logger.warning("out of memory (%s): the image is restored on the CPU", reason)
        if self.graphs is not None:
            self.graphs.forget()
        self.restorer.to("cpu")
        try:
            with contained():
                return taken(self.restorer(degraded.cpu())).to(device), "cpu"
        finally:
            self.restorer.to(device)

    def _free(self) -> None:
        if self.graphs is not None:
            self.graphs.forget()
        if torch.device(self.numerics.device).type == "cuda":
            torch.cuda.empty_cache()
