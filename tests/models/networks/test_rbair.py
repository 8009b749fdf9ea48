"""RBaIR against the reference outputs, against a plain rewriting of it, on sizes, layouts and dtypes it must take."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from restorebench.models import create_model, get_card
from restorebench.models.checkpoints.fitting import fitted
from restorebench.models.checkpoints.reading import open_checkpoint
from restorebench.models.layers import row_strips as strips
from restorebench.models.layers.layer_norm import LayerNorm2d
from restorebench.models.networks.rbair import CARD, RBaIR
from restorebench.models.networks.rbair_dyrba import DyRBA, DyRBAShape, RadialBasis, embed_at
from restorebench.models.networks.rbair_experts import ConvExpert, FourierExpert, MoCE

from ...oracles.rbair_plain import PlainRBaIR
from .comparison import relative_error
from .references import Reference, filled, image, key_table, reference_key_table

pytestmark = pytest.mark.slow

TINY = dict(CARD.variants["tiny"].arguments)


@pytest.fixture(scope="module")
def paper() -> nn.Module:
    return filled(RBaIR())


@pytest.fixture(scope="module")
def plain() -> nn.Module:
    return filled(PlainRBaIR())


@pytest.fixture
def tiny() -> nn.Module:
    return filled(RBaIR(**TINY))


def test_keys_shapes_and_trainability_are_those_of_the_reference(paper: nn.Module) -> None:
    assert key_table(paper) == reference_key_table("rbair")


def test_paper_variant_has_the_parameters_of_the_paper() -> None:
    card = get_card("rbair")
    assert card.default_variant == "paper"
    with torch.device("meta"):
        network = RBaIR(**card.variants["paper"].arguments)
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trainable == card.variants["paper"].parameters
    assert trainable + sum(b.numel() for b in network.buffers()) == 27_489_498


@pytest.mark.parametrize(("size", "gmacs"), [(224, 136.3), (256, 178.9)])
def test_paper_variant_costs_what_the_reference_costs(size: int, gmacs: float) -> None:
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), counter:
        RBaIR()(torch.empty(1, 3, size, size))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, rel=0.005)


def test_tiny_variant_is_tiny() -> None:
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), counter:
        network = RBaIR(**TINY)
        network(torch.empty(1, 3, 256, 256))
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters == CARD.variants["tiny"].parameters
    assert parameters <= 600_000
    assert counter.get_total_flops() / 2e9 < 6


@pytest.mark.parametrize("name", ["rbair-1x3x64x64", "rbair-2x3x64x96"])
def test_outputs_and_gradients_are_those_of_the_reference(
    paper: nn.Module, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = Reference.read(name)
    restored, gradient = reference.restore(paper)
    monkeypatch.setattr(strips, "STRIP_BYTES", 1 << 18)
    with torch.inference_mode():
        in_strips = paper(reference.image())
    assert relative_error(restored, reference.output) < 1e-4
    assert relative_error(in_strips, reference.output) < 1e-4
    assert relative_error(gradient, reference.gradient) < 2e-2


def test_network_and_plain_rewriting_are_the_same_function(paper: nn.Module, plain: nn.Module) -> None:
    # Powers of two: elsewhere the plain one lets rounding choose the phase of real frequencies.
    degraded = image("batch", 2, 3, 16, 32).double()
    with torch.no_grad():
        expected = copy.deepcopy(plain).double()(degraded)
        assert relative_error(copy.deepcopy(paper).double()(degraded), expected) < 1e-11


def test_strips_of_any_size_give_the_restored_image(
    paper: nn.Module, plain: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    degraded = image("batch", 2, 3, 48, 72)
    with torch.no_grad():
        expected = plain(degraded)
        for size in (1 << 12, 1 << 17):
            monkeypatch.setattr(strips, "STRIP_BYTES", size)
            # Rounding can move the phase of a frequency across the negative real axis, which shows in the image.
            assert relative_error(paper(degraded), expected) < 2e-3


def test_embedding_at_samples_equals_sampling_the_full_embedding_with_its_gradients() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 8, 3, padding=1, bias=False).double(), LayerNorm2d(8).double()
    nn.init.normal_(norm.body.weight)
    nn.init.normal_(norm.body.bias)
    degraded = torch.rand(2, 3, 9, 12, dtype=torch.float64, requires_grad=True)
    # Points outside the image, partly outside it, and on its corners are among them.
    grid = (2.6 * torch.rand(2, 40, 2, dtype=torch.float64) - 1.3).requires_grad_()
    with torch.no_grad():
        grid[:, 0], grid[:, 1], grid[0, 2] = -1, 1, torch.tensor([1.0, -1.0])
    sampled = embed_at(degraded, conv, norm, grid, slice(2, 6))
    full = norm(conv(degraded))[:, 2:6]
    expected = F.grid_sample(full, grid.flip(-1)[:, :, None], align_corners=True).squeeze(-1).transpose(1, 2)
    assert relative_error(sampled, expected) < 1e-12
    cotangent = torch.randn_like(expected)
    inputs = [degraded, grid, conv.weight, norm.body.weight, norm.body.bias]
    gradients = [torch.autograd.grad((y * cotangent).sum(), inputs) for y in (sampled, expected)]
    for one, other in zip(*gradients, strict=True):
        assert relative_error(one, other) < 1e-10


def test_fourier_expert_gives_the_same_with_and_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    expert = FourierExpert(4)
    x = torch.randn(2, 4, 10, 12)
    expected = expert(x)
    monkeypatch.setattr(strips, "STRIP_BYTES", 1000)
    with torch.no_grad():
        assert relative_error(expert(x), expected) < 1e-5


@pytest.mark.parametrize("size", [(12, 10), (9, 14), (8, 15), (5, 7)])
@pytest.mark.parametrize("with_gradients", [False, True])
def test_rounding_does_not_choose_the_phase_of_real_frequencies(
    size: tuple[int, int], with_gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    expert, x = FourierExpert(3), torch.randn(4, 3, *size)
    transform = torch.fft.rfft2
    real = transform(torch.randn(64, *size, dtype=torch.float64)).imag.abs().amax(0) < 1e-9
    restored = []
    for rounding in (1e-9, -1e-9):
        monkeypatch.setattr(torch.fft, "rfft2", lambda t, noise=rounding: transform(t) + 1j * noise * real)
        with torch.set_grad_enabled(with_gradients):
            restored.append(expert(x))
    assert relative_error(*restored) < 1e-5


def test_fourier_expert_has_the_gradient_of_its_values() -> None:
    torch.manual_seed(0)
    expert = FourierExpert(2).double()
    # Filtered magnitudes are negative in places: there torch.polar would have a wrong gradient.
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(expert, (x,), atol=1e-6)


def test_experts_in_strips_equal_the_experts_on_whole_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    moce = filled(nn.Sequential(MoCE(6)))
    x = torch.randn(2, 6, 32, 24)
    expected = moce(x)
    monkeypatch.setattr(strips, "STRIP_BYTES", 5000)
    before = x.clone()
    with torch.no_grad():
        assert relative_error(moce(x), expected) < 1e-5
    assert torch.equal(x, before)


def test_each_image_weights_the_experts_for_itself(tiny: nn.Module) -> None:
    degraded = torch.cat([image("one", 1, 3, 32, 40), 0.2 * image("two", 1, 3, 32, 40)])
    with torch.no_grad():
        alone = torch.cat([tiny(one[None]) for one in degraded])
        assert relative_error(tiny(degraded), alone) < 1e-5


def test_radial_basis_is_one_at_its_centres_and_falls_off_by_the_spacing() -> None:
    basis = RadialBasis(5, 2.0)
    values = basis(torch.tensor([[-2.0, 1.0]])).view(2, 5)
    assert basis.center.tolist() == [-2, -1, 0, 1, 2]
    assert torch.allclose(values[0], torch.exp(-(torch.arange(5.0) ** 2)))
    assert torch.allclose(values[1], torch.exp(-(torch.tensor([3.0, 2, 1, 0, 1]) ** 2)))


def test_dyrba_works_without_padding_where_kernel_equals_stride() -> None:
    shape = DyRBAShape(hidden=8, heads=2, groups=2, reach=2, kernel=2, stride=2, centres=4, spread=2)
    block = DyRBA(6, shape)
    assert block.DaCA.attn.conv_offset[0].padding == (0, 0)
    assert block(torch.rand(1, 3, 32, 48), torch.rand(1, 6, 8, 12)).shape == (1, 6, 8, 12)


class LargestTensor(TorchDispatchMode):
    """Elements of the largest tensor that any operator gives."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, Iterable) and not isinstance(out, Tensor) else [out]:
            if isinstance(value, Tensor):
                self.elements = max(self.elements, value.numel())
        return out


