"""Multiply-adds against counts by hand."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.profiling.formulas import FORMULAS, register_mac_formula
from restorebench.benchmarks.profiling.macs import count_macs
from restorebench.benchmarks.store.parts import ComplexityRecord
from restorebench.models import build_network, get_card


class Forward(nn.Module):
    """A network from a function of the image and one layer."""

    def __init__(self, layer: nn.Module | None, function: Any) -> None:
        super().__init__()
        self.layer = layer
        self.function = function

    def forward(self, image: Tensor) -> Any:
        return self.function(image) if self.layer is None else self.function(self.layer, image)


def tokens(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C)."""
    return image.flatten(2).transpose(1, 2)


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), 16 * 24 * 8 * 3 * 9),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), 8 * 12 * 8 * 3 * 9),
        (nn.Conv2d(3, 8, 3, dilation=2), 12 * 20 * 8 * 3 * 9),
        (nn.Conv2d(3, 12, 5, padding=2, groups=3), 16 * 24 * 12 * 25),
        (nn.ConvTranspose2d(3, 8, 2, stride=2), 16 * 24 * 3 * 8 * 4),
        (nn.ConvTranspose2d(3, 6, 3, stride=2, groups=3, output_padding=1), 16 * 24 * 3 * 2 * 9),
    ],
)
def test_convolutions(layer: nn.Module, macs: int) -> None:
    complexity = count_macs(layer, (16, 24))
    assert complexity.macs_by_kind == {"convolution": macs, "matmul": 0, "attention": 0, "fft": 0}
    assert complexity.macs == macs
    assert complexity.parameters == sum(p.numel() for p in layer.parameters())


def test_linear_layers_and_matrix_products() -> None:
    def function(layer: nn.Module, image: Tensor) -> Tensor:
        x = layer(tokens(image))  # (1, 384, 10)
        y = torch.einsum("bnc,bmc->bnm", x, x)
        return (y @ x)[0, 0] @ torch.ones(10, 7) + torch.baddbmm(torch.ones(1, 5, 7), x[:, :5], torch.ones(1, 10, 7))

    for bias in (True, False):
        complexity = count_macs(Forward(nn.Linear(3, 10, bias=bias), function), (16, 24))
        products = 384 * 3 * 10 + 384 * 384 * 10 + 384 * 384 * 10 + 10 * 7 + 5 * 10 * 7
        assert complexity.macs_by_kind == {"convolution": 0, "matmul": products, "attention": 0, "fft": 0}


def test_products_in_place_or_into_a_given_tensor() -> None:
    def function(image: Tensor) -> Tensor:
        x = tokens(image)[0]  # (64, 3)
        total = torch.mm(x, torch.ones(3, 5), out=torch.empty(64, 5))
        total.addmm_(x, torch.ones(3, 5))
        total[:, 0].addmv_(x, torch.ones(3))
        return total[None].baddbmm_(x[None], torch.ones(1, 3, 5))

    assert count_macs(Forward(None, function), (8, 8)).macs == 3 * 64 * 3 * 5 + 64 * 3


def test_products_without_a_formula_are_named() -> None:
    bilinear = Forward(nn.Bilinear(3, 3, 2), lambda layer, image: layer(tokens(image), tokens(image)))
    assert count_macs(bilinear, (8, 8)).uncounted == ("aten::_trilinear",)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_fused_or_not(masked: bool) -> None:
    """Lq = 384, Lk = 96, two heads of 5 numbers, values of 5 numbers."""

    def function(layer: nn.Module, image: Tensor) -> Tensor:
        q = layer(image).flatten(2).unflatten(1, (2, 5)).transpose(-1, -2)
        k = layer(image[..., ::2, ::2]).flatten(2).unflatten(1, (2, 5)).transpose(-1, -2)
        mask = torch.zeros(384, 96, requires_grad=True, device=image.device) if masked else None
        return F.scaled_dot_product_attention(q, k, k, attn_mask=mask)

    complexity = count_macs(Forward(nn.Conv2d(3, 10, 1), function), (16, 24))
    assert not complexity.executed
    assert complexity.macs_by_kind["attention"] == 2 * 384 * 96 * (5 + 5)
    assert complexity.macs_by_kind["matmul"] == 0
    assert complexity.macs_by_kind["convolution"] == (384 + 96) * 3 * 10


