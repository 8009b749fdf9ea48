"""Tiles cover the image, overlap, and are blended without a seam."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from restorebench.benchmarks.inference.tiles import restore_in_tiles, tile_starts

from .test_runner import Halve, restorer


@pytest.mark.parametrize(
    ("length", "tile", "overlap"), [(512, 128, 32), (500, 128, 32), (129, 128, 0), (128, 128, 64), (7, 128, 64)]
)
def test_tiles_cover_every_pixel_with_the_overlap(length: int, tile: int, overlap: int) -> None:
    starts = tile_starts(length, tile, overlap)
    covered = {pixel for start in starts for pixel in range(start, min(start + tile, length))}
    assert covered == set(range(length))
    assert all(b + overlap <= a + tile for a, b in pairwise(starts))
    assert starts[-1] + tile <= max(length, tile)


@pytest.mark.parametrize("shape", [(1, 3, 200, 333), (2, 3, 64, 500), (1, 3, 40, 30)])
def test_tiles_of_a_pointwise_network_equal_the_whole(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(restore_in_tiles(restorer(Halve()), image, 64, 16), image / 2, atol=1e-6, rtol=0)


def test_tiles_of_a_small_neighbourhood_equal_the_whole_where_they_overlap_enough() -> None:
    blur = nn.Conv2d(3, 3, 5, padding=2, bias=False)
    image = torch.rand((1, 3, 150, 170), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = blur(image)
        tiled = restore_in_tiles(restorer(blur), image, 64, 32)
    # Only the tiles' borders see zeros instead of neighbours, and the blend gives those the least weight.
    assert (whole - tiled).abs().mean() < 0.01
    assert (whole - tiled).abs()[..., 4:28, 4:28].max() < 1e-6