def test_no_tensor_is_larger_than_a_feed_forward_map_not_even_the_attention() -> None:
    # Fake tensors choose the kernels that real ones on a CPU get, with nothing computed. Written out, one attention
    # matrix of the second DyRBA would hold 4 * 57600 * 14400 numbers, seven times the limit.
    largest = LargestTensor()
    with FakeTensorMode(), largest:
        RBaIR()(torch.empty(1, 3, 720, 1280))
    assert largest.elements == 510 * 720 * 1280


def test_centres_are_constants_under_their_published_key(tiny: nn.Module) -> None:
    assert "DyRBF1.rbf.center" in tiny.state_dict()
    assert not any(key.endswith("center") for key, _ in tiny.named_parameters())


@pytest.mark.parametrize("prefix", ["", "net.", "module."])
def test_either_spelling_of_published_keys_is_read(tiny: nn.Module, tmp_path: Path, prefix: str) -> None:
    renamed = {
        prefix + key.replace("MoCE", "MoFE").replace("DaCA", "DCCA"): value for key, value in tiny.state_dict().items()
    }
    assert any("MoFE_out.0" in key for key in renamed)
    for stored in ({"state_dict": renamed}, tiny.state_dict()):
        torch.save(stored, tmp_path / "x.pth")
        fit = fitted(open_checkpoint(tmp_path / "x.pth"), tiny.state_dict(), CARD)
        assert fit.state.keys() == tiny.state_dict().keys()


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (16, 16), (33, 17), (45, 64)])
def test_any_size_from_8_up_is_restored(size: tuple[int, int]) -> None:
    restorer = create_model("rbair", variant="tiny", weights="none")
    with torch.no_grad():
        restored = restorer(image("size", 1, 3, *size))
    assert restored.shape == (1, 3, *size)
    assert restored.isfinite().all()


def test_constant_image_has_finite_gradients(tiny: nn.Module) -> None:
    # All its frequencies but one are zero, where magnitude and phase have no derivative.
    degraded = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
    tiny(degraded).sum().backward()
    assert degraded.grad is not None
    assert degraded.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in tiny.parameters())


def test_bfloat16_autocast_is_finite_both_ways_and_close(tiny: nn.Module) -> None:
    degraded = image("bf16", 1, 3, 32, 40)
    with torch.autocast("cpu", torch.bfloat16):
        restored = tiny(degraded)
        loss = (restored.float() - 0.5).square().mean()
    loss.backward()
    with torch.no_grad():
        assert relative_error(restored.float(), tiny(degraded)) < 0.1
    missing = [key for key, p in tiny.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []


def test_wide_kernels_of_few_channels_return_in_bfloat16() -> None:
    expert = ConvExpert(12, (1, 21))
    x = torch.randn(1, 12, 16, 24).contiguous(memory_format=torch.channels_last)
    expected = expert(x)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert relative_error(expert(x.bfloat16()).float(), expected) < 0.02
    assert expert.bfloat16()(x.bfloat16()).dtype == torch.bfloat16
