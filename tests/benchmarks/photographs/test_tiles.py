"""Tiles: they cover, they sum to one, they leave no trace where the network looks no further than their overlap."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.errors import RestorationError
from restorebench.benchmarks.photographs.tiles import Tiling, feathers, restore_samples, spans

from .files import noise

LAYOUTS = [
    (6000, 512, 64, 16),
    (4000, 512, 64, 8),
    (513, 512, 64, 8),
    (1000, 96, 24, 8),
    (777, 100, 25, 4),
    (65, 64, 0, 1),
]


@pytest.mark.parametrize(("length", "tile", "overlap", "multiple"), LAYOUTS)
def test_tiles_cover_a_side(length: int, tile: int, overlap: int, multiple: int) -> None:
    parts = spans(length, tile, overlap, multiple)
    assert parts[0][0] == 0
    assert parts[-1][1] == length
    assert all(end - start <= tile and start % multiple == 0 for start, end in parts)
    assert all(end - start >= overlap for (_, end), (start, _) in pairwise(parts))


@pytest.mark.parametrize(("length", "tile", "overlap", "multiple"), LAYOUTS)
def test_weights_sum_to_one_and_leave_the_outer_quarter_of_an_overlap_out(
    length: int, tile: int, overlap: int, multiple: int
) -> None:
    parts = spans(length, tile, overlap, multiple)
    total = torch.zeros(length)
    for index, ((start, end), weight) in enumerate(zip(parts, feathers(parts, overlap), strict=True)):
        total[start:end] += weight
        assert index == 0 or not weight[: overlap // 4].any()
    assert torch.allclose(total, torch.ones(length), atol=1e-6)


def test_an_overlap_that_leaves_no_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="an overlap of 40 pixels does not fit"):
        spans(500, 64, 40)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_of_the_identity_are_exact(channels: int, kind: Any) -> None:
    samples = noise(150, 211, channels, kind)
    assert np.array_equal(restore_samples(lambda x: x, samples, Tiling(64, 16, 8)), samples)


def local_network() -> nn.Module:
    """Three convolutions and two non-linearities: nothing beyond 9 pixels matters, and the values stay in [0, 1]."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 7, padding=3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 7, padding=3),
        nn.ReLU(),
        nn.Conv2d(8, 3, 7, padding=3),
    )
    return nn.Sequential(layers, nn.Sigmoid()).eval()


def test_tiles_of_a_network_that_looks_no_further_than_their_overlap_are_the_whole() -> None:
    samples = noise(150, 211, 3, np.uint16)
    network = local_network()
    with torch.inference_mode():
        whole = restore_samples(network, samples, Tiling()).astype(np.int64)
        tiled = restore_samples(network, samples, Tiling(96, 36, 4)).astype(np.int64)
        seamed = restore_samples(network, samples, Tiling(96, 8, 4)).astype(np.int64)
    assert np.ptp(whole) > 1000
    assert np.abs(tiled - whole).max() <= 1  # a level of 16 bits: 1.5e-5
    assert np.abs(seamed - whole).max() > 10


def test_grey_is_given_three_times_and_the_mean_is_taken() -> None:
    seen: list[Tensor] = []

    def network(x: Tensor) -> Tensor:
        seen.append(x)
        return x * torch.tensor([0.5, 1.0, 0.75])[:, None, None]

    samples = noise(40, 30, 1)
    restored = restore_samples(network, samples, Tiling())
    assert all(torch.equal(seen[0][:, 0], seen[0][:, channel]) for channel in (1, 2))
    assert restored.shape == samples.shape
    assert np.abs(restored - samples * 0.75).max() <= 0.501


def test_values_outside_the_range_are_clipped() -> None:
    samples = noise(20, 20, 3)
    restored = restore_samples(lambda x: 3 * x - 1, samples, Tiling())
    assert np.array_equal(restored, np.clip(np.rint(samples.astype(np.float64) * 3 - 255), 0, 255))


@pytest.mark.parametrize(
    ("network", "reason"),
    [(lambda x: x * float("nan"), "not finite"), (lambda x: x[..., 1:], "gave shape")],
)
def test_what_is_no_image_is_named(network: Any, reason: str) -> None:
    with pytest.raises(RestorationError, match=reason):
        restore_samples(network, noise(16, 16, 3), Tiling())


def test_progress_counts_tiles() -> None:
    told: list[tuple[int, int]] = []
    restore_samples(lambda x: x, noise(100, 100, 3), Tiling(64, 16, 8), progress=lambda *at: told.append(at))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