def test_attention_written_out_or_with_wider_values_costs_the_same() -> None:
    def fused(image: Tensor) -> Tensor:
        x = tokens(image)[:, None]
        return F.scaled_dot_product_attention(x, x, torch.cat([x, x], -1))

    def written(image: Tensor) -> Tensor:
        x = tokens(image)[:, None]
        return (x @ x.transpose(-1, -2)).softmax(-1) @ torch.cat([x, x], -1)

    by_kind = [count_macs(Forward(None, function), (8, 8)).macs_by_kind for function in (fused, written)]
    assert by_kind[0]["attention"] == by_kind[1]["matmul"] == 64 * 64 * (3 + 6)


def test_fourier_transforms() -> None:
    """2.5 N log2 N per complex transform of N points, half of that per real one; three channels of 16x32 points."""
    n = 16 * 32
    real, complex_ = round(3 * 1.25 * n * 9), round(3 * 2.5 * n * 9)
    complexity = count_macs(Forward(None, torch.fft.rfft2), (16, 32))
    assert (complexity.macs, complexity.macs_by_kind["fft"]) == (0, real)  # beside the total, not in it
    assert "without Fourier transforms (kept beside them" in complexity.statement
    both = Forward(None, lambda image: torch.fft.irfft2(torch.fft.rfft2(image), s=image.shape[-2:]))
    assert count_macs(both, (16, 32)).macs_by_kind["fft"] == 2 * real
    inverse = Forward(None, lambda image: torch.fft.ifft2(image.to(torch.complex64)))
    assert count_macs(inverse, (16, 32)).macs_by_kind["fft"] == complex_
    line = count_macs(Forward(None, lambda image: torch.fft.rfft(image, dim=-2)), (12, 32))
    assert line.macs_by_kind["fft"] == round(3 * 1.25 * 12 * 32 * math.log2(12))


class Doubled(torch.autograd.Function):
    """A custom function with a matrix product inside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return x @ weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient @ ctx.saved_tensors[0].T, None


def test_custom_autograd_functions_are_counted() -> None:
    network = Forward(None, lambda image: Doubled.apply(tokens(image), torch.ones(3, 4)))
    assert count_macs(network, (8, 8)).macs == 64 * 3 * 4


@torch.library.custom_op("restorebench_test::mix", mutates_args=())
def mix(image: Tensor, factor: float = 1.0) -> Tensor:
    """An operator whose inside is not dispatched."""
    return image @ image.transpose(-1, -2) * factor


@mix.register_fake
def _(image: Tensor, factor: float = 1.0) -> Tensor:
    return image.new_empty(*image.shape[:-1], image.shape[-2])


@pytest.fixture
def formulas_as_before() -> Iterator[None]:
    before = dict(FORMULAS)
    yield
    FORMULAS.clear()
    FORMULAS.update(before)


@pytest.mark.usefixtures("formulas_as_before")
def test_custom_operators_are_named_until_they_have_a_formula() -> None:
    network = Forward(nn.Conv2d(3, 3, 1), lambda layer, image: mix(layer(image)))
    before = count_macs(network, (8, 16))
    assert before.macs == 128 * 9
    assert before.uncounted == ("restorebench_test::mix",)
    assert before.statement.endswith("a lower bound, without restorebench_test::mix")

    def formula(args: Any, result: Tensor) -> int:
        return int(result.numel() * args[0].shape[-1])

    register_mac_formula(torch.ops.restorebench_test.mix, formula, kind="convolution")
    after = count_macs(network, (8, 16))
    assert after.macs_by_kind["convolution"] == 128 * 9 + 3 * 8 * 8 * 16
    assert after.uncounted == ()
    with pytest.raises(UserError, match="restorebench_test::mix has a formula"):
        register_mac_formula("restorebench_test::mix", formula)


def test_formulas_in_torchs_own_registry_are_used() -> None:
    """So a network's file can state its operator's cost without importing anything of the benchmarks."""
    from torch.utils.flop_counter import flop_registry, register_flop_formula

    network = Forward(None, mix)
    register_flop_formula(torch.ops.restorebench_test.mix)(lambda shape, *args, **kwargs: 2 * math.prod(shape))
    try:
        complexity = count_macs(network, (8, 16))
    finally:
        del flop_registry[torch.ops.restorebench_test.mix]
    assert complexity.macs_by_kind["matmul"] == 3 * 8 * 16
    assert complexity.uncounted == ()


def test_recurrent_layers_without_a_formula_are_named() -> None:
    complexity = count_macs(Forward(nn.LSTM(3, 4, batch_first=True), lambda layer, image: layer(tokens(image))), (4, 4))
    assert complexity.macs > 0 or complexity.uncounted


def test_encoder_layers_of_torch_are_not_swallowed_by_their_fast_path() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, dim_feedforward=8, batch_first=True)
    network = Forward(layer, lambda layer, image: layer(F.pad(tokens(image), (0, 1))))
    complexity = count_macs(network, (4, 4))
    n = 16
    assert complexity.macs == n * 4 * 12 + 2 * n * n * 4 + n * 4 * 4 + 2 * n * 4 * 8
    assert complexity.uncounted == ()


class Branching(nn.Module):
    """Branches on values, in the constructor too."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(self.layer(image)) if (image >= 0).all() else image


