"""DaAIR: its size, its routing, its experts, its controllers, and all of them in training."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from restorebench.models import ModelError, build_network, create_model, get_card
from restorebench.models.hooks import HasAfterStep, HasAuxiliaryLoss
from restorebench.models.networks.daair import BALANCE_WEIGHT, DaAIR
from restorebench.models.networks.daair_experts import Controller, DaLe, Router

from ...oracles.daair_plain import PlainDaAIR

STEPS = 20
TINY = get_card("daair").variants["tiny"].arguments


def tiny(seed: int = 0, **overrides: object) -> DaAIR:
    network = build_network("daair", variant="tiny", seed=seed, **overrides)
    assert isinstance(network, DaAIR)
    return network


def lively(network: DaAIR) -> DaAIR:
    """`network` as after training: experts that matter, routers that tell images apart, controllers of their own."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for module in network.modules():
            if isinstance(module, DaLe | Controller):
                module.project.weight.mul_(50)
            if isinstance(module, Router):
                module.weight.mul_(20)
            if isinstance(module, Controller):
                for parameter in module.expert.parameters():
                    parameter.add_(0.3 * torch.randn_like(parameter) * parameter.std())
    return network


def images(batch: int, height: int = 32, width: int = 40, seed: int = 0) -> Tensor:
    """Images that differ in colour and contrast, so that routers can tell them apart."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.rand(batch, 3, 1, 1, generator=generator)
    contrast = torch.linspace(0.05, 0.9, batch).view(-1, 1, 1, 1)
    return (colour + contrast * (torch.rand(batch, 3, height, width, generator=generator) - 0.5)).clamp(0, 1)


@contextmanager
def watched_routers(network: DaAIR) -> Iterator[dict[Router, tuple[Tensor, Tensor]]]:
    """By router, what it read last, and the expert that it chose for every image."""
    seen: dict[Router, tuple[Tensor, Tensor]] = {}

    def remember(router: Router, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        seen[router] = inputs[0].detach(), output[0]

    handles = [m.register_forward_hook(remember) for m in network.modules() if isinstance(m, Router)]
    yield seen
    for handle in handles:
        handle.remove()


def routes(network: DaAIR, x: Tensor) -> dict[Router, Tensor]:
    """By router, the expert that it chooses for every image."""
    with watched_routers(network) as seen, torch.no_grad():
        network(x)
    return {router: expert for router, (_, expert) in seen.items()}


def learners(network: nn.Module) -> Iterator[DaLe]:
    return (module for module in network.modules() if isinstance(module, DaLe))


def macs(network: nn.Module, *shape: int) -> float:
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(shape, device=device))
    return counter.get_total_flops() / 2


# --- size


@pytest.mark.parametrize(
    ("variant", "trainable", "stored"), [("paper", 6_415_816, 6_439_846), ("tiny", 509_303, 510_878)]
)
def test_parameters_trained_and_stored(variant: str, trainable: int, stored: int) -> None:
    network = build_network("daair", variant=variant, device="meta")
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == trainable
    assert sum(p.numel() for p in network.state_dict().values()) == stored
    assert get_card("daair").variants[variant].parameters == trainable


def test_paper_variant_has_the_size_of_the_reconstruction() -> None:
    network = build_network("daair", variant="paper", device="meta").eval()
    for counted in (network.parameters(), (p for p in network.parameters() if p.requires_grad)):
        assert sum(p.numel() for p in counted) == pytest.approx(6.45e6, rel=0.02)
    assert macs(network, 1, 3, 224, 224) == pytest.approx(18.0e9, rel=0.05)


def test_tiny_variant_is_small_and_has_every_mechanism() -> None:
    network = build_network("daair", variant="tiny", device="meta").eval()
    assert sum(p.numel() for p in network.parameters()) <= 600_000
    assert macs(network, 1, 3, 256, 256) < 6e9
    assert {type(m) for m in build_network("daair", device="meta").modules()} == {type(m) for m in network.modules()}
    assert all(learner.specialised.reduce.shape[0] == 3 for learner in learners(network))
    assert max(len(stage) for stage in network.decoder) > 1  # controllers follow by index, not only by level


# --- equality with the network written out


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_plain_network_forward_and_backward(seed: int) -> None:
    network = lively(tiny(seed)).eval()
    plain = PlainDaAIR(**TINY).eval()
    plain.load_state_dict(network.state_dict())
    x = images(3, seed=seed)
    assert any(len(experts.unique()) > 1 for experts in routes(network, x).values())
    cotangent = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    outputs, gradients = [], []
    for net in (network, plain):
        leaf = x.clone().requires_grad_()
        outputs.append(net(leaf))
        (outputs[-1] * cotangent).sum().backward()
        gradients.append({"x": leaf.grad, **{k: p.grad for k, p in net.named_parameters()}})
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-5)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            expected = gradients[1][name]
            error = (gradients[0][name] - expected).norm() / expected.norm().clamp_min(1e-6)
            assert error < 1e-3, name
    assert (gradients[0]["x"] - gradients[1]["x"]).norm() < 1e-5 * gradients[1]["x"].norm()


FOUR_LEVELS = {"dim": 8, "encoder_blocks": (1, 2, 1, 1), "decoder_blocks": (1, 1, 1), "heads": (1, 2, 4, 8)}


@pytest.mark.parametrize("overrides", [{}, FOUR_LEVELS], ids=["tiny", "four levels, as the paper's"])
def test_equals_the_plain_network_in_inference_of_a_larger_image(overrides: dict[str, object]) -> None:
    network = lively(tiny(**overrides)).eval()
    plain = PlainDaAIR(**{**TINY, **overrides}).eval()
    plain.load_state_dict(network.state_dict())
    x = images(1, 160, 168)
    with torch.no_grad():
        torch.testing.assert_close(network(x), plain(x), rtol=0, atol=1e-5)


# --- routing


def test_batch_equals_its_images_one_by_one_across_routes() -> None:
    network = lively(tiny()).eval()
    x = images(3)
    assert any(len(experts.unique()) > 1 for experts in routes(network, x).values())
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(image) for image in x.split(1)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def poison(learner: DaLe, expert: int) -> None:
    with torch.no_grad():
        for parameter in learner.specialised.parameters():
            parameter[expert] = torch.nan


def test_experts_that_no_image_is_routed_to_do_not_run() -> None:
    network = lively(tiny()).eval()
    x = images(2)
    expected = network(x)
    experts = routes(network, x)
    for learner in learners(network):
        spared = set(range(3)) - set(experts[learner.router].tolist())
        assert spared  # two images cannot choose three experts
        for expert in spared:
            poison(learner, expert)
    assert torch.equal(network(x), expected)


def test_an_expert_that_an_image_is_routed_to_does_run() -> None:
    network = lively(tiny()).eval()
    x = images(2)
    experts = routes(network, x)
    learner = next(learner for learner in learners(network) if len(experts[learner.router].unique()) == 2)
    poison(learner, int(experts[learner.router][0]))
    output = network(x)
    assert output[0].isnan().all()
    assert output[1].isfinite().all()


def test_evaluation_is_deterministic_and_training_is_noisy() -> None:
    network = lively(tiny())
    x = images(2)
    network.eval()
    assert torch.equal(network(x), network(x))
    network.train()
    assert not torch.equal(network(x), network(x))


def test_network_starts_close_to_one_without_experts() -> None:
    network = tiny().eval()
    x = images(2)
    with torch.no_grad():
        started = network(x)
        for module in network.modules():
            if isinstance(module, DaLe | Controller):
                module.project.weight.zero_()
        without = network(x)
    assert 0 < (started - without).norm() < 0.05 * (without - x).norm()


# --- controllers


def test_controllers_start_equal_to_the_agnostic_experts_of_their_level_and_index() -> None:
    network = tiny()
    followed = 0
    for level, stage in enumerate(network.decoder):
        for index, block in enumerate(stage):
            source = network.encoder[level][index].dale.agnostic
            for own, other in zip(block.controller.expert.parameters(), source.parameters(), strict=True):
                assert torch.equal(own, other)
                assert own.data_ptr() != other.data_ptr()
            followed += 1
    assert followed == sum(TINY["decoder_blocks"])


def test_parameter_update_moves_each_controller_towards_its_agnostic_expert() -> None:
    network = lively(tiny(momentum=0.75))
    before = copy.deepcopy(network.state_dict())
    network.after_step()
    for key, value in network.state_dict().items():
        if ".controller.expert." in key:
            source = key.replace("decoder.", "encoder.").replace(".controller.expert.", ".dale.agnostic.")
            torch.testing.assert_close(value, 0.75 * before[key] + 0.25 * before[source])
            assert not torch.equal(value, before[key])
        else:
            assert torch.equal(value, before[key]), key


def test_default_momentum_is_that_of_the_description() -> None:
    assert tiny().momentum == 0.999


def test_controller_experts_are_stored_but_not_trained_by_gradient() -> None:
    network = tiny()
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert frozen == {key for key in network.state_dict() if ".controller.expert." in key}
    assert len(frozen) == 4 * sum(TINY["decoder_blocks"])


def test_decoder_attends_from_the_learner_to_the_controller() -> None:
    block = lively(tiny()).eval().decoder[1][0]
    x = torch.randn(1, 2 * TINY["dim"], 8, 8)
    seen: list[Tensor] = []
    block.attn.register_forward_pre_hook(lambda _module, inputs: seen.extend(inputs))
    block(x)
    y = block.norm1(x)
    torch.testing.assert_close(seen[0], block.dale(y))
    torch.testing.assert_close(seen[1], block.controller(y))


# --- balance


def test_auxiliary_loss_is_the_weighted_sum_over_all_routers() -> None:
    network = lively(tiny()).train()
    network(images(2))
    routers = [module for module in network.modules() if isinstance(module, Router)]
    expected = 0.01 * sum(router.balance.item() for router in routers)
    assert BALANCE_WEIGHT == 0.01
    assert len(routers) == sum(TINY["encoder_blocks"]) + sum(TINY["decoder_blocks"])
    assert network.auxiliary_loss().item() == pytest.approx(expected, rel=1e-5)
    assert network.auxiliary_loss().item() > 0
    network.eval()(images(2, seed=1))
    assert network.auxiliary_loss().item() == pytest.approx(expected, rel=1e-5)


def test_auxiliary_loss_before_any_training_forward_is_an_error() -> None:
    network = tiny().eval()
    network(images(1))
    with pytest.raises(RuntimeError, match="training mode"):
        network.auxiliary_loss()


# --- training


def test_training_moves_every_mechanism() -> None:
    """A few steps: the loss falls, gradients reach every expert, routers get balanced, and the controllers follow."""
    torch.manual_seed(0)
    network = tiny(momentum=0.9).train()
    clean = images(4, 16, 16)
    degraded = (clean + 0.1 * torch.randn(clean.shape)).clamp(0, 1)
    send_everything_to_the_first_expert(network, degraded)
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=4e-3)
    reached = {name: torch.zeros(len(p)) for name, p in network.named_parameters() if ".specialised." in name}
    losses, balances, loads = [], [], []
    for _ in range(STEPS):
        with watched_routers(network) as seen:
            loss = (network(degraded) - clean).abs().mean()
        balance = network.auxiliary_loss()
        optimiser.zero_grad()
        (loss + balance).backward()
        for name, norms in reached.items():
            norms += network.get_parameter(name).grad.flatten(1).norm(dim=1)
        optimiser_and_parameter_update(network, optimiser)
        losses.append(loss.item())
        balances.append(balance.item())
        experts = torch.stack([experts for _, experts in seen.values()])
        loads.append(torch.stack([(experts == expert).float().mean() for expert in range(3)]))
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert loads[0][0] > 0.9
    assert sum(balances[-5:]) < 0.25 * balances[0] * 5
    assert torch.stack(loads[-5:]).mean(dim=0).min() > 0.2
    assert all(bool((norms > 0).all()) for norms in reached.values())


@torch.no_grad()
def send_everything_to_the_first_expert(network: DaAIR, x: Tensor) -> None:
    with watched_routers(network) as seen:
        network(x)
        for _ in range(3):  # what one router does changes what the next ones read
            for router, (y, _) in seen.items():
                pooled = y.mean(dim=(0, 2, 3))
                router.weight.copy_(torch.stack((pooled, -pooled, -pooled)) * 1.5 / pooled.square().sum())
            network(x)


def optimiser_and_parameter_update(network: DaAIR, optimiser: torch.optim.Optimizer) -> None:
    """One step of both; the controllers must change in the second only, and by exactly their rule."""
    before = controller_state(network)
    optimiser.step()
    assert all(torch.equal(own, now) for own, now in zip(before, controller_state(network), strict=True))
    network.after_step()
    for own, now, (_, agnostic) in zip(before, controller_state(network), network.followers(), strict=True):
        target = torch.nn.utils.parameters_to_vector(agnostic.parameters()).detach()
        torch.testing.assert_close(now, 0.9 * own + 0.1 * target)
        assert not torch.equal(now, own)


def controller_state(network: DaAIR) -> list[Tensor]:
    return [
        torch.nn.utils.parameters_to_vector(controller.expert.parameters()).detach().clone()
        for controller, _ in network.followers()
    ]


def test_every_trainable_tensor_has_a_finite_gradient_whatever_the_routes() -> None:
    """Also the experts that no image came by: distributed training waits for parameters without a gradient."""
    network = tiny().train()
    x = images(1)
    ((network(x) - x).square().mean() + network.auxiliary_loss()).backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        else:
            assert parameter.grad is None, name


def test_bfloat16_autocast_is_finite_and_near_float32() -> None:
    network = lively(tiny()).eval()
    x = images(2)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(x)
    expected = network(x)
    assert (output.float() - expected).norm() < 0.05 * (expected - x).norm()
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = (network(x) - x).float().square().mean() + network.auxiliary_loss()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.requires_grad)


def test_offers_both_training_hooks_which_a_plain_module_does_not() -> None:
    network = tiny()
    assert isinstance(network, HasAuxiliaryLoss)
    assert isinstance(network, HasAfterStep)
    assert not isinstance(nn.Identity(), HasAuxiliaryLoss | HasAfterStep)


def test_can_be_copied_and_pickled_in_the_middle_of_training() -> None:
    network = tiny().train()
    x = images(1)
    network(x)
    copies = (copy.deepcopy(network), pickle.loads(pickle.dumps(network)))
    network.eval()
    for twin in copies:
        assert torch.equal(twin.eval()(x), network(x))
    assert network.auxiliary_loss().requires_grad


# --- as a restorer


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (8, 31), (1, 1), (40, 24)])
def test_restores_any_size(size: tuple[int, int]) -> None:
    restorer = create_model("daair", variant="tiny", weights="none")
    with torch.inference_mode():
        restored = restorer(images(2, *size))
    assert restored.shape == (2, 3, *size)
    assert restored.isfinite().all()


def test_card_says_reconstructed() -> None:
    card = get_card("daair")
    assert card.network_provenance == "reconstructed"
    assert (card.size.multiple, card.size.minimum, card.size.padding) == (8, 8, "reflect")
    assert card.default_variant == "paper"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [({"decoder_blocks": (2, 2)}, "decoder level 0 has 2 blocks"), ({"heads": (1, 2, 4, 8)}, "must be as many")],
)
def test_levels_that_do_not_match_are_refused(overrides: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        tiny(**overrides)
