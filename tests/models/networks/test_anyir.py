"""AnyIR against the authors' outputs, against a plain rewriting of it, on sizes, layouts and dtypes it must take."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from restorebench.models import create_model, get_card
from restorebench.models.layers.restormer import GDFN
from restorebench.models.networks import anyir
from restorebench.models.networks.anyir import CARD, AnyIR, GatedDA, GroupedGDFN, Mix

from ...oracles.anyir_plain import PlainAnyIR
from .comparison import relative_error
from .references import Reference, count_gmacs, filled, image, key_table, probe, reference_key_table

TINY = dict(CARD.variants["tiny"].arguments)


@pytest.fixture(scope="module")
def paper() -> nn.Module:
    return filled(AnyIR())


@pytest.fixture
def tiny() -> nn.Module:
    return filled(AnyIR(**TINY))


def test_keys_shapes_and_trainability_are_those_of_the_reference() -> None:
    with torch.device("meta"):
        network = AnyIR()
    assert key_table(network) == reference_key_table("anyir")


@pytest.mark.parametrize(("size", "gmacs"), [(224, 26.25), (256, 34.29)])
def test_paper_variant_has_the_published_size_and_cost(size: int, gmacs: float) -> None:
    card = get_card("anyir")
    assert card.default_variant == "paper"
    with torch.device("meta"):
        network = AnyIR(**card.variants["paper"].arguments)
    assert sum(p.numel() for p in network.parameters()) == card.variants["paper"].parameters == 5_736_376
    assert count_gmacs(network, size) == pytest.approx(gmacs, abs=0.005)


def test_tiny_variant_is_as_small_as_its_card_says() -> None:
    variant = CARD.variants["tiny"]
    network = AnyIR(**variant.arguments)
    assert sum(p.numel() for p in network.parameters()) == variant.parameters
    assert variant.parameters is not None
    assert variant.parameters < 600_000
    assert count_gmacs(network, 256) == pytest.approx(variant.macs_256_g, abs=0.005)


@pytest.mark.parametrize("name", ["anyir-1x3x64x64", "anyir-2x3x48x80"])
def test_output_and_input_gradient_equal_the_reference(paper: nn.Module, name: str) -> None:
    reference = Reference.read(name)
    restored, gradient = reference.restore(paper)
    assert relative_error(restored, reference.output) < 1e-5
    assert relative_error(gradient, reference.gradient) < 2e-5


@pytest.mark.parametrize("training", [False, True])
def test_equals_the_plain_network_with_all_gradients_and_running_statistics(tiny: nn.Module, training: bool) -> None:
    """In float64, so that only a difference in the mathematics can show."""
    oracle = filled(PlainAnyIR(**TINY)).double().train(training)
    network = tiny.double().train(training)
    x = image("oracle", 3, 3, 24, 40).double()
    expected, restored = oracle(x), network(x)
    assert relative_error(restored, expected) < 1e-11
    cotangent = probe("oracle", tuple(x.shape)).double()
    (expected * cotangent).sum().backward()
    (restored * cotangent).sum().backward()
    gradients = dict(network.named_parameters())
    for key, parameter in oracle.named_parameters():
        assert relative_error(gradients[key].grad, parameter.grad) < 1e-8, key
    state = network.state_dict()
    for key, buffer in oracle.named_buffers():
        torch.testing.assert_close(state[key], buffer, rtol=1e-11, atol=1e-11, msg=key)


@pytest.mark.parametrize("size", [(8, 8), (40, 24)])
def test_literal_fourier_fusion_equals_the_direct_sum(tiny: nn.Module, size: tuple[int, int]) -> None:
    literal = filled(AnyIR(**TINY, literal_fourier=True))
    transforms = []
    original = torch.fft.rfft2
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(torch.fft, "rfft2", lambda x: transforms.append(x.shape) or original(x))
        x = image("fourier", 1, 3, *size)
        direct = tiny(x)
        assert not transforms
        assert relative_error(literal(x), direct) < 1e-5
    assert len(transforms) == 2 * sum(isinstance(module, Mix) for module in literal.modules())


def test_statistics_of_the_batch_norm_output_follow_from_those_of_its_input() -> None:
    gated = filled(GatedDA(14))
    g = 3 + 0.5 * torch.randn(2, 14, 20, 28, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        b = gated.norm(g)
        mean, variance = gated._statistics(g)
        scale, shift = gated._batch_norm(mean, variance, 20 * 28)
    torch.testing.assert_close(mean * scale + shift, b.mean(dim=(2, 3)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(variance * scale.square(), b.var(dim=(2, 3), correction=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_feed_forward_in_groups_equals_the_whole(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped, whole = filled(GroupedGDFN(16, 2.0)), filled(GDFN(16, 2.0))
    x = torch.randn(2, 16, 9, 12, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(anyir, "GROUP_BYTES", 32 * 2 * 9 * 12 * 4 // groups)
    slices = []
    hidden = grouped._hidden
    monkeypatch.setattr(grouped, "_hidden", lambda x, rows: slices.append(rows) or hidden(x, rows))
    with torch.no_grad():
        torch.testing.assert_close(grouped(x), whole(x), rtol=1e-5, atol=1e-6)
    assert len(slices) == 2 * groups


def test_restores_a_batch_as_it_restores_each_image(tiny: nn.Module) -> None:
    x = image("batch", 3, 3, 32, 24)
    with torch.no_grad():
        singles = torch.cat([tiny(one[None]) for one in x])
        assert relative_error(tiny(x), singles) < 1e-5


@pytest.mark.parametrize("size", [(8, 8), (9, 23), (64, 8), (33, 50)])
def test_takes_any_size(size: tuple[int, int]) -> None:
    restorer = create_model("anyir", variant="tiny", weights="none")
    x = image("size", 2, 3, *size)
    with torch.no_grad():
        restored = restorer(x)
    assert restored.shape == x.shape
    assert restored.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 3, 16, 24), (1, 3, 8, 8)])
def test_training_reaches_every_parameter_with_finite_gradients(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = AnyIR(**TINY).train()
    network(image("training", *shape)).square().mean().backward()
    dead = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not dead
    # One pixel at the lowest level is its own mean: nothing there depends on what its batch norm multiplies.
    if shape[2] > 8:
        still = [key for key, p in network.named_parameters() if not p.grad.any()]
        assert not still


def test_batch_statistics_make_evaluation_follow_training() -> None:
    torch.manual_seed(0)
    network = AnyIR(**TINY).train()
    x = image("statistics", 2, 3, 16, 16)
    with torch.no_grad():
        for _ in range(60):
            network(x)
        training, norms = network(x), [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        assert all(int(norm.num_batches_tracked) == 61 for norm in norms)
        # The running variance is the unbiased one, so the two modes differ by as much.
        assert relative_error(network.eval()(x), training) < 1e-2


def test_keeps_channels_last_memory_between_blocks(tiny: nn.Module) -> None:
    layouts = []
    for module in tiny.modules():
        if isinstance(module, anyir.Block):
            module.register_forward_hook(
                lambda _, inputs, output: layouts.append(
                    [t.is_contiguous(memory_format=torch.channels_last) for t in (*inputs, output)]
                )
            )
    with torch.no_grad():
        tiny(image("layout", 1, 3, 32, 32))
    assert len(layouts) == 11
    assert all(all(layout) for layout in layouts)


def test_bfloat16_autocast_is_near_float32_forward_and_backward(tiny: nn.Module) -> None:
    x = image("bf16", 2, 3, 32, 32)
    runs = {}
    for enabled in (False, True):
        inputs = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            restored = tiny(inputs)
        restored.float().square().mean().backward()
        runs[enabled] = (restored.detach().float(), inputs.grad)
    assert all(t.isfinite().all() for t in runs[True])
    assert relative_error(runs[True][0], runs[False][0]) < 0.05
    assert relative_error(runs[True][1], runs[False][1]) < 0.1


def test_runs_natively_in_bfloat16(tiny: nn.Module) -> None:
    x = image("native", 1, 3, 32, 32)
    with torch.no_grad():
        expected = tiny(x)
        restored = tiny.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert restored.dtype == torch.bfloat16
    assert relative_error(restored.float(), expected) < 0.05


def test_state_dict_round_trip_of_an_enclosed_network(tiny: nn.Module, tmp_path: Path) -> None:
    """A checkpoint in the authors' layout, a Lightning one with keys under ``net.``, loads as it is."""
    path = tmp_path / "epoch.ckpt"
    torch.save({"state_dict": {f"net.{key}": value for key, value in tiny.state_dict().items()}}, path)
    restorer = create_model("anyir", variant="tiny", weights=path)
    x = image("checkpoint", 1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(restorer(x), tiny(x))
