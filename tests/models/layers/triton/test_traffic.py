"""What the kernels move and compute: the counts by hand, and the statements in the docstrings."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from restorebench.models.layers.kernel_basis import kernel_basis_macs
from restorebench.models.layers.triton import traffic
from restorebench.models.layers.triton.traffic import Traffic

ROOM = Path(traffic.__file__).parent
PIXELS = 256 * 256
FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
STATED: list[tuple[str, Callable[[torch.dtype], Traffic]]] = [
    ("kernel_basis", partial(traffic.kernel_basis_forward, PIXELS, 64, 4, 32)),
    ("kernel_basis", partial(traffic.kernel_basis_backward, PIXELS, 64, 4, 32)),
    ("channel_products", partial(traffic.channel_products, PIXELS, 48, 1)),
    ("channel_products", partial(traffic.attention_application, PIXELS, 48, 1)),
    ("gated_depthwise", partial(traffic.gated_depthwise, PIXELS, 127)),
]


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize(("module", "count"), STATED)
def test_docstrings_state_what_is_computed(
    module: str, count: Callable[[torch.dtype], Traffic], dtype: torch.dtype
) -> None:
    text = ast.get_docstring(ast.parse((ROOM / f"{module}.py").read_text(encoding="utf-8")))
    assert text is not None
    assert f"    {count(dtype)}" in text.splitlines()


def test_filtering_first_costs_the_multiply_adds_of_mixing_first() -> None:
    """But for the last sum: over the bases of an output, instead of over the entries of a kernel."""
    filtering = traffic.kernel_basis_forward(PIXELS, 64, 4, 32, FLOAT32)
    mixing = kernel_basis_macs(1, 64, 256, 256, bases=32, group_channels=4)
    assert filtering.macs == mixing - PIXELS * 64 * 36
    assert filtering.macs + filtering.other_macs - mixing == PIXELS * 64 * (32 - 36)


def test_times_are_bytes_and_multiply_adds_over_the_rates() -> None:
    """One pixel of KBNet-S: 64 + 64 + 32 numbers, 32 * 64 * 37 products, 32 * 64 in the sum."""
    one = traffic.kernel_basis_forward(1, 64, 4, 32, FLOAT32)
    assert one.moved == 160 * 4
    assert one.memory_seconds == pytest.approx(640 / 3.35e12)
    assert one.arithmetic_seconds == pytest.approx(2 * 32 * 64 * 38 / 67e12)
    assert (one.bound, one.seconds) == ("arithmetic", one.arithmetic_seconds)
    half = traffic.kernel_basis_forward(1, 64, 4, 32, BFLOAT16)
    assert half.moved == 160 * 2
    assert half.arithmetic_seconds == pytest.approx(2 * 32 * 64 * (37 / 990e12 + 1 / 67e12))


@pytest.mark.parametrize(
    ("count", "moved", "plain"),
    [
        (traffic.gated_depthwise(10, 8, FLOAT32), 10 * 24 * 4, 10 * 56 * 4),
        (traffic.channel_products(10, 8, 2, BFLOAT16), 10 * 16 * 2, 10 * 32 * 2),
        (traffic.layer_norm(10, 8, FLOAT32, fused=True), 10 * 32 * 4, 10 * 32 * 4),
        (traffic.layer_norm(10, 8, BFLOAT16, fused=False), 10 * 32 * 2, 10 * (40 * 2 + 16 * 4)),
    ],
)
def test_maps_are_counted_once_for_each_operator_that_touches_them(count: Traffic, moved: int, plain: int) -> None:
    assert (count.moved, count.plain, count.bound) == (moved, plain, "memory")
    assert count.saved == plain / moved
