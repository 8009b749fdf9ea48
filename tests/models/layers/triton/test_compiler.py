"""What torch's compiler fuses by itself on a GPU, and therefore is not written here, and what it leaves apart."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("triton")

from restorebench.models.layers import restormer
from restorebench.models.layers.layout import channels_last, feature_map
from restorebench.models.layers.restormer import channel_attention, mixed_and_projected

from .compiler import compiled

pytestmark = pytest.mark.nightly
MAP = (1, 48, 256, 256)
FLOAT32, HALF = torch.float32, torch.bfloat16
CHANNEL = ((48,), FLOAT32)


def norm_of_sum(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The residual sum, its layer norm, and the cast that the convolution behind it wants."""
    total = x + y
    return total, feature_map(F.layer_norm(channels_last(total), (48,), weight, bias, 1e-6)).to(HALF)


def norm_backward(
    of_sum: Tensor, of_norm: Tensor, total: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    pixels = channels_last(total)
    _, mean, deviation = torch.native_layer_norm(pixels, [48], weight, bias, 1e-6)
    of_pixels, of_weight, of_bias = torch.ops.aten.native_layer_norm_backward(
        channels_last(of_norm).float(), pixels, [48], mean, deviation, weight, bias, [True, True, True]
    )
    return feature_map(of_pixels) + of_sum, of_weight, of_bias


def plain_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """`restormer.transposed_attention` as it is on a CPU, of one head."""
    queries, keys, values = (channels_last(t).flatten(1, 2) for t in (q, k, v))
    lengths = [torch.linalg.vector_norm(t, dim=1).clamp_min(restormer.NORMALIZE_EPS) for t in (queries, keys)]
    cosine = (queries.transpose(1, 2) @ keys) / (lengths[0].unsqueeze(2) * lengths[1].unsqueeze(1))
    return values @ torch.softmax(cosine * temperature, dim=-1).transpose(1, 2)


def test_a_layer_norm_with_the_sum_before_and_the_cast_behind_it_is_one_kernel() -> None:
    program = compiled(norm_of_sum, (MAP, FLOAT32), (MAP, FLOAT32), CHANNEL, CHANNEL)
    assert (len(program.kernels), program.others) == (1, [])


def test_its_backward_pass_is_one_kernel_and_the_sums_over_pixels() -> None:
    """Sums for weight and bias are made in two steps each."""
    program = compiled(norm_backward, (MAP, FLOAT32), (MAP, HALF), (MAP, FLOAT32), CHANNEL, CHANNEL)
    assert program.others == []
    assert [name.startswith("triton_red") for name in program.kernels].count(False) == 1
    assert len(program.kernels) <= 5


def test_lengths_and_products_of_transposed_attention_are_left_apart() -> None:
    """Reductions of its own for the lengths, and products of a library: queries and keys are read twice."""
    program = compiled(plain_attention, *[(MAP, FLOAT32)] * 3, ((1, 1, 1), FLOAT32))
    assert program.others == ["bmm", "bmm"]
    assert sum(name.startswith("triton_red") for name in program.kernels) >= 2


def test_the_operator_leaves_one_product_of_the_map() -> None:
    """The statistics, the product of the small matrices, and that with the values."""
    conv = torch.nn.Conv2d(48, 48, 1, bias=False)

    def attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor, weight: Tensor) -> Tensor:
        conv.weight = torch.nn.Parameter(weight, requires_grad=False)
        return mixed_and_projected(v, channel_attention(q, k, temperature), conv)

    program = compiled(attention, *[(MAP, FLOAT32)] * 3, ((1, 1, 1), FLOAT32), ((48, 48, 1, 1), FLOAT32))
    assert program.others == ["restorebench.channel_products", "bmm", "bmm"]
    assert not any(name.startswith("triton_red") for name in program.kernels)


def test_gelu_and_gate_are_one_kernel_but_the_convolution_is_left_to_a_library() -> None:
    def gate(hidden: Tensor, weight: Tensor) -> Tensor:
        value, other = F.conv2d(hidden, weight, padding=1, groups=256).chunk(2, dim=1)
        return F.gelu(value) * other

    program = compiled(gate, ((1, 256, 256, 256), FLOAT32), ((256, 1, 3, 3), FLOAT32))
    assert (len(program.kernels), program.others) == (1, ["convolution"])
