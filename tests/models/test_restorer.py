"""Any size in, the same shape out."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from restorebench.models import ModelCard, ModelError, Restorer, SizeRule, Variant, WeightsInfo
from restorebench.models.restorer import pad


class Halving(nn.Module):
    """Takes multiples of 8 from 16 only, as networks with three downsamplings do; remembers what it was fed."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.frozen = nn.Parameter(torch.zeros(5), requires_grad=False)
        self.seen: torch.Size | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x.shape
        assert all(side % 8 == 0 and side >= 16 for side in x.shape[-2:])
        return x * self.scale


class Shrinking(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[..., 1:]


def restorer(network: nn.Module, size: SizeRule | None = None) -> Restorer:
    card = ModelCard(
        name="toy", title="Toy", variants={"paper": Variant()}, paper="", url="", year=2024, code_licence="MIT",
        size=size or SizeRule(multiple=8, minimum=16),
    )  # fmt: skip
    return Restorer(network, card, "paper", WeightsInfo("none", None, None, "untrained", "random weights, seed 0"))


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize(
    ("size", "fed"),
    [((8, 8), (16, 16)), ((1, 1), (16, 16)), ((1, 50), (16, 56)), ((17, 16), (24, 16)), ((32, 24), (32, 24))],
)
def test_sizes_that_the_network_does_not_take_are_padded_and_cropped(
    size: tuple[int, int], fed: tuple[int, int], padding: str
) -> None:
    network = Halving()
    x = torch.rand(2, 3, *size)
    restored = restorer(network, SizeRule(multiple=8, minimum=16, padding=padding))(x)  # type: ignore[arg-type]
    assert network.seen == (2, 3, *fed)
    assert torch.equal(restored, 2 * x)  # no clipping either


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_reflection_is_numpys_where_the_side_is_long_enough(dtype: torch.dtype) -> None:
    x = torch.rand(1, 3, 13, 21).to(dtype)
    padded = pad(x, SizeRule(multiple=8))
    oracle = np.pad(x.double().numpy(), ((0, 0), (0, 0), (0, 3), (0, 3)), mode="reflect")
    assert padded.dtype == dtype
    assert np.array_equal(padded.double().numpy(), oracle)


def test_what_reflection_cannot_fill_repeats_the_last_pixel() -> None:
    row = torch.arange(3.0).expand(1, 3, 1, 3)
    padded = pad(row, SizeRule(multiple=8))
    assert padded[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 0, 0, 0]
    assert torch.equal(padded[0, 0], padded[0, 0, :1].expand(8, 8))


def test_zeros_are_added_on_the_right_and_bottom() -> None:
    padded = pad(torch.ones(1, 3, 2, 3), SizeRule(multiple=4, padding="zeros"))
    assert padded.shape == (1, 3, 4, 4)
    assert padded.sum() == 3 * 2 * 3
    assert bool((padded[..., :2, :3] == 1).all())


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 1, 16, 16), (1, 4, 16, 16), (1, 3, 0, 16), (0, 3, 16, 16)])
def test_errors_name_the_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"toy takes images \(B, 3, H, W\), got shape") as caught:
        restorer(Halving())(torch.zeros(shape))
    assert str(shape) in str(caught.value)


def test_integers_are_refused() -> None:
    with pytest.raises(ModelError, match=r"floating images in \[0, 1\], got torch.uint8 of shape \(1, 3, 16, 16\)"):
        restorer(Halving())(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


def test_a_network_that_changes_the_shape_is_caught() -> None:
    with pytest.raises(ModelError, match=r"toy gave shape \(1, 3, 16, 15\) for an input of shape \(1, 3, 16, 16\)"):
        restorer(Shrinking())(torch.zeros(1, 3, 9, 9))


def test_gradients_reach_input_and_parameters_through_the_padding() -> None:
    model = restorer(Halving())
    x = torch.rand(1, 3, 9, 3, requires_grad=True)
    model(x).sum().backward()
    assert isinstance(model.network, Halving)
    assert x.grad is not None
    assert torch.allclose(x.grad, torch.full_like(x, 2.0))
    assert model.network.scale.grad is not None
    assert model.network.scale.grad.item() == pytest.approx(x.sum().item())


def test_only_trainable_numbers_are_counted() -> None:
    assert restorer(Halving()).parameters_count == 1


def test_the_networks_keys_are_bare() -> None:
    assert list(restorer(Halving()).network.state_dict()) == ["scale", "frozen"]


def test_a_copy_has_its_own_parameters_and_the_same_card() -> None:
    model = restorer(Halving()).eval()
    twin = copy.deepcopy(model)
    with torch.no_grad():
        next(twin.parameters()).fill_(3.0)
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(model(x), 2 * x)
    assert torch.equal(twin(x), 3 * x)
    assert twin.card is model.card
    assert not twin.training
    assert twin.overrides is not model.overrides
