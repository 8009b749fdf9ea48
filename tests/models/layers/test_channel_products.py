"""The statistics of transposed attention as an operator, and the attention that a GPU makes of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from restorebench.models.layers.channel_products import channel_products
from restorebench.models.layers.restormer import MDTA, channel_attention, mixed_and_projected, transposed_attention

from ..networks.comparison import relative_error
from .examples import noise, randomised


def maps(*shape: int, dtype: torch.dtype = torch.float64, channels_last: bool = True) -> list[Tensor]:
    """q, k and v as a network has them: thirds of the channels of one map."""
    batch, channels, height, width = shape
    qkv = noise(batch, 3 * channels, height, width).to(dtype)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return [t.detach().requires_grad_() for t in qkv.contiguous(memory_format=layout).chunk(3, dim=1)]


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(("channels", "heads"), [(6, 1), (6, 2), (5, 5)])
def test_products_and_squares_are_sums_over_all_pixels(channels: int, heads: int, channels_last: bool) -> None:
    q, k, _ = maps(2, channels, 3, 4, channels_last=channels_last)
    products, q_squares, k_squares = channel_products(q, k, heads)
    by_head = (2, heads, channels // heads, 12)
    queries, keys = q.reshape(by_head), k.reshape(by_head)
    torch.testing.assert_close(products, torch.einsum("bhip,bhjp->bhij", queries, keys))
    torch.testing.assert_close((q_squares, k_squares), (queries.square().sum(3), keys.square().sum(3)))


@pytest.mark.parametrize("channels_last", [True, False])
def test_gradients_are_those_of_finite_differences(channels_last: bool) -> None:
    q, k, _ = maps(2, 4, 3, 2, channels_last=channels_last)
    assert torch.autograd.gradcheck(lambda q, k: channel_products(q, k, 2), (q, k))


@pytest.mark.slow
@pytest.mark.parametrize("channels_last", [True, False])
def test_operator_keeps_the_rules_of_torch(channels_last: bool) -> None:
    q, k, _ = maps(2, 4, 3, 5, dtype=torch.float32, channels_last=channels_last)
    torch.library.opcheck(torch.ops.restorebench.channel_products.default, (q, k, 2))


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("heads", [1, 3])
def test_attention_of_a_gpu_equals_the_plain_one_with_all_gradients(heads: int, channels_last: bool) -> None:
    """The way that CUDA tensors take, here with the operators' plain forms, in float64."""
    q, k, v = maps(2, 6, 5, 3, channels_last=channels_last)
    temperature = noise(heads, 1, 1, seed=2).double().requires_grad_()
    project_out = randomised(nn.Conv2d(6, 4, 1)).double()
    weights = (q, k, v, temperature, *project_out.parameters())
    expected = project_out(transposed_attention(q, k, v, temperature))
    actual = mixed_and_projected(v, channel_attention(q, k, temperature), project_out)  # type: ignore[arg-type]
    torch.testing.assert_close(actual, expected)
    cotangent = noise(*expected.shape, seed=3).double()
    gradients = [torch.autograd.grad(out, weights, cotangent) for out in (actual, expected)]
    torch.testing.assert_close(gradients[0], gradients[1])
    assert actual.is_contiguous(memory_format=torch.channels_last)


def test_a_channel_of_zeros_has_finite_attention_and_gradients() -> None:
    q, k, v = maps(1, 4, 3, 3, dtype=torch.float32)
    with torch.no_grad():
        q[:, 1], k[:, 2] = 0, 0
    temperature = torch.ones(1, 1, 1)
    plain, expected = transposed_attention(q, k, v, temperature), channel_attention(q, k, temperature)
    assert expected.isfinite().all()
    torch.testing.assert_close(mixed_and_projected(v, expected, _identity(4)), plain, rtol=1e-5, atol=1e-6)
    for gradient in torch.autograd.grad(expected.square().sum(), (q, k)):
        assert gradient.isfinite().all()


def _identity(channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, channels, 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.eye(channels)[..., None, None])
    return conv


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_has_sums_of_float32(half: torch.dtype) -> None:
    q, k, _ = maps(1, 8, 20, 20, dtype=half)
    actual, expected = channel_products(q, k, 2), channel_products(q.double(), k.double(), 2)
    for sums, wanted in zip(actual, expected, strict=True):
        assert sums.dtype == torch.float32
        assert relative_error(sums, wanted) < 1e-6
    gradients = torch.autograd.grad(sum(t.square().sum() for t in actual), (q, k))
    wanted_gradients = torch.autograd.grad(sum(t.square().sum() for t in expected), (q, k))
    for gradient, wanted in zip(gradients, wanted_gradients, strict=True):
        assert gradient.dtype == half
        assert relative_error(gradient, wanted) < 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [True, False])
def test_on_a_gpu_the_module_uses_the_operator_and_returns_what_it_returns_elsewhere(
    channels_last: bool, dtype: torch.dtype
) -> None:
    """Tensors without storage on a GPU that is not there."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    module = MDTA(8, 2).to(dtype)
    with FakeTensorMode(), torch.device("cuda"):
        x = torch.empty(2, 8, 6, 4, dtype=dtype).contiguous(memory_format=layout)
        weights = {name: torch.empty(p.shape, dtype=dtype) for name, p in module.named_parameters()}
        with FlopCounterMode(display=False) as counter:
            out = torch.func.functional_call(module, weights, x)
    assert (out.shape, out.device.type) == (x.shape, "cuda")
    assert out.dtype == dtype
    counted = counter.get_flop_counts()["Global"]
    assert counted[torch.ops.restorebench.channel_products] == 2 * 2 * 24 * 8 * 4


def test_the_backward_operator_says_the_shapes_that_it_returns() -> None:
    q, k, _ = (t.detach() for t in maps(2, 4, 3, 5, dtype=torch.float32))
    gradients = [torch.ones_like(t) for t in channel_products(q, k, 2)]
    backward = torch.ops.restorebench.channel_products_backward
    real = backward(*gradients, q, k, 2)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fakes = backward(*(mode.from_tensor(t) for t in (*gradients, q, k)), 2)
    assert [(t.shape, t.stride(), t.dtype) for t in real] == [(t.shape, t.stride(), t.dtype) for t in fakes]
