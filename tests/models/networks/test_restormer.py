"""Restormer, in both forms of its layer norm, against the authors' outputs and a plain rewriting of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from restorebench.models import create_model
from restorebench.models.networks.restormer import CARD, Restormer

from ...oracles.restormer_plain import PlainRestormer
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
    return built_filled(Restormer)


@pytest.fixture
def tiny() -> nn.Module:
    return filled(Restormer(**TINY))


@pytest.mark.parametrize(("variant", "name"), [("paper", "restormer"), ("biasfree", "restormer_biasfree")])
def test_keys_shapes_and_trainability_are_those_of_the_authors(variant: str, name: str) -> None:
    network = without_values(Restormer, **CARD.variants[variant].arguments)
    assert key_table(network) == reference_key_table(name)
    assert trainable_count(network) == CARD.variants[variant].parameters


def test_published_size_and_cost() -> None:
    network = without_values(Restormer)
    assert CARD.variants["paper"].parameters == 26_126_644
    assert count_gmacs(network, 224) == pytest.approx(118.58, abs=0.005)
    assert count_gmacs(network, 256) == pytest.approx(154.88, abs=0.005)
    assert CARD.variants["paper"].macs_256_g == CARD.variants["biasfree"].macs_256_g == 154.88


def test_tiny_variant_is_as_small_as_its_card_says() -> None:
    assert_tiny_as_its_card_says(Restormer, CARD)


@pytest.mark.parametrize("name", ["restormer-1x3x64x64", "restormer-2x3x40x56"])
def test_output_and_input_gradient_are_those_of_the_authors(paper: nn.Module, name: str) -> None:
    assert_outputs_of_the_authors(paper, name)


def test_bias_free_output_and_input_gradient_are_those_of_the_authors() -> None:
    network = built_filled(lambda: Restormer(norm="bias_free"))
    assert_outputs_of_the_authors(network, "restormer_biasfree-1x3x48x64")


@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
def test_equals_the_plain_network_with_all_gradients(norm: str) -> None:
    few = {"dim": 8, "blocks": (1, 2, 1, 2), "refinement_blocks": 1, "norm": norm}
    assert_same_function(Restormer(**few), PlainRestormer(**few), 2, 3, 24, 40)


def test_images_of_a_batch_do_not_see_each_other(tiny: nn.Module) -> None:
    assert_images_alone(tiny)


def test_takes_any_size() -> None:
    restorer = create_model("restormer", variant="tiny", weights="none")
    assert_takes_any_size(restorer, (1, 1), (9, 23), (64, 8), (33, 50))


def test_checkpoint_under_params_loads_as_it_is(tiny: nn.Module, tmp_path: Path) -> None:
    assert_loads_as_it_is(tiny, {"params": tiny.state_dict()}, tmp_path / "deraining.pth", "restormer")


@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
def test_training_reaches_every_parameter(norm: str) -> None:
    torch.manual_seed(0)
    network = Restormer(**TINY | {"norm": norm}).train()
    network(image("training", 2, 3, 24, 40)).square().mean().backward()
    assert not without_finite_gradient(network)


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="norm must be"):
        Restormer(norm="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have 4 levels"):
        Restormer(blocks=(1, 1, 1))
