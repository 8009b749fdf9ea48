"""AirNet against the authors' outputs and a plain rewriting of it; its contrastive encoder, files and training."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorebench.benchmarks.profiling.macs import count_macs
from restorebench.models import create_model
from restorebench.models.hooks import HasAfterStep, HasAuxiliaryLoss
from restorebench.models.layers import row_strips
from restorebench.models.networks.airnet import CARD, CONTRAST_WEIGHT, AirNet, GuidedModule
from restorebench.models.networks.airnet_encoder import MOMENTUM, TEMPERATURE, ContrastiveEncoder

from ...oracles.airnet_plain import PlainAirNet
from .agreement import (
    assert_images_alone,
    assert_same_function,
    assert_takes_any_size,
    reference_errors,
    trainable_count,
    without_finite_gradient,
)
from .comparison import relative_error
from .references import filled, image, key_table, reference_key_table

pytestmark = pytest.mark.slow

TINY = dict(CARD.variants["tiny"].arguments)


@pytest.fixture(scope="module")
def paper() -> nn.Module:
    return filled(AirNet())


@pytest.fixture
def tiny() -> AirNet:
    network = filled(AirNet(**TINY))
    assert isinstance(network, AirNet)
    return network


def test_keys_shapes_and_trainability_are_those_of_the_authors(paper: nn.Module) -> None:
    assert key_table(paper) == reference_key_table("airnet")
    assert sum(p.numel() for p in paper.parameters()) == 8_930_313
    assert trainable_count(paper) == CARD.variants["paper"].parameters == 8_930_313 - 1_319_936


@pytest.mark.parametrize(("size", "gmacs"), [(224, 323.08), (256, 421.98)])
def test_published_cost_is_that_of_the_whole_query_encoder(size: int, gmacs: float) -> None:
    cost = count_macs(PlainAirNet, (size, size))
    assert not cost.uncounted
    assert cost.macs / 1e9 == pytest.approx(gmacs, abs=0.005)
    lower = count_macs(lambda: _lower_part(64), (size, size), channels=64).macs
    assert count_macs(AirNet, (size, size)).macs == cost.macs - lower
    if size == 256:
        assert (cost.macs - lower) / 1e9 == pytest.approx(CARD.variants["paper"].macs_256_g, abs=0.005)


def _lower_part(width: int) -> nn.Module:
    """What the query encoder does below the degradation map."""
    encoder = ContrastiveEncoder(width, 8).encoder_q
    return nn.Sequential(encoder.E, nn.Flatten(1), encoder.mlp)


def test_tiny_variant_is_as_small_as_its_card_says() -> None:
    cost = count_macs(lambda: AirNet(**TINY))
    assert cost.parameters == CARD.variants["tiny"].parameters
    assert cost.parameters <= 600_000
    assert cost.macs / 1e9 == pytest.approx(CARD.variants["tiny"].macs_256_g, abs=0.005)


@pytest.mark.parametrize("name", ["airnet-1x3x64x64", "airnet-2x3x37x53"])
def test_output_and_input_gradient_are_those_of_the_authors(paper: nn.Module, name: str) -> None:
    found = reference_errors(paper, name)
    assert found["output"] < 1e-5
    assert found["inferred"] < 1e-5
    # The gradient jumps where a sampled place crosses a pixel and at the rectifiers' kinks.
    assert found["gradient"] < 2e-2


def test_equals_the_plain_network_with_all_gradients() -> None:
    few = {"width": 8, "groups": 2, "blocks": 2, "queue_size": 16}
    assert_same_function(AirNet(**few), PlainAirNet(**few), 2, 3, 21, 18)


def test_guided_module_in_strips_of_one_row_is_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = GuidedModule(6)
    nn.init.normal_(module.dcn.conv_offset_mask.weight, std=0.3)
    x, degradation = (torch.randn(2, 6, 9, 7) for _ in range(2))
    before = x.clone()
    expected = module(x, degradation).detach()
    monkeypatch.setattr(row_strips, "STRIP_BYTES", 1)
    with torch.no_grad():
        assert relative_error(module(x, degradation), expected) < 1e-5
    assert torch.equal(x, before)


def test_evaluation_runs_no_part_of_the_encoder_below_the_degradation_map(tiny: AirNet) -> None:
    run: list[str] = []
    for name, module in tiny.named_modules():
        module.register_forward_hook(lambda *_, name=name: run.append(name))
    with torch.no_grad():
        tiny(image("encoder", 1, 3, 16, 16))
    encoder = [name for name in run if name.startswith("E.E.encoder")]
    assert encoder
    assert all(name.startswith("E.E.encoder_q.E_pre") for name in encoder)


def test_contrastive_loss_compares_with_the_own_key_and_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    encoder = ContrastiveEncoder(4, 6).train()
    x = torch.rand(3, 3, 16, 16)
    whole: list[Tensor] = []
    monkeypatch.setattr("restorebench.models.networks.airnet_encoder._part", lambda t: whole.append(t) or t)
    twin = copy.deepcopy(encoder)
    encoder(x)
    assert len(whole) == 1
    queries = twin.encoder_q.embed(twin.encoder_q.E_pre(x))
    keys = twin.encoder_k.embed(twin.encoder_k.E_pre(x))
    likeness = torch.cat([(queries * keys).sum(1, keepdim=True), queries @ twin.queue], dim=1) / TEMPERATURE
    assert encoder.contrast is not None
    torch.testing.assert_close(encoder.contrast, -F.log_softmax(likeness, dim=1)[:, 0].mean())


def test_keys_enter_the_queue_in_turn_and_the_key_encoder_follows() -> None:
    torch.manual_seed(0)
    network = AirNet(width=4, groups=1, blocks=1, queue_size=5).train()
    assert isinstance(network, HasAfterStep)
    encoder = network.E.E
    with torch.no_grad():
        for parameter in encoder.encoder_q.parameters():
            parameter.add_(1)
    own, other = encoder.encoder_k.mlp[0].weight.clone(), encoder.encoder_q.mlp[0].weight.clone()
    before = encoder.queue.clone()
    network(torch.rand(3, 3, 8, 8))
    network.after_step()
    torch.testing.assert_close(encoder.encoder_k.mlp[0].weight, MOMENTUM * own + (1 - MOMENTUM) * other)
    assert torch.equal(encoder.queue[:, 3:], before[:, 3:])
    assert not torch.equal(encoder.queue[:, :3], before[:, :3])
    torch.testing.assert_close(encoder.queue.norm(dim=0), torch.ones(5))
    assert encoder.queue_ptr.tolist() == [3]
    network(torch.rand(3, 3, 8, 8))
    network.after_step()
    assert encoder.queue_ptr.tolist() == [1]


def test_images_of_a_batch_do_not_see_each_other(tiny: AirNet) -> None:
    assert_images_alone(tiny)


def test_takes_any_size() -> None:
    restorer = create_model("airnet", variant="tiny", weights="none")
    assert_takes_any_size(restorer, (1, 1), (9, 23), (64, 8), (33, 50))


def test_plain_state_dict_of_the_authors_loads_as_it_is(tiny: AirNet, tmp_path: Path) -> None:
    torch.save(tiny.state_dict(), tmp_path / "All.pth")
    restorer = create_model("airnet", variant="tiny", weights=tmp_path / "All.pth")
    x = image("checkpoint", 1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(restorer(x), tiny(x))


def test_training_with_the_contrastive_loss_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    network = AirNet(**TINY).train()
    assert isinstance(network, HasAuxiliaryLoss)
    with pytest.raises(RuntimeError, match="before a forward pass in training mode"):
        network.auxiliary_loss()
    for key, parameter in network.named_parameters():
        if "conv_offset_mask.weight" in key:  # it starts at zero
            nn.init.normal_(parameter, std=0.01)
    restored = network(image("training", 2, 3, 24, 40))
    loss = restored.square().mean() + network.auxiliary_loss()
    contrast = network.E.E.contrast
    assert contrast is not None
    torch.testing.assert_close(network.auxiliary_loss(), CONTRAST_WEIGHT * contrast)
    loss.backward()
    assert not without_finite_gradient(network)
    network.after_step()
