"""Networks that a script brings itself: any ``torch.nn.Module`` behind the restorers' interface."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor, nn

from ...models import WeightsInfo
from ...models.card import ModelCard, Variant
from ...models.restorer import Restorer
from ..errors import RestorationError, UserError
from .numerics import DTYPES, resolve_device

NOT_KNOWN = "not known (a network given from Python)"


class GivenRestorer(Restorer):
    """A restorer around a network of the user's; whatever it raises on an image is that image's failure.

    Args:
        network: (B, 3, H, W) in [0, 1] -> the same shape.
        card, variant, weights, overrides: as for `Restorer`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As `Restorer.forward`.

        Raises:
            RestorationError: the network raises something, or its result is no tensor.
        """
        try:
            return super().forward(x)
        except (RuntimeError, MemoryError, ValueError):
            raise
        except Exception as error:  # code of the user's can raise anything
            raise RestorationError(f"{self.card.name} raised {type(error).__name__}: {error}") from error


def given_restorer(network: nn.Module, name: str, weights: WeightsInfo | None = None) -> Restorer:
    """A network as a restorer whose card knows nothing but its name; a restorer keeps what its own card says of it.

    Args:
        network: it is used as it is, not copied.
        name: what stands for it in tables.
        weights: what is known of its weights; None: nothing.
    """
    info = weights or WeightsInfo("memory", None, None, "foreign", NOT_KNOWN)
    if isinstance(network, Restorer):
        card = replace(
            network.card,
            name=name,
            title=name,
            variants={network.variant: Variant(note=NOT_KNOWN)},
            weights_licence=NOT_KNOWN,
            training_sets=(),
            published=(),
            checkpoints=(),
            built_from="arguments",
        )
        return GivenRestorer(network.network, card, network.variant, info)
    variant = type(network).__name__
    card = ModelCard(
        name=name,
        title=name,
        variants={variant: Variant(note=NOT_KNOWN)},
        paper=NOT_KNOWN,
        url="",
        year=0,
        code_licence=NOT_KNOWN,
        weights_licence=NOT_KNOWN,
        dtypes=DTYPES,
    )
    return GivenRestorer(network, card, variant, info)


def device_for(network: nn.Module | None, device: str) -> str:
    """The device that a name means; ``auto`` is where a network's parameters lie, if it is given and has any.

    Raises:
        UserError: no such device, or parameters that lie on several devices or on none (``meta``).
    """
    places = set() if network is None else {tensor.device for tensor in _tensors(network)}
    if any(place.type == "meta" for place in places):
        raise UserError("the network has parameters without values (device meta): load its weights first")
    if len(places) > 1:
        raise UserError(f"the network lies on several devices ({', '.join(sorted(map(str, places)))}): move it to one")
    if device == "auto" and places:
        return str(places.pop())
    return resolve_device(device)


@contextlib.contextmanager
def left_as_it_was(network: nn.Module) -> Iterator[None]:
    """Whatever the block does with the device and the training modes of a network is undone at its end."""
    modes = {module: module.training for module in network.modules()}
    places = {tensor.device for tensor in _tensors(network)}
    try:
        yield
    finally:
        for place in places:  # at most one, see `device_for`
            network.to(place)
        for module, mode in modes.items():
            module.training = mode


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()
