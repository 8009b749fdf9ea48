"""PromptIR against the authors' outputs and a plain rewriting of it; its sizes, files and training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from restorebench.models import create_model
from restorebench.models.networks.promptir import CARD, PromptGenerator, PromptIR

from ...oracles.promptir_plain import PlainPromptIR
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
from .references import built_filled, filled, image, key_table, reference_key_table

pytestmark = pytest.mark.slow

TINY = dict(CARD.variants["tiny"].arguments)


@pytest.fixture(scope="module")
def paper() -> nn.Module:
    return built_filled(PromptIR)


@pytest.fixture
def tiny() -> nn.Module:
    return filled(PromptIR(**TINY))


@pytest.fixture(scope="module")
def shapes() -> nn.Module:
    return without_values(PromptIR)


def test_keys_shapes_and_trainability_are_those_of_the_authors(shapes: nn.Module) -> None:
    assert key_table(shapes) == reference_key_table("promptir")


def test_published_size_and_cost(shapes: nn.Module) -> None:
    assert trainable_count(shapes) == CARD.variants["paper"].parameters == 35_592_263
    assert count_gmacs(shapes, 224) == pytest.approx(132.23, abs=0.005)
    assert count_gmacs(shapes, 256) == pytest.approx(172.71, abs=0.005)
    assert CARD.variants["paper"].macs_256_g == 172.71


def test_tiny_variant_is_as_small_as_its_card_says() -> None:
    assert_tiny_as_its_card_says(PromptIR, CARD)


@pytest.mark.parametrize("name", ["promptir-1x3x64x64", "promptir-2x3x40x56"])
def test_output_and_input_gradient_are_those_of_the_authors(paper: nn.Module, name: str) -> None:
    assert_outputs_of_the_authors(paper, name)


def test_equals_the_plain_network_with_all_gradients() -> None:
    few = TINY | {"blocks": (1, 2, 2, 3), "heads": (1, 2, 4, 8), "expansion": 2.66, "dim": 8}
    assert_same_function(PromptIR(**few), PlainPromptIR(**few), 2, 3, 24, 40)


def test_prompt_is_the_weighted_sum_of_its_components_where_it_has_their_size() -> None:
    prompt = PromptGenerator(4, 3, 6, 2)
    with torch.no_grad():
        prompt.linear_layer.weight.zero_()
        prompt.linear_layer.bias.copy_(torch.tensor([0.0, 1.0]))
        nn.init.dirac_(prompt.conv3x3.weight)
        share = torch.tensor([0.0, 1.0]).softmax(0)
        expected = share[0] * prompt.prompt_param[0, 0] + share[1] * prompt.prompt_param[0, 1]
        torch.testing.assert_close(prompt(torch.rand(2, 4, 6, 6)), expected.expand(2, 3, 6, 6))


def test_every_image_gets_its_own_prompts(tiny: nn.Module) -> None:
    assert_images_alone(tiny)


def test_takes_any_size() -> None:
    restorer = create_model("promptir", variant="tiny", weights="none")
    assert_takes_any_size(restorer, (1, 1), (9, 23), (64, 8), (33, 50))


def test_lightning_checkpoint_with_the_spare_convolutions_loads_as_it_is(tmp_path: Path) -> None:
    few = TINY | {"published_spares": True}
    network = filled(PromptIR(**few))
    state: dict[str, Tensor] = {f"net.{key}": value for key, value in network.state_dict().items()}
    stored = {"state_dict": state, "epoch": 119}
    assert_loads_as_it_is(network, stored, tmp_path / "model.ckpt", "promptir", published_spares=True)


def test_training_reaches_every_parameter_and_gives_the_spare_ones_zero() -> None:
    torch.manual_seed(0)
    network = PromptIR(**TINY | {"published_spares": True}).train()
    network(image("training", 2, 3, 24, 40)).square().mean().backward()
    spare = {key for key, _ in network.named_parameters() if key.startswith(("chnl_reduce", "reduce_noise_channel"))}
    assert len(spare) == 6
    assert not without_finite_gradient(network, spare)
    assert not any(network.get_parameter(key).grad.any() for key in spare)
