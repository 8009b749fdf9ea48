"""Photographs through a restorer: whole where that fits into memory, else in tiles that do."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import cached_property
from weakref import WeakKeyDictionary

import torch
from torch import nn

from ...models.restorer import Restorer
from ..inference.cost import peak_memory
from ..inference.foreign import contained
from ..inference.numerics import Numerics
from ..inference.out_of_memory import is_out_of_memory
from .limits import CPU_BYTES, SMALLEST, TileChoice
from .photograph import Photograph
from .tiles import Progress, Tiling, restore_samples

GPU_SHARE = 0.5
"""Part of a GPU's free memory that one pass may take, estimated."""
PROBES = (128, 256)
"""Sides of the images by which memory is estimated."""
COPIES = 36
"""Bytes of a pixel beside the network: what goes in, comes out, and is summed, in float32 of three channels."""
LARGEST = 16384
"""Side beyond which no tile is considered."""
STEP = 32
"""Sides that are considered are multiples of it."""

_PROBED: WeakKeyDictionary[nn.Module, dict[tuple[str, str], tuple[float, float]]] = WeakKeyDictionary()
"""What probes said of networks that are alive, by device and dtype: a script restores one image after another."""

logger = logging.getLogger("restorebench")


class PhotographRestorer:
    """A restorer on a device that takes photographs of any size.

    Attributes:
        restorer: the network, its card and weights.
        numerics: device and dtype; its own `tile` is not looked at.
        tile: ``auto``, ``none`` for whole photographs whatever memory they take, or the side of tiles in pixels.
    """

    def __init__(
        self,
        restorer: Restorer,
        numerics: Numerics | None = None,
        *,
        tile: TileChoice = "auto",
        memory: int | None = None,
    ) -> None:
        """Place a restorer on a device.

        Args:
            restorer: of the registry; it is moved.
            numerics: the CPU in float32 unless given.
            tile: see above.
            memory: bytes that one pass may take, for ``auto``; None takes `CPU_BYTES`, or `GPU_SHARE` of a GPU's.
        """
        self.numerics = numerics or Numerics()
        self.restorer = restorer.to(self.numerics.device).eval()
        self.tile = tile
        self._memory = memory
        self._warned = False

    def restore(self, photograph: Photograph, progress: Progress | None = None) -> Photograph:
        """The restored photograph: same size, bits, channels, alpha and metadata.

        Where memory turns out too small, the tiles are halved and it begins anew.

        Raises:
            RestorationError: the network gave no image.
            MemoryError: memory does not suffice for the smallest tiles either.
        """
        tiling = self.tiling(photograph.height, photograph.width)
        while True:
            try:
                with self.numerics.applied(), contained():
                    pixels = restore_samples(
                        self.restorer, photograph.pixels, tiling, device=self.numerics.device, progress=progress
                    )
                return replace(photograph, pixels=pixels)
            except (RuntimeError, MemoryError) as error:
                if not isinstance(error, MemoryError) and not is_out_of_memory(error):
                    raise
                reason = " ".join(str(error).split())[:80]
            smaller = (tiling.side or max(photograph.height, photograph.width)) // 2
            if self.tile == "none" or smaller < 2 * SMALLEST:
                raise MemoryError(f"memory does not suffice ({reason})")
            logger.warning("out of memory (%s): tiles of %d", reason, smaller)
            if self.numerics.device.startswith("cuda"):
                torch.cuda.empty_cache()
            tiling = self._tiles(smaller)

    def tiling(self, height: int, width: int) -> Tiling:
        """How a photograph of that size is cut."""
        if self.tile == "none":
            return Tiling()
        if self.tile != "auto":
            tiling = self._tiles(self.tile)
        elif height * width <= PROBES[1] ** 2 or self._bytes(height * width) <= self._limit:
            return Tiling()
        else:
            policy = self.restorer.card.tiling
            tiling = self._tiles(min(policy.tile, self.largest_tile) if policy.allowed else self.largest_tile)
        if tiling.describe(height, width) == "whole":
            return Tiling()
        self._warn()
        return tiling

    @cached_property
    def largest_tile(self) -> int:
        """Side of the largest square that memory allows, in pixels."""
        sides = range(2 * SMALLEST, LARGEST + 1, STEP)
        return max((side for side in sides if self._bytes(side * side) <= self._limit), default=2 * SMALLEST)

    def _tiles(self, side: int) -> Tiling:
        multiple = self.restorer.size.multiple
        side = max(side, SMALLEST, 4 * multiple)
        side -= side % multiple
        overlap = min(self.restorer.card.tiling.overlap, side // 4)
        return Tiling(side, overlap, multiple)

    def _warn(self) -> None:
        policy = self.restorer.card.tiling
        if not policy.allowed and not self._warned:
            reason = f" ({policy.note})" if policy.note else ""
            logger.warning(
                "%s looks at the whole image%s: large photographs go in tiles, and differ from what it would make of "
                "them whole; --tile none insists on whole ones",
                self.restorer.card.title,
                reason,
            )
            self._warned = True

    @cached_property
    def _limit(self) -> int:
        if self._memory is not None:
            return self._memory
        if self.numerics.device.startswith("cuda"):
            return int(GPU_SHARE * torch.cuda.mem_get_info(self.numerics.device)[0])
        return CPU_BYTES

    def _bytes(self, pixels: int) -> float:
        """Estimated memory of a pass over so many pixels, in bytes: by what two small images take, at least linear."""
        small, large = self._probed
        growth = max(1.0, math.log(large / small) / math.log((PROBES[1] / PROBES[0]) ** 2))
        network = large * math.pow(pixels / PROBES[1] ** 2, growth)
        return network + COPIES * pixels

    @cached_property
    def _probed(self) -> tuple[float, float]:
        """Bytes of a pass over each of the probes, less those of the weights; a network is probed once."""
        known = _PROBED.setdefault(self.restorer.network, {})
        key = (self.numerics.device, self.numerics.dtype)
        if key not in known:
            known[key] = self._probe()
        return known[key]

    def _probe(self) -> tuple[float, float]:
        weights = sum(t.untyped_storage().nbytes() for t in (*self.restorer.parameters(), *self.restorer.buffers()))

        def taken(side: int) -> float:
            image = torch.full((1, 3, side, side), 0.5, device=self.numerics.device)
            with self.numerics.applied(), contained():
                return max(float(12 * side * side), peak_memory(self.restorer, image)[0] * 2**20 - weights)

        return taken(PROBES[0]), taken(PROBES[1])
