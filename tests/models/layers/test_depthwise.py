"""Depthwise convolutions against PyTorch's own: values, gradients, dtypes, and what a wide kernel's gradients cost."""

from __future__ import annotations

import statistics

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from restorebench.models.layers.depthwise import WIDE_KERNEL, WideDepthwise, depthwise, dilated_by_phases

from ..networks.comparison import relative_error
from ..processor_time import processor_seconds


def same_padded(channels: int, kernel: tuple[int, int]) -> nn.Conv2d:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(channels, channels, kernel, padding=padding, groups=channels, bias=False)


@pytest.mark.parametrize("shape", [(16, 16), (13, 21), (17, 8)])
def test_dilated_convolution_by_phases_equals_the_dilated_one(shape: tuple[int, int]) -> None:
    conv = nn.Conv2d(4, 4, 9, padding=32, dilation=8, groups=4, bias=False)
    x = torch.randn(2, 4, *shape).requires_grad_()
    actual, expected = dilated_by_phases(x, conv), conv(x)
    assert relative_error(actual, expected) < 1e-5
    cotangent = torch.randn_like(expected)
    gradients = [torch.autograd.grad((y * cotangent).sum(), [x, conv.weight]) for y in (actual, expected)]
    for one, other in zip(*gradients, strict=True):
        assert relative_error(one, other) < 1e-5


@pytest.mark.parametrize("kernel", [(13, 13), (21, 21), (21, 15), (9, 9), (21, 1)])
@pytest.mark.parametrize("size", [(24, 30), (7, 5), (1, 40)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_equal_those_of_the_plain_convolution(
    kernel: tuple[int, int], size: tuple[int, int], layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    conv = same_padded(3, kernel).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    actual, expected = depthwise(x, conv), conv(x)
    assert relative_error(actual, expected) < 1e-12
    cotangent = torch.randn_like(expected)
    gradients = [torch.autograd.grad((y * cotangent).sum(), [x, conv.weight]) for y in (actual, expected)]
    for one, other in zip(*gradients, strict=True):
        assert one.shape == other.shape
        assert relative_error(one, other) < 1e-11


def test_a_wide_kernel_alone_takes_the_quick_gradient_and_only_where_something_learns() -> None:
    x, narrow, wide = torch.randn(1, 2, 20, 20), same_padded(2, (11, 11)), same_padded(2, (WIDE_KERNEL, WIDE_KERNEL))
    assert "WideDepthwise" in type(depthwise(x, wide).grad_fn).__name__
    assert "WideDepthwise" not in type(depthwise(x, narrow).grad_fn).__name__
    with torch.no_grad():
        assert depthwise(x, wide).grad_fn is None
    wide.requires_grad_(False)
    assert "WideDepthwise" not in type(depthwise(x.requires_grad_(), wide).grad_fn).__name__


@pytest.mark.parametrize("wanted", [0, 1])
def test_one_gradient_alone(wanted: int) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(2, 3, 16, 18, dtype=torch.float64), torch.randn(3, 1, 13, 15, dtype=torch.float64)]
    inputs[wanted].requires_grad_()
    (actual,) = torch.autograd.grad(WideDepthwise.apply(*inputs).square().sum(), inputs[wanted])
    plain = F.conv2d(*inputs, padding=(6, 7), groups=3)
    (expected,) = torch.autograd.grad(plain.square().sum(), inputs[wanted])
    assert relative_error(actual, expected) < 1e-11


def test_under_bfloat16_autocast_the_weight_learns_in_float32() -> None:
    torch.manual_seed(0)
    conv, x = same_padded(8, (21, 21)), torch.randn(2, 8, 32, 32)
    (expected,) = torch.autograd.grad(conv(x).square().sum(), conv.weight)
    with torch.autocast("cpu", torch.bfloat16):
        out = depthwise(x.bfloat16(), conv)
    assert out.dtype == torch.bfloat16
    (actual,) = torch.autograd.grad(out.float().square().sum(), conv.weight)
    assert actual.dtype == torch.float32
    assert relative_error(actual, expected) < 0.02


@pytest.mark.usefixtures("one_thread")
def test_the_gradients_of_a_wide_kernel_take_less_than_half_of_the_librarys_time() -> None:
    # 0.15 of it on one thread of a Xeon at this size (float32, torch 2.15.0).
    torch.manual_seed(0)
    x = torch.randn(8, 24, 64, 64).contiguous(memory_format=torch.channels_last).requires_grad_()
    conv, cotangent = same_padded(24, (21, 21)), torch.randn(8, 24, 64, 64)

    def ours() -> None:
        torch.autograd.grad(depthwise(x, conv), [x, conv.weight], cotangent)

    def plain() -> None:
        torch.autograd.grad(conv(x), [x, conv.weight], cotangent)

    rounds = [(processor_seconds(ours), processor_seconds(plain)) for _ in range(4)]
    quick, slow = (statistics.median(times) for times in zip(*rounds[1:], strict=True))
    assert quick < 0.5 * slow
