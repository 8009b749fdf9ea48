"""What a network may offer to its trainer besides ``forward``.

A trainer asks with ``isinstance(network, HasAuxiliaryLoss)`` and so needs to know no network by name. One step is:
forward in training mode, add `auxiliary_loss` to the loss of the restored images, backward, optimiser step,
`after_step`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


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
