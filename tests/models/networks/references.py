"""The reference outputs of `tests/reference`, with the weights, images and cotangents behind them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ...reference import fill

FOLDER = Path(fill.__file__).parent
CONSTANTS = ("center", "num_batches_tracked", "complexity", "queue", "queue_ptr")
"""Leaves that the reference leaves as the constructor made them."""

KeyTable = dict[str, tuple[str, str]]
"""Shape and trainability (1 or 0) by key."""


def weight(key: str, shape: torch.Size) -> Tensor:
    """The reference's value of a parameter or buffer, float32."""
    return torch.from_numpy(fill.weight(key, tuple(shape)))


def filled(network: nn.Module) -> nn.Module:
    """`network` with the weights of the reference, in evaluation mode."""
    state = {
        key: value if key.endswith(CONSTANTS) else weight(key, value.shape)
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    return network.eval()


def built_filled(build: Callable[[], nn.Module]) -> nn.Module:
    """As `filled`, for large networks without constants: no time is spent on weights that are replaced at once."""
    with torch.device("meta"):
        network = build()
    network.load_state_dict({key: weight(key, t.shape) for key, t in network.state_dict().items()}, assign=True)
    return network.eval()


def image(name: str, *shape: int) -> Tensor:
    """A smooth image (B, 3, H, W) in [0, 1] that belongs to that name."""
    return torch.from_numpy(fill.image(name, shape))


def probe(name: str, shape: tuple[int, ...]) -> Tensor:
    """The cotangent behind the input gradient of that name."""
    return torch.from_numpy(fill.probe(name, tuple(shape)))


@dataclass(frozen=True)
class Reference:
    """Output of a reference network for `image(name, *shape)`, and the gradient of that image under `probe`."""

    name: str
    output: Tensor
    gradient: Tensor

    @classmethod
    def read(cls, name: str) -> Reference:
        """From ``<name>.npz``; the name ends with the shape."""
        stored = np.load(FOLDER / f"{name}.npz")
        return cls(name, torch.from_numpy(stored["output"]), torch.from_numpy(stored["grad_input"]))

    def image(self) -> Tensor:
        """The input."""
        return image(self.name, *self.output.shape)

    def restore(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        """What `network` gives for the image: its output, and the gradient with respect to the image."""
        x = self.image().requires_grad_()
        restored = network(x)
        (gradient,) = torch.autograd.grad((restored * probe(self.name, tuple(x.shape))).sum(), x)
        return restored.detach(), gradient


def key_table(network: nn.Module) -> KeyTable:
    """Keys of a network."""
    trainable = {key for key, parameter in network.named_parameters() if parameter.requires_grad}
    return {
        key: ("x".join(map(str, value.shape)) or "1", str(int(key in trainable)))
        for key, value in network.state_dict().items()
    }


def reference_key_table(name: str) -> KeyTable:
    """Keys of the reference, from ``<name>.keys.csv``."""
    with (FOLDER / f"{name}.keys.csv").open(newline="") as file:
        return {row["key"]: (row["shape"], row["trainable"]) for row in csv.DictReader(file)}


def count_gmacs(network: nn.Module, size: int) -> float:
    """1e9 multiply-adds of one image of size x size, counted by dispatch; the network loses its values."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.to("meta").eval()(torch.empty(1, 3, size, size, device="meta"))
    return float(counter.get_total_flops() / 2e9)
