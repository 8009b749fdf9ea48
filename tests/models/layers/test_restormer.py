"""The Restormer pieces against their formulas, and the strips of the CPU path against the whole maps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorebench.models.layers import restormer as blocks
from restorebench.models.layers import row_strips as strips
from restorebench.models.layers.restormer import (
    GDFN,
    MDTA,
    ChannelLayerNorm,
    Downsample,
    LayerNorm2d,
    OverlapPatchEmbed,
    TransformerBlock,
    Upsample,
    add_feed_forward_,
    gelu,
    pixels,
    planes,
    transposed_attention,
)


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter away from its initial value, so that no scale, bias or temperature can be forgotten."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def largest_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max())


def keys(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


@pytest.fixture
def tiny_strips(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the size of a strip in bytes; 1 gives strips of one row."""
    return lambda size: monkeypatch.setattr(strips, "STRIP_BYTES", size)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("eps", [1e-6, 1e-2])
def test_layer_norm_is_mean_and_variance_over_channels(channels_last: bool, eps: float) -> None:
    norm = randomised(ChannelLayerNorm(6, eps))
    x = noise(2, 6, 5, 4)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    centred = x - x.mean(1, keepdim=True)
    normalised = centred / torch.sqrt(centred.square().mean(1, keepdim=True) + eps)
    expected = normalised * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)
    found = norm(x)
    assert largest_error(found, expected) < 1e-5
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_layer_norms_have_the_keys_and_eps_of_their_networks() -> None:
    assert keys(ChannelLayerNorm(3)) == {"weight": (3,), "bias": (3,)}
    assert keys(LayerNorm2d(3)) == {"body.weight": (3,), "body.bias": (3,)}
    assert (ChannelLayerNorm(3).eps, LayerNorm2d(3).body.eps) == (1e-6, 1e-5)


def test_pixels_and_planes_undo_each_other() -> None:
    x = noise(2, 3, 4, 5)
    assert torch.equal(pixels(x)[1, 7], x[1, :, 1, 2])
    assert torch.equal(planes(pixels(x), 4, 5), x)


@pytest.mark.parametrize("channels_last", [False, True])
def test_gelu_is_the_exact_one(channels_last: bool) -> None:
    x = 3 * noise(1, 34, 6, 5)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    half = x[:, :17]
    expected = half.double() * (1 + torch.erf(half.double() / 2**0.5)) / 2
    assert largest_error(gelu(half), expected.float()) < 2e-6


