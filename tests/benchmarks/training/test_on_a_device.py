"""A training step's losses, averages and counters are computed where the network is."""

from __future__ import annotations

import pytest
import torch

from restorebench.benchmarks.training.averaging import MovingAverage, interpolated
from restorebench.benchmarks.training.config import LossConfig
from restorebench.benchmarks.training.losses import RunningMeans, loss_terms
from restorebench.models import build_network
from restorebench.models.hooks import HasAfterStep

from ...models.placement import device as placed


@pytest.mark.parametrize("name", ["nafnet", "moceir", "airnet", "anyir"])
def test_losses_and_averages_stay_there_and_their_means_are_read_in_one_copy(name: str) -> None:
    with placed.device() as questions:
        network = build_network(name, variant="tiny", device=placed.DEVICE).train()
        average = MovingAverage(build_network(name, variant="tiny", device=placed.DEVICE), 0.999)
        start = {key: value.clone() for key, value in network.state_dict().items()}
        images, clean = (torch.rand(2, 3, 64, 64, device=placed.DEVICE) for _ in range(2))
        restored = network(images)
        questions.counts.clear()
        terms = loss_terms(restored, clean, LossConfig(l1=1.0, fourier=0.1), network)
        if isinstance(network, HasAfterStep):
            with torch.no_grad():
                network.after_step()
        average.update(network.state_dict(), 3)
        line = interpolated(start, average.network.state_dict(), 0.5)
        assert not questions.counts
        assert {each.device.type for each in (*terms, *line.values())} == {placed.DEVICE}
        RunningMeans(["a", "b"]).add(terms, terms.l1, ["a", "b"])
        assert dict(questions.counts) == {"copy to the host": 1}
