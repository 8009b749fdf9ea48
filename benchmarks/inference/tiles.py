"""An image in overlapping tiles, blended where they overlap."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from ...models.card import Tiling
from ...models.restorer import Restorer
from .foreign import lent

SIDES = (1024, 768, 512, 384, 256)
"""Sides of tiles in pixels that are tried where memory does not suffice, and then the card's smallest."""


def fallback_tiles(tiling: Tiling, size: tuple[int, ...]) -> list[int]:
    """Sides of tiles for an image of `size` (height, width) that memory does not suffice for, the largest first.

    None is smaller than the card's, none as large as the image; there is none where the card allows no tiles.
    """
    if not tiling.allowed:
        return []
    sides = sorted({*SIDES, tiling.tile}, reverse=True)
    return [side for side in sides if tiling.tile <= side < max(size)]


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of tiles that cover `length` pixels with at least `overlap` shared by neighbours."""
    if length <= tile:
        return [0]
    step = tile - overlap
    starts = list(range(0, length - tile, step))
    return [*starts, length - tile]


def ramp(length: int, overlap: int, device: torch.device | str = "cpu") -> Tensor:
    """Weights (length,) that rise from each end over `overlap` pixels and are 1 between."""
    distance = torch.arange(1, length + 1, dtype=torch.float32, device=device)
    rise = torch.minimum(distance, distance.flip(0))
    return torch.clamp(rise / max(1, overlap), max=1.0)


def restore_in_tiles(restorer: Restorer, degraded: Tensor, tile: int, overlap: int) -> Tensor:
    """Restore (B, 3, H, W) in square tiles of side `tile`, blended linearly where they overlap.

    Raises:
        ValueError: if the overlap is not smaller than the tile.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"an overlap of {overlap} pixels does not fit tiles of {tile}")
    height, width = degraded.shape[-2:]
    rows, columns = tile_starts(height, tile, overlap), tile_starts(width, tile, overlap)
    assert all(b - a <= tile for a, b in [*pairwise(rows), *pairwise(columns)])
    total = torch.zeros_like(degraded, dtype=torch.float32)
    weights = torch.zeros((1, 1, height, width), device=degraded.device)
    weight = torch.outer(*(ramp(min(tile, side), overlap, degraded.device) for side in (height, width)))
    for top in rows:
        for left in columns:
            window = (..., slice(top, top + tile), slice(left, left + tile))
            total[window] += restorer(lent(degraded[window])).float() * weight
            weights[window] += weight
    return total / weights
