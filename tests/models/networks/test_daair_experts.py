"""DaAIR's router, experts, learner, controller and balance loss, each against its definition written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from restorebench.models.networks.daair_experts import (
    Controller,
    DaLe,
    Experts,
    Router,
    balance_loss,
    squared_variation,
)


def macs(network: nn.Module, *shape: int) -> float:
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(shape, device=device))
    return counter.get_total_flops() / 2


def written_out(y: Tensor, experts: Experts, number: int) -> Tensor:
    rank = experts.out.shape[1]
    u = torch.einsum("rc,bchw->brhw", experts.mix[number] @ experts.reduce[number], y)
    u = u * torch.conv2d(u, experts.depthwise[number].unsqueeze(1), padding=1, groups=rank)
    return torch.einsum("sr,brhw->bshw", experts.out[number], u)


def test_cost_is_one_specialised_expert_per_image_however_many_there_are() -> None:
    def cost(experts: int, batch: int) -> float:
        return macs(DaLe(16, 4, experts).to("meta").eval(), batch, 16, 64, 64)

    # Entry and depthwise of both experts, out of both as one block-diagonal matrix, projection; and, per image,
    # 2 * 4 * 4 * 16 for the products of their first two matrices (the agnostic one's once per batch).
    per_image = 64 * 64 * (2 * 4 * 16 + 2 * 4 * 9 + 8 * 8 + 4 * 16) + 4 * 4 * 16
    for experts in (1, 3, 12):
        for batch in (1, 5):
            assert cost(experts, batch) == batch * per_image + 4 * 4 * 16
    alike = macs(DaLe(16, 4, 3).eval(), 4, 16, 64, 64)  # real numbers, all images equal
    assert alike == cost(3, 4)


def test_router_noise_has_standard_deviation_one_over_n() -> None:
    torch.manual_seed(0)
    router = Router(8, 3).train()
    nn.init.zeros_(router.weight)  # logits are then the noise
    _, gate = router(torch.randn(20_000, 8, 1, 1))
    expected = (torch.randn(200_000, 3) / 3).softmax(dim=1).amax(dim=1)
    assert gate.mean().item() == pytest.approx(expected.mean().item(), abs=2e-3)
    assert gate.std().item() == pytest.approx(expected.std().item(), abs=2e-3)


def test_router_picks_the_largest_logit_and_gives_its_softmax() -> None:
    router = Router(4, 3).eval()
    y = torch.randn(6, 4, 5, 7)
    probabilities = (y.mean(dim=(2, 3)) @ router.weight.T).softmax(dim=1)
    index, gate = router(y)
    assert index.tolist() == probabilities.argmax(dim=1).tolist()
    torch.testing.assert_close(gate, probabilities.amax(dim=1))


def test_router_decides_in_float32_under_autocast() -> None:
    router = Router(32, 3).eval()
    y = torch.randn(4, 32, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        index, gate = router(y)
    assert gate.dtype == torch.float32
    assert torch.equal(gate, router(y)[1])
    assert torch.equal(index, router(y)[0])


def test_learner_multiplies_the_agnostic_and_the_gated_specialised_expert() -> None:
    torch.manual_seed(0)
    learner = DaLe(8, 2, 3).eval()
    nn.init.normal_(learner.project.weight)
    nn.init.normal_(learner.router.weight, std=20)
    y = torch.randn(5, 8, 6, 9)
    index, gate = learner.router(y)
    assert len(index.unique()) > 1
    specialised = torch.cat([written_out(y[b : b + 1], learner.specialised, int(index[b])) for b in range(5)])
    product = written_out(y, learner.agnostic, 0) * gate[:, None, None, None] * specialised
    expected = y + torch.einsum("cr,brhw->bchw", learner.project.weight, product)
    torch.testing.assert_close(learner(y), expected, rtol=1e-4, atol=1e-5)


def test_experts_start_at_unit_scale_and_their_projection_near_zero() -> None:
    torch.manual_seed(0)
    learner = DaLe(96, 24, 3).eval()
    y = torch.randn(2, 96, 16, 16)
    for number in range(3):
        assert 0.3 < written_out(y, learner.specialised, number).std() < 3
    assert 0 < (learner(y) - y).std() < 0.05


def test_controller_adds_its_projected_expert() -> None:
    torch.manual_seed(0)
    controller = Controller(8, 2)
    nn.init.normal_(controller.project.weight)
    y = torch.randn(3, 8, 6, 9)
    added = torch.einsum("cr,brhw->bchw", controller.project.weight, written_out(y, controller.expert, 0))
    torch.testing.assert_close(controller(y), y + added, rtol=1e-4, atol=1e-5)


def test_balance_loss_is_zero_when_even_and_n_minus_one_when_one_expert_does_everything() -> None:
    even = torch.zeros(6, 3)
    assert squared_variation(torch.tensor([1.0, 0.0, 0.0])).item() == pytest.approx(2.0)
    assert balance_loss(even, even, 1 / 3).item() == pytest.approx(0.0, abs=1e-6)
    one = torch.tensor([[30.0, 0.0, 0.0]]).expand(6, 3)
    assert balance_loss(one, one, 1 / 3).item() == pytest.approx(2.0, rel=1e-4)


def test_balance_loss_equals_its_definition_with_the_load_by_sampling() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 0.5 * torch.randn(4, 3, generator=generator, dtype=torch.float64)
    noisy = logits + torch.randn(4, 3, generator=generator, dtype=torch.float64) / 3
    redrawn = logits + torch.randn(400_000, 4, 3, generator=generator, dtype=torch.float64) / 3
    load = (redrawn >= noisy.amax(dim=1, keepdim=True)).double().mean(dim=0).sum(dim=0)
    importance = logits.softmax(dim=1).sum(dim=0)
    expected = sum(0.5 * ((share - share.mean()) ** 2).mean() / share.mean() ** 2 for share in (importance, load))
    assert balance_loss(logits, noisy, 1 / 3).item() == pytest.approx(float(expected), abs=3e-3)
