"""The Restormer pieces against their formulas, and the strips of the CPU path against the whole maps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from restorebench.models.layers import restormer as blocks
from restorebench.models.layers import row_strips as strips
from restorebench.models.layers.layer_norm import ChannelLayerNorm, LayerNorm2d
from restorebench.models.layers.restormer import (
    GDFN,
    MDTA,
    CrossAttention,
    Downsample,
    OverlapPatchEmbed,
    TransformerBlock,
    Upsample,
    add_attention,
    add_feed_forward_,
    gelu,
    transposed_attention,
)

from .examples import keys, largest_error, noise, randomised


@pytest.fixture
def tiny_strips(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the size of a strip in bytes; 1 gives strips of one row."""
    return lambda size: monkeypatch.setattr(strips, "STRIP_BYTES", size)


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
    actual = transposed_attention(*inputs, temperature)
    expected = plain_attention(*inputs, temperature)
    assert largest_error(actual, expected) < 1e-12
    gradients = [torch.autograd.grad((out * cotangent).sum(), [*inputs, temperature]) for out in (actual, expected)]
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


def test_cross_attention_takes_queries_from_one_map_and_keys_and_values_from_the_other() -> None:
    attention, x, context = randomised(CrossAttention(8, 2, bias=True)), noise(2, 8, 6, 7), noise(2, 8, 6, 7, seed=2)
    q = attention.q_dwconv(attention.q(x))
    k, v = attention.kv_dwconv(attention.kv(context)).chunk(2, dim=1)
    expected = attention.project_out(plain_attention(q, k, v, attention.temperature))
    assert largest_error(attention(x, context), expected) < 1e-5


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
    assert keys(CrossAttention(8, 2)) == {
        "temperature": (2, 1, 1),
        "q.weight": (8, 8, 1, 1),
        "q_dwconv.weight": (8, 1, 3, 3),
        "kv.weight": (16, 8, 1, 1),
        "kv_dwconv.weight": (16, 1, 3, 3),
        "project_out.weight": (8, 8, 1, 1),
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
        actual = block(x)
        from_channels_last = block(x.contiguous(memory_format=torch.channels_last))
    assert largest_error(actual, expected) < 2e-5
    assert torch.equal(actual, from_channels_last)
    assert torch.equal(x, before)


def test_block_takes_the_norm_that_it_is_given() -> None:
    block = randomised(TransformerBlock(8, 2, 2.0, norm=ChannelLayerNorm))
    x = noise(1, 8, 6, 5)
    assert {"norm1.weight", "norm2.bias"} <= keys(block).keys()
    attended = x + block.attn(block.norm1(x))
    assert largest_error(block(x), attended + block.ffn(block.norm2(attended))) < 1e-5


@pytest.mark.parametrize("project", [False, True])
def test_attention_is_added_in_strips_as_on_whole_maps(project: bool, tiny_strips: Callable[[int], None]) -> None:
    norm, attention = randomised(ChannelLayerNorm(8)), randomised(MDTA(8, 2, project=project))
    x = noise(2, 8, 12, 9)
    expected = x + attention(norm(x))
    tiny_strips(1000)
    with torch.no_grad():
        assert largest_error(add_attention(x, norm, attention), expected) < 2e-5


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
