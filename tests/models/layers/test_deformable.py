"""Deformable convolution: the gathering of inference against the definition and against torchvision's operator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restorebench.models.layers.deformable import TAPS, deformable_convolution, sampled_rows


def value(plane: Tensor, y: float, x: float) -> float:
    """Bilinear value of a plane (H, W), zero outside."""
    height, width = plane.shape
    total = 0.0
    for row in (int(y // 1), int(y // 1) + 1):
        for column in (int(x // 1), int(x // 1) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * float(plane[row, column])
    return total


@pytest.mark.parametrize("reach", [0.0, 0.7, 3.0, 1e9])
def test_samples_are_bilinear_and_zero_outside(reach: float) -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(5, 4, 3, generator=generator)
    shifts = reach * torch.randn(5, 4, 2 * TAPS, generator=generator)
    mask = torch.rand(5, 4, TAPS, generator=generator)
    found = sampled_rows(image, shifts[2:4], mask[2:4], first=2).view(2, 4, TAPS, 3)
    for row in range(2):
        for column in range(4):
            for tap in range(TAPS):
                y = row + 2 + tap // 3 - 1 + float(shifts[row + 2, column, 2 * tap])
                x = column + tap % 3 - 1 + float(shifts[row + 2, column, 2 * tap + 1])
                expected = [float(mask[row + 2, column, tap]) * value(image[..., c], y, x) for c in range(3)]
                assert found[row, column, tap].tolist() == pytest.approx(expected, abs=1e-5)


def test_gathered_taps_times_the_kernel_are_the_operator() -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 4, 9, 7, generator=generator)
    offsets = 2 * torch.randn(1, 2 * TAPS, 9, 7, generator=generator)
    mask = torch.rand(1, TAPS, 9, 7, generator=generator)
    weight = torch.randn(5, 4, 3, 3, generator=generator)
    rows = sampled_rows(*(t[0].permute(1, 2, 0).contiguous() for t in (x, offsets, mask)), first=0)
    found = (rows @ weight.permute(2, 3, 1, 0).reshape(-1, 5)).view(9, 7, 5).permute(2, 0, 1)
    torch.testing.assert_close(found, deformable_convolution(x, offsets, mask, weight)[0], rtol=1e-4, atol=1e-5)
