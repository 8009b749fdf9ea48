"""Weights made of others: their exponential moving average, and a straight line between two sets of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...models.restorer import Restorer


class MovingAverage:
    """Exponential moving average of a network's state: `decay` of itself and the rest of the new one at every step.

    Early on the decay is (1 + n) / (10 + n) after n steps if that is less, so that the random start is soon forgotten.
    Buffers, such as the statistics of batch normalisation, are copied.

    Args:
        network: the average itself, a copy of the trained network.
        decay: 0 keeps no average: the weights are the trained ones.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network.requires_grad_(False).eval(), decay

    @torch.no_grad()
    def update(self, trained: Mapping[str, Tensor], steps: int) -> None:
        """Take in the trained state after `steps` steps."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        parameters = dict(self.network.named_parameters())
        averages, news = [], []
        for key, value in self.network.state_dict().items():
            if key in parameters and value.is_floating_point() and self.decay:
                averages.append(value)
                news.append(trained[key].to(value.dtype))
            else:
                value.copy_(trained[key])
        if averages:
            torch._foreach_lerp_(averages, news, 1 - decay)


@torch.no_grad()
def interpolated(start: Mapping[str, Tensor], trained: Mapping[str, Tensor], part: float) -> dict[str, Tensor]:
    """`part` of the state before training and the rest of the one after it: floating point tensors, others as trained.

    Training that corrects a network in one respect unlearns others; a straight line in the space of the weights goes
    from the one to the other (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, section 3). A part
    below 0 goes on along the line: more of what training changed.
    """
    return {
        key: torch.lerp(value, start[key].to(value), part) if value.is_floating_point() else value
        for key, value in trained.items()
    }


def frozen_copy(restorer: Restorer) -> Restorer:
    """A copy with the same weights that no optimiser changes, in evaluation mode."""
    return copy.deepcopy(restorer).requires_grad_(False).eval()


class ResultWeights:
    """The weights that a training gives: the moving average, interpolated with those that training starts from.

    Args:
        restorer: with the weights that training starts from.
        average: of the trained weights.
        interpolation: part of the starting weights, see `interpolated`; 0 for the average itself.
    """

    def __init__(self, restorer: Restorer, average: MovingAverage, interpolation: float) -> None:
        self._average, self._interpolation = average, interpolation
        self._restorer = frozen_copy(restorer)
        self._start = frozen_copy(restorer).network.state_dict() if interpolation else {}
        if not interpolation:
            self._restorer.network = average.network

    def restorer(self) -> Restorer:
        """The restorer with the result as of now; it is the same object every time."""
        if self._interpolation:
            trained = self._average.network.state_dict()
            self._restorer.network.load_state_dict(interpolated(self._start, trained, self._interpolation))
        return self._restorer