def test_networks_that_branch_on_values_are_run() -> None:
    for network in (Branching, Branching()):
        complexity = count_macs(network, (8, 8))
        assert complexity.macs == 2 * 64 * 9
        assert complexity.executed
    with pytest.raises(UserError, match="on the CPU"):
        count_macs(Branching().to("meta"), (8, 8))


def test_weights_made_in_inference_mode_are_counted_in_a_real_pass_too() -> None:
    def function(layer: nn.Module, image: Tensor) -> Tensor:
        merged = layer.weight @ layer.weight
        return tokens(image) @ merged if (image >= 0).all() else image

    with torch.inference_mode():
        network = Forward(nn.Linear(3, 3), function)
    complexity = count_macs(network, (8, 8))
    assert complexity.executed
    assert complexity.macs == 27 + 64 * 9


class Caching(nn.Module):
    """Keeps a tensor of its last input, holds an unregistered tensor, and what cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.scale = torch.full((3, 1, 1), 2.0)
        self.table: dict[str, Tensor] = {}
        self.uncopyable = (number for number in range(3))
        self.last: Tensor | None = None

    def forward(self, image: Tensor) -> Tensor:
        if self.training:
            raise ValueError("only the evaluation pass is counted")
        self.last = self.norm(self.layer(image)) * self.scale
        self.table["last"] = self.last
        return self.last


def test_the_network_is_left_as_it_was() -> None:
    network = Caching().train()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    parameters = list(network.parameters())
    assert count_macs(network, (16, 16)).macs == 256 * 81
    assert network.training
    assert network.norm.training
    assert network.last is None
    assert network.table == {}
    assert all(a is b for a, b in zip(network.parameters(), parameters, strict=True))
    assert all(p.requires_grad for p in parameters)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert network.eval()(torch.rand(1, 3, 8, 8)).isfinite().all()


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_the_count_does_not_depend_on_where_it_is_asked_for(context: Any) -> None:
    def function(layer: nn.Module, image: Tensor) -> Tensor:
        x = layer(tokens(image)) @ torch.ones(5, 2)
        return x @ torch.ones(2, 4) if torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu") else x

    network = Forward(nn.Linear(3, 5), function)
    with context():
        inside = count_macs(network, (8, 8))
        built_inside = count_macs(lambda: Forward(nn.Linear(3, 5), network.function), (8, 8))
    assert inside == built_inside == count_macs(network, (8, 8))
    assert inside.macs == 64 * 15 + 64 * 10 + 64 * 8


def test_dtype_device_and_compilation_do_not_change_the_count() -> None:
    expected = count_macs(nn.Conv2d(3, 4, 3), (8, 8)).macs
    assert count_macs(nn.Conv2d(3, 4, 3).to(torch.bfloat16), (8, 8)).macs == expected
    assert count_macs(nn.Conv2d(3, 4, 3, device="meta"), (8, 8)).macs == expected
    assert count_macs(lambda: nn.Conv2d(3, 4, 3, device="meta"), (8, 8)).macs == expected
    assert count_macs(torch.compile(nn.Conv2d(3, 4, 3)), (8, 8)).macs == expected
    compiled = torch.compile(Caching())
    assert count_macs(nn.Sequential(compiled), (8, 8)).macs == 64 * 81
    assert compiled.last is None


def test_shared_and_frozen_parameters() -> None:
    layer = nn.Conv2d(3, 3, 1, bias=False)
    frozen = nn.Conv2d(3, 3, 1).requires_grad_(False)
    complexity = count_macs(nn.Sequential(layer, layer, frozen), (4, 4))
    assert complexity.parameters == 9
    assert complexity.macs == 3 * 16 * 9


@pytest.mark.parametrize("name", ["rbair", "daair", "adair"])
def test_a_network_with_fourier_transforms_has_one_number(name: str) -> None:
    """What is counted is what its card, and with it `bench list models`, says."""
    complexity = count_macs(functools.partial(build_network, name, variant="tiny"))
    assert complexity.macs / 1e9 == pytest.approx(get_card(name).variants["tiny"].macs_256_g, abs=0.006)
    assert complexity.macs + complexity.macs_by_kind["fft"] == sum(complexity.macs_by_kind.values())
    assert "without Fourier transforms" in complexity.statement


def test_records_of_the_earlier_counter_are_read_by_the_same_convention() -> None:
    kinds = {"convolution": 7, "matmul": 2, "attention": 1, "fft": 5}
    earlier = ComplexityRecord(parameters=1, macs=15, statement="", macs_by_kind=kinds)
    now = ComplexityRecord(parameters=1, macs=10, statement="", macs_by_kind=kinds)
    assert (earlier.multiply_adds, earlier.fourier_multiply_adds) == (10, 5)
    assert (now.multiply_adds, now.fourier_multiply_adds) == (10, 5)
    uncounted = ComplexityRecord(parameters=1, macs=None, statement="not counted")
    assert (uncounted.multiply_adds, uncounted.fourier_multiply_adds) == (None, None)


def test_the_statement_names_size_and_kinds() -> None:
    complexity = count_macs(nn.Conv2d(3, 4, 1), (224, 192))
    assert complexity.size == (224, 192)
    assert complexity.statement.endswith("left out; 1x3x224x192")
    assert f"torch {torch.__version__.partition('+')[0]}" in complexity.counter
    with pytest.raises(UserError, match="0x16"):
        count_macs(nn.Conv2d(3, 4, 1), (0, 16))


def test_errors_of_the_network_are_its_own() -> None:
    with pytest.raises(RuntimeError, match="expected input"):
        count_macs(nn.Conv2d(4, 4, 1), (8, 8))


def big() -> nn.Module:
    """300 convolutions of 256 channels at full resolution: 177 M parameters, 11.6 T multiply-adds at 256x256."""
    return nn.Sequential(nn.Conv2d(3, 256, 3, padding=1), *(nn.Conv2d(256, 256, 3, padding=1) for _ in range(300)))


@pytest.mark.alone
def test_a_big_network_takes_little_time() -> None:
    started = time.process_time()
    complexity = count_macs(big)
    seconds = time.process_time() - started
    assert complexity.macs == 65536 * 9 * (3 * 256 + 300 * 256 * 256)
    assert complexity.parameters == 3 * 256 * 9 + 256 + 300 * (256 * 256 * 9 + 256)
    assert not complexity.executed
    assert seconds < 15  # the pass itself would take minutes


@pytest.mark.alone
def test_neither_weights_nor_activations_take_memory() -> None:
    """Both would need tens of terabytes."""
    channels = 1 << 20
    complexity = count_macs(lambda: nn.Conv2d(channels, channels, 3, bias=False), (4, 4), channels=channels)
    assert complexity.parameters == 9 * channels**2
    side = 1 << 20
    assert count_macs(nn.Conv2d(3, 8, 1), (side, side)).macs == 24 * side**2
