"""NAFNet against the authors' outputs and a plain rewriting of it; its sizes, files and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from restorebench.models import create_model, get_card
from restorebench.models.layers import row_strips
from restorebench.models.networks.nafnet import CARD, NAFBlock, NAFNet

from ...oracles.nafnet_plain import PlainNAFNet
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
from .references import built_filled, filled, image, key_table, reference_key_table

pytestmark = pytest.mark.slow

TINY = dict(CARD.variants["tiny"].arguments)
FEW: dict[str, Any] = {"width": 8, "encoder_blocks": (1, 2), "middle_blocks": 1, "decoder_blocks": (1, 1)}


@pytest.fixture(scope="module", params=["w32", "w64"])
def published(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    return request.param, built_filled(lambda: NAFNet(**CARD.variants[request.param].arguments))


@pytest.fixture
def tiny() -> nn.Module:
    return filled(NAFNet(**TINY))


@pytest.mark.parametrize(
    ("variant", "parameters", "gmacs_224", "gmacs_256"),
    [
        ("w32", 17_111_907, 12.22, 15.96),
        ("w64", 67_888_835, 48.28, 63.06),
        ("sidd_w32", 29_159_715, None, 16.05),
    ],
)
def test_published_sizes_have_their_parameters_and_cost(
    variant: str, parameters: int, gmacs_224: float | None, gmacs_256: float
) -> None:
    network = without_values(NAFNet, **CARD.variants[variant].arguments)
    assert trainable_count(network) == CARD.variants[variant].parameters == parameters
    assert count_gmacs(network, 256) == pytest.approx(gmacs_256, abs=0.0051)
    assert CARD.variants[variant].macs_256_g == gmacs_256
    if gmacs_224 is not None:
        assert count_gmacs(network, 224) == pytest.approx(gmacs_224, abs=0.005)


def test_wide_network_for_real_noise_is_that_of_the_checkpoint() -> None:
    (found,) = [c for c in get_card("nafnet").checkpoints if c.file_name == "NAFNet-SIDD-width64.pth"]
    network = without_values(NAFNet, **{**CARD.variants[found.variant].arguments, **found.overrides})
    assert trainable_count(network) == 115_982_915
    assert count_gmacs(network, 256) == pytest.approx(63.24, abs=0.005)


def test_tiny_variant_is_as_small_as_its_card_says() -> None:
    assert_tiny_as_its_card_says(NAFNet, CARD)


def test_keys_shapes_and_trainability_are_those_of_the_authors(published: tuple[str, nn.Module]) -> None:
    variant, network = published
    network_of_variant = without_values(NAFNet, **CARD.variants[variant].arguments)
    assert key_table(network_of_variant) == reference_key_table(f"nafnet_{variant}")
    assert network.state_dict().keys() == network_of_variant.state_dict().keys()


@pytest.mark.parametrize("size", ["1x3x64x64", "2x3x37x53"])
def test_output_and_input_gradient_are_those_of_the_authors(published: tuple[str, nn.Module], size: str) -> None:
    variant, network = published
    assert_outputs_of_the_authors(network, f"nafnet_{variant}-{size}")


def test_equals_the_plain_network_with_all_gradients() -> None:
    assert_same_function(NAFNet(**FEW), PlainNAFNet(**FEW), 2, 3, 21, 30)


def test_block_in_strips_of_one_row_is_the_block_and_leaves_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    block = filled(NAFBlock(6))
    x = torch.randn(2, 6, 9, 7, generator=torch.Generator().manual_seed(1))
    before = x.clone()
    expected = block(x)
    monkeypatch.setattr(row_strips, "STRIP_BYTES", 1)
    with torch.no_grad():
        assert relative_error(block(x), expected) < 1e-6
    assert torch.equal(x, before)


def test_images_of_a_batch_do_not_see_each_other(tiny: nn.Module) -> None:
    assert_images_alone(tiny)


def test_takes_any_size() -> None:
    restorer = create_model("nafnet", variant="tiny", weights="none")
    assert_takes_any_size(restorer, (1, 1), (9, 23), (64, 8), (33, 50))


def test_checkpoint_under_params_loads_as_it_is(tiny: nn.Module, tmp_path: Path) -> None:
    assert_loads_as_it_is(tiny, {"params": tiny.state_dict()}, tmp_path / "NAFNet.pth", "nafnet")


def test_training_starts_as_the_identity_of_every_block_and_then_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    network = NAFNet(**TINY).train()
    x = image("training", 2, 3, 24, 40)
    network(x).square().mean().backward()
    assert network.get_parameter("encoders.0.0.beta").grad.any()
    assert not network.get_parameter("encoders.0.0.conv1.weight").grad.any()
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith(("beta", "gamma")):
                parameter.fill_(0.1)
    network(x).square().mean().backward()
    assert not without_finite_gradient(network)


def test_levels_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="4 encoder levels, but 2 decoder levels"):
        NAFNet(decoder_blocks=(1, 1))
