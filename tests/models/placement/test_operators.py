"""The operators that are this project's own run on a device alone, backward passes included.

The autograd engine wants a device to be there, so each backward is called by itself.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restorebench.models.layers import channel_products, depthwise, gated_depthwise, kernel_basis, zero_gradient
from restorebench.models.layers.host import vector

from . import device as placed


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators compute as on a GPU without Triton: whether their kernels run there, a device has to say itself."""
    for operator in (kernel_basis, channel_products, gated_depthwise):
        monkeypatch.setattr(operator, "kernels_run", lambda _: False)


def on_device(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, device=placed.DEVICE).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kernel_basis_attention_and_its_gradients_are_computed_there(dtype: torch.dtype) -> None:
    channels, size, bases, batch = 8, 4, 5, 2
    with placed.device() as questions:
        u, mix = on_device(batch, channels, 9, 11, dtype=dtype), on_device(batch, bases, 9, 11, dtype=dtype)
        kernels = on_device(bases, channels * size * kernel_basis.TAPS, dtype=dtype)
        offsets = on_device(bases, channels, dtype=dtype)
        questions.counts.clear()
        mixed = kernel_basis._forward(u, mix, kernels, offsets, size)
        gradients = kernel_basis._backward(torch.ones_like(mixed), u, mix, kernels, offsets, size)
        assert not questions.counts
        assert {each.device.type for each in (mixed, *gradients)} == {placed.DEVICE}
        assert [each.shape for each in gradients] == [each.shape for each in (u, mix, kernels, offsets)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_statistics_of_transposed_attention_and_their_gradients_are_computed_there(dtype: torch.dtype) -> None:
    with placed.device() as questions:
        q, k = on_device(2, 12, 9, 11, dtype=dtype), on_device(2, 12, 9, 11, dtype=dtype)
        questions.counts.clear()
        statistics = channel_products._forward(q, k, 3)
        gradients = channel_products._backward(*map(torch.ones_like, statistics), q, k, 3)
        assert not questions.counts
        assert {each.device.type for each in (*statistics, *gradients)} == {placed.DEVICE}
        assert [each.shape for each in gradients] == [q.shape, k.shape]


@pytest.mark.parametrize("biased", [False, True])
def test_the_gated_convolution_and_its_gradients_are_computed_there(biased: bool) -> None:
    with placed.device() as questions:
        x, weight, bias = on_device(2, 8, 9, 11), on_device(8, 1, 3, 3), on_device(8) if biased else None
        questions.counts.clear()
        gated = gated_depthwise._forward(x, weight, bias)
        gradients = gated_depthwise._backward(torch.ones_like(gated), x, weight, bias)
        assert not questions.counts
        assert {each.device.type for each in (gated, *gradients)} == {placed.DEVICE}
        assert [each.shape for each in gradients] == [x.shape, weight.shape, (8 if biased else 0,)]


def test_the_wide_depthwise_convolution_has_its_gradients_there() -> None:
    with placed.device() as questions:
        x, weight = on_device(2, 6, 16, 12), on_device(6, 1, 7, 7)
        questions.counts.clear()
        context: Any = SimpleNamespace(saved_tensors=(x, weight), needs_input_grad=(True, True))
        backward = depthwise.WideDepthwise.backward.__wrapped__  # type: ignore[attr-defined]
        gradients = backward(context, torch.ones_like(x))
        assert [each.shape for each in gradients] == [x.shape, weight.shape]
        assert {each.device.type for each in gradients} == {placed.DEVICE}
        assert not questions.counts


def test_gradients_of_zero_are_made_there() -> None:
    with placed.device() as questions:
        x, parameters = on_device(2, 3), [nn.Parameter(on_device(4)), nn.Parameter(on_device(2, 2))]
        questions.counts.clear()
        context: Any = SimpleNamespace()
        zero_gradient._ZeroGradient.forward(context, x, *parameters)
        gradients = zero_gradient._ZeroGradient.backward(context, torch.ones_like(x))
        assert {each.device.type for each in gradients} == {placed.DEVICE}
        assert not questions.counts


def test_constants_are_written_there_rather_than_copied() -> None:
    with placed.device() as questions:
        like = on_device(1)
        questions.counts.clear()
        assert vector((1, 2, 3), like=like, dtype=torch.int64).device.type == placed.DEVICE
        assert not questions.counts
    assert vector((1, 2.5), like=torch.zeros(1)).tolist() == [1.0, 2.5]
