"""Which passes are recorded and replayed as CUDA graphs; the recording itself needs a device."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.inference.graphs import Forward, GraphCache
from restorebench.benchmarks.inference.numerics import Numerics, check_graphs
from restorebench.benchmarks.inference.runner import Runner

from .test_runner import Halve, restorer


class Recorder:
    """Records like a device does: a buffer for the input, one for the output that every replay overwrites."""

    def __init__(self, fails: type[Exception] | None = None) -> None:
        self.recorded: list[tuple[int, ...]] = []
        self.replayed: list[tuple[int, ...]] = []
        self.fails = fails

    def __call__(self, network: Forward, batch: Tensor) -> Forward:
        self.recorded.append(tuple(batch.shape))
        if self.fails is not None:
            raise self.fails("operation not permitted when stream is capturing")
        images = batch.clone()
        restored = network(images)

        def replay(given: Tensor) -> Tensor:
            self.replayed.append(tuple(given.shape))
            images.copy_(given)
            restored.copy_(images / 2)
            return restored

        return replay


def batches(*heights: int) -> list[Tensor]:
    return [torch.full((1, 3, height, 8), float(number)) for number, height in enumerate(heights)]


def test_a_shape_is_recorded_when_it_comes_again_and_replayed_from_then_on() -> None:
    recorder = Recorder()
    cache = GraphCache(Halve(), recorder)
    for batch in batches(8, 8, 8, 16):
        assert torch.equal(cache(batch), batch / 2)
    assert recorder.recorded == [(1, 3, 8, 8)]
    assert recorder.replayed == [(1, 3, 8, 8)] * 2


def test_other_strides_and_dtypes_are_other_graphs() -> None:
    recorder = Recorder()
    cache = GraphCache(Halve(), recorder)
    plain = torch.rand(1, 3, 8, 8)
    for batch in (plain, plain.contiguous(memory_format=torch.channels_last), plain.double()):
        cache(batch)
        cache(batch)
    assert len(recorder.recorded) == len(cache) == 3


def test_the_graph_that_was_not_used_for_longest_goes_first() -> None:
    recorder = Recorder()
    cache = GraphCache(Halve(), recorder, most=2)
    for batch in batches(8, 8, 16, 16, 8, 24, 24, 8, 16):
        cache(batch)
    assert [shape[2] for shape in recorder.recorded] == [8, 16, 24, 16]
    assert len(cache) == 2


@pytest.mark.parametrize("error", [RuntimeError, torch.OutOfMemoryError])
def test_what_cannot_be_recorded_runs_as_ever_and_is_said_once(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(error)
    cache = GraphCache(Halve(), recorder)
    with caplog.at_level(logging.WARNING, "restorebench"):
        for batch in batches(8, 8, 8, 8):
            assert torch.equal(cache(batch), batch / 2)
    assert len(recorder.recorded) == 1
    assert caplog.text.count("no CUDA graph for batches of (1, 3, 8, 8)") == 1


def test_images_that_a_replay_gave_stay_as_they_are_under_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(restorer(Halve()), Numerics(cuda_graphs=True))
    assert runner.graphs is not None
    monkeypatch.setattr(runner.graphs, "_record", Recorder())
    images = [torch.full((1, 3, 8, 8), float(number)) for number in range(4)]
    restored = [runner.restore(image)[0] for image in images]
    assert len(runner.graphs) == 1
    assert [each.unique().tolist() for each in restored] == [[0.0], [0.5], [1.0], [1.5]]


def test_graphs_are_dropped_where_memory_is_short() -> None:
    runner = Runner(restorer(Halve()), Numerics(cuda_graphs=True))
    assert runner.graphs is not None
    runner.graphs._record = Recorder()
    for _ in range(2):
        runner.restore(torch.rand(1, 3, 8, 8))
    assert len(runner.graphs) == 1
    runner._free()
    assert len(runner.graphs) == 0


def test_graphs_are_for_cuda_and_part_of_the_identity_only_where_they_are_used() -> None:
    with pytest.raises(UserError, match="cuda_graphs=true needs a CUDA device"):
        check_graphs(True, "cpu")
    assert check_graphs(True, "cuda:1")
    assert not check_graphs(False, "cpu")
    assert "cuda_graphs" not in Numerics().identity()
    assert Numerics(cuda_graphs=True).identity()["cuda_graphs"] is True
