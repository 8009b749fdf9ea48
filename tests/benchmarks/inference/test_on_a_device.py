"""A run's network is given its images on the device: whole, in batches, in tiles, in a lower dtype."""

from __future__ import annotations

import pytest
import torch

from restorebench.benchmarks.inference import runner as runner_module
from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.inference.runner import Runner
from restorebench.benchmarks.inference.tiles import ramp, restore_in_tiles
from restorebench.models import build_network, get_card
from restorebench.models.restorer import Restorer

from ...models.placement import device as placed
from .test_runner import NO_WEIGHTS


class Clock:
    """An event of a device that is not there."""

    def __init__(self, enable_timing: bool) -> None: ...

    def record(self) -> None: ...


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tile", [None, 64])
def test_images_are_restored_there_without_a_question(
    dtype: str, tile: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Clock)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    with placed.device() as questions:
        network = build_network("nafnet", variant="tiny", device=placed.DEVICE)
        numerics = Numerics(device=placed.DEVICE, dtype=dtype, channels_last=True, tile=tile, batch=2)
        runner = Runner(Restorer(network, get_card("nafnet"), "tiny", NO_WEIGHTS), numerics)
        images = [torch.rand(3, 90, 70, device=placed.DEVICE) for _ in range(2 if tile is None else 1)]
        questions.counts.clear()
        results = runner.restore_several(images)
        assert not questions.counts
        for result in results:
            assert not isinstance(result, Exception), result
            assert result[0].device.type == placed.DEVICE
            assert result[0].dtype == torch.float32
            assert result[1] == ("whole" if tile is None else "tiles of 64")


def test_the_weights_of_tiles_are_made_there() -> None:
    assert ramp(5, 2).tolist() == [0.5, 1.0, 1.0, 1.0, 0.5]
    with placed.device() as questions:
        network = Restorer(torch.nn.Identity(), get_card("identity"), "input", NO_WEIGHTS)
        assert restore_in_tiles(network, torch.rand(1, 3, 90, 70, device=placed.DEVICE), 64, 8).shape == (1, 3, 90, 70)
        assert not questions.counts


def test_the_runner_has_the_clock_that_the_test_replaces() -> None:
    assert runner_module.torch.cuda.Event is torch.cuda.Event
