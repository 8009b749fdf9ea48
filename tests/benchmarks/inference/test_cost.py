"""Side measurements of a run: the time of a network's passes and the memory of one."""

from __future__ import annotations

import dataclasses
import time

import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.inference.cost import MIB, Pass, cost_of, peak_memory
from restorebench.benchmarks.inference.machine import Business


class Wide(nn.Module):
    """Holds three maps of 8 channels at once: the input of the last operation, its other operand and its result."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x)
        b = a + 1
        c = a * b
        del a, b
        d = c.sum(dim=1, keepdim=True)
        return x + d


def test_peak_is_what_lives_at_once() -> None:
    with torch.inference_mode():
        peak, how = peak_memory(Wide(), torch.rand(1, 3, 128, 128))
    weights = 3 * 8 * 4
    assert peak * MIB == 3 * 8 * 128 * 128 * 4 + weights
    assert "live tensors" in how


def test_views_and_results_in_place_are_counted_once() -> None:
    class Views(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            return y.view(-1).add_(1).view(x.shape).transpose(2, 3)

    with torch.inference_mode():
        peak, _ = peak_memory(Views(), torch.rand(1, 3, 64, 64))
    assert peak * MIB == 3 * 64 * 64 * 4


def test_latency_is_the_median_over_images_of_the_commonest_size() -> None:
    passes = [Pass((256, 256), 1, s) for s in (9.0, 0.2, 0.1, 0.3)] + [Pass((64, 64), 1, 0.01)]
    cost = cost_of(passes, (12.5, "so"))
    assert cost is not None
    assert cost.latency_ms == pytest.approx(250)
    assert (cost.size, cost.passes, cost.batch, cost.peak_mib) == ((256, 256), 4, 1, 12.5)
    assert (cost.load, cost.doubtful) == (None, "")  # nothing was watched
    assert cost_of([], None) is None


def test_the_cost_of_a_run_says_how_busy_the_machine_was() -> None:
    passes = [Pass((64, 64), 1, seconds) for seconds in (0.10, 0.11, 0.12, 0.13, 0.14)]
    quiet = Business(seconds=1.0, own=1.8, others=0.0, load=1.5, processors=2, threads=2)
    cost = cost_of(passes, None, quiet)
    assert cost is not None
    assert (cost.latency_q1_ms, cost.latency_ms, cost.latency_q3_ms) == pytest.approx((110, 120, 130))
    assert (cost.load, cost.doubtful) == (1.5, "")
    busy = cost_of(passes, None, dataclasses.replace(quiet, others=1.2))
    assert busy is not None
    assert "other processes took 1.2 of 2 processors" in busy.doubtful
    assert busy.latency_ms == cost.latency_ms


def test_a_batch_is_shared_out_to_its_images() -> None:
    cost = cost_of([Pass((64, 64), 4, 2.0)], None)
    assert cost is not None
    assert (cost.latency_ms, cost.batch, cost.peak_mib) == (500, 4, None)


def test_a_run_notes_the_passes_of_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from restorebench.benchmarks.inference.numerics import Numerics
    from restorebench.benchmarks.inference.runner import Runner
    from restorebench.models import create_model

    runner = Runner(create_model("identity"), Numerics())

    def slow(x: Tensor) -> Tensor:
        time.sleep(0.02)
        return x

    monkeypatch.setattr(runner, "forward", slow)
    runner.restore_several([torch.rand(3, 32, 48)])
    runner.restore_several([torch.rand(3, 32, 48)] * 2)
    passes = runner.passes()
    assert [(one.size, one.images) for one in passes] == [((32, 48), 1), ((32, 48), 2)]
    assert all(0.02 <= one.seconds < 1 for one in passes)
    runner.forget_passes()
    assert runner.passes() == []