def plain_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    heads = temperature.shape[0]
    flat = [t.reshape(t.shape[0], heads, t.shape[1] // heads, -1) for t in (q, k, v)]
    q_unit, k_unit = F.normalize(flat[0], dim=-1), F.normalize(flat[1], dim=-1)
    weights = (q_unit @ k_unit.transpose(-1, -2) * temperature).softmax(-1)
    return (weights @ flat[2]).reshape(v.shape)


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_transposed_attention_equals_the_written_out_one_with_its_gradients(heads: int, batch: int) -> None:
    inputs = [noise(batch, 6, 5, 7, seed=i).double().requires_grad_() for i in range(3)]
    temperature = (1 + noise(heads, 1, 1).double()).requires_grad_()
    cotangent = noise(batch, 6, 5, 7, seed=9).double()
    found = transposed_attention(*inputs, temperature)
    expected = plain_attention(*inputs, temperature)
    assert largest_error(found, expected) < 1e-12
    gradients = [torch.autograd.grad((out * cotangent).sum(), [*inputs, temperature]) for out in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        assert largest_error(one, other) < 1e-12


def test_transposed_attention_of_an_empty_channel_is_finite_and_even() -> None:
    q, k, v = (noise(1, 4, 3, 3, seed=i) for i in range(3))
    q[:, 1] = 0
    out = transposed_attention(q, k, v, torch.ones(1, 1, 1))
    assert largest_error(out[:, 1], v.mean(1)) < 1e-6


def test_mdta_and_gdfn_follow_the_written_formulas() -> None:
    mdta, gdfn, x = randomised(MDTA(8, 2, bias=True)), randomised(GDFN(8, 2.66, bias=True)), noise(2, 8, 6, 7)
    q, k, v = mdta.qkv_dwconv(mdta.qkv(x)).chunk(3, dim=1)
    assert largest_error(mdta(x), mdta.project_out(plain_attention(q, k, v, mdta.temperature))) < 1e-5
    gate, value = gdfn.dwconv(gdfn.project_in(x)).chunk(2, dim=1)
    assert gate.shape[1] == 21
    assert largest_error(gdfn(x), gdfn.project_out(F.gelu(gate) * value)) < 1e-5


def test_mdta_without_projection_ends_with_the_attention() -> None:
    mdta = randomised(MDTA(8, 2, project=False))
    x = noise(1, 8, 5, 5)
    q, k, v = mdta.qkv_dwconv(mdta.qkv(x)).chunk(3, dim=1)
    assert "project_out.weight" not in mdta.state_dict()
    assert largest_error(mdta(x), plain_attention(q, k, v, mdta.temperature)) < 1e-5


def test_keys_are_the_published_ones() -> None:
    assert keys(TransformerBlock(8, 2, 2.66)) == {
        "norm1.body.weight": (8,),
        "norm1.body.bias": (8,),
        "attn.temperature": (2, 1, 1),
        "attn.qkv.weight": (24, 8, 1, 1),
        "attn.qkv_dwconv.weight": (24, 1, 3, 3),
        "attn.project_out.weight": (8, 8, 1, 1),
        "norm2.body.weight": (8,),
        "norm2.body.bias": (8,),
        "ffn.project_in.weight": (42, 8, 1, 1),
        "ffn.dwconv.weight": (42, 1, 3, 3),
        "ffn.project_out.weight": (8, 21, 1, 1),
    }
    assert keys(Downsample(8)) == {"body.0.weight": (4, 8, 3, 3)}
    assert keys(Upsample(8)) == {"body.0.weight": (16, 8, 3, 3)}
    assert keys(OverlapPatchEmbed(3, 8)) == {"proj.weight": (8, 3, 3, 3)}


def test_resampling_changes_width_and_size_by_two() -> None:
    x = noise(2, 8, 6, 4)
    assert Downsample(8)(x).shape == (2, 16, 3, 2)
    assert Upsample(8)(x).shape == (2, 4, 12, 8)


@pytest.mark.parametrize("strip_bytes", [1, 3000, 20000])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 9, 7), (2, 8, 16, 5), (1, 8, 1, 40), (1, 8, 40, 1), (1, 8, 2, 30)])
def test_block_in_strips_equals_the_block_on_whole_maps(
    strip_bytes: int, bias: bool, shape: tuple[int, ...], tiny_strips: Callable[[int], None]
) -> None:
    block = randomised(TransformerBlock(8, 2, 2.66, bias=bias))
    x = noise(*shape)
    before = x.clone()
    expected = block(x)  # with gradients: whole maps
    tiny_strips(strip_bytes)
    with torch.no_grad():
        found = block(x)
        from_channels_last = block(x.contiguous(memory_format=torch.channels_last))
    assert largest_error(found, expected) < 2e-5
    assert torch.equal(found, from_channels_last)
    assert torch.equal(x, before)


def test_an_image_in_a_batch_gets_the_bits_that_it_gets_alone(tiny_strips: Callable[[int], None]) -> None:
    tiny_strips(3000)
    block = randomised(TransformerBlock(8, 2, 2.66))
    x = noise(3, 8, 16, 12)
    with torch.no_grad():
        together = block(x)
        alone = torch.cat([block(image[None]) for image in x])
    assert torch.equal(together, alone)


def test_feed_forward_may_overwrite_its_input_in_inference_only(tiny_strips: Callable[[int], None]) -> None:
    tiny_strips(1)
    norm, ffn = randomised(LayerNorm2d(8)), randomised(GDFN(8, 2))
    x = noise(1, 8, 6, 6).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    with_gradient = add_feed_forward_(x, norm, ffn)
    assert with_gradient.requires_grad
    assert torch.equal(x, before)
    with torch.inference_mode():
        assert largest_error(add_feed_forward_(x, norm, ffn), with_gradient) < 1e-5


@pytest.mark.parametrize("case", ["gradients", "autocast", "double", "meta", "small"])
def test_strips_are_left_out_where_they_do_not_apply(case: str) -> None:
    x = torch.empty(1, 8, 256, 256, device="meta" if case == "meta" else "cpu")
    if case == "double":
        x = x.double()
    hidden = 8 if case == "small" else 64
    with torch.set_grad_enabled(case == "gradients"), torch.autocast("cpu", torch.bfloat16, case == "autocast"):
        assert not strips.strips_pay(x, hidden)
    with torch.no_grad():
        assert strips.strips_pay(torch.empty(1, 8, 256, 256), 64)


def test_normalisation_floor_is_that_of_torch() -> None:
    tiny = torch.full((1, 1, 1, 4), 1e-13)
    expected = F.normalize(tiny.flatten(), dim=0)
    length = torch.linalg.vector_norm(tiny).clamp_min(blocks.NORMALIZE_EPS)
    assert largest_error(tiny.flatten() / length, expected) < 1e-7
