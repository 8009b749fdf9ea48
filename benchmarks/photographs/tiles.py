"""Feathered tiles of a photograph, computed band by band: memory follows the tile's size and not the photograph's.

Neighbouring tiles share `overlap` pixels. The outer quarter of them on either side is context alone, as a network sees
too little there; over the half between, one tile fades into the next. Tiles begin at multiples of the network's size
rule, so that its strides fall on the same pixels as over the whole photograph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import RestorationError
from .photograph import Samples, white

Network = Callable[[Tensor], Tensor]
Progress = Callable[[int, int], None]
"""Told how many tiles are done, and of how many."""
Span = tuple[int, int]
"""First pixel, and the one after the last."""


def spans(length: int, tile: int, overlap: int, multiple: int = 1) -> list[Span]:
    """Tiles along one side of `length` pixels: as few as cover it, then as short and as evenly laid as these can be.

    Args:
        length: of the side.
        tile: the most pixels of a tile.
        overlap: the fewest pixels that neighbours share, at most half of `tile`.
        multiple: what the first pixel of each is a multiple of.

    Raises:
        ValueError: if the overlap is more than half of the tile, or no room is left between.
    """
    if length <= tile:
        return [(0, length)]
    tile -= tile % multiple
    if not 0 <= 2 * overlap <= tile or tile - overlap < multiple:
        raise ValueError(f"an overlap of {overlap} pixels does not fit tiles of {tile} at multiples of {multiple}")
    fewest = len(_starts(length, tile, overlap, multiple))
    shortest = tile
    for side in range(tile, 2 * overlap - 1, -multiple):
        if side - overlap < multiple or len(_starts(length, side, overlap, multiple)) > fewest:
            break
        shortest = side
    return [(start, min(length, start + shortest)) for start in _starts(length, shortest, overlap, multiple)]


def _starts(length: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """First pixels of tiles of that side."""
    last = -(-(length - tile) // multiple)
    steps = -(-last // ((tile - overlap) // multiple))
    return [index * last // steps * multiple for index in range(steps + 1)]


def feathers(parts: list[Span], overlap: int) -> list[Tensor]:
    """A weight for each pixel of each tile along a side, (tile,) float32; over every pixel they sum to 1."""
    margin = overlap // 4
    fade = max(1, overlap - 2 * margin)
    length = parts[-1][1]
    raw = []
    for start, end in parts:
        place = torch.arange(start, end, dtype=torch.float64) + 0.5
        rising = (place - start - margin) / fade if start > 0 else torch.ones_like(place)
        falling = (end - margin - place) / fade if end < length else torch.ones_like(place)
        raw.append(torch.minimum(rising, falling).clamp(0, 1) if overlap else torch.ones_like(place))
    total = torch.zeros(length, dtype=torch.float64)
    for (start, end), weight in zip(parts, raw, strict=True):
        total[start:end] += weight
    return [(weight / total[start:end]).float() for (start, end), weight in zip(parts, raw, strict=True)]


@dataclass(frozen=True)
class Tiling:
    """How a photograph is cut.

    Attributes:
        side: the most pixels of a tile's side; None takes the photograph whole.
        overlap: pixels that neighbours share at the least.
        multiple: what tiles begin at multiples of.
    """

    side: int | None = None
    overlap: int = 0
    multiple: int = 1

    def grid(self, height: int, width: int) -> tuple[list[Span], list[Span]]:
        """Tiles down and across."""
        if self.side is None:
            return [(0, height)], [(0, width)]
        rows, columns = (spans(length, self.side, self.overlap, self.multiple) for length in (height, width))
        return rows, columns

    def describe(self, height: int, width: int) -> str:
        """``whole`` or ``R x C tiles of at most N``."""
        rows, columns = self.grid(height, width)
        if len(rows) * len(columns) == 1:
            return "whole"
        return f"{len(columns)}x{len(rows)} tiles of at most {self.side}"


def restore_samples(
    network: Network, pixels: Samples, tiling: Tiling, *, device: str = "cpu", progress: Progress | None = None
) -> Samples:
    """Samples (H, W, C) through a network, tile by tile; the result has their shape and type.

    Grey is given to the network three times, and the mean of what it returns is taken: its three channels are
    estimates of one value, and weights of luminance would trust the green one most for no reason.

    Args:
        network: (1, 3, h, w) float32 in [0, 1] to the same shape.
        pixels: uint8, uint16, or float32 in [0, 1], with 1 or 3 channels; floating point comes back clipped to [0, 1].
        tiling: how they are cut.
        device: where the network is.
        progress: told after each tile.

    Raises:
        RestorationError: the network gave another shape, or values that are not finite.
    """
    height, width, channels = pixels.shape
    levels = white(pixels)
    rows, columns = tiling.grid(height, width)
    down, across = feathers(rows, tiling.overlap), feathers(columns, tiling.overlap)
    result = np.empty(pixels.shape, pixels.dtype)
    carried = torch.zeros(channels, 0, width)
    for row, (top, bottom) in enumerate(rows):
        band = torch.zeros(channels, bottom - top, width)
        band[:, : carried.shape[1]] = carried
        for column, (left, right) in enumerate(columns):
            restored = _restored(network, pixels[top:bottom, left:right], levels, device)
            band[:, :, left:right] += restored * (down[row][:, None] * across[column])
            if progress is not None:
                progress(row * len(columns) + column + 1, len(rows) * len(columns))
        done = rows[row + 1][0] if row + 1 < len(rows) else height
        finished = band[:, : done - top].clamp_(0, 1)
        if pixels.dtype != np.float32:
            finished = finished.mul_(levels).round_()
        result[top:done] = finished.permute(1, 2, 0).numpy().astype(pixels.dtype)
        carried = band[:, done - top :].clone()
    return result


def _restored(network: Network, tile: Samples, levels: float, device: str) -> Tensor:
    """(C, h, w) float32 on the CPU from samples (h, w, C)."""
    image = torch.from_numpy(np.ascontiguousarray(tile).astype(np.float32)).permute(2, 0, 1)[None] / levels
    shape = (1, 3, *image.shape[-2:])
    restored = network(image.expand(shape).contiguous().to(device))
    if restored.shape != shape:
        raise RestorationError(f"the network gave shape {tuple(restored.shape)} for {shape}")
    restored = restored[0].float().cpu()
    if not torch.isfinite(restored).all():
        raise RestorationError("the network gave values that are not finite (NaN or infinite)")
    return restored.mean(dim=0, keepdim=True) if tile.shape[2] == 1 else restored
