"""From a name to a network, and to a restorer."""

import random

import numpy as np
import pytest
import torch

from restorebench.models import ModelCard, ModelError, Variant, build_network, create_model, register

from .toys import Toy, card

pytestmark = pytest.mark.usefixtures("own_registry", "weights_folder")


def test_an_unknown_argument_suggests_the_nearest(toy: ModelCard) -> None:
    with pytest.raises(ModelError, match=r"unknown constructor argument of toy 'widht' \(did you mean 'width'"):
        create_model("toy", weights="none", widht=3)
    with pytest.raises(ModelError, match="unknown constructor argument of toy 'device'"):
        create_model("toy", weights="none", device="cuda")


def test_an_argument_that_the_network_rejects_is_one_line(toy: ModelCard) -> None:
    with pytest.raises(
        ModelError, match=r"^toy paper cannot be built with width=0: ValueError: width must be positive$"
    ):
        create_model("toy", weights="none", width=0)


def test_variant_arguments_and_overrides_reach_the_constructor(toy: ModelCard) -> None:
    assert create_model("toy", weights="none").parameters_count == 8 * 28 + 8 * 3 + 3
    assert create_model("toy", variant="tiny", weights="none").parameters_count == 2 * 28 + 2 * 3 + 3
    changed = create_model("toy", variant="tiny", weights="none", width=5)
    assert changed.parameters_count == 5 * 28 + 5 * 3 + 3
    assert (changed.variant, changed.overrides) == ("tiny", {"width": 5})


def test_a_constructor_cannot_change_the_card() -> None:
    register(card(variants={"paper": Variant(arguments={"widths": [6]})}))(Toy)
    first, second = (create_model("toy", weights="none").parameters_count for _ in range(2))
    assert first == second == 6 * 28 + 6 * 3 + 3


def test_a_restorer_comes_in_evaluation_mode(toy: ModelCard) -> None:
    restorer = create_model("toy", weights="none")
    assert not any(module.training for module in restorer.modules())
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(restorer(x), restorer(x))


def test_random_weights_depend_on_the_seed_only(toy: ModelCard) -> None:
    def weight(seed: int) -> torch.Tensor:
        return next(create_model("toy", weights="none", seed=seed).parameters()).detach()

    torch.manual_seed(1)
    first = weight(7)
    torch.manual_seed(2)
    assert torch.equal(first, weight(7))
    assert not torch.equal(first, weight(8))


def test_the_global_generators_are_left_alone(toy: ModelCard) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    create_model("toy", weights="none", seed=3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]
    assert random.getstate() == before[2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_generator_of_the_gpu_is_left_alone(toy: ModelCard) -> None:
    torch.cuda.manual_seed(5)
    before = torch.cuda.get_rng_state()
    create_model("toy", weights="none", seed=3)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_a_bare_network_can_be_built_without_memory(toy: ModelCard) -> None:
    network = build_network("toy", variant="tiny", device="meta", width=3)
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert network.state_dict()["body.0.weight"].shape == (3, 3, 3, 3)
