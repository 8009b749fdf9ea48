"""The stored reference of a network: its keys, weights, images, outputs and gradients."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from restorebench.models.layers import row_strips

from ...reference import fill
from .comparison import relative_error

FOLDER = Path(fill.__file__).parent
KEPT = ("center", "num_batches_tracked", "complexity", "queue", "queue_ptr")
"""Leaves that keep the constructor's value."""
Network = TypeVar("Network", bound=nn.Module)


def filled(network: Network) -> Network:
    """`network` with the weights of the reference, in evaluation mode."""
    state = {
        key: old if key.rpartition(".")[2] in KEPT else torch.from_numpy(fill.weight(key, tuple(old.shape)))
        for key, old in network.state_dict().items()
    }
    network.load_state_dict(state)
    return network.eval()


def image(name: str, *shape: int) -> Tensor:
    """Test image (B, 3, H, W) of that name."""
    return torch.from_numpy(fill.image(name, shape))


def probe(name: str, shape: tuple[int, ...]) -> Tensor:
    """Cotangent of that name."""
    return torch.from_numpy(fill.probe(name, shape))


def stored(name: str) -> Mapping[str, Tensor]:
    """What the reference file of that name holds."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def gradient(network: nn.Module, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output, and gradient of the input along the cotangent called `name`."""
    x = x.detach().requires_grad_()
    restored = network(x)
    (of_input,) = torch.autograd.grad((restored * probe(name, tuple(x.shape)).to(x.dtype)).sum(), x)
    return restored.detach(), of_input


def errors(network: nn.Module, name: str) -> dict[str, float]:
    """Relative errors against the stored reference: output, input gradient, and output in inference, in strips."""
    expected = stored(name)
    x = image(name, *expected["output"].shape)
    restored, of_input = gradient(network, name, x)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(row_strips, "STRIP_BYTES", 1 << 18)
        inferred = network(x)
    return {
        "output": relative_error(restored, expected["output"]),
        "inferred": relative_error(inferred, expected["output"]),
        "gradient": relative_error(of_input, expected["grad_input"]),
    }


def key_table(network: nn.Module) -> dict[str, tuple[str, str]]:
    """Shape and trainability of everything in the state dict."""
    trainable = {key for key, parameter in network.named_parameters() if parameter.requires_grad}
    return {
        key: ("x".join(map(str, value.shape)) or "1", str(int(key in trainable)))
        for key, value in network.state_dict().items()
    }


def published_keys(name: str) -> dict[str, tuple[str, str]]:
    """The same of the authors' network."""
    with (FOLDER / f"{name}.keys.csv").open(newline="") as file:
        return {row["key"]: (row["shape"], row["trainable"]) for row in csv.DictReader(file)}


def gmacs(network: nn.Module, size: int) -> float:
    """1e9 multiply-adds of a network on the meta device at 1x3xsizexsize."""
    counter = FlopCounterMode(display=False)
    with counter:
        network.eval()(torch.empty(1, 3, size, size, device="meta"))
    return float(counter.get_total_flops()) / 2e9


def assert_same_function(network: nn.Module, twin: nn.Module, *shape: int, tolerance: float = 1e-8) -> None:
    """Both, with the weights of the reference, give the same output and the same gradient of every parameter.

    In float64, so that only a difference in the mathematics can show.
    """
    x = image("twin", *shape).double()
    gradients = []
    outputs = []
    for net in (filled(network).double(), filled(twin).double()):
        restored = net(x)
        (restored * probe("twin", shape).double()).sum().backward()
        outputs.append(restored.detach())
        gradients.append({key: p.grad for key, p in net.named_parameters()})
    assert relative_error(*outputs) < tolerance
    found, expected = gradients
    assert found.keys() == expected.keys()
    for key, of_twin in expected.items():
        of_network = found[key]
        if of_twin is None or not of_twin.any():  # a spare parameter
            assert of_network is None or not of_network.any(), key
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


def without_finite_gradient(network: nn.Module, spare: Collection[str] = ()) -> list[str]:
    """Trainable parameters whose gradient is missing, not finite, or zero; `spare` may be zero."""
    return [
        key
        for key, p in network.named_parameters()
        if p.requires_grad
        and (p.grad is None or not p.grad.isfinite().all() or (key not in spare and not bool(p.grad.any())))
    ]
