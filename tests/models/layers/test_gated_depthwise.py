"""The gate of the feed-forward as an operator against the same written with modules."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from restorebench.models.layers.gated_depthwise import gated_depthwise
from restorebench.models.layers.restormer import GDFN

from ..networks.comparison import relative_error
from .examples import noise, randomised


def convolution(hidden: int, *, bias: bool) -> nn.Conv2d:
    conv = randomised(nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias))
    assert isinstance(conv, nn.Conv2d)
    return conv


def by_modules(x: Tensor, conv: nn.Conv2d) -> Tensor:
    gate, value = conv(x).chunk(2, dim=1)
    return F.gelu(gate) * value


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(2, 6, 5, 4), (1, 2, 1, 1), (3, 10, 1, 7)])
def test_equals_the_modules_with_all_gradients(
    shape: tuple[int, int, int, int], bias: bool, layout: torch.memory_format
) -> None:
    """In float64, so that only a difference in the mathematics can show."""
    conv = convolution(shape[1] // 2, bias=bias).double()
    x = noise(*shape).double().contiguous(memory_format=layout).requires_grad_()
    actual, expected = gated_depthwise(x, conv), by_modules(x, conv)
    torch.testing.assert_close(actual, expected)
    assert actual.is_contiguous(memory_format=torch.channels_last)
    cotangent = noise(*expected.shape, seed=2).double()
    gradients = [torch.autograd.grad(out, (x, *conv.parameters()), cotangent) for out in (actual, expected)]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.slow
@pytest.mark.parametrize("bias", [False, True])
def test_operator_keeps_the_rules_of_torch(bias: bool) -> None:
    conv, x = convolution(3, bias=bias), noise(2, 6, 4, 5).requires_grad_()
    torch.library.opcheck(torch.ops.restorebench.gated_depthwise.default, (x, conv.weight, conv.bias))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_work_in_both_directions(half: torch.dtype) -> None:
    conv, x = convolution(8, bias=True), noise(2, 16, 6, 7)
    expected = by_modules(x, conv)
    wanted = torch.autograd.grad(expected.square().sum(), tuple(conv.parameters()))
    with torch.autocast("cpu", dtype=half):
        actual = gated_depthwise(x.to(half), conv)
        gradients = torch.autograd.grad(actual.float().square().sum(), tuple(conv.parameters()))
    assert actual.dtype == half
    assert relative_error(actual, expected) < 1e-2
    for gradient, exact in zip(gradients, wanted, strict=True):
        assert gradient.dtype == torch.float32
        assert relative_error(gradient, exact) < 2e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_the_module_uses_the_operator_and_returns_what_it_returns_elsewhere(dtype: torch.dtype) -> None:
    """Tensors without storage on a GPU that is not there."""
    module = GDFN(8, 2.0).to(dtype)
    with FakeTensorMode(), torch.device("cuda"):
        x = torch.empty(2, 8, 6, 4, dtype=dtype)
        weights = {name: torch.empty(p.shape, dtype=dtype) for name, p in module.named_parameters()}
        with FlopCounterMode(display=False) as counter:
            out = torch.func.functional_call(module, weights, x)
    assert (out.shape, out.device.type) == (x.shape, "cuda")
    assert out.dtype == dtype
    assert counter.get_flop_counts()["Global"][torch.ops.restorebench.gated_depthwise] == 2 * 9 * 2 * 24 * 32


@pytest.mark.parametrize("bias", [False, True])
def test_the_backward_operator_says_the_shapes_that_it_returns(bias: bool) -> None:
    conv, x = convolution(3, bias=bias).requires_grad_(False), noise(2, 6, 4, 5)
    given = (torch.ones(2, 3, 4, 5), x, conv.weight, conv.bias)
    backward = torch.ops.restorebench.gated_depthwise_backward
    real = backward(*given)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fakes = backward(*(None if t is None else mode.from_tensor(t) for t in given))
    assert [(t.shape, t.stride(), t.dtype) for t in real] == [(t.shape, t.stride(), t.dtype) for t in fakes]
