"""Keys that several configurations share: which restorer, and how the network runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ...models.card import ModelCard
from .numerics import Numerics, check_dtype, check_graphs, resolve_batch, resolve_device


@dataclass
class RestorerConfig:
    """Which restorer.

    Attributes:
        model: a name of ``bench list models``; or a network of the user's own, as ``FILE.py:NAME`` or
            ``package.module:NAME``.
        size_multiple: sides of such a network are padded to multiples of it; None: what its class says, else 1.
        variant: a size of it; None for the one that the command takes.
        weights: a path, ``bundled``, ``none``, or None for what is there.
        weights_key: dotted path of the state dict in a file with several; None: averaged weights before others.
        overrides: constructor arguments of the network.
    """

    model: str = MISSING
    variant: str | None = None
    weights: str | None = None
    weights_key: str | None = None
    size_multiple: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass
class NumericsConfig:
    """How the network runs.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: ``float32``, or ``bfloat16`` / ``float16`` under autocast.
        tf32: TF32 in float32 matrix products and convolutions on a GPU.
        channels_last: memory format of the input and the weights.
        compile: whether the network goes through ``torch.compile``.
    """

    device: str = "auto"
    dtype: str = "float32"
    tf32: bool = False
    channels_last: bool = False
    compile: bool = False


def numerics_of(
    config: NumericsConfig, card: ModelCard, *, tile: int | None = None, batch: object = 1, cuda_graphs: bool = False
) -> Numerics:
    """The numerics that a configuration asks for, on this machine.

    Args:
        config: the keys.
        card: of the restorer.
        tile: side in pixels of forced tiles; None for whole images.
        batch: a number of images, or ``auto``.
        cuda_graphs: whether passes are recorded and replayed.

    Raises:
        UserError: a device that is not here, a dtype that the card does not allow, or no number of images.
    """
    device = resolve_device(config.device)
    return Numerics(
        device=device,
        dtype=check_dtype(config.dtype, card.dtypes, card.title),
        tf32=config.tf32,
        channels_last=config.channels_last,
        compile=config.compile,
        tile=tile,
        batch=resolve_batch(batch, device),
        cuda_graphs=check_graphs(cuda_graphs, device),
    )
