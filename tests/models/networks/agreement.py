"""What the tests of several networks ask: agreement with the authors' outputs, with a plain twin, image by image."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from restorebench.models import ModelCard, create_model
from restorebench.models.layers import row_strips

from .comparison import relative_error
from .references import Reference, filled, image, probe


def reference_errors(network: nn.Module, name: str) -> dict[str, float]:
    """Relative errors against the stored reference: output, input gradient, and output in inference, in strips."""
    reference = Reference.read(name)
    restored, gradient = reference.restore(network)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(row_strips, "STRIP_BYTES", 1 << 18)
        inferred = network(reference.image())
    return {
        "output": relative_error(restored, reference.output),
        "inferred": relative_error(inferred, reference.output),
        "gradient": relative_error(gradient, reference.gradient),
    }


def assert_outputs_of_the_authors(network: nn.Module, name: str) -> None:
    """Output and input gradient are those of the stored reference, also in inference and in strips."""
    found = reference_errors(network, name)
    assert found["output"] < 1e-5
    assert found["inferred"] < 1e-5
    assert found["gradient"] < 2e-5


def assert_tiny_as_its_card_says(build: Callable[..., nn.Module], card: ModelCard, most: int = 600_000) -> None:
    """The tiny variant has the parameters and multiply-adds of its card, and no more parameters than `most`."""
    tiny = card.variants["tiny"]
    network = without_values(build, **tiny.arguments)
    assert trainable_count(network) == tiny.parameters
    assert trainable_count(network) <= most
    assert count_gmacs(network, 256) == pytest.approx(tiny.macs_256_g, abs=0.005)


def assert_loads_as_it_is(network: nn.Module, stored: object, path: Path, model: str, **overrides: Any) -> None:
    """A file with the network's weights in the authors' layout gives the tiny restorer the network's outputs."""
    torch.save(stored, path)
    restorer = create_model(model, variant="tiny", weights=path, **overrides)
    x = image("checkpoint", 1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(restorer(x), network(x))


def assert_same_function(network: nn.Module, twin: nn.Module, *shape: int, tolerance: float = 1e-8) -> None:
    """Both, with the weights of the reference, give the same output and the same gradient of every parameter.

    In float64, so that only a difference in the mathematics can show.
    """
    x = image("twin", *shape).double()
    outputs, gradients = [], []
    for net in (filled(network).double(), filled(twin).double()):
        restored = net(x)
        (restored * probe("twin", shape).double()).sum().backward()
        outputs.append(restored.detach())
        gradients.append({key: p.grad for key, p in net.named_parameters()})
    assert relative_error(*outputs) < tolerance
    found, expected = gradients
    assert found.keys() == expected.keys()
    nothing = 1e-13 * max(float(g.norm()) for g in expected.values() if g is not None)
    for key, of_twin in expected.items():
        of_network = found[key]
        if of_twin is None or of_twin.norm() < nothing:  # a spare parameter, or one whose effects cancel
            assert of_network is None or of_network.norm() < nothing, key
        else:
            assert of_network is not None, key
            assert relative_error(of_network, of_twin) < tolerance, key
    with torch.inference_mode():
        assert relative_error(network(x), outputs[1]) < tolerance


def assert_images_alone(network: nn.Module, height: int = 32, width: int = 24) -> None:
    """A batch of images of different character is restored as each of them alone."""
    x = image("batch", 3, 3, height, width) * torch.tensor([1.0, 0.3, 0.05]).view(3, 1, 1, 1)
    with torch.inference_mode():
        alone = torch.cat([network(one[None]) for one in x])
        assert relative_error(network(x), alone) < 1e-5


def without_values(build: Callable[..., nn.Module], **arguments: Any) -> nn.Module:
    """A network without values, for counting."""
    with torch.device("meta"):
        return build(**arguments)


def count_gmacs(network: nn.Module, size: int) -> float:
    """1e9 multiply-adds of one image of size x size, counted by dispatch, of the network as it is trained.

    (In inference some networks leave out what has no effect.)
    """
    counter = FlopCounterMode(display=False)
    with torch.enable_grad(), counter:
        network.eval()(torch.empty(1, 3, size, size, device="meta"))
    return float(counter.get_total_flops()) / 2e9


def assert_takes_any_size(restorer: nn.Module, *sizes: tuple[int, int]) -> None:
    """Two images of each size go in, and as many finite ones of that size come out."""
    for height, width in sizes:
        x = image("size", 2, 3, height, width)
        with torch.inference_mode():
            restored = restorer(x)
        assert restored.shape == x.shape
        assert restored.isfinite().all()


def trainable_count(network: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def without_finite_gradient(network: nn.Module, spare: Collection[str] = ()) -> list[str]:
    """Trainable parameters whose gradient is missing, not finite, or zero; that of `spare` ones may be zero."""
    return [
        key
        for key, p in network.named_parameters()
        if p.requires_grad
        and (p.grad is None or not p.grad.isfinite().all() or (key not in spare and not bool(p.grad.any())))
    ]
