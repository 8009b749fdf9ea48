"""What a network may offer besides ``forward``: to its trainer, and to the factory.

A trainer asks with ``isinstance(network, HasAuxiliaryLoss)`` and so needs to know no network by name. One step is:
forward in training mode, add `auxiliary_loss` to the loss of the restored images, backward, optimiser step,
`after_step`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .card import ModelCard


@runtime_checkable
class HasAuxiliaryLoss(Protocol):
    """A network with a loss term of its own."""

    def auxiliary_loss(self) -> Tensor:
        """Term to add to the loss as it is (its weight included): a scalar of the last forward in training mode.

        Raises:
            RuntimeError: there was no forward in training mode yet.
        """
        ...


@runtime_checkable
class HasAfterStep(Protocol):
    """A network that changes some of its parameters itself, without gradients."""

    def after_step(self) -> None:
        """Make that change; to be called once after every step of the optimiser, the same on every process."""
        ...


class BuiltFromCheckpoint(Protocol):
    """What a class offers whose card says ``built_from="checkpoint"``, besides being a ``torch.nn.Module``."""

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor], card: ModelCard, source: Path) -> tuple[nn.Module, ModelCard]:
        """The network that a state dict describes, with its weights, and the card as it holds for this network.

        Args:
            state: as the file has it, already read without running code.
            card: the registered card; size rule, dtypes and tiling may be replaced.
            source: the file, for messages.

        Raises:
            ModelError: the file is of no network that fits, in one line.
        """
        ...


class BuiltFromFile(BuiltFromCheckpoint, Protocol):
    """The same of a class whose files are more than tensors: it gets the file itself."""

    @classmethod
    def from_file(cls, data: bytes, card: ModelCard, source: Path) -> tuple[nn.Module, ModelCard]:
        """The network that a file holds, and the card as it holds for this network.

        Args:
            data: the file, whose sha256 is known to be that of the row.
            card: the registered card; size rule, dtypes and tiling may be replaced.
            source: the file, for messages.

        Raises:
            ModelError: the file is of no network that fits, in one line.
        """
        ...
