"""AdaIR against the authors' outputs and a plain rewriting of it, with an empty and a filled box of frequencies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.models import create_model
from restorebench.models.layers.restormer import CrossAttention
from restorebench.models.networks.adair import CARD, AdaIR
from restorebench.models.networks.adair_frequency import (
    AdaptiveFrequencyBlock,
    Box,
    attention_without_queries,
    literal_split,
    split,
)

from ...oracles.adair_plain import PlainAdaIR
from .agreement import (
    assert_images_alone,
    assert_loads_as_it_is,
    assert_outputs_of_the_authors,
    assert_same_function,
    assert_takes_any_size,
    assert_tiny_as_its_card_says,
    count_gmacs,
    trainable_count,
    without_finite_gradient,
    without_values,
)
from .comparison import relative_error
from .references import FOLDER, built_filled, filled, image, key_table, reference_key_table

pytestmark = pytest.mark.slow

TINY = dict(CARD.variants["tiny"].arguments)
EIGHT = {"dim": 8, "blocks": (1, 1, 1, 1), "refinement_blocks": 1}


@pytest.fixture(scope="module")
def paper() -> nn.Module:
    return built_filled(AdaIR)


@pytest.fixture(scope="module")
def shapes() -> nn.Module:
    return without_values(AdaIR)


@pytest.fixture
def tiny() -> nn.Module:
    return filled(AdaIR(**TINY))


def test_keys_shapes_and_trainability_are_those_of_the_authors(shapes: nn.Module) -> None:
    assert key_table(shapes) == reference_key_table("adair")
    assert key_table(without_values(AdaIR, **EIGHT)) == reference_key_table("adair_d8")


def test_published_size_and_cost(shapes: nn.Module) -> None:
    assert trainable_count(shapes) == CARD.variants["paper"].parameters == 28_784_824
    assert count_gmacs(shapes, 224) == pytest.approx(123.84, abs=0.005)
    assert count_gmacs(shapes, 256) == pytest.approx(161.75, abs=0.005)
    assert CARD.variants["paper"].macs_256_g == 161.75


def test_tiny_variant_is_as_small_as_its_card_says() -> None:
    assert_tiny_as_its_card_says(AdaIR, CARD)


@pytest.mark.parametrize("name", ["adair-1x3x64x64", "adair-2x3x40x56"])
def test_output_and_input_gradient_are_those_of_the_authors(paper: nn.Module, name: str) -> None:
    assert_outputs_of_the_authors(paper, name)


@pytest.mark.parametrize("literal_fourier", [False, True])
def test_output_with_a_filled_box_is_that_of_the_authors(literal_fourier: bool) -> None:
    name = "adair_d8-1x3x512x1024"
    network = built_filled(lambda: AdaIR(**EIGHT, literal_fourier=literal_fourier))
    stored = np.load(FOLDER / f"{name}.npz")
    with torch.inference_mode():
        restored = network(image(name, 1, 3, 512, 1024))
    assert relative_error(restored[..., ::16, ::16], torch.from_numpy(stored["output_every_16"])) < 2e-5
    assert float(restored.double().mean()) == pytest.approx(float(stored["output_mean"]), rel=1e-4)
    assert float(restored.double().norm()) == pytest.approx(float(stored["output_norm"]), rel=1e-4)


def test_equals_the_plain_network_with_all_gradients() -> None:
    assert_same_function(AdaIR(**EIGHT), PlainAdaIR(**EIGHT), 2, 3, 24, 40)


@pytest.mark.parametrize("boxes", [[Box(1, 2), Box(0, 3)], [Box(3, 3), Box(2, 1)]])
@pytest.mark.parametrize("size", [(12, 18), (13, 9)])
def test_sums_over_the_box_equal_the_masked_spectrum_with_gradients(boxes: list[Box], size: tuple[int, int]) -> None:
    f = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    results = []
    for way in (split, literal_split):
        low, high = way(f, boxes)
        (gradient,) = torch.autograd.grad((low * low.detach() + high * 0.3).sum(), f)
        results.append((low, high, gradient))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_an_empty_box_needs_no_fourier_transform(tiny: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    literal = filled(AdaIR(**TINY, literal_fourier=True))
    transforms: list[torch.Size] = []
    original = torch.fft.fft2

    def counted(x: Tensor) -> Tensor:
        transforms.append(x.shape)
        return original(x)

    monkeypatch.setattr(torch.fft, "fft2", counted)
    x = image("fourier", 1, 3, 32, 40)
    with torch.no_grad():
        direct = tiny(x)
        assert not transforms
        assert relative_error(direct, literal(x)) < 1e-5
    assert len(transforms) == 3


def test_a_large_image_opens_the_box_by_the_share_that_its_features_ask_for() -> None:
    block = AdaptiveFrequencyBlock(16)
    with torch.no_grad():
        block.rate_conv[2].weight.zero_()  # both shares are one half
    assert block.boxes(torch.rand(2, 16, 255, 600)) == [Box(0, 0)] * 2
    assert block.boxes(torch.rand(1, 16, 256, 640)) == [Box(1, 2)]


def test_attention_without_queries_is_attention_with_queries_of_zero() -> None:
    attention = filled(CrossAttention(8, 4))
    y = torch.randn(2, 8, 7, 9, generator=torch.Generator().manual_seed(2))
    assert isinstance(attention, CrossAttention)
    with torch.no_grad():
        found = attention_without_queries(attention, y)
        assert relative_error(found, attention(torch.zeros_like(y), y)) < 1e-6


def test_images_of_a_batch_do_not_see_each_other(tiny: nn.Module) -> None:
    assert_images_alone(tiny)


def test_takes_any_size() -> None:
    restorer = create_model("adair", variant="tiny", weights="none")
    assert_takes_any_size(restorer, (1, 1), (9, 23), (64, 8), (33, 50))


def test_lightning_checkpoint_with_the_spare_convolutions_loads_as_it_is(tmp_path: Path) -> None:
    network = filled(AdaIR(**TINY | {"published_spares": True}))
    state: dict[str, Tensor] = {f"net.{key}": value for key, value in network.state_dict().items()}
    stored = {"state_dict": state, "epoch": 149}
    assert_loads_as_it_is(network, stored, tmp_path / "adair5d.ckpt", "adair", published_spares=True)


def test_training_starts_as_a_plain_restormer_and_then_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    network = AdaIR(**TINY | {"published_spares": True}).train()
    x = image("training", 2, 3, 24, 40)
    network(x).square().mean().backward()
    assert network.get_parameter("fre1.para1").grad.any()
    assert not network.get_parameter("fre1.conv1.weight").grad.any()
    with torch.no_grad():
        for level in (1, 2, 3):
            network.get_parameter(f"fre{level}.para1").fill_(0.1)
    network(x).square().mean().backward()
    unread = ("conv.", "score_gen.", "rate_conv.", "channel_cross_h.temperature", "channel_cross_h.q")
    spare = {key for key, _ in network.named_parameters() if key[:3] == "fre" and key[5:].startswith(unread)}
    assert len(spare) == 3 * 8
    assert not without_finite_gradient(network, spare)
    assert not any(network.get_parameter(key).grad.any() for key in spare)
