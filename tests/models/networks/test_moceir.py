"""MoCE-IR against the authors' outputs and balance losses, and against a plain rewriting of it; its routing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.models import create_model
from restorebench.models.hooks import HasAuxiliaryLoss
from restorebench.models.networks.moceir import BALANCE_WEIGHT, CARD, MoCEIR
from restorebench.models.networks.moceir_experts import Adapter, Expert, circular_convolution

from ...oracles.moceir_plain import PlainMoCEIR
from .agreement import (
    assert_images_alone,
    assert_same_function,
    assert_takes_any_size,
    count_gmacs,
    reference_errors,
    trainable_count,
    without_finite_gradient,
    without_values,
)
from .comparison import relative_error
from .references import FOLDER, filled, image, key_table, reference_key_table

pytestmark = pytest.mark.slow

TINY = dict(CARD.variants["tiny"].arguments)
NAMES = {"paper": "moceir", "s": "moceir_s"}
GMACS = {
    ("paper", 224): (70.85, 71.66, 73.72, 79.56),
    ("paper", 256): (92.54, 93.60, 96.28, 103.92),
    ("s", 224): (32.46, 32.86, 33.85, 36.59),
    ("s", 256): (42.40, 42.92, 44.21, 47.79),
}
"""Multiply-adds when all images go to expert 0, 1, 2 or 3."""


@pytest.fixture(scope="module", params=["paper", "s"])
def published(request: pytest.FixtureRequest) -> tuple[str, MoCEIR]:
    network = filled(MoCEIR(**CARD.variants[request.param].arguments))
    assert isinstance(network, MoCEIR)
    return request.param, network


@pytest.fixture
def tiny() -> MoCEIR:
    network = filled(MoCEIR(**TINY))
    assert isinstance(network, MoCEIR)
    return network


def cost_of(network: nn.Module, expert: int, size: int) -> float:
    """GMACs when every router sends every image to that expert."""
    for module in network.modules():
        if isinstance(module, Adapter):
            module.fixed_expert = expert
    return count_gmacs(network, size)


def without_noise(network: MoCEIR, x: Tensor) -> Tensor:
    """The weighted balance loss of a batch, without noise on the logits."""
    network.train()
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(torch, "randn_like", torch.zeros_like)
        network(x)
    return network.eval().auxiliary_loss()


def test_keys_shapes_and_trainability_are_those_of_the_authors(published: tuple[str, MoCEIR]) -> None:
    variant, network = published
    assert key_table(network) == reference_key_table(NAMES[variant])
    assert trainable_count(network) == CARD.variants[variant].parameters


@pytest.mark.parametrize("variant", ["paper", "s"])
def test_published_cost_is_that_of_the_chosen_experts(variant: str) -> None:
    network = without_values(MoCEIR, **CARD.variants[variant].arguments)
    for size in (224, 256):
        found = [cost_of(network, expert, size) for expert in range(4)]
        assert found == pytest.approx(GMACS[variant, size], abs=0.0051)
    card = CARD.variants[variant]
    assert (card.macs_256_g, card.macs_256_most_g) == (GMACS[variant, 256][0], GMACS[variant, 256][-1])


def test_tiny_variant_is_as_small_as_its_card_says() -> None:
    network = without_values(MoCEIR, **TINY)
    card = CARD.variants["tiny"]
    assert trainable_count(network) == card.parameters
    assert trainable_count(network) <= 600_000
    assert cost_of(network, 0, 256) == pytest.approx(card.macs_256_g, abs=0.005)
    assert cost_of(network, 3, 256) == pytest.approx(card.macs_256_most_g, abs=0.005)


@pytest.mark.parametrize("batch", [1, 2])
def test_output_and_input_gradient_are_those_of_the_authors(published: tuple[str, MoCEIR], batch: int) -> None:
    variant, network = published
    (file,) = FOLDER.glob(f"{NAMES[variant]}-{batch}x*.npz")
    found = reference_errors(network, file.stem)
    assert found["output"] < 1e-5
    assert found["inferred"] < 1e-5
    assert found["gradient"] < 2e-5


@pytest.mark.parametrize(("complexity_bias", "kind"), [(True, "complexity"), (False, "plain")])
def test_balance_loss_is_that_of_the_authors(
    published: tuple[str, MoCEIR], complexity_bias: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant, network = published
    (file,) = FOLDER.glob(f"{NAMES[variant]}-2x*.npz")
    stored = np.load(file)
    for adapter in network.adapters():
        monkeypatch.setattr(adapter.routing, "complexity_bias", complexity_bias)
    loss = without_noise(network, image(file.stem, *stored["output"].shape))
    assert float(loss) / BALANCE_WEIGHT == pytest.approx(float(stored[f"balance_loss_{kind}"]), rel=1e-5)


@pytest.mark.parametrize("top_k", [1, 2])
def test_equals_the_plain_network_with_all_gradients(top_k: int) -> None:
    few: dict[str, Any] = {
        "dim": 16,
        "encoder_blocks": (1, 1),
        "latent_blocks": 1,
        "decoder_blocks": (2, 1),
        "refinement_blocks": 1,
        "heads": (1, 2, 4),
        "top_k": top_k,
    }
    assert_same_function(MoCEIR(**few), PlainMoCEIR(**few), 3, 3, 24, 40)


@pytest.mark.parametrize(("top_k", "learns"), [(1, False), (2, True)])
def test_routers_learn_from_the_image_only_where_shares_compete(top_k: int, learns: bool) -> None:
    """One share alone scales queries that are normalised: it cancels."""
    torch.manual_seed(0)
    network = MoCEIR(**TINY | {"top_k": top_k}).double()
    network(image("shares", 1, 3, 16, 24).double()).square().mean().backward()
    gradients = [
        float(p.grad.norm()) for key, p in network.named_parameters() if "routing" in key or "freq_embed" in key
    ]
    assert all((gradient > 1e-14) == learns for gradient in gradients)


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (12, 9)])
def test_circular_convolution_is_its_sum_over_the_patch(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    q, k = (torch.randn(2, 3, *size, dtype=torch.float64, generator=generator) for _ in range(2))
    patch = 4
    padded = [nn.functional.pad(t, (0, -size[1] % patch, 0, -size[0] % patch)) for t in (q, k)]
    expected = torch.zeros_like(padded[0])
    for top in range(0, padded[0].shape[2], patch):
        for left in range(0, padded[0].shape[3], patch):
            own_q, own_k = (t[:, :, top : top + patch, left : left + patch] for t in padded)
            for row in range(patch):
                for column in range(patch):
                    moved = torch.roll(own_k, (row, column), dims=(2, 3))
                    target = expected[:, :, top : top + patch, left : left + patch]
                    target += own_q[:, :, row : row + 1, column : column + 1] * moved
    torch.testing.assert_close(circular_convolution(q, k, patch), expected[:, :, : size[0], : size[1]])


@pytest.mark.parametrize("training", [False, True])
def test_only_the_chosen_experts_run_and_each_on_its_own_images(training: bool) -> None:
    torch.manual_seed(0)
    adapter = Adapter(16, 5, experts=4, top_k=1, complexity_bias=False).train(training)
    seen: dict[int, int] = {}
    for index, (expert,) in enumerate(adapter.experts):  # type: ignore[misc]
        assert isinstance(expert, Expert)
        expert.register_forward_hook(lambda _, args, __, index=index: seen.update({index: len(args[0])}))
    shares, indices = torch.tensor([[0.5], [0.25], [0.5]]), torch.tensor([[2], [0], [2]])
    adapter.routing.forward = lambda *_: (shares, indices)  # type: ignore[method-assign]
    a, s = torch.randn(3, 16, 8, 8, requires_grad=True), torch.randn(3, 16, 8, 8)
    adapted = adapter(a, torch.zeros(3, 5), s)
    assert seen == {2: 2, 0: 1}
    for one in range(3):
        expert = adapter.experts.get_submodule(f"{int(indices[one])}.0")
        expected = adapter.proj_out(shares[one] * expert(a[one : one + 1], s[one : one + 1]))
        assert relative_error(adapted[one : one + 1], expected) < 1e-6
    adapted.sum().backward()
    assert not without_finite_gradient(adapter.experts[0])
    # What no image chose has a gradient of zero, not none: processes that train together agree on that.
    assert all(p.grad is not None and not p.grad.any() for p in adapter.experts[1].parameters())


def test_evaluation_has_no_noise_and_images_do_not_see_each_other(tiny: MoCEIR) -> None:
    x = image("noise", 1, 3, 32, 24)
    with torch.no_grad():
        assert torch.equal(tiny(x), tiny(x))
    assert_images_alone(tiny)


def test_takes_any_size() -> None:
    restorer = create_model("moceir", variant="tiny", weights="none")
    assert_takes_any_size(restorer, (1, 1), (9, 23), (64, 8), (33, 50))


def test_lightning_checkpoint_loads_as_it_is(tiny: MoCEIR, tmp_path: Path) -> None:
    state = {f"net.{key}": value for key, value in tiny.state_dict().items()}
    assert sum(key.endswith("routing.complexity") for key in state) == len(tiny.adapters())
    torch.save({"state_dict": state, "epoch": 119}, tmp_path / "last.ckpt")
    restorer = create_model("moceir", variant="tiny", weights=tmp_path / "last.ckpt")
    x = image("checkpoint", 1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(restorer(x), tiny(x))


def test_training_with_the_balance_loss_reaches_routers_and_in_time_every_expert() -> None:
    waiting: set[str] | None = None
    for seed in range(40):  # each with routers of its own, that choose other experts
        torch.manual_seed(seed)
        network = MoCEIR(**TINY).train()
        assert isinstance(network, HasAuxiliaryLoss)
        loss = network(image("training", 2, 3, 16, 24)).square().mean() + network.auxiliary_loss()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        still = set(without_finite_gradient(network))
        waiting = still if waiting is None else waiting & still
        assert not any("experts" not in key for key in still)
        if not waiting:
            break
    assert not waiting


def test_there_is_no_balance_loss_before_a_forward_pass_in_training(tiny: MoCEIR) -> None:
    with pytest.raises(RuntimeError, match="before a forward pass in training mode"):
        tiny.auxiliary_loss()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"heads": (1, 2)}, "3 encoder levels, 3 decoder levels, heads of 2"), ({"top_k": 5}, "top_k=5 of 4 experts")],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MoCEIR(**arguments)
