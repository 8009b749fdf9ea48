"""Deformable convolution: the gathering of inference against the definition and against torchvision's operator."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import deform_conv2d

from restorebench.models.layers.deformable import TAPS, WeightedRows, deformable_convolution, sampled_rows


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


def test_equals_the_library_s_operator_with_all_gradients() -> None:
    generator = torch.Generator().manual_seed(2)
    shapes = ((2, 4, 9, 7), (2, 2 * TAPS, 9, 7), (2, TAPS, 9, 7), (5, 4, 3, 3))
    x, offsets, mask, weight = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    results = []
    for way in (
        deformable_convolution,
        lambda x, offsets, mask, weight: deform_conv2d(x, offsets, weight, padding=1, mask=mask),
    ):
        leaves = [t.clone().requires_grad_() for t in (x, 2 * offsets, mask, weight)]
        out = way(*leaves)
        results.append((out, *torch.autograd.grad(out.square().sum(), leaves)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("asked", [(True, True), (True, False), (False, True)])
def test_weighted_rows_have_the_library_s_sums_and_gradients(asked: tuple[bool, bool]) -> None:
    generator = torch.Generator().manual_seed(3)
    # Rows that are read often, by one bag even twice, and one that none reads.
    indices = torch.randint(1, 7, (50, 4), generator=generator, dtype=torch.int32)
    table, weights = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((7, 5), (50, 4)))
    pull = torch.randn(50, 5, generator=generator, dtype=torch.float64)

    def library(indices: Tensor, table: Tensor, weights: Tensor) -> Tensor:
        return F.embedding_bag(indices, table, per_sample_weights=weights, mode="sum")

    results = []
    for way in (WeightedRows.apply, library):
        leaves = [t.clone().requires_grad_(wanted) for t, wanted in zip((table, weights), asked, strict=True)]
        out = way(indices, *leaves)
        out.backward(pull)
        assert [leaf.grad is not None for leaf in leaves] == list(asked)
        results.append((out, *(leaf.grad for leaf in leaves if leaf.grad is not None)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_half_precision_is_computed_in_float32() -> None:
    torch.manual_seed(0)
    x, offsets, mask, weight = (
        torch.randn(s) for s in ((1, 4, 6, 6), (1, 2 * TAPS, 6, 6), (1, TAPS, 6, 6), (4, 4, 3, 3))
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = deformable_convolution(x.bfloat16(), offsets, mask, weight)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, deformable_convolution(x.bfloat16().float(), offsets, mask, weight))
